from torch import Tensor, nn


class AbsTanh(nn.Module):
    """The absolute value of the hyperbolic tangent of each element."""

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh().abs()
