from torch import Tensor, nn


class Mean(nn.Module):
    """Runs its children on one input and averages what they give."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = results = [branch(x) if branch else x for branch in self._modules.values()]
        for other in others:
            first = first + other
        return first / len(results)
