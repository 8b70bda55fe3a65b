"""What torch runs. `cnnplan build` copies everything behind the imports, which may be of torch alone."""

import torch
from torch import Tensor, nn


class GemPool(nn.Module):
    """The generalized mean of each channel, with a learned exponent."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), p))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.eps).pow(self.p).flatten(2).mean(2).pow(1.0 / self.p)
