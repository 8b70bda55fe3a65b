from torch import Tensor, nn
from torch.nn import functional as F


class SpatialTransformer(nn.Module):
    """A map sampled where an affine transform of its positions says."""

    def __init__(
        self,
        size: tuple[int, ...] | None = None,
        mode: str = "bilinear",
        padding_mode: str = "zeros",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.mode = mode
        self.padding_mode = padding_mode
        self.align_corners = align_corners

    def forward(self, features: Tensor, theta: Tensor) -> Tensor:
        size = list(features.shape[2:] if self.size is None else self.size)
        matrix = theta.reshape(-1, len(size), len(size) + 1)
        grid = F.affine_grid(matrix, [*features.shape[:2], *size], self.align_corners)
        return F.grid_sample(features, grid, self.mode, self.padding_mode, self.align_corners)
