"""Decoding, held against PIL itself and against arithmetic: modes, transparency, orientation, sizes, broken files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from cnnplan.runtime.data.images import Header, header, pixels, reason, strict

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GRAYS = RNG.integers(0, 256, (12, 20), dtype=np.uint8)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_color_is_kept(format: str) -> None:
    found = pixels(encoded(Image.fromarray(COLORS), format), (3, 12, 20))
    assert found.dtype == torch.uint8
    assert np.array_equal(found.permute(1, 2, 0).numpy(), COLORS)


@pytest.mark.parametrize(("format", "gray"), [("JPEG", False), ("JPEG", True), ("WEBP", False)])
def test_lossy_formats_are_what_pil_decodes(format: str, gray: bool) -> None:
    file = encoded(Image.fromarray(GRAYS if gray else COLORS), format)
    found = pixels(file, (1 if gray else 3, 12, 20))
    file.seek(0)
    expected = np.asarray(Image.open(file))
    assert np.array_equal(found[0].numpy() if gray else found.permute(1, 2, 0).numpy(), expected)


def test_gray_is_one_channel_or_three_equal_ones() -> None:
    file = encoded(Image.fromarray(GRAYS))
    assert np.array_equal(pixels(file, (1, 12, 20))[0].numpy(), GRAYS)
    file.seek(0)
    assert np.array_equal(pixels(file, (3, 12, 20)).numpy(), np.stack([GRAYS] * 3))


def test_one_bit_is_black_and_white() -> None:
    bits = GRAYS > 127
    found = pixels(encoded(Image.fromarray(bits)), (1, 12, 20))
    assert np.array_equal(found[0].numpy(), bits * np.uint8(255))


@pytest.mark.parametrize("format", ["PNG", "PPM"])
def test_sixteen_bits_become_eight(format: str) -> None:
    """v / 257, rounded: 0xFFFF is 255, and 8 bits written twice, v * 257, are v again."""
    exact = np.arange(256, dtype=np.uint16).reshape(16, 16) * np.uint16(257)
    found = pixels(encoded(Image.fromarray(exact), format), (1, 16, 16))
    assert np.array_equal(found[0].numpy(), np.arange(256).reshape(16, 16))
    values = RNG.integers(0, 65536, (16, 16)).astype(np.uint16)
    found = pixels(encoded(Image.fromarray(values), format), (1, 16, 16))
    assert np.array_equal(found[0].numpy(), np.floor(values / 257 + 0.5))


def test_a_palette_is_color() -> None:
    image = Image.fromarray(COLORS).quantize(7)
    file = encoded(image)
    assert header(file).gray is False
    file.seek(0)
    assert np.array_equal(pixels(file, (3, 12, 20)).permute(1, 2, 0).numpy(), np.asarray(image.convert("RGB")))


def test_what_is_transparent_lies_on_white() -> None:
    """By the compositing of Porter & Duff 1984: a * color + (1 - a) * white."""
    alpha = RNG.integers(0, 256, (12, 20, 1), dtype=np.uint8)
    expected = np.round(COLORS * (alpha / 255) + 255 * (1 - alpha / 255))
    found = pixels(encoded(Image.fromarray(np.concatenate([COLORS, alpha], 2))), (3, 12, 20))
    assert np.abs(found.permute(1, 2, 0).numpy() - expected).max() <= 1  # PIL rounds its shares of 8 bits
    both = np.stack([GRAYS, alpha[..., 0]], 2)
    found = pixels(encoded(Image.fromarray(both)), (1, 12, 20))
    assert (
        np.abs(found[0].numpy() - np.round(GRAYS * (both[..., 1] / 255) + 255 - both[..., 1].astype(float))).max() <= 1
    )


def test_a_transparent_color_lies_on_white() -> None:
    """The tRNS chunk of PNG: one gray, color or entry of a palette is transparent."""
    gray = Image.fromarray(np.uint8([[0, 7], [7, 200]]))
    assert pixels(encoded(gray, transparency=7), (1, 2, 2)).tolist() == [[[0, 255], [255, 200]]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    found = pixels(encoded(palette, transparency=1), (3, 1, 2))
    assert found.permute(1, 2, 0).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk_is_what_pil_makes_of_it() -> None:
    file = encoded(Image.fromarray(COLORS).convert("CMYK"), "JPEG")
    expected = np.asarray(Image.open(file).convert("RGB"))
    file.seek(0)
    assert np.array_equal(pixels(file, (3, 12, 20)).permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied(format: str, orientation: int) -> None:
    """As PIL's own ImageOps.exif_transpose does; the header tells the size that this gives."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    file = encoded(Image.fromarray(COLORS), format, exif=exif, **options)
    upright = ImageOps.exif_transpose(Image.open(file))
    file.seek(0)
    found = pixels(file, (3, upright.height, upright.width))
    assert np.array_equal(found.permute(1, 2, 0).numpy(), np.asarray(upright.convert("RGB")))
    file.seek(0)
    assert header(file) == Header(False, upright.height, upright.width)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\xff", b"\xff" * 40])
def test_broken_metadata_does_not_matter(exif: bytes) -> None:
    file = encoded(Image.fromarray(COLORS), "JPEG", exif=exif)
    with strict():
        assert header(file) == Header(False, 12, 20)
        file.seek(0)
        assert pixels(file, (3, 12, 20)).shape == (3, 12, 20)


@pytest.mark.parametrize("size", [(6, 10), (24, 40), (7, 7), (12, 20), (1, 1)])
def test_sizes_change_by_antialiased_bilinear_resampling(size: tuple[int, int]) -> None:
    """As torch does it in float32: PIL's weights have 8 bits."""
    found = pixels(encoded(Image.fromarray(COLORS)), (3, *size)).float()
    image = torch.from_numpy(COLORS).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
    assert (found - expected[0]).abs().max() <= 1
    assert found.shape == (3, *size)


def test_a_constant_image_stays_constant() -> None:
    image = Image.fromarray(np.full((31, 17, 3), 200, np.uint8))
    assert bool((pixels(encoded(image), (3, 8, 8)) == 200).all())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_truncated_files_are_found_before_they_are_decoded(format: str) -> None:
    """Wherever a file is cut off: the header is refused, or the image is all there nevertheless."""
    image = Image.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    whole = encoded(image, format).getvalue()
    refused = 0
    for length in [*range(0, len(whole), 37), *range(len(whole) - 20, len(whole))]:
        cut = whole[:length]
        try:
            pixels(io.BytesIO(cut), (3, 40, 40))
        except Exception:
            with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a decoder raises
                header(io.BytesIO(cut))
            refused += 1
    assert refused > len(whole) // 37 // 2
    assert header(io.BytesIO(whole)) == Header(False, 40, 40)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_bytes_behind_an_image_do_not_matter(format: str) -> None:
    file = io.BytesIO(encoded(Image.fromarray(COLORS), format).getvalue() + b"\0" * 100)
    assert header(file) == Header(False, 12, 20)


def test_what_is_no_image() -> None:
    for content in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        for read in (header, lambda file: pixels(file, (3, 9, 9))):
            with pytest.raises(Exception) as error:  # noqa: PT011
                read(io.BytesIO(content))
            assert reason(error.value) == "no image"


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """PIL warns above its limit, and refuses above twice that: both are too many here."""
    for limit in (200, 100):  # of 240
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with strict(), pytest.raises(Exception) as error:  # noqa: PT011
            header(encoded(Image.fromarray(COLORS)))
        assert reason(error.value) == f"more than {limit} pixels"


def test_reasons() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "x")) == "no such file or directory"
    assert reason(ValueError("odd\nand more")) == "odd"
    assert reason(EOFError()) == "EOFError"
