from torch import Tensor, nn


class Multiply(nn.Module):
    """Runs its children on one input and multiplies what they give."""

    def forward(self, x: Tensor) -> Tensor:
        result, *others = [branch(x) if branch else x for branch in self._modules.values()]
        for other in others:
            result = result * other
        return result
