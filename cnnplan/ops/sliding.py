"""What convolutions and poolings share: the padding vocabulary, and windows that must fit."""

from functools import lru_cache
from typing import Any

from cnnplan.errors import ShapeError
from cnnplan.ops.base import AXES, Argument, Module, Shape, check_elements, per_axis, plain, require_spatial
from cnnplan.ops.window import Sliding, Window

Pads = tuple[tuple[int, int], ...]


@lru_cache(maxsize=4096)
def slide(
    kind: str, x: Shape, kernel_size: Any, stride: Any, dilation: Any, padding: Any, ceil: bool = False
) -> tuple[Sliding, ...]:
    """One `Sliding` for each spatial axis, its padding resolved to numbers.

    Raises:
        ShapeError: the input has no spatial axes, or an argument lists another number of them.
    """
    require_spatial(kind, x)
    kernels = per_axis(kind, "kernel_size", kernel_size, x)
    strides = per_axis(kind, "stride", stride, x)
    dilations = per_axis(kind, "dilation", dilation, x)
    sides: Pads
    if padding == "half":
        sides = tuple((d * (k - 1) // 2,) * 2 for k, d in zip(kernels, dilations, strict=True))
    elif padding == "same":
        sides = tuple(map(same, x.spatial, kernels, strides, dilations))
    elif isinstance(padding, tuple) and padding and isinstance(padding[0], tuple):
        sides = per_axis(kind, "padding", padding, x)  # type: ignore[assignment]
    else:
        sides = tuple((p, p) for p in per_axis(kind, "padding", padding, x))
    return tuple(
        Sliding(k, s, d, before, after, ceil)
        for k, s, d, (before, after) in zip(kernels, strides, dilations, sides, strict=True)
    )


def same(n: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME padding: output = ceil(n / stride), the odd pixel at the end."""
    out = -(-n // stride)
    total = max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - n)
    return total // 2, total - total // 2


def slid(kind: str, windows: tuple[Sliding, ...], x: Shape, channels: int) -> Shape:
    """The output's shape.

    Raises:
        ShapeError: a window does not fit into the padded input.
    """
    sizes = tuple(w.size(n) for w, n in zip(windows, x.spatial, strict=True))
    if min(sizes) < 1:
        too_small = [
            f"{axis} {n}{f' + {w.before} + {w.after} of padding' if w.before or w.after else ''} < {w.extent}"
            for axis, n, w, size in zip(AXES[x.rank], x.spatial, windows, sizes, strict=True)
            if size < 1
        ]
        kernel = "x".join(str(w.kernel) for w in windows)
        dilated = any(w.dilation > 1 for w in windows)
        spans = f" (dilated: {'x'.join(str(w.extent) for w in windows)})" if dilated else ""
        raise ShapeError(
            "S001",
            f"kernel {kernel}{spans} does not fit into the input {x}: {', '.join(too_small)}",
            argument="kernel_size",
            help="use a smaller kernel, more padding, fewer strides before it, or a larger input",
        )
    return check_elements(kind, Shape((channels, *sizes)))


def maps(windows: tuple[Sliding, ...], beyond: str = "") -> tuple[Window, ...]:
    """The index maps of the windows; `beyond` is the padding mode that repeats the input's own units."""
    return tuple(w.window._replace(beyond=beyond) if beyond else w.window for w in windows)


def sliding_terms(windows: tuple[Sliding, ...], x: Shape) -> dict[str, int | tuple[int, ...]]:
    """What the formulas of convolutions and poolings name, for each axis."""
    return {
        "before": tuple(w.before for w in windows),
        "after": tuple(w.after for w in windows),
        "stride": tuple(w.stride for w in windows),
        "late": tuple(int(w.ceil and w.size(n) < w.up(n)) for w, n in zip(windows, x.spatial, strict=True)),
    }


def pool_formula(text: str, windows: tuple[Sliding, ...], x: Shape) -> str:
    """A pooling's formula as it is with its ceil_mode, which starts no window in the padding behind the input."""
    text = text.partition("; ceil with")[0]
    if not windows[0].ceil:
        return text
    late = any(w.size(n) < w.up(n) for w, n in zip(windows, x.spatial, strict=True))
    return text.replace("floor(", "ceil(") + (" - late" if late else "")


def padded_alike(planned: tuple[Sliding, ...], windows: tuple[Sliding, ...], x: Shape) -> bool:
    """Whether windows padded for another size give the same on `x`: at most padding that is not read differs."""
    return all(
        w._replace(after=0) == p._replace(after=0) and w.size(n) == p.size(n)
        for p, w, n in zip(planned, windows, x.spatial, strict=True)
    )


def symmetric(windows: tuple[Sliding, ...]) -> bool:
    """Whether every axis is padded by the same amount on both sides, as torch's own layers pad."""
    return all(w.before == w.after for w in windows)


_PADDERS = {"zeros": "ZeroPad", "reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


def pad_module(windows: tuple[Sliding, ...], mode: str = "zeros", value: float | None = None) -> Module:
    """The torch.nn module that pads as the windows ask; its sides are listed from the last axis on."""
    amounts = plain(tuple(p for w in reversed(windows) for p in (w.before, w.after)))
    name = "ConstantPad" if value is not None else _PADDERS[mode]
    arguments: tuple[Argument, ...] = (Argument("padding", amounts),)
    if value is not None:
        arguments += (Argument("value", value),)
    return Module(f"nn.{name}{len(windows)}d", arguments)


def check_padding_mode(kind: str, windows: tuple[Sliding, ...], x: Shape, mode: str) -> None:
    """Reflection takes less padding than the input has units, circular padding at most as many.

    Raises:
        ShapeError: there is not enough input to reflect or to wrap around.
    """
    if mode not in ("reflect", "circular"):
        return
    for axis, n, w in zip(AXES[x.rank], x.spatial, windows, strict=True):
        most = n - 1 if mode == "reflect" else n
        if max(w.before, w.after) > most:
            raise ShapeError(
                "S020",
                f"'{kind}' cannot pad {axis} {n} by {max(w.before, w.after)}: "
                f"padding_mode '{mode}' takes at most {most}",
                argument="padding",
                help="pad less, or with zeros",
            )


def check_pool_padding(kind: str, windows: tuple[Sliding, ...]) -> None:
    """PyTorch's pools take at most half a kernel of padding (of the kernel, not of its dilated extent).

    Sides that differ are padded before the pool; there, a window of nothing but padding is refused.

    Raises:
        ShapeError: the padding is larger.
    """
    for w in windows:
        if max(w.before, w.after) >= w.extent:
            raise ShapeError(
                "S008",
                f"'{kind}' pads by {max(w.before, w.after)}, as much as its window of {w.extent}: "
                "some windows would hold nothing but padding",
                argument="padding",
                instead=w.kernel // 2,
                help=f"pad by at most {w.kernel // 2}",
            )
        if symmetric(windows) and w.before > w.kernel // 2:
            raise ShapeError(
                "S008",
                f"'{kind}' pads by {w.before}, more than half of its kernel {w.kernel}",
                argument="padding",
                instead=w.kernel // 2,
                help=f"pad by at most {w.kernel // 2}, or use `pad` before it",
            )
