from torch import Tensor, nn


class Subtract(nn.Module):
    """Runs its children on one input and subtracts the others' outputs from the first's."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self._modules.values()
        result = first(x) if first else x
        for branch in others:
            result = result - (branch(x) if branch else x)
        return result
