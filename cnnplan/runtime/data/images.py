"""One image file: what its header says, whether it is all there, and its pixels as a network takes them.

Pixels are uint8 [C, H, W]. The orientation of EXIF is applied. Files of modes 1, L and I;16 are gray, all others, with
a palette too, RGB; where gray ones are wanted in color, their channels are equal. 16 bits become 8 (v / 257, rounded).
What is transparent lies on white, as viewers show it: the color under it is often arbitrary. An image is stretched to
the wanted size, with the antialiased bilinear filter of PIL.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS: Final = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
"""What is tried on a file, whatever it is called: no decoder that runs other programs, as that of PostScript does."""

_GRAY: Final = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_ORIENTATION: Final = 0x0112
_TURNED: Final = {  # EXIF 2.3, table 4
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What is known of an image before it is decoded: whether it is gray, and its size once it is upright."""

    gray: bool
    height: int
    width: int


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Inside, an image of more pixels than PIL takes for sane is an error, and odd metadata no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def header(file: BinaryIO) -> Header:
    """What the header says.

    Raises:
        Exception: the file cannot be read, is no image, or the image is not all there; see `reason`.
    """
    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        turned = "exif" in image.info and _orientation(image) in (5, 6, 7, 8)
        found = Header(image.mode in _GRAY, width, height) if turned else Header(image.mode in _GRAY, height, width)
        if not _ends(file, image.format):
            image.draft(image.mode, (max(1, width // 8), max(1, height // 8)))  # reads all of a JPEG, computes less
            image.load()
        return found


def pixels(file: BinaryIO, shape: tuple[int, int, int]) -> Tensor:
    """The image as uint8 [C, H, W] of this shape.

    Raises:
        Exception: the file cannot be read or decoded; see `reason`.
    """
    channels, height, width = shape
    with Image.open(file, formats=FORMATS) as opened:
        opened.load()
        image: Image.Image = opened
        turn = _TURNED.get(_orientation(opened))
        if image.mode.startswith("I"):
            image = _eight_bits(image)
        if image.mode[-1] in "Aa" or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        if turn is not None:
            image = image.transpose(turn)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        found = torch.from_numpy(np.array(image))
    return found[None] if channels == 1 else found.permute(2, 0, 1).contiguous()


def reason(error: Exception) -> str:
    """Why an image cannot be used, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "no image"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).partition("\n")[0] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    """Where the first row and column of the image belong, by EXIF; 1 where nothing legible says so."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata of a sound image raises whatever its parser stumbles over
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Of 16 bits, or of what PIL reads them into, the upper 8, rounded."""
    values = np.asarray(image).clip(0, 65535).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _ends(file: BinaryIO, kind: str | None) -> bool:
    """Whether the file ends as its format wants it; one that does not may be truncated, or end in something else."""
    at = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 64))
    tail = file.read(64)
    file.seek(4)
    size = int.from_bytes(file.read(4), "little")
    file.seek(at)
    if kind in ("JPEG", "MPO"):
        return b"\xff\xd9" in tail
    if kind == "PNG":
        return tail.endswith(b"IEND\xaeB`\x82")
    return kind != "WEBP" or size + 8 <= length
