import torch
from torch import Tensor, nn


class SoftmaxPool(nn.Module):
    """The values of each window, weighted by the softmax of beta times them; a beta of None is learned, from 1 on."""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        beta: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.beta = nn.Parameter(torch.ones(1)) if beta is None else beta

    def forward(self, x: Tensor) -> Tensor:
        rank = x.dim() - 2
        both = (self.kernel_size, self.stride)
        sizes, steps = ((n,) * rank if isinstance(n, int) else n for n in both)
        for axis in range(rank):
            x = x.unfold(2 + 2 * axis, sizes[axis], steps[axis]).movedim(-1, 2)
        weights = self.beta * x.clone(memory_format=torch.contiguous_format)
        weights = weights.flatten(2, 1 + rank).softmax(2)
        return (weights.view(x.shape) * x).sum(tuple(range(2, 2 + rank)))
