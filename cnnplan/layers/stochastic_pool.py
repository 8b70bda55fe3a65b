import torch
from torch import Tensor, nn


class StochasticPool(nn.Module):
    """In training one value of each window, drawn in proportion to it; in evaluation their average by those odds.

    Values below 0 count as 0. They share out a line among them, on which a place is drawn.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        rank = x.dim() - 2
        both = (self.kernel_size, self.stride)
        sizes, steps = ((n,) * rank if isinstance(n, int) else n for n in both)
        for axis in range(rank):
            x = x.unfold(2 + 2 * axis, sizes[axis], steps[axis]).movedim(-1, 2)
        x = x.clone(memory_format=torch.contiguous_format).flatten(2, 1 + rank)
        if self.training:
            ends = x.detach().relu().cumsum(2, dtype=torch.float32)
            whole = ends.narrow(2, -1, 1)
            drawn = (ends <= torch.rand_like(whole) * whole).sum(2, keepdim=True)
            taps = torch.arange(x.size(2), device=x.device).view(-1, *(1,) * rank)
            return torch.where(taps == drawn, x, 0).sum(2)
        x = x.relu_()
        odds = x / x.sum(2, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        return (odds * x).sum(2)
