from torch import Tensor, nn


class Subtract(nn.Module):
    """Runs its children on one input and subtracts the others' outputs from the first's."""

    def forward(self, x: Tensor) -> Tensor:
        result, *others = [branch(x) if branch else x for branch in self._modules.values()]
        for other in others:
            result = result - other
        return result
