"""One image file as bytes of the network's size: the same for training and for prediction.

x = decode("photo.jpg", channels=3, size=(224, 224))        # uint8 [3, 224, 224]

Turned as its EXIF says, RGB or gray, squeezed to the size with PIL's bilinear filter, which averages where it shrinks.
Transparency is dropped and of an animation the first image counts, as torchvision's ImageFolder has it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError

SUFFIXES: Final = frozenset(
    ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
"""By which files of a folder are taken for images."""
MODES: Final = {1: "L", 3: "RGB"}
"""PIL's word for a number of channels."""

# what PIL thinks of damaged EXIF or of 90 megapixels is not for people who read predictions
warnings.filterwarnings("ignore", module=r"PIL\b")


class Unreadable(UsageError):
    """A file is no image, or a damaged one.

    Attributes:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot read {printable(path)}: {reason}")


def decode(path: str | Path, channels: int, size: tuple[int, int]) -> Tensor:
    """The image of a file.

    Args:
        channels: 1 for gray (ITU-R 601-2 luma of colors), 3 for RGB.
        size: height and width.

    Returns:
        uint8 [channels, height, width]; of 16 bits, the upper 8.

    Raises:
        Unreadable: the file is no image, is damaged, or has values of which it does not say what is white.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise Unreadable(str(path), "it is no plain file")
        with Image.open(path) as opened:
            if opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format in ("PNG", "PPM")):
                bits = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
                bits.getexif().update(opened.getexif())
                image = ImageOps.exif_transpose(bits)
            elif opened.mode in ("I", "F"):
                raise Unreadable(str(path), f"its values are {_words(opened.mode)}: nothing says which is white")
            else:
                image = ImageOps.exif_transpose(opened)
            if "transparency" in image.info:
                image = image.convert("RGBA")
            image = image.convert(MODES[channels]).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(str(path), "it is no image of a known format") from None
    except Exception as error:  # each of PIL's formats fails in ways of its own on damaged files
        raise Unreadable(str(path), _reason(error)) from None
    return torch.from_numpy(np.array(image)).view(size[0], size[1], channels).permute(2, 0, 1).contiguous()


def _words(mode: str) -> str:
    return "integers of 32 bits" if mode == "I" else "floats"


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(said.partition("\n")[0])[:120].lower() or type(error).__name__
