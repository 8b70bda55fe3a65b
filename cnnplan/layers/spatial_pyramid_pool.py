import torch
from torch import Tensor, nn


class SpatialPyramidPool(nn.Module):
    """Pools a map into each of several grids of bins, and joins them all into one vector, grid by grid.

    `adaptive` bins share out the map among them; `sliding` ones are windows of ceil(size / n), floor(size / n) apart.
    """

    def __init__(
        self,
        levels: tuple[int | tuple[int, ...], ...] = (1, 2, 4),
        mode: str = "max",
        bins: str = "adaptive",
    ) -> None:
        super().__init__()
        self.levels = levels
        self.mode = mode
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        rank = x.dim() - 2
        if self.bins == "adaptive":
            pool = getattr(nn.functional, f"adaptive_{self.mode}_pool{rank}d")
            return torch.cat([pool(x, level).flatten(1) for level in self.levels], 1)
        pool = getattr(nn.functional, f"{self.mode}_pool{rank}d")
        grids = []
        for level in self.levels:
            counts = (level,) * rank if isinstance(level, int) else level
            pairs = list(zip(x.shape[2:], counts, strict=True))
            grid = pool(x, [-(-size // n) for size, n in pairs], [size // n for size, n in pairs])
            if grid.shape[2:] != counts:
                raise ValueError(f"no {counts} sliding bins in a map of {tuple(x.shape[2:])}")
            grids.append(grid.flatten(1))
        return torch.cat(grids, 1)
