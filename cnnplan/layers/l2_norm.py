import torch
from torch import Tensor, nn
from torch.nn import functional as F


class L2Norm(nn.Module):
    """Divides by the Euclidean norm along an axis; then a learned factor for each channel, if any."""

    def __init__(
        self,
        dim: int = 1,
        eps: float = 1e-12,
        scale: float | None = None,
        shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps
        self.weight = None if scale is None else nn.Parameter(torch.full(shape, float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        x = F.normalize(x, dim=self.dim, eps=self.eps)
        return x if self.weight is None else x * self.weight
