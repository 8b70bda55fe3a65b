import torch
from torch import Tensor, nn


class MeanPad(nn.Module):
    """Adds units around the map that hold the mean of each channel; the last axis is listed first."""

    def __init__(self, padding: tuple[int, ...]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        axes = range(2, x.dim())
        before, after = self.padding[-2::-2], self.padding[::-2]
        size = [before[i - 2] + x.shape[i] + after[i - 2] for i in axes]
        mean = x.mean(tuple(axes), keepdim=True).expand(-1, -1, *size)
        y = inside = mean.clone(memory_format=torch.contiguous_format)
        for i in axes:
            inside = inside.narrow(i, before[i - 2], x.shape[i])
        inside.copy_(x)
        return y
