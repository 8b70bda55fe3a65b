import torch
from torch import Tensor, nn


class Maximum(nn.Module):
    """Runs its children on one input and keeps the larger of what they give."""

    def forward(self, x: Tensor) -> Tensor:
        result, *others = [branch(x) if branch else x for branch in self._modules.values()]
        for other in others:
            result = torch.maximum(result, other)
        return result
