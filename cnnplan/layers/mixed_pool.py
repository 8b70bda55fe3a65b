import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MixedPool(nn.Module):
    """alpha of the largest value of each window, and 1 - alpha of its mean; without an alpha, one is learned."""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
        alpha: float | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.alpha = nn.Parameter(torch.full((1,), 0.5)) if alpha is None else alpha

    def forward(self, x: Tensor) -> Tensor:
        largest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
        mean = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
        window = self.kernel_size, self.stride, self.padding
        maximum = largest(x, *window, ceil_mode=self.ceil_mode)
        average = mean(x, *window, ceil_mode=self.ceil_mode)
        return self.alpha * maximum + (1 - self.alpha) * average
