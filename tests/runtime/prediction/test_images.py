"""An image file that is to be predicted: as PIL by hand, or a reason."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnplan.runtime.prediction.images import Unreadable, decode

COLORS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def reason(path: Path | str) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(str(path), (3, 8, 8))
    assert str(caught.value).startswith("cannot read ")
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_it_is_turned_squeezed_and_gray_or_color(tmp_path: Path) -> None:
    image = Image.fromarray(COLORS)
    exif = image.getexif()
    exif[0x0112] = 6  # shown turned to the right (EXIF 2.3)
    image.save(tmp_path / "a.png", exif=exif)
    turned = Image.fromarray(np.rot90(COLORS, -1)).resize((7, 9), Image.Resampling.BILINEAR)
    x = decode(str(tmp_path / "a.png"), (3, 9, 7))
    assert str(x.dtype) == "torch.uint8"
    assert np.array_equal(x.numpy(), np.asarray(turned).transpose(2, 0, 1))
    gray = Image.fromarray(np.rot90(COLORS, -1)).convert("L").resize((7, 9), Image.Resampling.BILINEAR)
    assert np.array_equal(decode(str(tmp_path / "a.png"), (1, 9, 7)).numpy()[0], np.asarray(gray))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_files_that_are_cut(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(COLORS).save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for part in (0, 1, 10, len(whole) // 3):
        (tmp_path / f"b.{suffix}").write_bytes(whole[:part])
        assert reason(tmp_path / f"b.{suffix}")


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("nonsense")
    assert reason(tmp_path / "a.png") == "no image"
    assert reason(tmp_path / "none.png") == "no such file or directory"
    assert reason(tmp_path) == "no plain file"
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "pipe.png") == "no plain file"
    assert reason("a\0b.png")


def test_a_small_file_that_would_fill_the_memory(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert reason(tmp_path / "bomb.png") == f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
