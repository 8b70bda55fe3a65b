"""Image files as the network takes them, held against PIL and numpy used by hand."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnplan.runtime.images import Unreadable, decode

RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)


def written(path: Path, pixels: Any, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def reason(path: Path | str, channels: int = 3) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(path, channels, (8, 8))
    assert str(caught.value).startswith("cannot read ")
    assert "\n" not in str(caught.value)
    return caught.value.reason


def luma(pixels: Any) -> Any:
    """ITU-R 601-2, in the fixed point that PIL uses: 19595, 38470 and 7471 of 65,536."""
    red, green, blue = (pixels[..., i].astype(np.int64) for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)


def test_pixels_of_the_right_size_are_as_they_are(tmp_path: Path) -> None:
    x = decode(written(tmp_path / "a.png", COLORS), 3, (20, 30))
    assert str(x.dtype) == "torch.uint8"
    assert x.is_contiguous()
    assert np.array_equal(x.numpy(), COLORS.transpose(2, 0, 1))
    assert np.array_equal(decode(str(tmp_path / "a.png"), 1, (20, 30)).numpy()[0], luma(COLORS))
    x = decode(written(tmp_path / "b.png", GRAY), 3, (20, 30))
    assert np.array_equal(x.numpy(), np.stack([GRAY] * 3))


def test_it_is_squeezed_with_pils_bilinear_filter(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", COLORS)
    for size in ((7, 11), (40, 13)):
        expected = np.asarray(Image.fromarray(COLORS).resize(size[::-1], Image.Resampling.BILINEAR))
        assert np.array_equal(decode(path, 3, size).numpy(), expected.transpose(2, 0, 1))
    # a half size by hand: a triangle of weights 1 3 3 1 over 8 along each axis, inside the borders
    ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (4, 1))
    x = decode(written(tmp_path / "b.png", ramp), 1, (2, 15)).numpy()[0, 0]
    assert list(x[1:-1]) == [4 + 16 * i for i in range(1, 14)]


# how an image that is stored under an orientation is to be shown: EXIF 2.3, tag 0x0112
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("bits", [8, 16])
def test_it_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, bits: int) -> None:
    stored = COLORS if bits == 8 else (GRAY.astype(np.uint16) << 8) + 255
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    expected = SHOWN[orientation](stored if bits == 8 else np.stack([GRAY] * 3, -1))
    x = decode(tmp_path / "a.png", 3, expected.shape[:2])
    assert np.array_equal(x.numpy(), expected.transpose(2, 0, 1))


def test_16_bits_keep_the_upper_8(tmp_path: Path) -> None:
    wide = RANDOM.integers(0, 65536, (4, 5), dtype=np.uint16)
    raw = b"P5 5 4 65535\n" + wide.astype(">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(raw)
    for path in (written(tmp_path / "a.png", wide), written(tmp_path / "a.tif", wide), tmp_path / "a.pgm"):
        assert np.array_equal(decode(path, 1, (4, 5)).numpy()[0], wide // 256)


def test_palettes_bits_and_transparency(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 2))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1, 1, 0])
    expected = np.array([[[10, 20, 30], [40, 50, 60]], [[40, 50, 60], [10, 20, 30]]]).transpose(2, 0, 1)
    for options in ({}, {"transparency": bytes([0, 128])}, {"transparency": 0}):
        palette.save(tmp_path / "p.png", **options)
        assert np.array_equal(decode(tmp_path / "p.png", 3, (2, 2)).numpy(), expected)
    clear = np.concatenate([COLORS, np.zeros((20, 30, 1), np.uint8)], 2)
    x = decode(written(tmp_path / "c.png", clear), 3, (20, 30))
    assert np.array_equal(x.numpy(), COLORS.transpose(2, 0, 1))
    Image.fromarray(GRAY > 127).save(tmp_path / "bits.png")
    assert np.array_equal(decode(tmp_path / "bits.png", 1, (20, 30)).numpy()[0], (GRAY > 127) * 255)


def test_of_an_animation_the_first_image(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((4, 4), n, np.uint8)) for n in (50, 200)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    assert (decode(tmp_path / "a.gif", 1, (4, 4)) == 50).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"])
def test_files_that_are_cut(tmp_path: Path, suffix: str) -> None:
    whole = written(tmp_path / f"a.{suffix}", COLORS).read_bytes()
    for part in (0, 1, 10, len(whole) // 3):
        (tmp_path / f"b.{suffix}").write_bytes(whole[:part])
        assert reason(tmp_path / f"b.{suffix}")


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("nonsense")
    assert reason(tmp_path / "a.png") == "it is no image of a known format"
    assert reason(tmp_path / "none.png") == "no such file or directory"
    assert reason(tmp_path) == "it is no plain file"
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "pipe.png") == "it is no plain file"
    assert reason("a\0b.png")
    for kind, said in ((np.float32, "floats"), (np.int32, "integers of 32 bits")):
        path = written(tmp_path / "a.tif", RANDOM.normal(0, 9, (4, 4)).astype(kind))
        assert reason(path) == f"its values are {said}: nothing says which is white"


def test_a_small_file_that_would_fill_the_memory(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert "exceeds limit" in reason(tmp_path / "bomb.png")
