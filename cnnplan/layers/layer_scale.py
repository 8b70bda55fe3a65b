import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, shape: tuple[int, ...], init: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
