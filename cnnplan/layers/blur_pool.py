import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlurPool(nn.Module):
    """A filter of binomial coefficients over each channel, at every stride-th unit; the border is reflected."""

    weight: Tensor

    def __init__(
        self,
        channels: int,
        rank: int = 2,
        kernel_size: int | tuple[int, ...] = 3,
        stride: int | tuple[int, ...] = 2,
    ) -> None:
        super().__init__()
        sizes = (kernel_size,) * rank if isinstance(kernel_size, int) else kernel_size
        weight = torch.ones(channels, 1)
        for size in sizes:
            row = torch.ones(1)
            for _ in range(size - 1):
                row = (F.pad(row, (0, 1)) + F.pad(row, (1, 0))) / 2
            weight = weight.unsqueeze(-1) * row
        self.register_buffer("weight", weight)
        self.stride = stride
        self.sides = [side for size in reversed(sizes) for side in ((size - 1) // 2, size // 2)]

    def forward(self, x: Tensor) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
        padded = F.pad(x, self.sides, mode="reflect")
        return convolve(padded, self.weight, stride=self.stride, groups=self.weight.size(0))
