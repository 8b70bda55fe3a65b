"""Hold an operation against torch: what it accepts, shapes, parameters, work, memory, field.

    agrees_with_torch(Conv(out_channels=8, kernel_size=3), Shape((3, 9, 9)))

Each number is compared with what torch itself does with the module that the operation names. Needs
the extra `torch`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from cnnplan.emit.calls import helper_text, inline_text, module_text
from cnnplan.errors import ShapeError
from cnnplan.ops.base import Inline, Module, Op, Shape
from cnnplan.ops.window import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH = 2
_BYTES = {"float32": 4, "int64": 8, "activation": 4, "mask": 4}


class Runner(nn.Module):
    """A module that runs an operation, made from its `torch` rule."""

    def __init__(self, op: Op, shapes: Sequence[Shape]) -> None:
        super().__init__()
        rule = op.torch(*shapes)
        namespace: dict[str, Any] = {"nn": nn, "torch": torch, "F": F, "Tensor": Tensor}
        self.core: nn.Module | None = None
        self.before: nn.Module | None = None
        self.after: nn.Module | None = None
        self.run: Callable[..., Any] | None = None
        if isinstance(rule, Module):
            self.core = _make(rule, namespace)
            self.before = _make(rule.before, namespace) if rule.before else None
            self.after = _make(rule.after, namespace) if rule.after else None
        else:
            assert isinstance(rule, Inline)
            if rule.helper:
                exec(helper_text(rule.helper)[0], namespace)  # noqa: S102 - a file of this package
            names = [f"x{i}" for i in range(len(shapes))]
            source = f"lambda {', '.join(names)}: {inline_text(rule, names)}"
            self.run = eval(source, namespace)  # noqa: S307 - a template of this package, and numbers

    def forward(self, *xs: Tensor) -> Any:
        if self.run:
            return self.run(*xs)
        assert self.core is not None
        x = self.before(xs[0]) if self.before else xs[0]
        x = self.core(x)
        return self.after(x) if self.after else x


def _make(rule: Module, namespace: dict[str, Any]) -> nn.Module:
    if not rule.target.startswith("nn."):
        exec(helper_text(rule.target)[0], namespace)  # noqa: S102 - a file of this package
    made: nn.Module = eval(module_text(rule), namespace)  # noqa: S307 - a constant target, and numbers
    return made


def agrees_with_torch(op: Op, *shapes: Shape, interpolates: bool = False, field: bool = True) -> bool:
    """Assert that every rule of `op` says what torch does, for inputs of these shapes.

    Args:
        op: the operation.
        shapes: of one sample of each input; of `like` behind them.
        interpolates: probe the field with gradients, since a weight of exactly 0 times NaN is NaN.
        field: compare the field; false where padding repeats inputs, which `windows` leaves out.

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
            if not all(y.numel() for y in _tuple(refusing(*_random(shapes)))):
                return False  # an empty result is of no use to a network
        except (RuntimeError, ValueError, IndexError):
            return False
        raise AssertionError(f"torch accepts what {op!r} refuses: {shapes}")
    runner = Runner(op, shapes)
    _compare_results(op, shapes, expected, runner)
    _compare_saved(op, shapes, runner)
    if field and all(s.rank for s in expected) and shapes[0].rank:
        _compare_field(op, shapes, runner, interpolates)
    return True


def _random(shapes: Sequence[Shape]) -> list[Tensor]:
    return [torch.randn(BATCH, *shape) for shape in shapes]


def _tuple(y: Any) -> tuple[Tensor, ...]:
    return (y,) if isinstance(y, Tensor) else tuple(y)


def _compare_results(op: Op, shapes: Sequence[Shape], expected: Sequence[Shape], runner: Runner) -> None:
    parameters = {n.removeprefix("core."): tuple(p.shape) for n, p in runner.named_parameters()}
    assert parameters == dict(op.parameters(*shapes)), ("parameters", parameters, op.parameters(*shapes))
    buffers = {n.removeprefix("core."): tuple(b.shape) for n, b in runner.named_buffers()}
    assert buffers == dict(op.buffers(*shapes)), ("buffers", buffers, op.buffers(*shapes))
    xs = _random(shapes)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ys = _tuple(runner(*xs))
    found = [tuple(y.shape) for y in ys]
    assert found == [(BATCH, *shape) for shape in expected], ("shape", found, expected)
    measured = counter.get_total_flops()
    assert measured == 2 * BATCH * op.macs(*shapes), ("macs", measured, 2 * BATCH * op.macs(*shapes))
    assert op.flops(*shapes) >= 2 * op.macs(*shapes)
    is_view = all(y.untyped_storage().data_ptr() == xs[0].untyped_storage().data_ptr() for y in ys)
    assert is_view == op.is_view(*shapes), ("view", is_view)


def _compare_saved(op: Op, shapes: Sequence[Shape], runner: Runner) -> None:
    """What autograd packs for the backward pass, storage by storage."""
    xs = [x.requires_grad_() for x in _random(shapes)]
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        ys = _tuple(runner.train()(*xs))
    for tensor in itertools.chain(runner.parameters(), runner.buffers()):
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    declared = op.saved(*shapes)
    inputs = tuple(i for i, x in enumerate(xs) if kept.pop(x.untyped_storage().data_ptr(), None) is not None)
    output = any([kept.pop(y.untyped_storage().data_ptr(), None) is not None for y in ys])  # noqa: C419 - pops all
    own = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    planned = sum(k.elements * _BYTES[k.dtype] * (BATCH if k.per_sample else 1) for k in declared.own)
    found = inputs, output and not op.is_view(*shapes), own
    assert found == (declared.inputs, declared.output, planned), ("saved", found, declared, planned)


def _compare_field(op: Op, shapes: Sequence[Shape], runner: Runner, interpolates: bool) -> None:
    """Every output unit reads exactly the inputs of its windows."""
    runner = runner.double().eval()
    windows = op.windows(*shapes)
    size = shapes[0].spatial
    reached = _by_gradient(runner, shapes) if interpolates else _by_nan(runner, shapes)
    out = reached.shape[len(size) :]
    for unit in itertools.product(*map(range, out)):
        sets: list[set[int]] = [set(range(n)) for n in size]
        for axis, (window, o) in enumerate(zip(windows, unit, strict=True)):
            if window != WHOLE:
                source = axis if window.source is None else window.source
                sets[source] &= set(window.reads(o, size[source]))
        expected = torch.zeros(size, dtype=torch.bool)
        for position in itertools.product(*sets):
            expected[position] = True
        found = reached[(slice(None),) * len(size) + unit]
        assert torch.equal(found, expected), ("field", unit, found.nonzero().tolist(), sets)


@torch.no_grad()
def _by_nan(runner: Runner, shapes: Sequence[Shape]) -> Tensor:
    """[*input positions, *output positions]: where a NaN arrives. No weight can hide it."""
    first = shapes[0]
    others = [torch.ones(BATCH, *shape, dtype=torch.float64) for shape in shapes[1:]]
    rows = []
    for position in range(first.numel // first.channels):
        probe = torch.ones(BATCH, first.channels, first.numel // first.channels, dtype=torch.float64)
        probe[:, :, position] = torch.nan
        y = _tuple(runner(probe.view(BATCH, *first), *others))[0]
        rows.append(y[0].isnan().any(0))
    return torch.stack(rows).view(*first.spatial, *y.shape[2:])


def _by_gradient(runner: Runner, shapes: Sequence[Shape]) -> Tensor:
    """The same by gradients: interpolation weights below 1e-9 count as none."""
    first = shapes[0]
    x = torch.ones(1, *first, dtype=torch.float64, requires_grad=True)
    others = [torch.ones(1, *shape, dtype=torch.float64) for shape in shapes[1:]]
    y = _tuple(runner(x, *others))[0]
    flat = y.sum(1).reshape(-1)
    rows = []
    for unit in flat:
        (gradient,) = torch.autograd.grad(unit, x, retain_graph=True)
        rows.append(gradient.abs().sum((0, 1)) > 1e-9)
    return torch.stack(rows, -1).view(*first.spatial, *y.shape[2:])
