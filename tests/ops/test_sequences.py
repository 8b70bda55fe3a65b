"""Recurrences, attention and transforms against torch, and against their definitions in plain loops."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import cnnplan
from cnnplan.analyses.region import Look
from cnnplan.emit import emit
from cnnplan.layers.attention_pool import AttentionPool
from cnnplan.layers.self_attention import SelfAttention
from cnnplan.layers.sequence_gru import SequenceGRU
from cnnplan.layers.sequence_lstm import SequenceLSTM
from cnnplan.layers.spatial_transformer import SpatialTransformer
from cnnplan.ops.attention_pool import AttentionPool as AttentionPoolOp
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.recurrent import GRU, LSTM
from cnnplan.ops.self_attention import SelfAttention as SelfAttentionOp
from cnnplan.ops.spatial_transformer import SpatialTransformer as SpatialTransformerOp
from cnnplan.ops.window import FUTURE, PAST, WHOLE, Window
from cnnplan.runtime.memory import saved_bytes
from cnnplan.runtime.products import counter
from cnnplan.testing import agrees_with_torch
from tests.language.helpers import net, plan, refused
from tests.ops.strategies import maps, per_axis, samples

if TYPE_CHECKING:
    from collections.abc import Sequence

flags = st.booleans()
RECURRENT = {"lstm": (LSTM, SequenceLSTM, nn.LSTMCell, 4), "gru": (GRU, SequenceGRU, nn.GRUCell, 3)}
SEQUENCE = "cnnplan: 1\nname: net\ninput: [4, 8]\n"


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def disturbed(module: nn.Module) -> Any:
    """In float64, with parameters that none is zero of."""
    module = module.double()
    for number, parameter in enumerate(module.parameters()):
        parameter.data = torch.randn(
            parameter.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(number)
        )
    return module


# ------------------------------------------------------------------------- against torch


@st.composite
def recurrences(draw: st.DrawFn) -> Op:
    layers = draw(st.integers(1, 3))
    return draw(st.sampled_from([LSTM, GRU]))(
        hidden_size=draw(st.sampled_from([1, 3, 16, 17, 64])),
        num_layers=layers,
        bias=draw(flags),
        dropout=draw(st.sampled_from([0.0, 0.4])) if layers > 1 else 0.0,
        bidirectional=draw(flags),
        last=draw(flags),
    )


@given(recurrences(), st.one_of(maps(1), maps(1), samples))
def test_recurrences(op: Op, x: Shape) -> None:
    """The kernel's workspace among them, whose rows are padded: 64 numbers of four gates meet in a cache."""
    assert agrees_with_torch(op, x) == (x.rank == 1)


@given(st.integers(1, 4), flags, st.sampled_from([0.0, 0.0, 0.3]), samples)
def test_self_attention(heads: int, bias: bool, dropout: float, x: Shape) -> None:
    op = SelfAttentionOp(num_heads=heads, bias=bias, dropout=dropout)
    assert agrees_with_torch(op, x) == (x.rank > 0 and x.channels % heads == 0)
    if x.rank:
        assert agrees_with_torch(op, Shape((heads * x.channels, *x.spatial)))


def test_a_dropout_of_all() -> None:
    for heads in (1, 2):
        assert agrees_with_torch(SelfAttentionOp(num_heads=heads, dropout=1.0), Shape((4, 3)))


@given(st.integers(1, 4), samples)
def test_attention_pool(heads: int, x: Shape) -> None:
    op = AttentionPoolOp(num_heads=heads)
    assert agrees_with_torch(op, x) == (x.rank > 0 and x.channels % heads == 0)
    if x.rank:
        assert agrees_with_torch(op, Shape((heads * x.channels, *x.spatial)))


@given(maps(), st.sampled_from([4, 6, 12]), st.data())
@pytest.mark.filterwarnings("ignore:Since version 1.3.0:UserWarning")
def test_spatial_transformer(x: Shape, numbers: int, data: st.DataObject) -> None:
    sizes = st.one_of(st.none(), per_axis(x.rank, st.integers(1, 5)))
    op = SpatialTransformerOp(
        size=data.draw(sizes),
        mode=data.draw(st.sampled_from(["bilinear", "nearest"])),
        padding_mode=data.draw(st.sampled_from(["zeros", "border", "reflection"])),
        align_corners=data.draw(flags),
    )
    assert agrees_with_torch(op, x, Shape((numbers,))) == (numbers == x.rank * (x.rank + 1) and x.rank > 1)


# ------------------------------------------------------------------------- multiply-accumulates


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize(("layers", "both"), [(1, False), (1, True), (3, False), (2, True)])
def test_products_of_a_recurrence(kind: str, layers: int, both: bool) -> None:
    """Three ways: torch's cells in a loop, torch's steps in float64, and the fused kernel as `counter` knows it."""
    op, module, cell, _ = RECURRENT[kind]
    found = op(hidden_size=5, num_layers=layers, bidirectional=both).macs(Shape((3, 7)))
    entering = [10 if both and layer else 5 if layer else 3 for layer in range(layers) for _ in range(1 + both)]
    with FlopCounterMode(display=False) as counts, torch.no_grad():
        for n in entering:
            one: Any = cell(n, 5)
            for _ in range(7):
                one(torch.zeros(2, n))
    assert found == counts.get_total_flops() // 4
    model = module(3, 5, layers, bidirectional=both)
    with counter() as kernel, torch.no_grad():
        model(torch.zeros(2, 3, 7))
    with FlopCounterMode(display=False) as steps, torch.no_grad():
        model.double()(torch.zeros(2, 3, 7, dtype=torch.float64))
    assert found == kernel.get_total_flops() // 4 == steps.get_total_flops() // 4


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_products_of_attention(heads: int) -> None:
    """The fused kernel as `counter` knows it, and torch's own two products."""
    model, x = SelfAttention(8, heads), torch.zeros(2, 8, 3, 5)
    with counter() as kernel, torch.no_grad():
        model(x)
    with FlopCounterMode(display=False) as products, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(x)
    found = SelfAttentionOp(num_heads=heads).macs(Shape((8, 3, 5)))
    assert found == kernel.get_total_flops() // 4 == products.get_total_flops() // 4


# ------------------------------------------------------------------------- definitions


def lstm_step(gates: Sequence[Tensor], more: Sequence[Tensor], h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = (a + b for a, b in zip(gates, more, strict=True))
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(gates: Sequence[Tensor], more: Sequence[Tensor], h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    r, z = ((a + b).sigmoid() for a, b in zip(gates[:2], more[:2], strict=True))
    n = (gates[2] + r * more[2]).tanh()
    return (1 - z) * n + z * h, c


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (1, True), (3, False), (2, True)])
@pytest.mark.parametrize("kind", RECURRENT)
def test_equations_of_recurrences(kind: str, layers: int, both: bool, bias: bool) -> None:
    """Step by step from zeros on, the other direction from the end; its channels follow the first's."""
    _, module, _, gates = RECURRENT[kind]
    step = lstm_step if kind == "lstm" else gru_step
    model, x = disturbed(module(3, 4, layers, bias, bidirectional=both)), random(2, 3, 6)
    entering = list(x.unbind(2))
    for layer in range(layers):
        found = []
        for name in [f"l{layer}", f"l{layer}_reverse"][: 1 + both]:
            w, u = getattr(model, f"weight_ih_{name}"), getattr(model, f"weight_hh_{name}")
            b, d = (getattr(model, f"bias_{k}_{name}") if bias else torch.zeros(4 * gates) for k in ("ih", "hh"))
            h = c = torch.zeros(2, 4, dtype=torch.float64)
            states = []
            for value in entering[::-1] if name.endswith("reverse") else entering:
                h, c = step((value @ w.T + b).chunk(gates, 1), (h @ u.T + d).chunk(gates, 1), h, c)
                states.append(h)
            last = h if not found else torch.cat((last, h), 1)  # noqa: F821 - of the first direction
            found.append(states[::-1] if name.endswith("reverse") else states)
        entering = [torch.cat(states, 1) for states in zip(*found, strict=True)]
    torch.testing.assert_close(model(x), torch.stack(entering, 2))
    model.last = True
    torch.testing.assert_close(model(x), last)
    assert sum(p.numel() for p in model.parameters()) == sum(
        math.prod(shape)
        for shape in RECURRENT[kind][0](hidden_size=4, num_layers=layers, bias=bias, bidirectional=both)
        .parameters(Shape((3, 6)))
        .values()
    )


@pytest.mark.parametrize("kind", RECURRENT)
def test_weights_of_torchs_own_recurrences_fit(kind: str) -> None:
    own = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](3, 4, 2, batch_first=True, bidirectional=True).double()
    model = RECURRENT[kind][1](3, 4, 2, bidirectional=True).double()
    model.load_state_dict(own.state_dict())
    x = random(2, 3, 6)
    torch.testing.assert_close(model(x), own(x.transpose(1, 2))[0].transpose(1, 2))


@pytest.mark.parametrize("size", [(7,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize(("heads", "bias"), [(1, True), (2, False), (6, True)])
@torch.no_grad()
def test_equations_of_attention(size: tuple[int, ...], heads: int, bias: bool) -> None:
    model, x = disturbed(SelfAttention(6, heads, bias)), random(2, 6, *size)
    b = model.in_proj_bias if bias else torch.zeros(18)
    wanted = torch.empty_like(x)
    each = 6 // heads
    for sample, y in zip(x.flatten(2), wanted.flatten(2), strict=True):
        packed = [model.in_proj_weight @ token + b for token in sample.T]
        for at, token in enumerate(packed):
            joined = []
            for head in range(heads):
                own = slice(head * each, (head + 1) * each)
                q = token[:6][own]
                weights = torch.stack([(q @ other[6:12][own] / math.sqrt(each)).exp() for other in packed])
                values = torch.stack([other[12:][own] for other in packed])
                joined.append((weights[:, None] * values).sum(0) / weights.sum())
            y[:, at] = model.out_proj(torch.cat(joined))
    torch.testing.assert_close(model(x), wanted)


def test_weights_of_torchs_own_attention_fit() -> None:
    own = disturbed(nn.MultiheadAttention(8, 2, batch_first=True))
    model, x = SelfAttention(8, 2).double(), random(2, 8, 3, 5)
    model.load_state_dict(own.state_dict())
    tokens = x.flatten(2).transpose(1, 2)
    torch.testing.assert_close(model(x), own(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape))
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in own.named_parameters()]


def test_attention_does_not_tell_positions_apart() -> None:
    """And drops weights in training alone."""
    model, x, order = disturbed(SelfAttention(4, 2, dropout=0.5)), random(2, 4, 9), torch.randperm(9)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x)[..., order], model(x[..., order]))
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_equations_of_pooling_by_attention(heads: int) -> None:
    pool, x = disturbed(AttentionPool(6, heads)), random(2, 6, 3, 5)
    wanted = torch.empty(2, 6, dtype=torch.float64)
    each = 6 // heads
    for b, head in itertools.product(range(2), range(heads)):
        own = x[b, head * each : (head + 1) * each].flatten(1)
        weights = torch.stack([(pool.query[head] @ column).exp() for column in own.T])
        wanted[b, head * each : (head + 1) * each] = (
            sum(w * column for w, column in zip(weights, own.T, strict=True)) / weights.sum()
        )
    torch.testing.assert_close(pool(x), wanted)


def test_limits_of_pooling_by_attention() -> None:
    """It starts as the mean, and ends at the position that the query fits best."""
    x = random(2, 4, 7)
    pool = AttentionPool(4, 2).double()
    torch.testing.assert_close(pool(x), x.mean(2))
    with torch.no_grad():
        pool.query.fill_(1e4)
    best = x.unflatten(1, (2, 2)).sum(2).argmax(2)
    wanted = [x[b, c, best[b, c // 2]] for b in range(2) for c in range(4)]
    torch.testing.assert_close(pool(x), torch.stack(wanted).view(2, 4))


def sampled(x: Tensor, at: Sequence[float], mode: str) -> Tensor:
    """A map at a position in units; nothing of it lies beyond."""

    def unit(place: Sequence[int]) -> Tensor:
        inside = all(0 <= i < n for i, n in zip(place, x.shape[1:], strict=True))
        return (
            x[(slice(None), *place)]
            if inside
            else torch.zeros_like(x[:, 0].flatten(1)[:, 0] if x.dim() > 2 else x[:, 0])
        )

    if mode == "nearest":
        return unit([round(v) for v in at])
    found = torch.zeros(x.shape[0], dtype=x.dtype)
    for corner in itertools.product((0, 1), repeat=len(at)):
        place = [math.floor(v) + c for v, c in zip(at, corner, strict=True)]
        weight = math.prod(1 - abs(v - p) for v, p in zip(at, place, strict=True))
        found = found + weight * unit(place)
    return found


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(("size", "out"), [((4, 5), None), ((4, 5), (3, 6)), ((3, 4, 5), (2, 3, 4))])
def test_equations_of_a_transform(size: tuple[int, ...], out: tuple[int, ...] | None, corners: bool, mode: str) -> None:
    """Positions from -1 to 1, the last axis first."""
    rank = len(size)
    x, theta = random(2, 3, *size), random(2, rank * (rank + 1))
    y = SpatialTransformer(out, mode, align_corners=corners)(x, theta)
    assert y.shape == (2, 3, *(out or size))

    def place(index: float, n: int) -> float:
        return 2 * index / (n - 1) - 1 if corners else (2 * index + 1) / n - 1

    def back(v: float, n: int) -> float:
        return (v + 1) / 2 * (n - 1) if corners else ((v + 1) * n - 1) / 2

    for b in range(2):
        matrix = theta[b].view(rank, rank + 1)
        for unit in itertools.product(*map(range, y.shape[2:])):
            position = [place(i, n) for i, n in zip(unit, y.shape[2:], strict=True)][::-1]
            source = (matrix @ torch.tensor([*position, 1.0], dtype=torch.float64)).tolist()[::-1]
            at = [back(v, n) for v, n in zip(source, size, strict=True)]
            torch.testing.assert_close(y[(b, slice(None), *unit)], sampled(x[b], at, mode))


def test_limits_of_a_transform() -> None:
    """The identity, a shift by whole units, a mirror, and a single position of the map."""
    x = random(2, 3, 4, 6)
    move = SpatialTransformer()

    def by(*theta: float) -> Tensor:
        return move(x, torch.tensor([theta] * 2, dtype=torch.float64))

    torch.testing.assert_close(by(1, 0, 0, 0, 1, 0), x)
    shifted = torch.zeros_like(x)
    shifted[..., :-2] = x[..., 2:]
    torch.testing.assert_close(by(1, 0, 4 / 6, 0, 1, 0), shifted)
    torch.testing.assert_close(by(-1, 0, 0, 0, 1, 0), x.flip(3))
    corner = by(0, 0, 1 / 6 - 1, 0, 0, 1 / 4 - 1)
    torch.testing.assert_close(corner, x[..., :1, :1].expand_as(x))


# ------------------------------------------------------------------------- gradients, and what torch makes of them

MODULES: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "lstm": (SequenceLSTM(3, 4, 2, dropout=0.0, bidirectional=True), (random(2, 3, 4),)),
    "lstm, last": (SequenceLSTM(3, 4, last=True), (random(2, 3, 4),)),
    "gru": (SequenceGRU(3, 4, bias=False), (random(2, 3, 4),)),
    "gru, last": (SequenceGRU(3, 4, bidirectional=True, last=True), (random(2, 3, 4),)),
    "self_attention": (SelfAttention(4, 2), (random(2, 4, 2, 3),)),
    "attention_pool": (AttentionPool(4, 2), (random(2, 4, 2, 3),)),
    "spatial_transformer": (SpatialTransformer((3, 2), padding_mode="border"), (random(2, 2, 3, 4), random(2, 6) / 3)),
}


@pytest.mark.parametrize("name", MODULES)
def test_gradients(name: str) -> None:
    module, xs = MODULES[name]
    module = disturbed(module)
    assert torch.autograd.gradcheck(module, tuple(x.clone().requires_grad_() for x in xs))
    xs = tuple(x.detach() for x in xs)
    parameters = dict(module.named_parameters())

    def run(*values: Tensor) -> Any:
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), xs)

    if parameters and not isinstance(module, nn.RNNBase):  # which holds its parameters twice
        assert torch.autograd.gradcheck(run, tuple(parameters.values()))


@pytest.mark.parametrize("name", MODULES)
def test_export(name: str) -> None:
    module, xs = MODULES[name]
    module, xs = module.float().eval(), tuple(x.float() for x in xs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lists of weights that torch's recurrences hold
        program = torch.export.export(module, xs)
    torch.testing.assert_close(program.module()(*xs), module(*xs))


@pytest.mark.parametrize("name", ["self_attention", "attention_pool", "spatial_transformer"])
def test_compile(name: str) -> None:
    """Torch's compiler breaks the graph at its own recurrences."""
    module, xs = MODULES[name]
    module, xs = module.float().eval(), tuple(x.float() for x in xs)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*xs), module(*xs))


# ------------------------------------------------------------------------- what is read


@given(st.sampled_from([WHOLE, PAST, FUTURE]), st.sets(st.integers(0, 11)), st.integers(1, 12))
def test_windows_to_one_side(window: Window, units: set[int], size: int) -> None:
    """Of several units: the union of what each reads."""
    inside = {unit for unit in units if unit < size}
    read = {i for unit in inside for i in window.reads(unit, size)}
    assert window.units(sum(1 << unit for unit in inside), size) == sum(1 << i for i in read)
    for unit in range(size):
        wanted = {WHOLE: range(size), PAST: range(unit + 1), FUTURE: range(unit, size)}[window]
        assert list(window.reads(unit, size)) == list(wanted)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_step_sees_what_came_before(kind: str) -> None:
    """Through a convolution of three; of both directions, apart and together."""
    conv = "- conv: {out_channels: 4, kernel_size: 3, padding: 1}"
    one = plan(net(f"{conv}\n- {kind}: 4", head=SEQUENCE)).graph
    assert [Look(one).seen(one.nodes[-1].output, (t,))[0].interval(0) for t in (0, 3, 7)] == [(0, 1), (0, 4), (0, 7)]
    both = f"{conv}\n- {kind}: {{hidden_size: 4, bidirectional: true}}\n- split: 2"
    graph = plan(net(both, head=SEQUENCE)).graph
    before, after = graph.nodes[-1].outputs
    look = Look(graph)
    assert [look.seen(before, (t,))[0].interval(0) for t in (0, 3, 7)] == [(0, 1), (0, 4), (0, 7)]
    assert [look.seen(after, (t,))[0].interval(0) for t in (0, 3, 7)] == [(0, 7), (2, 7), (6, 7)]
    assert look.seen(graph.nodes[-2].output, (3,))[0].interval(0) == (0, 7)
    assert plan(net(both, head=SEQUENCE)).layers[1].receptive_field.is_global  # type: ignore[union-attr]


def test_a_transform_reads_no_more_than_the_map() -> None:
    """Which units depends on the data; each channel its own."""
    x, theta = Shape((3, 4, 5)), Shape((6,))
    op = SpatialTransformerOp()
    assert op.bounds(x, theta) == "always"
    torch.manual_seed(0)
    module, features = SpatialTransformer(), torch.randn(1, *x)
    y = module(features, torch.randn(1, 6))
    features[:, 1] = torch.nan
    assert torch.equal(module(features, torch.zeros(1, 6)).isnan().any(2).any(2), torch.tensor([[False, True, False]]))
    graph = plan(
        net("- spatial_transformer:\n  from: [a, b]", head="cnnplan: 1\nname: net\ninputs: {a: [3, 4, 5], b: [6]}\n")
    ).graph
    region, _ = Look(graph).seen(graph.nodes[0].output, (1, 1))
    assert region.interval(1) == (0, 4)
    assert not region.exact
    assert y.shape == features.shape


# ------------------------------------------------------------------------- memory

ORDERS = {
    "row-major": "- tanh",
    "channels last": "- layernorm: channels",
    "turned": "- permute: [0, 2, 1]",
    "cut": "- slice: {axis: 1, start: 1}",
    "channels cut": "- slice: {stop: 2}",
    "channels cut, last": "- layernorm: channels\n- slice: {stop: 2}",
    "a single row": "- layernorm: channels\n- slice: {axis: 1, stop: 1}",
    "a single position": "- slice: {axis: 1, stop: 1}\n- slice: {axis: 2, stop: 1}",
}


@pytest.mark.parametrize("layer", ["self_attention: 2", "attention_pool: 2"])
@pytest.mark.parametrize("order", ORDERS)
def test_what_is_kept_of_an_input_in_any_order(order: str, layer: str) -> None:
    """Attention copies all but what has the channels last; pooling all but what is row-major."""
    text = net(
        f"- scale\n- sigmoid\n{ORDERS[order]}\n- {layer}\n- tanh\n- flatten\n- linear: 2",
        head="cnnplan: 1\nname: net\ninput: [4, 5, 6]\n",
    )
    for batch in (2, 3):
        found = plan(text, batch=batch, target="cpu")
        model = cnnplan.build(found).train()
        assert found.training.saved_activations == saved_bytes(model, [torch.randn(batch, 4, 5, 6)])


@pytest.mark.parametrize(
    "layer", ["lstm: 3", "gru: {hidden_size: 3, bidirectional: true}", "lstm: {hidden_size: 2, last: true}"]
)
@pytest.mark.parametrize("size", [(4, 1), (1, 6), (4, 6)])
@pytest.mark.parametrize("front", ["- tanh", "- layernorm: channels", "- lstm: 4", "- slice: {axis: 1, stop: 1}"])
def test_what_a_recurrence_keeps(front: str, size: tuple[int, int], layer: str) -> None:
    text = net(
        f"- scale\n- sigmoid\n{front}\n- {layer}\n- tanh\n- flatten\n- linear: 2",
        head=f"cnnplan: 1\nname: net\ninput: {list(size)}\n",
    )
    for batch in (2, 5):
        found = plan(text, batch=batch, target="cpu")
        model = cnnplan.build(found).train()
        assert found.training.saved_activations == saved_bytes(model, [torch.randn(batch, *size)])


def test_a_workspace_fills_pages() -> None:
    """A state of 64: rows of four gates are 1024 bytes, and padded to 1088; seven parts, of whole pages each."""
    steps, h, batch = 3, 64, 5
    rows = [steps * 272, steps * 64, *[(steps + 1) * 2 * 64] * 5]
    pages = sum(-(-4 * batch * n // 4096) for n in rows)
    own = LSTM(hidden_size=h).saved(Shape((7, steps))).own
    (workspace,) = (k for k in own if k.what == "workspace")
    assert sorted(workspace.parts) == sorted(rows)
    found = plan(net(f"- lstm: {h}\n- tanh", head="cnnplan: 1\nname: net\ninput: [7, 3]\n"), batch=batch, target="cpu")
    named = dict(found.memory.tape.named[found.graph.nodes[0]])
    assert found.memory.tape.exact(named["workspace"], batch) == 4096 * pages


def test_what_is_planned_for_cuda() -> None:
    """Nothing of oneDNN's workspace, nor the weights of attention that a fused kernel does not keep."""
    found = plan(net("- scale\n- lstm: 5\n- tanh", head=SEQUENCE), target="cuda")
    names = {what for what, _ in found.memory.tape.named[found.graph.nodes[1]]}
    assert names == {"first states", "outputs", "reserve space", "input, step by step"}
    kept = found.layers[1].saved_bytes
    assert kept == 4 * (2 * 5 + 5 * 8 + 5 * 5 * 8 + 4 * 8)
    attention = "- scale\n- self_attention: {num_heads: 2, dropout: 0.3}\n- tanh"
    of = {
        target: plan(net(attention, head=SEQUENCE), target=target).layers[1].saved_bytes for target in ("cuda", "cpu")
    }
    assert of == {"cuda": 4 * (5 * 32 + 2 * 8), "cpu": 4 * (5 * 32 + 3 * 2 * 64)}


# ------------------------------------------------------------------------- whole networks

NETWORKS = {
    "recurrent": """
cnnplan: 1
name: recurrent
input: {shape: [5, 12], sizes: [[9], [20]]}
blocks:
  rec:
    params: {width: int, both: false}
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - relu
      - lstm: {hidden_size: =width, bidirectional: =both}
layers:
  - rec: 6
  - rec: {width: 4, both: true}
  - lstm: 8
    repeat: 2
    name: again
  - gru: {hidden_size: 8, num_layers: 2, dropout: 0.1}
    name: g
  - tanh
  - share: g
  - maxpool: 2
  - gru: {hidden_size: 3, bidirectional: true}
  - lstm: {hidden_size: 5, last: true}
  - linear: 2
""",
    "attention": """
cnnplan: 1
name: attention
input: {shape: [3, 12, 8], sizes: [[16, 16]]}
blocks:
  encoder:
    params: {heads: int}
    layers:
      - add:
          body: [{layernorm: channels}, {self_attention: =heads}]
          skip: []
      - add:
          body: [{layernorm: channels}, {conv: {out_channels: =in_channels, kernel_size: 1}}, gelu]
          skip: []
layers:
  - conv: {out_channels: 8, kernel_size: 4, stride: 4}
  - encoder: 2
    repeat: 2
  - encoder: 4
  - self_attention: 2
    name: s
  - relu
  - share: s
  - attention_pool: 4
  - linear: 3
""",
    "transform": """
cnnplan: 1
name: transform
input: [1, 12, 12]
layers:
  - identity:
    name: image
  - layers: [{conv: {out_channels: 4, kernel_size: 3}}, relu, {maxpool: 2}, flatten, {linear: 6}]
    name: theta
  - spatial_transformer: {size: 8}
    from: [image, theta]
  - conv: {out_channels: 3, kernel_size: 3}
  - relu
  - spatial_transformer: {mode: nearest, padding_mode: border}
    from: [previous, theta]
  - flatten
  - linear: 3
""",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    found = cnnplan.verify(NETWORKS[name], probes=12)
    verdicts = {check.what: check.verdict for check in found.checks}
    assert found.passed, [check for check in found.checks if check.differences]
    assert {verdicts[what] for what in ("shapes", "parameters", "MACs", "saved", "source", "field")} == {"exact"}
    dense = "PointwiseConv2d" in emit(plan(NETWORKS[name]).graph).text  # which sums in another order than a convolution
    assert verdicts["forward"] == ("equal" if dense else "exact")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_at_other_sizes(name: str) -> None:
    planned = plan(NETWORKS[name])
    assert not [d for d in planned.diagnostics if d.severity == "error"]
    model = cnnplan.build(planned).eval()
    (value,) = planned.graph.inputs
    for size in [value.shape.spatial, (20,) if name == "recurrent" else (16, 16)][: 1 + (name != "transform")]:
        assert model(torch.randn(2, value.shape.channels, *size)).shape[0] == 2


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("layer", "size", "code", "message"),
    [
        ("lstm: 4", [4, 8, 8], "S012", "'lstm' takes a sequence, [channels, steps]; its input 4x8x8 has 2 axes"),
        ("gru: 4", [4], "S012", "'gru' takes a sequence, [channels, steps]; its input 4 has 0 axes"),
        ("lstm: {hidden_size: 4, dropout: 0.1}", [4, 8], "Y911", "dropout of 'lstm' acts between its layers, and"),
        ("lstm: {hidden_size: 4, num_layers: 1000000000}", [4, 8], "Y911", "at most 256 layers is wanted"),
        ("lstm", [4, 8], "Y912", "hidden_size"),
        ("self_attention: 3", [4, 8], "S007", "num_heads 3 does not divide the 4 channels of its input 4x8"),
        ("self_attention: 2", [4], "S012", "'self_attention' slides over a map, but its input is a vector of 4"),
        ("attention_pool: 3", [4, 8], "S007", "num_heads 3 does not divide the 4 channels of its input 4x8"),
        ("spatial_transformer", [4, 8, 8], "S019", "'spatial_transformer'"),
    ],
)
def test_refusals(layer: str, size: list[int], code: str, message: str) -> None:
    (found,) = refused(net(f"- {layer}", head=f"cnnplan: 1\nname: net\ninput: {size}\n"))
    assert found.code == code
    assert message in found.message


@pytest.mark.parametrize(
    ("shapes", "code", "message"),
    [
        ("a: [4, 8], b: [6]", "S012", "'spatial_transformer' samples a map with 2 or 3 spatial axes; 'a', 4x8, has 1"),
        ("a: [4, 8, 8], b: [5]", "S020", "takes an affine transform of 6 numbers for 2 axes; 'b' is a vector of 5"),
        ("a: [4, 8, 8], b: [6, 1]", "S020", "takes an affine transform of 6 numbers for 2 axes; 'b' is a map of 6x1"),
        ("a: [4, 8, 8, 8], b: [6]", "S020", "takes an affine transform of 12 numbers for 3 axes; 'b' is a vector of 6"),
    ],
)
def test_refused_transforms(shapes: str, code: str, message: str) -> None:
    text = net("- spatial_transformer:\n  from: [a, b]", head=f"cnnplan: 1\nname: net\ninputs: {{{shapes}}}\n")
    (found,) = refused(text)
    assert found.code == code
    assert message in found.message
