"""Trained weights as a file, and the weights of a file in a model.

save("model.safetensors", model.state_dict(), trained)
state, trained = load("model.safetensors")                  # or .pt, .pth, .ckpt, .bin
into(model, plan, state, "model.safetensors", strict=True)

What prediction needs beside weights (classes, normalization) is JSON under "cnnplan" in the metadata of the file.
Files are untrusted: headers are bounded, no code of a file runs.
"""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import safetensors
import torch
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError
from cnnplan.runtime.training import pickles
from cnnplan.safetensors import INDEX, read_header, sizes
from cnnplan.safetensors import Tensor as Header
from cnnplan.weight_hints import head_hint, names_hint
from cnnplan.weights import compare
from cnnplan.weights import state as planned_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from torch import Tensor, nn

    from cnnplan.planning import Plan
    from cnnplan.weights import Weights

KEY: Final = "cnnplan"
LOSSES: Final = (None, "cross_entropy", "binary_cross_entropy", "nll", "mse", "l1")
SHOWN: Final = 6
"""So many tensors of a kind are named."""
DTYPES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
}
"""The words of safetensors for dtypes that may fit; another dtype is its own word."""


class Trained(NamedTuple):
    """What prediction needs beside weights.

    Attributes:
        classes: their names; () where the network gives none.
        mean, std: of each channel of each input, of values scaled to 0…1; () for an input that goes in as it is.
        network: the name of the spec.
        loss: of the first output that has one.
        inputs: the shape of each input in training, without the batch; () where nothing is known.
        options: that the command line had for the spec: other variables, another input size.
    """

    classes: tuple[str, ...]
    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]
    network: str
    loss: str | None
    inputs: tuple[tuple[int, ...], ...] = ()
    options: str = ""


# ------------------------------------------------------------------------- files


def save(path: str | Path, state: Mapping[str, Tensor], trained: Trained) -> None:
    """Write a state dict as safetensors, as a whole or not at all.

    Raises:
        UsageError: it cannot be written; what was there stays.
    """
    from cnnplan.runtime.files import replace

    # copies: the format refuses tensors that share memory
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    data = as_bytes(tensors, {"format": "pt", KEY: json.dumps(trained._asdict(), allow_nan=False)})
    length = 8 + int.from_bytes(data[:8], "little")
    # the library writes metadata in any order: equal runs are to have equal files
    header = json.dumps(json.loads(data[8:length]), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(memoryview(data)[length:])

    replace(Path(path), write)


def load(path: str | Path) -> tuple[dict[str, Tensor], Trained | None]:
    """The state dict of a file, on the CPU, and what `save` put beside it.

    `.pt`, `.pth`, `.ckpt`, `.bin` and the like are read by torch.load with weights_only=True, which runs no code; the
    state dict may be under "state_dict", "model" or "model_state_dict". Everything else is safetensors, of one
    file or of those that an index lists.

    Raises:
        UsageError: the file cannot be read, needs code to be read, or has no state dict.
    """
    path = Path(path)
    shown = printable(str(path))
    trained = None
    if path.suffix.lower() in pickles.SUFFIXES:
        found = pickles.read(path)
    else:
        found, trained = _safe(path, shown)
    for name, tensor in found.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UsageError(f"tensor '{printable(name)[:100]}' of {shown} is sparse, quantized or without numbers")
    return found, trained


def _safe(path: Path, shown: str) -> tuple[dict[str, Tensor], Trained | None]:
    if not read_header(path):
        raise UsageError(f"{shown} has no tensors")
    try:
        if path.name.endswith(INDEX):
            files = set(json.loads(path.read_bytes())["weight_map"].values())
            return {k: v for file in sorted(files) for k, v in load_file(path.with_name(file)).items()}, None
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
        found = load_file(path)
    except (safetensors.SafetensorError, OSError, RuntimeError, MemoryError, KeyError, AttributeError) as error:
        raise UsageError(f"cannot read {shown}: {pickles.reason(error)}") from None
    return found, _trained(metadata[KEY], shown) if KEY in metadata else None


def _trained(text: str, shown: str) -> Trained:
    """What `save` wrote; files may come from anywhere."""
    try:
        found = json.loads(text)
        trained = Trained(
            classes=_all(found["classes"], str),
            mean=tuple(_all(channels, float) for channels in found["mean"]),
            std=tuple(_all(channels, float) for channels in found["std"]),
            network=str(found["network"]),
            loss=found["loss"],
            inputs=tuple(tuple(map(int, _all(shape, float))) for shape in found.get("inputs", [])),
            options=str(found.get("options", "")),
        )
        right = trained.loss in LOSSES and [*map(len, trained.mean)] == [*map(len, trained.std)]
        right = right and all(n > 0 for channels in trained.std for n in channels)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        right = False
    if not right:
        raise UsageError(f"`{KEY}` in the metadata of {shown} is not what `cnnplan train` writes there")
    return trained


def _all(values: Any, kind: type) -> tuple[Any, ...]:
    """A list of texts, or of finite numbers."""
    if not isinstance(values, list):
        raise TypeError
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str if kind is str else (int, float)):
            raise TypeError
    found = tuple(map(kind, values))
    if kind is float and not all(map(isfinite, found)):
        raise ValueError
    return found


# ------------------------------------------------------------------------ models


def fitted(plan: Plan, state: Mapping[str, Tensor]) -> Weights:
    """How a state dict fits a network; a prefix that its names have, such as "net." of Lightning, is found."""
    return compare(plan, {k: Header(DTYPES.get(v.dtype, str(v.dtype)), tuple(v.shape)) for k, v in state.items()})


def into(
    model: nn.Module, plan: Plan, state: Mapping[str, Tensor], path: str | Path, *, strict: bool
) -> tuple[str, ...]:
    """Put the tensors of a file into the model of a plan.

    Args:
        model: of `cnnplan.runtime.build`, on any device.
        state: from `load`; what stands beside a common prefix is no part of the network.
        path: of the file, for messages.
        strict: everything has to fit. Otherwise what agrees in name and shape is taken, as for transfer learning.

    Returns:
        Lines to read: what was taken and what was not, unless all was asked for; NaNs and infinities.

    Raises:
        UsageError: not all fits, with the first difference in the order of the layers; nothing fits.
    """
    shown = printable(str(path))
    found = fitted(plan, state)
    named = _named(state, found)
    planned = planned_state(plan)
    unfit = {one.planned.name for one in found.mismatched}
    fitting = {name: tensor for name, tensor in named.items() if name in planned and name not in unfit}
    differences = list(_differences(plan, named, found, shown))
    if strict and differences:
        more = f"; {len(differences) - 1:,} more differ{'s' * (len(differences) == 2)}" if len(differences) > 1 else ""
        raise UsageError(
            f"{differences[0]}{more}: {_hint(plan, found) or 'is it a checkpoint of another architecture?'}"
        )
    if not fitting:
        said = _hint(plan, found) or "no name and shape agree"
        raise UsageError(f"nothing of {shown} fits '{plan.name}': {said}")
    model.load_state_dict(fitting, strict=False)
    lines = [] if strict else [_taken(named, found, shown)]
    bad = [name for name, tensor in fitting.items() if tensor.is_floating_point() and not _is_finite(tensor)]
    if bad:
        node = planned[min(bad, key=list(planned).index)].node
        what = f"{len(bad):,} tensor{'s' * (len(bad) > 1)} of {shown} {'have' if len(bad) > 1 else 'has'}"
        lines.append(f"{what} NaN or infinite numbers, first in layer '{node.name}' (line {node.line})")
    return tuple(lines)


def _named(state: Mapping[str, Tensor], found: Weights) -> dict[str, Tensor]:
    """The tensors under the network's names: as `compare` takes them."""
    if not found.prefix:
        return {f"{found.lacks}{name}": tensor for name, tensor in state.items()}
    bare = {name.removeprefix(found.prefix): tensor for name, tensor in state.items() if name.startswith(found.prefix)}
    return bare | {name: tensor for name, tensor in state.items() if name in bare}


def _differences(plan: Plan, named: Mapping[str, Tensor], found: Weights, shown: str) -> Iterator[str]:
    """What keeps a file from being that of the network, in the order of the layers."""
    missing = {one.name for one in found.missing}
    other = {one.planned.name: one for one in found.mismatched}
    for name, planned in planned_state(plan).items():
        place = f"layer '{planned.node.name}' (line {planned.node.line})"
        word = f"{name.rpartition('.')[2]} is {sizes(planned.shape)}"
        if name in missing:
            yield f"{place}: {word} in the spec, and not in {shown}"
        elif name in other:
            note = f" ({other[name].note})" if other[name].note else ""
            yield f"{place}: {word} in the spec, {sizes(other[name].found.shape)} in {shown}{note}"
    for name, tensor in found.unexpected:
        if name in named:
            yield f"'{printable(name)[:100]}' of {sizes(tensor.shape)} in {shown} belongs to no layer of '{plan.name}'"


def _hint(plan: Plan, found: Weights) -> str:
    """What is probably wrong."""
    heads = [(one.planned.node, one.planned.name, one.planned.shape, one.found.shape) for one in found.mismatched]
    named = [(name, tensor.shape) for name, tensor in found.unexpected]
    return head_hint(plan, heads) or names_hint([(one.name, one.shape) for one in found.missing], named, found.tensors)


def _taken(named: Mapping[str, Tensor], found: Weights, shown: str) -> str:
    """What was taken, what starts anew, and what has no place."""
    new = [f"{one.planned.name} ({sizes(one.planned.shape)}; the file has {_other(one)})" for one in found.mismatched]
    new += [one.name for one in found.missing]
    line = f"loaded {found.fitting:,} of {found.tensors - found.counters:,} tensors of {shown}"
    if new:
        line += f"; newly initialized: {', '.join(new[:SHOWN])}"
    if len(new) > SHOWN:
        line += f" and {len(new) - SHOWN:,} more"
    unused = [name for name, _ in found.unexpected if name in named]
    return f"{line}; not used: {some(map(printable, unused), 3)}" if unused else line


def _other(one: Any) -> str:
    return f"{sizes(one.found.shape)}{f', {one.note}' if one.note else ''}"


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor).all())
