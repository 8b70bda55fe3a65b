"""Numbers as people read them."""

import pytest

from cnnplan.render.numbers import bar, counted, duration, exact, percent, plural, short, size


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, ""),
        (912, "912"),
        (999, "999"),
        (1_000, "1.00 K"),
        (86_704_128, "86.70 M"),
        (15_470_264_320, "15.47 G"),
        (10**12, "1.00 T"),
        (3 * 10**15, "3.00 P"),
        (999_999, "1.00 M"),
        (999_994, "999.99 K"),
        (995, "995"),
        (999_999_999, "1.00 G"),
    ],
)
def test_short(n: int, text: str) -> None:
    assert short(n) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (553_430_176, "527.79 MiB"), (2**40, "1.00 TiB")]
)
def test_size(n: int, text: str) -> None:
    assert size(n) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, ""), (10, 0, ""), (1, 3, "33.3 %"), (10, 10, "100.0 %"), (1, 10**9, "<0.1 %"), (1, 1000, "0.1 %")],
)
def test_percent(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 s"),
        (1.23e-6, "1.2 µs"),
        (9.96e-3, "10 ms"),
        (0.041, "41 ms"),
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (2.1, "2.1 s"),
        (63, "63 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (250, "4 min 10 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (12_000, "3 h 20 min"),
        (48 * 3600 - 60, "47 h 59 min"),
        (48 * 3600 - 20, "2 d"),
        (53 * 3600, "2 d 5 h"),
    ],
)
def test_duration(n: float, text: str) -> None:
    assert duration(n) == text


def test_bar() -> None:
    assert bar(0, 8, 8) == ""
    assert bar(8, 8, 8) == "████████"
    assert bar(1, 8, 8) == "█"
    assert bar(1, 16, 8) == "▌"
    assert bar(3, 0, 8) == ""
    assert all(len(bar(n, 100, 8)) <= 8 for n in range(101))


def test_words() -> None:
    assert exact(1_234_567) == "1,234,567"
    assert exact(0) == ""
    assert counted(912, "MACs") == "912 MACs"
    assert counted(0, "MACs") == "0 MACs"
    assert counted(15_470_264_320, "MACs") == "15.47 GMACs"
    assert plural(1, "error") == "1 error"
    assert plural(2_000, "error") == "2,000 errors"
    assert plural(1, "class", "classes") == "1 class"
    assert plural(2_000, "class", "classes") == "2,000 classes"
