import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnpaddedAvgPool(nn.Module):
    """Average pooling over the values alone: padding, which may differ by side, does not count."""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: tuple[int, ...] = (0, 0),
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
        ones = torch.ones_like(x[:1, :1])
        mean = pool(F.pad(x, self.padding), self.kernel_size, self.stride)
        return mean / pool(F.pad(ones, self.padding), self.kernel_size, self.stride)
