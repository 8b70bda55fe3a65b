from torch import Tensor, nn


class Abs(nn.Module):
    """The absolute value of each element."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()
