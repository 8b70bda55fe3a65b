import torch
from torch import Tensor, nn


class Maximum(nn.Module):
    """Runs its children on one input and keeps the larger of what they give."""

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self._modules.values()
        result = first(x) if first else x
        for branch in others:
            result = torch.maximum(result, branch(x) if branch else x)
        return result
