from torch import Tensor, nn


class Mean(nn.Module):
    """Runs its children on one input and averages what they give."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self._modules.values()
        result = first(x) if first else x
        for branch in others:
            result = result + (branch(x) if branch else x)
        return result / (1 + len(others))
