import torch
from torch import Tensor, nn


class LocallyConnected(nn.Module):
    """Convolution without shared weights: `weight[i, j]` is the kernel of output unit (i, j), as nn.Conv2d has one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        output_size: tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        dilation: int | tuple[int, ...] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        rank = len(kernel_size)
        self.output_size = output_size
        strides = stride if isinstance(stride, tuple) else (stride,) * rank
        dilations = dilation if isinstance(dilation, tuple) else (dilation,) * rank
        extents = (d * (k - 1) + 1 for k, d in zip(kernel_size, dilations, strict=True))
        self.windows = tuple(zip(extents, strides, dilations, strict=True))
        kernel = torch.empty(out_channels, in_channels, *kernel_size)
        self.weight = nn.Parameter(kernel.new_empty(*output_size, *kernel.shape))
        self.bias = nn.Parameter(torch.empty(out_channels, *output_size)) if bias else None
        bound = kernel[0].numel() ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        rank = len(self.windows)
        weight = self.weight.flatten(rank + 1).flatten(0, rank - 1)
        for axis, (extent, stride, dilation) in enumerate(self.windows, 2):
            x = x.unfold(axis, extent, stride)
            x = x[..., ::dilation] if dilation > 1 else x
        x = x.movedim((0, 1), (-1, rank)).clone(memory_format=torch.contiguous_format)
        x = torch.bmm(weight, x.flatten(rank, -2).flatten(0, rank - 1))
        x = x.permute(2, 1, 0).clone(memory_format=torch.contiguous_format)
        x = torch.unflatten(x, 2, self.output_size)
        return x if self.bias is None else x + self.bias.to(x.dtype)
