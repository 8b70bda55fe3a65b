"""Numbers as people read them: exact where they are compared, short where they are weighed."""

from __future__ import annotations

_COUNTS = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))
_BYTES = ((1 << 60, "EiB"), (1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def exact(n: int) -> str:
    """138,357,544; nothing for 0."""
    return f"{n:,}" if n else ""


def short(n: int) -> str:
    """15.47 G, 86.70 M, 912; nothing for 0."""
    for unit, name in _COUNTS:
        if n >= unit - unit // 200_000:  # where the unit below would be rounded to 1000.00
            return f"{n / unit:.2f} {name}"
    return str(n) if n else ""


def counted(n: int, unit: str) -> str:
    """15.47 GMACs, 912 MACs."""
    number, _, scale = short(n).partition(" ")
    return f"{number or 0} {scale}{unit}"


def size(n: int) -> str:
    """A number of bytes: 527.79 MiB."""
    for unit, name in _BYTES:
        if n >= unit:
            return f"{n / unit:.2f} {name}"
    return f"{n} B"


def at_most(n: int) -> str:
    """A number of bytes, rounded up: whoever gives so much gives enough."""
    for unit, name in _BYTES:
        if n >= unit:
            return f"{-(-100 * n // unit) / 100:.2f} {name}"
    return f"{n} B"


def percent(part: int, whole: int) -> str:
    """12.5 %; "<0.1 %" for a trace, ">99.9 %" for nearly all; nothing for 0."""
    if not part or not whole:
        return ""
    share = 100 * part / whole
    if part != whole and share >= 99.95:
        return ">99.9 %"
    return f"{share:.1f} %" if share >= 0.05 else "<0.1 %"


def bar(part: int, whole: int, columns: int) -> str:
    """A share as a bar of eighths of a column."""
    eighths = round(8 * columns * part / whole) if whole else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def plural(n: int, word: str, several: str = "") -> str:
    """1 error, 2 errors; 2 classes, where `several` says so."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {several or f'{word}s'}"


def gigabytes(rate: float) -> str:
    """Bytes a second in GB/s: 139.2, 0.4, 0.003."""
    n = rate / 1e9
    return f"{n:,.1f}" if n >= 0.1 else f"{n:.1g}"


def seconds(n: float) -> str:
    """1.23 ms, 45.60 µs."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if n >= unit:
            return f"{n / unit:.2f} {name}"
    return f"{n * 1e9:.0f} ns"


def duration(n: float) -> str:
    """Seconds as people weigh them, in two digits or two units: 41 ms, 2.1 s, 63 s, 4 min 10 s, 3 h 20 min."""
    for scale, name, limit in ((1e6, "µs", 1000), (1e3, "ms", 1000), (1.0, "s", 120)):
        digits = 1 if round(n * scale, 1) < 10 else 0
        if (count := round(n * scale, digits)) < limit:
            return f"{count:.{digits}f} {name}" if count else "0 s"
    minutes, rest = divmod(round(n), 60)
    if minutes < 60:
        return _two(minutes, "min", rest, "s")
    hours, rest = divmod(round(n / 60), 60)
    if hours < 48:
        return _two(hours, "h", rest, "min")
    days, rest = divmod(round(n / 3600), 24)
    return _two(days, "d", rest, "h")


def _two(many: int, unit: str, few: int, part: str) -> str:
    return f"{many:,} {unit} {few} {part}" if few else f"{many:,} {unit}"
