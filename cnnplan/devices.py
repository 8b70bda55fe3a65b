"""Known accelerators: the figures of devices.yaml, each with its source there."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from cnnplan.conditions import CPU, CUDA
from cnnplan.errors import UsageError


class Device(NamedTuple):
    """The figures of a device.

    Attributes:
        key: what `--target` calls it.
        name: the product.
        memory: bytes, as CUDA reports them.
        bandwidth: bytes a second.
        float32, tf32, float16, bfloat16: floating point operations a second, dense; None where the
            hardware has no such format.
        l2: bytes of its cache.
        compute_capability: major and minor.
        sources: where the figures are from.
    """

    key: str
    name: str
    memory: int
    bandwidth: int
    float32: int
    tf32: int | None
    float16: int | None
    bfloat16: int | None
    l2: int
    compute_capability: tuple[int, int]
    sources: tuple[str, ...]


@lru_cache(maxsize=1)
def devices() -> dict[str, Device]:
    """All devices by key, in the file's order."""
    from cnnplan.diagnostics import Report
    from cnnplan.expressions import Names
    from cnnplan.source import parse
    from cnnplan.spec import Given

    report = Report("devices.yaml")
    top = parse((files("cnnplan") / "devices.yaml").read_text("utf-8"), report)
    assert top is not None, report.diagnostics
    return {key: _device(key, figures) for key, figures in Given(top).value(Names()).items()}


def _device(key: str, figures: dict[str, Any]) -> Device:
    major, minor = str(figures["compute_capability"]).split(".")
    return Device(
        **{**figures, "key": key, "compute_capability": (int(major), int(minor)), "sources": tuple(figures["sources"])}
    )


def device(name: str) -> Device:
    """The device that `--target` or a spec names; capitals, blanks and underscores do not count.

    Raises:
        UsageError: there is none; the nearest names are given.
    """
    from cnnplan.diagnostics import suggest

    known = devices()
    key = "-".join(name.lower().replace("_", "-").split())
    if key in known:
        return known[key]
    if key in (CPU, CUDA):
        raise UsageError(
            f"'{key}' is a target without figures of its own; `cnnplan devices` lists those that have some"
        )
    alike = [other for other in known if other.replace("-", "").startswith(key.replace("-", "").removeprefix("nvidia"))]
    alike = alike or [other for other in known if key.removeprefix("nvidia-").startswith(f"{other}-")]
    if key and len(alike) == 1:
        return known[alike[0]]
    help = f"did you mean {' or '.join(alike)}?" if key and alike else suggest(key, [*known, CPU], limit=20)
    raise UsageError(f"there is no device '{name}'; {help} (`cnnplan devices` lists them all)")
