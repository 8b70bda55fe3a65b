from torch import Tensor, nn


class Multiply(nn.Module):
    """Runs its children on one input and multiplies what they give."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self._modules.values()
        result = first(x) if first else x
        for branch in others:
            result = result * (branch(x) if branch else x)
        return result
