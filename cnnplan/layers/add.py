from torch import Tensor, nn


class Add(nn.Module):
    """Runs its children on one input and adds what they give; in place, to what the first of them gives."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self._modules.values()
        result = first(x) if first else x
        for branch in others:
            other = branch(x) if branch else x
            result = result.add_(other) if self.inplace else result + other
        return result
