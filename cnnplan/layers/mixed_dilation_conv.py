import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MixedDilationConv(nn.Module):
    """Convolutions of one kernel size and several dilations, side by side: each has an equal share of the filters.

    `padding` and `sides` are for each dilation: `sides` is what `F.pad` adds where the two sides of an axis differ.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        dilations: tuple[int | tuple[int, ...], ...],
        stride: int | tuple[int, ...] = 1,
        padding: tuple[int | tuple[int, ...], ...] = (),
        sides: tuple[tuple[int, ...], ...] = (),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.convolve = (F.conv1d, F.conv2d, F.conv3d)[len(kernel_size) - 1]
        self.stride, self.dilations = stride, dilations
        self.share = out_channels // len(dilations)
        self.padding = padding or (0,) * len(dilations)
        self.sides = sides or ((),) * len(dilations)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        bound = self.weight[0].numel() ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.split(self.weight, self.share)
        biases = (None,) * len(weights) if self.bias is None else torch.split(self.bias, self.share)
        parts = zip(weights, biases, self.dilations, self.padding, self.sides, strict=True)
        return torch.cat([self.branch(x, *part) for part in parts], 1)

    def branch(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        dilation: int | tuple[int, ...],
        padding: int | tuple[int, ...],
        sides: tuple[int, ...],
    ) -> Tensor:
        x = F.pad(x, sides) if sides else x
        return self.convolve(x, weight, bias, self.stride, padding, dilation)
