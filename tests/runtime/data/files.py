"""Image files to read, each of one color that tells which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIZE = (8, 8)


def image(color: int | tuple[int, int, int], size: tuple[int, int] = SIZE) -> Image.Image:
    """An image of one color, height x width; gray where that is a number."""
    shape = size if isinstance(color, int) else (*size, 3)
    return Image.fromarray(np.broadcast_to(np.uint8(color), shape).copy())


def write(path: Path, color: int | tuple[int, int, int] = 0, size: tuple[int, int] = SIZE) -> Path:
    """An image of one color in a file, and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image(color, size).save(path)
    return path


def photos(root: Path, classes: Iterable[str] = ("cat", "dog"), count: int = 6, suffix: str = "png") -> Path:
    """A folder for each class, with gray images: 0, 1, 2 … over all of them."""
    color = 0
    for name in classes:
        for index in range(count):
            write(root / name / f"{index}.{suffix}", color)
            color += 1
    return root
