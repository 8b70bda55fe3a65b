"""Does a checkpoint fit a network? Its tensors' names, shapes and dtypes against those of the emitted model.

found = compare(plan, read_header("model.safetensors"))
found.fits, found.missing, found.mismatched, found.hints
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cnnplan.errors import UsageError
from cnnplan.ops.base import Shape
from cnnplan.safetensors import Tensor, read_header
from cnnplan.weight_hints import head_hint, names_hint, prefix_between, prefix_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeAlias

    from cnnplan.graph import Node
    from cnnplan.planning import Plan

    Spec: TypeAlias = Plan | str | Path | Mapping[str, Any]

__all__ = ["Mismatch", "Planned", "Tensor", "Weights", "carry_weights", "compare", "read_header", "state"]

COUNTER: Final = "num_batches_tracked"
"""Torch starts it from 0 where a checkpoint has none, and takes it with an axis of 1, too."""
WORDS: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Planned(NamedTuple):
    """A tensor of the network's state dict.

    Attributes:
        name: its key.
        node: the layer that has it; for what `share` runs, the first run.
        shape: as torch has it.
        dtype: "float32" or "int64".
    """

    name: str
    node: Node
    shape: tuple[int, ...]
    dtype: str


class Mismatch(NamedTuple):
    """A tensor of both that does not fit.

    Attributes:
        planned: what the network has.
        found: what the file has.
        note: what else is to be said of the two; "" for nothing.
    """

    planned: Planned
    found: Tensor
    note: str


class Weights(NamedTuple):
    """How a checkpoint fits a network.

    Attributes:
        tensors: in the network's state dict.
        found: in the file.
        fitting: of equal names and shapes.
        missing: of the network, not in the file.
        unexpected: in the file, of no layer.
        mismatched: of equal names, and other shapes, or integers instead of floats.
        counters: that the file has not, which torch starts from 0.
        prefix: what the names in the file begin with, and those of the network do not; all else is said without it.
        lacks: what the names of the network begin with, and those in the file do not.
        dtypes: how many tensors the file has of each.
        hints: what is probably wrong, and what to do.
    """

    tensors: int
    found: int
    fitting: int
    missing: tuple[Planned, ...]
    unexpected: tuple[tuple[str, Tensor], ...]
    mismatched: tuple[Mismatch, ...]
    counters: int
    prefix: str
    lacks: str
    dtypes: Mapping[str, int]
    hints: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the file is what `model.load_state_dict` wants, as it is."""
        return not (self.missing or self.unexpected or self.mismatched or self.prefix or self.lacks)


def state(plan: Plan) -> dict[str, Planned]:
    """What the state dict of the emitted model holds: parameters and buffers, by their names."""
    found = {}
    for layer in plan.layers:
        node = layer.node
        if node.shared_with:
            continue
        for name, shape in {**layer.work.tensors, **node.op.buffers(*node.shapes)}.items():
            dtype = "int64" if name == COUNTER else "float32"
            found[f"{node.path}.{name}"] = Planned(f"{node.path}.{name}", node, tuple(shape), dtype)
    return found


def compare(plan: Plan, header: Mapping[str, Tensor]) -> Weights:
    """A checkpoint's tensors beside those of a network."""
    planned = state(plan)
    prefix, lacks = prefix_between(list(header), planned)
    named = {_renamed(name, prefix, lacks, header): tensor for name, tensor in header.items()}
    absent = [planned[name] for name in planned if name not in named]
    missing = [one for one in absent if not one.name.endswith(f".{COUNTER}")]
    unexpected = [(name, tensor) for name, tensor in named.items() if name not in planned]
    both = [(planned[name], tensor) for name, tensor in named.items() if name in planned]
    mismatched = [Mismatch(one, tensor, _note(one, tensor)) for one, tensor in both if not _fit(one, tensor)]
    dtypes = Counter(tensor.dtype for tensor in header.values())
    hints = []
    if prefix or lacks:
        hints.append(prefix_hint(prefix, lacks, list(header)))
    if hint := head_hint(
        plan, [(one.planned.node, one.planned.name, one.planned.shape, one.found.shape) for one in mismatched]
    ):
        hints.append(hint)
    if hint := names_hint(
        [(p.name, p.shape) for p in missing], [(name, t.shape) for name, t in unexpected], len(planned)
    ):
        hints.append(hint)
    hints += _about_dtypes(dtypes)
    return Weights(
        tensors=len(planned),
        found=len(header),
        fitting=len(both) - len(mismatched),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        mismatched=tuple(mismatched),
        counters=len(absent) - len(missing),
        prefix=prefix,
        lacks=lacks,
        dtypes=dtypes,
        hints=tuple(hints),
    )


def _renamed(name: str, prefix: str, lacks: str, header: Mapping[str, Tensor]) -> str:
    """A name of the file as the network would have it; as it is where two would be one."""
    if prefix and name.startswith(prefix):
        bare = name[len(prefix) :]
        return name if bare in header else bare
    return f"{lacks}{name}"


def _fit(one: Planned, tensor: Tensor) -> bool:
    if one.name.endswith(f".{COUNTER}"):
        return tensor.shape in ((), (1,))
    return tensor.shape == one.shape and _is_float(tensor.dtype)


def _is_float(dtype: str) -> bool:
    return dtype.startswith(("F", "BF"))


def _note(one: Planned, tensor: Tensor) -> str:
    if not _is_float(tensor.dtype) and one.dtype == "float32":
        return f"{tensor.dtype}, where floats are expected"
    if len(one.shape) > 1 and sorted(one.shape) == sorted(tensor.shape):
        return "the same axes in another order"
    return "as many elements in another shape" if prod(one.shape) == prod(tensor.shape) else ""


def _about_dtypes(dtypes: Counter[str]) -> list[str]:
    """What is to be said of floats that are not float32."""
    other = {dtype: n for dtype, n in dtypes.items() if _is_float(dtype) and dtype != "F32"}
    if not other:
        return []
    words = ", ".join(f"{n:,} in {WORDS.get(dtype, dtype)}" for dtype, n in other.items())
    eights = any(dtype not in WORDS for dtype in other)
    return [f"{words}: load_state_dict makes float32 of them{', without the scales of narrow formats' * eights}"]


def carry_weights(state: Mapping[str, Any], before: Spec, after: Spec) -> dict[str, Any]:
    """The tensors of one network under the names and in the shapes of another that has the same layers.

    Layers with parameters are taken in the order they run. So a head of dense layers becomes one of convolutions:
    the weight of a dense layer behind a flattened [C, h, w] map is that of a convolution with an h x w window.

    Args:
        state: what the model of `before` gives as its `state_dict()`; tensors or arrays.
        before, after: their plans, or their specs as `cnnplan.plan` takes them.

    Raises:
        SpecError: a spec is not valid.
        UsageError: the layers are not the same, or a tensor is missing or has another number of elements.
    """
    from cnnplan.planning import Plan, plan

    plans = (given if isinstance(given, Plan) else plan(given) for given in (before, after))
    old, new = ([node for node in p.graph.nodes if not node.shared_with and _tensors(node)] for p in plans)
    if len(old) != len(new):
        raise UsageError(
            f"the networks have {len(old)} layers with parameters and {len(new)}: weights cannot be carried"
        )
    found: dict[str, Any] = {}
    for a, b in zip(old, new, strict=True):
        had, needs = _tensors(a), _tensors(b)
        for name, shape in needs.items():
            key, other = f"{a.path}.{name}", f"{b.path}.{name}"
            if name not in had or prod(had[name]) != prod(shape) or had[name][:1] != shape[:1]:
                shown = [x and Shape(x) for x in (had.get(name), shape)]
                raise UsageError(f"'{other}' of {shown[1]} cannot take '{key}' of {shown[0] or 'nothing'}")
            if key not in state:
                raise UsageError(f"the state has no tensor '{key}'; is it that of the first network?")
            found[other] = state[key].reshape(shape)
    return found


def _tensors(node: Node) -> dict[str, tuple[int, ...]]:
    return {**node.op.parameters(*node.shapes), **node.op.buffers(*node.shapes)}
