"""Hold an operation against torch: what it accepts, shapes, parameters, work, memory, field.

    agrees_with_torch(Conv(out_channels=8, kernel_size=3), Shape((3, 9, 9)))

Each number is compared with what torch itself does with the module that the operation names. Needs
the extra `torch`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from cnnplan.analyses.tape import PAGE
from cnnplan.errors import ShapeError
from cnnplan.ops.needs import Needs
from cnnplan.ops.window import WHOLE
from cnnplan.runtime.products import counter
from cnnplan.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cnnplan.ops.base import Op, Shape
    from cnnplan.ops.needs import Kept, Saved

BATCH = 2
_BYTES = {"float32": 4, "int32": 4, "int64": 8, "bool": 1, "activation": 4, "full": 4, "pooled": 4, "reduced": 4}
_BYTES |= {"mask": 4, "weight mask": 4, "cpu": 4, "cuda": 0}


def agrees_with_torch(op: Op, *shapes: Shape) -> bool:
    """Assert that every rule of `op` says what torch does, for inputs of these shapes.

    Args:
        op: the operation.
        shapes: of one sample of each input; of `like` behind them.

    Returns:
        Whether the operation accepts the inputs; torch must accept and refuse the same ones.
    """
    try:
        expected = op.outputs(*shapes)
    except ShapeError:
        expected = None
    if expected is None:
        try:
            refusing = Runner(op, shapes)
        except (ShapeError, ValueError, RuntimeError, AssertionError):
            return False
        try:
            if not all(y.numel() for y in _tuple(refusing(*_random(op, shapes)))):
                return False  # an empty result is of no use to a network
        except (RuntimeError, ValueError, IndexError):
            return False
        raise AssertionError(f"torch accepts what {op!r} refuses: {shapes}")
    runner = Runner(op, shapes)
    _compare_results(op, shapes, expected, runner)
    _compare_saved(op, shapes, runner)
    _compare_reads(op, shapes, runner)
    return True


def _random(op: Op, shapes: Sequence[Shape]) -> list[Tensor]:
    if _takes_tokens(op):
        return [torch.randint(_tokens(op), (BATCH, *shape)) for shape in shapes]
    return [torch.randn(BATCH, *shape) for shape in shapes]


def _takes_tokens(op: Op) -> bool:
    """Whether it takes integers alone."""
    return op.dtypes == ("int64",)


def _tokens(op: Op) -> int:
    """How many tokens it knows."""
    return int(getattr(op, "num_embeddings", 2))


def _tuple(y: Any) -> tuple[Tensor, ...]:
    return (y,) if isinstance(y, Tensor) else tuple(y)


def _compare_results(op: Op, shapes: Sequence[Shape], expected: Sequence[Shape], runner: Runner) -> None:
    parameters = {n.removeprefix("core."): tuple(p.shape) for n, p in runner.named_parameters()}
    assert parameters == dict(op.parameters(*shapes)), ("parameters", parameters, op.parameters(*shapes))
    buffers = {n.removeprefix("core."): tuple(b.shape) for n, b in runner.named_buffers()}
    assert buffers == dict(op.buffers(*shapes)), ("buffers", buffers, op.buffers(*shapes))
    xs = _random(op, shapes)
    with torch.no_grad(), counter() as counts:
        ys = _tuple(runner(*xs))
    found = [tuple(y.shape) for y in ys]
    assert found == [(BATCH, *shape) for shape in expected], ("shape", found, expected)
    measured = counts.get_total_flops()
    assert measured == 2 * BATCH * op.macs(*shapes), ("macs", measured, 2 * BATCH * op.macs(*shapes))
    assert op.flops(*shapes) >= 2 * op.macs(*shapes)
    is_view = all(y.untyped_storage().data_ptr() == xs[0].untyped_storage().data_ptr() for y in ys)
    assert is_view == op.is_view(*shapes), ("view", is_view)


def _compare_saved(op: Op, shapes: Sequence[Shape], runner: Runner) -> None:
    """What autograd packs for the backward pass, storage by storage: all of it, with inputs or parameters left out."""
    read = len(shapes) - bool(op.refers) * (len(shapes) > 1)
    every = Needs((not _takes_tokens(op),) * read, bool(op.parameters(*shapes)))
    _compare_kept(op, shapes, runner, every, op.saved(*shapes))
    assert op.kept(every, *shapes) == op.saved(*shapes)
    some = [every._replace(parameters=False), every._replace(inputs=(False,) * read)]
    some += [Needs(tuple(i != j for j in range(read)), every.parameters) for i in range(read) if read > 1]
    for needs in dict.fromkeys(some):
        if needs != every:
            _compare_kept(op, shapes, runner, needs, op.kept(needs, *shapes))
    for parameter in runner.parameters():
        parameter.requires_grad_(True)


def _compare_kept(op: Op, shapes: Sequence[Shape], runner: Runner, needs: Needs, declared: Saved) -> None:
    xs = _random(op, shapes)
    for x, needed in zip(xs, needs.inputs, strict=False):
        x.requires_grad_(needed)
    for parameter in runner.parameters():
        parameter.requires_grad_(needs.parameters)
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        ys = _tuple(runner.train()(*xs))
    for tensor in itertools.chain(runner.parameters(), runner.buffers()):
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    inputs = tuple(i for i, x in enumerate(xs) if kept.pop(x.untyped_storage().data_ptr(), None) is not None)
    output = any([kept.pop(y.untyped_storage().data_ptr(), None) is not None for y in ys])  # noqa: C419 - pops all
    own = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    planned = sum(map(_bytes, declared.own))
    read = declared.inputs
    if op.repacked(*shapes) == "last" and read[:1] == (0,) and _turns(shapes[0]):  # the copy is kept
        read, planned = read[1:], planned + 4 * BATCH * shapes[0].numel
    found = inputs, output and not op.is_view(*shapes), own
    wanted = (read, declared.output, planned)
    assert found == wanted, (
        f"saved: where inputs {needs.inputs} and parameters {needs.parameters} need gradients, autograd keeps "
        f"{_kept(*found)}, and `kept` or `saved` says {_kept(*wanted)}"
    )


def _kept(inputs: tuple[int, ...], output: bool, own: int) -> str:
    """What is kept of a batch, in words."""
    return f"inputs {inputs or 'none'}, {'its' if output else 'no'} output, {own} bytes of its own"


def _bytes(kept: Kept) -> int:
    """Of a tensor that is kept on a CPU."""
    if kept.parts:
        return sum(-(-4 * part * BATCH // PAGE) * PAGE for part in kept.parts)
    return kept.elements * _BYTES[kept.dtype] * (BATCH if kept.per_sample else 1)


def _turns(shape: Shape) -> bool:
    """Whether a sample with the channels last is another in memory than one in row-major order."""
    return shape.channels > 1 and shape.numel > shape.channels


Place: TypeAlias = "tuple[Collection[int], ...]"
"""Units of an input, by axis, channels first."""


def _compare_reads(op: Op, shapes: Sequence[Shape], runner: Runner) -> None:
    """Every unit and every channel of each output reads exactly what its windows say of each input."""
    runner = runner.double().eval()
    with torch.no_grad():
        for parameter in runner.parameters():
            parameter.uniform_(0.5, 1.5)
    probe = _by_token if _takes_tokens(op) else _by_derivative if op.interpolates() else _by_nan
    for index in range(len(shapes) - bool(op.refers) * (len(shapes) > 1)):
        for place in _places(shapes[index]):
            for port, reached in enumerate(probe(op, runner, shapes, index, place)):
                expected = _reading(op, shapes, index, port, place)
                bounds = op.bounds(*shapes)
                if bounds:  # the channels behind it are not those in front of it
                    found, expected = reached.any(0), expected.any(0)
                else:
                    found = reached
                if bounds in ("all", "always") or (bounds and len(place[0]) == 1):
                    assert not (found & ~expected).any(), ("reads", index, port, place)
                else:
                    differ = (found != expected).nonzero().tolist()
                    where = f"output {port} at {differ[0]} of {len(differ)} places" if differ else ""
                    assert not differ, f"reads: {where} does not read input {index} at {place} as `reads` says"


def _places(shape: Shape) -> Iterator[Place]:
    """Each unit of each axis, with all of the other axes; and up to twelve single positions."""
    whole = tuple(map(range, shape))
    for axis, size in enumerate(shape):
        for unit in range(size):
            yield (*whole[:axis], (unit,), *whole[axis + 1 :])
    positions = list(itertools.product(*map(range, shape.spatial)))
    for position in positions[:: max(1, len(positions) // 12)]:
        yield (whole[0], *((unit,) for unit in position))


def _reading(op: Op, shapes: Sequence[Shape], index: int, port: int, place: Place) -> Tensor:
    """Which units of an output read something at a place of an input."""
    x, y = shapes[index], op.outputs(*shapes)[port]
    found = torch.zeros(y, dtype=torch.bool)
    for windows in op.ways(index, port, *shapes) or (op.reads(index, port, *shapes),):
        expected = torch.ones(y, dtype=torch.bool)
        for axis, (window, size) in enumerate(zip(windows, y, strict=True)):
            source = axis if axis == 0 or window.source is None else window.source + 1
            if source >= len(x) or window == WHOLE:
                continue
            inside = set(place[source])
            mask = torch.tensor([not inside.isdisjoint(window.reads(o, x[source])) for o in range(size)])
            expected &= mask.view([size if i == axis else 1 for i in range(len(y))])
        found |= expected
    return found


@torch.no_grad()
def _by_token(op: Op, runner: Runner, shapes: Sequence[Shape], index: int, place: Place) -> list[Tensor]:
    """What changes where other tokens are put in a place; a single token has no other."""
    mask = _mask(shapes[index], place)
    if _tokens(op) == 1:
        return [_reading(op, shapes, index, port, place) for port in range(len(op.outputs(*shapes)))]
    xs = [torch.zeros(1, *shape, dtype=torch.int64) for shape in shapes]
    before = _tuple(runner(*xs))
    xs[index].masked_fill_(mask, 1)
    return [(a != b)[0] for a, b in zip(before, _tuple(runner(*xs)), strict=True)]


@torch.no_grad()
def _by_nan(op: Op, runner: Runner, shapes: Sequence[Shape], index: int, place: Place) -> list[Tensor]:
    """Where NaNs at a place arrive, in each output. No weight can hide them."""
    xs = [torch.ones(BATCH, *shape, dtype=torch.float64) for shape in shapes]
    xs[index].masked_fill_(_mask(shapes[index], place), torch.nan)
    return [y[0].isnan() for y in _tuple(runner(*xs))]


def _by_derivative(op: Op, runner: Runner, shapes: Sequence[Shape], index: int, place: Place) -> list[Tensor]:
    """The same by derivatives: a weight of 0 times NaN would be NaN. Weights below 1e-9 count as none."""
    xs = tuple(torch.ones(1, *shape, dtype=torch.float64) for shape in shapes)
    direction = [torch.zeros_like(x) for x in xs]
    direction[index].uniform_(0.5, 1.5).mul_(_mask(shapes[index], place))
    _, derivative = torch.autograd.functional.jvp(runner, xs, tuple(direction))  # type: ignore[no-untyped-call]
    return [d[0].abs() > 1e-9 for d in _tuple(derivative)]


def _mask(shape: Shape, place: Place) -> Tensor:
    mask = torch.ones(shape, dtype=torch.bool)
    for axis, units in enumerate(place):
        inside = torch.tensor([unit in units for unit in range(shape[axis])])
        mask &= inside.view([-1 if i == axis else 1 for i in range(len(shape))])
    return mask
