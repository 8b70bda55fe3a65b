import torch
from torch import Tensor, nn


class GlobalResponseNorm(nn.Module):
    """Weighs each channel by its norm over the map, of those of all channels, and adds what entered."""

    def __init__(self, shape: tuple[int, ...], eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=tuple(range(2, x.dim())), keepdim=True)
        response = norm / (norm.mean(1, keepdim=True) + self.eps)
        return torch.addcmul(self.bias, x, self.weight * response + 1)
