"""locally_connected, mixed_dilation_conv, dropconnect_linear, embedding: against torch and their definitions."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.analyses.region import seen
from cnnplan.errors import ShapeError
from cnnplan.layers.drop_connect_linear import DropConnectLinear as DropConnect
from cnnplan.layers.embedding import Embedding as Vectors
from cnnplan.layers.locally_connected import LocallyConnected as Local
from cnnplan.layers.mixed_dilation_conv import MixedDilationConv as Mixed
from cnnplan.layers.untied_bias_conv import UntiedBiasConv as Untied
from cnnplan.lint.lines import lines
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.dropconnect_linear import DropConnectLinear
from cnnplan.ops.embedding import Embedding
from cnnplan.ops.locally_connected import LocallyConnected
from cnnplan.ops.mixed_dilation_conv import MixedDilationConv
from cnnplan.runtime.measure import step_and_inference
from cnnplan.runtime.memory import saved_bytes
from cnnplan.runtime.runner import Runner
from cnnplan.testing import agrees_with_torch
from tests.analyses.test_precision import kept
from tests.language.helpers import net, plan
from tests.ops.strategies import maps, paddings, per_axis, vectors

if TYPE_CHECKING:
    from collections.abc import Callable

small = st.integers(1, 3)
CONVOLVE: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)


@st.composite
def local(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    op = LocallyConnected(
        out_channels=draw(st.integers(1, 5)),
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        stride=draw(per_axis(x.rank, small)),
        padding=draw(paddings(x.rank)),
        dilation=draw(per_axis(x.rank, small)),
        bias=draw(st.booleans()),
        untied=draw(st.sampled_from(["all", "bias"])),
    )
    return op, x


@st.composite
def mixed(draw: st.DrawFn) -> tuple[Op, Shape]:
    x = draw(maps())
    dilations = draw(st.lists(per_axis(x.rank, small), min_size=1, max_size=3))
    op = MixedDilationConv(
        out_channels=draw(st.sampled_from([len(dilations), 2 * len(dilations), 5])),
        kernel_size=draw(per_axis(x.rank, st.integers(1, 4))),
        dilations=dilations,
        stride=draw(per_axis(x.rank, small)),
        padding=draw(st.one_of(st.sampled_from(["half", "same"]), paddings(x.rank))),
        bias=draw(st.booleans()),
    )
    return op, x


@given(local())
def test_locally_connected(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@given(mixed())
def test_mixed_dilations(case: tuple[Op, Shape]) -> None:
    agrees_with_torch(*case)


@given(
    st.builds(
        DropConnectLinear,
        out_features=st.integers(1, 9),
        p=st.sampled_from([0, 0.2, 0.5, 0.9, 1]),
        bias=st.booleans(),
    ),
    vectors,
)
def test_dropconnect(op: Op, x: Shape) -> None:
    assert agrees_with_torch(op, x)


@given(st.integers(1, 6), st.integers(1, 5), st.sampled_from([None, 0, -1]), vectors)
def test_embedding(tokens: int, numbers: int, padding: int | None, x: Shape) -> None:
    assert agrees_with_torch(Embedding(num_embeddings=tokens, embedding_dim=numbers, padding_idx=padding), x)


# ------------------------------------------------------------------------- by their definitions


@torch.no_grad()
def parts(op: Op, x: Shape) -> tuple[Runner, dict[str, Tensor], Tensor]:
    """An operation in float64 with parameters of numbers of their own, and an input."""
    torch.manual_seed(0)
    runner = Runner(op, (x,)).double().eval()
    for parameter in runner.parameters():
        parameter.normal_()
    return runner, dict(runner.core.named_parameters()), torch.randn(2, *x, dtype=torch.float64)  # type: ignore[union-attr]


def padded(op: Any, x: Shape, values: Tensor) -> tuple[Tensor, list[list[range]]]:
    """The padded input, and for each axis what every output unit reads of it; of the padding's definition."""
    kernel, stride, dilation = (
        [v] * x.rank if isinstance(v, int) else list(v) for v in (op.kernel_size, op.stride, op.dilation)
    )
    sides = []
    for i, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        n = x.spatial[i]
        if op.padding == "half":
            sides.append((d * (k - 1) // 2,) * 2)
        elif op.padding == "same":
            whole = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            sides.append((whole // 2, whole - whole // 2))
        else:
            p = op.padding if isinstance(op.padding, int) else op.padding[i]
            sides.append((p, p) if isinstance(p, int) else p)
    values = F.pad(values, [side for pair in reversed(sides) for side in pair])
    reads = []
    for n, k, s, d in zip(values.shape[2:], kernel, stride, dilation, strict=True):
        starts = range(0, n - d * (k - 1), s)
        reads.append([range(start, start + d * (k - 1) + 1, d) for start in starts])
    return values, reads


LOCAL = [
    ({"out_channels": 3, "kernel_size": 3}, Shape((2, 7))),
    ({"out_channels": 3, "kernel_size": 2, "stride": 2, "dilation": 3, "padding": 2}, Shape((2, 9))),
    ({"out_channels": 2, "kernel_size": [3, 2], "padding": "half"}, Shape((3, 5, 4))),
    ({"out_channels": 2, "kernel_size": 2, "padding": "same", "stride": [1, 2]}, Shape((2, 4, 5))),
    ({"out_channels": 4, "kernel_size": 1}, Shape((3, 2, 3))),
    ({"out_channels": 2, "kernel_size": [2, 1, 2], "padding": [[1, 0], [0, 0], [0, 2]]}, Shape((2, 3, 2, 3))),
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("arguments", "x"), LOCAL)
def test_each_unit_has_its_own_kernel_and_bias(arguments: dict[str, Any], x: Shape, bias: bool) -> None:
    op = LocallyConnected(**arguments, bias=bias)
    runner, own, given = parts(op, x)
    values, reads = padded(op, x, given)
    found = runner(given)
    for unit in itertools.product(*(range(len(axis)) for axis in reads)):
        for channel in range(op.out_channels):
            kernel = own["weight"][(*unit, channel)]
            expected = own["bias"][(channel, *unit)].expand(2) if bias else torch.zeros(2, dtype=torch.float64)
            for place in itertools.product(*(range(k) for k in kernel.shape[1:])):
                at: Any = tuple(axis[o][t] for axis, o, t in zip(reads, unit, place, strict=True))
                for source in range(x.channels):
                    expected = expected + kernel[(source, *place)] * values[:, source][(slice(None), *at)]
            torch.testing.assert_close(found[(slice(None), channel, *unit)], expected)


@pytest.mark.parametrize(("arguments", "x"), LOCAL)
def test_with_one_kernel_for_all_units_it_is_a_convolution(arguments: dict[str, Any], x: Shape) -> None:
    """Of the same biases, too; and those may be untied alone."""
    op = LocallyConnected(**arguments)
    runner, own, given = parts(op, x)
    untied, others, _ = parts(LocallyConnected(**arguments, untied="bias"), x)
    shared = others["weight"]
    with torch.no_grad():
        own["weight"].copy_(shared.expand_as(own["weight"]))
        others["bias"].copy_(own["bias"])
    values, _ = padded(op, x, given)
    plain = CONVOLVE[x.rank - 1](values, shared, None, op.stride, 0, op.dilation)
    torch.testing.assert_close(runner(given), plain + own["bias"])
    torch.testing.assert_close(untied(given), plain + own["bias"])


def test_with_a_window_of_the_whole_map_it_is_dense() -> None:
    op = LocallyConnected(out_channels=5, kernel_size=[3, 4])
    runner, own, given = parts(op, Shape((2, 3, 4)))
    torch.testing.assert_close(
        runner(given).flatten(1),
        F.linear(given.flatten(1), own["weight"].flatten(0, 2).flatten(1), own["bias"].flatten()),
    )


MIXED = [
    ({"out_channels": 4, "kernel_size": 3, "dilations": [1, 2]}, Shape((2, 9))),
    ({"out_channels": 6, "kernel_size": 3, "dilations": [3, 1, 2], "stride": 2}, Shape((3, 7, 8))),
    ({"out_channels": 4, "kernel_size": [2, 3], "dilations": [1, [2, 3]], "padding": "same"}, Shape((2, 6, 7))),
    ({"out_channels": 2, "kernel_size": 2, "dilations": [1, 3], "padding": "same", "stride": 2}, Shape((2, 4, 5, 3))),
    ({"out_channels": 4, "kernel_size": 1, "dilations": [1, 5], "padding": 1, "bias": False}, Shape((2, 4, 5))),
    ({"out_channels": 4, "kernel_size": 2, "dilations": [1, 2], "padding": 0, "stride": 3}, Shape((2, 9))),
]


@pytest.mark.parametrize(("arguments", "x"), MIXED)
def test_mixed_dilations_are_convolutions_side_by_side(arguments: dict[str, Any], x: Shape) -> None:
    op = MixedDilationConv(**arguments)
    runner, own, given = parts(op, x)
    weights = own["weight"].chunk(len(op.dilations))
    biases = own["bias"].chunk(len(op.dilations)) if op.bias else [None] * len(weights)
    found = []
    for dilation, weight, bias in zip(op.dilations, weights, biases, strict=True):
        one = MixedDilationConv(**arguments | {"dilations": [dilation], "out_channels": len(weight)})
        values, _ = padded(one.model_copy(update={"dilation": dilation}), x, given)
        found.append(CONVOLVE[x.rank - 1](values, weight, bias, op.stride, 0, dilation))
    torch.testing.assert_close(runner(given), torch.cat(found, 1))


def test_equal_dilations_are_one_convolution() -> None:
    runner, own, given = parts(MixedDilationConv(out_channels=6, kernel_size=3, dilations=[2, 2]), Shape((2, 7, 8)))
    torch.testing.assert_close(runner(given), F.conv2d(given, own["weight"], own["bias"], 1, 2, 2))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
def test_one_mask_of_weights_for_a_batch(p: float) -> None:
    """By linearity: the rows of the identity show the weights of a pass."""
    torch.manual_seed(0)
    layer = DropConnect(40, 30, p).double().train()
    y = layer(torch.cat([torch.eye(40, dtype=torch.float64)] * 2)) - layer.bias
    weights = y[:40].T.detach()
    torch.testing.assert_close(y[40:].T, weights, msg="the same for all samples")
    left = weights != 0
    torch.testing.assert_close(weights, torch.where(left, layer.weight / (1 - p), 0.0))
    assert abs(left.double().mean() - (1 - p)) < 0.04
    assert p == 0 or not torch.equal((layer(torch.eye(40).double()) - layer.bias).T != 0, left)


def test_the_expectation_is_the_dense_layer() -> None:
    torch.manual_seed(0)
    layer, x = DropConnect(6, 4, 0.4).double(), torch.randn(3, 6, dtype=torch.float64)
    mean = torch.stack([layer.train()(x) for _ in range(4000)]).mean(0)
    plain = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(mean, plain, atol=0.03, rtol=0.03)
    assert torch.equal(layer.eval()(x), plain)
    everything = DropConnect(6, 4, 1.0).double()
    torch.testing.assert_close(everything(x), everything.bias.expand(3, 4))


def test_gradients_pass_the_weights_that_are_left() -> None:
    torch.manual_seed(0)
    layer, x = DropConnect(8, 5, 0.5).double(), torch.randn(2, 8, dtype=torch.float64)
    layer(x).sum().backward()
    gradient = layer.weight.grad
    assert gradient is not None
    whole = 2 * x.sum(0).expand(5, 8)
    assert torch.equal(gradient == 0, ~torch.isclose(gradient, whole))
    assert 0 < int((gradient == 0).sum()) < 40


def test_an_embedding_is_a_product_with_ones() -> None:
    torch.manual_seed(0)
    layer, tokens = Vectors(7, 3), torch.randint(7, (4, 5))
    expected = F.one_hot(tokens, 7).float() @ layer.weight
    torch.testing.assert_close(layer(tokens), expected.transpose(1, 2))


def test_the_vector_of_padding_stays_zero() -> None:
    for index in (0, 2, -1):
        layer = Vectors(4, 3, padding_idx=index)
        tokens = torch.tensor([[0, 1, 2, 3, 0]])
        layer(tokens).square().sum().backward()
        gradient = layer.weight.grad
        assert gradient is not None
        assert torch.equal(gradient.any(1), torch.arange(4) != index % 4)
        assert not layer.weight[index].any()


# ------------------------------------------------------------------------- modules

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "local": (lambda: Local(2, 3, (2, 3), (4, 2), stride=(1, 2), dilation=(2, 1)), (2, 6, 6)),
    "local series": (lambda: Local(2, 2, (3,), (4,), bias=False), (2, 6)),
    "untied": (lambda: Untied(2, 3, (3, 3), (4, 4), padding=1), (2, 4, 4)),
    "mixed": (lambda: Mixed(2, 4, (3, 3), (1, 2), padding=(1, 2)), (2, 4, 5)),
    "mixed, uneven": (lambda: Mixed(2, 4, (2,), (1, 2), padding=(0, 1), sides=((0, 1), ()), bias=False), (2, 6)),
    "dropconnect": (lambda: DropConnect(5, 3, 0.3).eval(), (5,)),
}


@pytest.mark.parametrize("name", MODULES)
def test_gradients(name: str) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module, x = make().double(), torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
    parameters = dict(module.named_parameters())

    def run(x: Tensor, *values: Tensor) -> Any:
        return torch.func.functional_call(module, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *parameters.values()))


@pytest.mark.parametrize("name", [*MODULES, "embedding"])
def test_compiled_and_exported(name: str) -> None:
    """Any batch; by torch.export the module takes no data-dependent path."""
    torch.manual_seed(0)
    make, shape = MODULES.get(name, (lambda: Vectors(9, 4, 0), (6,)))
    inputs = [torch.randint(9, (n, *shape)) if name == "embedding" else torch.randn(n, *shape) for n in (2, 5)]
    module = make().eval()
    expected = [module(x) for x in inputs]
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(module, (inputs[0],), dynamic_shapes=({0: batch},)).module()
    for x, y in zip(inputs, expected, strict=True):
        torch.testing.assert_close(compiled(x), y)
        torch.testing.assert_close(exported(x), y)


@pytest.mark.parametrize("name", MODULES)
def test_weights_start_as_those_of_a_convolution(name: str) -> None:
    torch.manual_seed(0)
    module = MODULES[name][0]()
    fan_in = {"local": 12, "local series": 6, "untied": 18, "mixed": 18, "mixed, uneven": 4, "dropconnect": 5}[name]
    for parameter in module.parameters():
        assert 0 < float(parameter.detach().abs().max()) <= fan_in**-0.5


# ------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("op", "x", "code", "message"),
    [
        (LocallyConnected(out_channels=2, kernel_size=9), (3, 8, 8), "S001", "kernel 9x9 does not fit"),
        (LocallyConnected(out_channels=2, kernel_size=1), (3,), "S012", "'locally_connected' slides over a map"),
        (
            LocallyConnected(out_channels=2, kernel_size=1, bias=False, untied="bias"),
            (3, 8),
            "Y911",
            "`untied: bias` means nothing without a bias",
        ),
        (
            MixedDilationConv(out_channels=7, kernel_size=3, dilations=[1, 2]),
            (3, 8, 8),
            "S006",
            "7 filters cannot be shared out evenly among 2 dilations",
        ),
        (
            MixedDilationConv(out_channels=8, kernel_size=3, dilations=[1, 3], padding=1),
            (3, 8, 8),
            "S004",
            "the dilations 1 and 3 of 'mixed_dilation_conv' make maps of 8x8 and 4x4, which cannot be joined",
        ),
        (
            MixedDilationConv(out_channels=8, kernel_size=2, dilations=[1, 2]),
            (3, 8, 8),
            "S004",
            "make maps of 7x7 and 8x8",
        ),
        (
            MixedDilationConv(out_channels=8, kernel_size=3, dilations=[1, [2, 2, 2]]),
            (3, 8, 8),
            "S012",
            "has dilation for 3 axes",
        ),
        (DropConnectLinear(out_features=3), (3, 8), "S003", "'dropconnect_linear' takes a vector"),
        (Embedding(num_embeddings=3, embedding_dim=2), (3, 8), "S012", "'embedding' takes a vector of tokens"),
        (
            Embedding(num_embeddings=3, embedding_dim=2, padding_idx=-4),
            (8,),
            "Y911",
            "padding_idx -4 is none of the 3 tokens",
        ),
    ],
)
def test_refusals(op: Op, x: tuple[int, ...], code: str, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        op.output(Shape(x))
    assert caught.value.code == code
    assert message in caught.value.message


# ------------------------------------------------------------------------- in networks

TEXT = "cnnplan: 1\nname: net\ninput: {shape: [24], dtype: int64}\n"
LOCALS = """
- conv: {out_channels: 6, kernel_size: 3, stride: 2, padding: 1}
- relu
- local: {width: 5}
- local: {width: 4, untied: bias}
- layers: [{locally_connected: {out_channels: 4, kernel_size: 3, padding: same, bias: false}}, relu]
  repeat: 2
- locally_connected: {out_channels: 4, kernel_size: [3, 1], padding: [[0, 2], [0, 0]]}
  name: shared
- tanh
- share: shared
- locally_connected: {out_channels: 3, kernel_size: 2, stride: 2, dilation: 2}
- batchnorm
- relu
- flatten
- dropconnect_linear: {out_features: 8, p: 0.3}
- relu
- dropconnect_linear: 8
  name: again
- relu
- share: again
- linear: 2
"""
DILATED = """
- mixed: {width: 6, dilations: [1, 2, 3]}
- mixed: {width: 4, dilations: [1, 4]}
- layers:
    - mixed_dilation_conv: {out_channels: 4, kernel_size: [2, 3], dilations: [1, [2, 3]], padding: same, bias: false}
    - relu
  repeat: 2
- mixed_dilation_conv: {out_channels: 4, kernel_size: 3, dilations: [2, 5], stride: 2}
  name: shared
- relu
- share: shared
- global_avgpool
- linear: 2
"""
BLOCKS = """
blocks:
  local:
    params: {width: int, untied: all}
    layers:
      - locally_connected: {out_channels: =width, kernel_size: 3, padding: half, untied: =untied}
      - relu
  mixed:
    params: {width: int, dilations: list}
    layers:
      - mixed_dilation_conv: {out_channels: =width, kernel_size: 3, dilations: =dilations, bias: false}
      - batchnorm
      - relu
"""
WORDS = """
- embedding: {num_embeddings: 50, embedding_dim: 6, padding_idx: 0}
- concat:
    a: [{conv: {out_channels: 4, kernel_size: 3}}, relu, global_maxpool]
    b: [{mixed_dilation_conv: {out_channels: 4, kernel_size: 3, dilations: [1, 3], stride: 2}}, relu, global_maxpool]
- dropout: 0.5
- linear: 2
"""
TOKENS = """
cnnplan: 1
name: net
inputs: {words: {shape: [12], dtype: int64}, tags: {shape: [12], dtype: int64}}
layers:
  - embedding: {num_embeddings: 5, embedding_dim: 6}
    from: words
  - conv: {out_channels: 4, kernel_size: 3, stride: 3}
    name: a
  - slice: {start: 2, stop: 7}
    from: tags
  - embedding: {num_embeddings: 3, embedding_dim: 2}
  - conv: {out_channels: 4, kernel_size: 2}
    name: b
  - concat:
    from: [a, b]
  - conv: {out_channels: 3, kernel_size: 2}
"""
NETS = {
    "without shared weights": net(LOCALS, head="cnnplan: 1\nname: net\ninput: [3, 11, 12]\n", more=BLOCKS),
    "mixed dilations": net(DILATED, head="cnnplan: 1\nname: net\ninput: [3, 15, 14]\n", more=BLOCKS),
    "words": net(WORDS, head=TEXT),
    "words and tags": TOKENS,
    "one word": net("- embedding: {num_embeddings: 1, embedding_dim: 3}\n- relu\n- flatten\n- linear: 2", head=TEXT),
    "a single token": net(
        "- embedding: {num_embeddings: 5, embedding_dim: 3}\n- conv: {out_channels: 2, kernel_size: 1}\n- flatten",
        head=TEXT.replace("24", "1"),
    ),
}
EXACT = ("shapes", "parameters", "buffers", "MACs", "saved", "inference peak", "field")


@pytest.mark.parametrize("name", NETS)
def test_verified(name: str) -> None:
    """Used twice with other numbers, repeated, shared; the training peak as near as is known why not."""
    found = cnnplan.verify(NETS[name])
    assert found.passed, [check for check in found.checks if check.differences]
    assert {check.verdict for check in found.checks if check.what in EXACT} == {"exact"}


def test_kim_2014() -> None:
    """The published one has 300 numbers a word, and 360,902 weights beside them; 19,020,600 MACs for 56 words."""
    branches = "\n".join(
        f"    w{k}: [{{conv: {{out_channels: 100, kernel_size: {k}}}}}, relu, global_maxpool]" for k in (3, 4, 5)
    )
    words = "- embedding: {num_embeddings: 18766, embedding_dim: 300}"
    found = plan(net(f"{words}\n- concat:\n{branches}\n- dropout: 0.5\n- linear: 2", head=TEXT.replace("24", "56")))
    assert found.parameters == 18_766 * 300 + 360_902
    assert found.macs == 19_020_600
    fields = {layer.name: layer.receptive_field for layer in found.layers}
    assert [fields[f"concat1.w{k}.conv1"].size for k in (3, 4, 5)] == [(3,), (4,), (5,)]  # type: ignore[union-attr]
    assert found.memory.widths.values[found.graph.inputs[0]] == 8


def test_silver_2016() -> None:
    """The policy network of the paper: its last layer has one kernel and a bias for each point of the board."""
    layers = """
        - conv: {out_channels: 192, kernel_size: 5, padding: 2}
        - relu
        - layers: [{conv: {out_channels: 192, kernel_size: 3, padding: 1}}, relu]
          repeat: 11
        - locally_connected: {out_channels: 1, kernel_size: 1, untied: bias}
        - flatten
        - softmax
        """
    found = plan(net(layers, head="cnnplan: 1\nname: net\ninput: [48, 19, 19]\n"))
    assert (found.parameters, found.macs) == (3_882_793, 1_400_726_208)


@torch.no_grad()
def test_the_tokens_that_a_unit_sees() -> None:
    """Each token of each input is changed; regions and fields are of places along the vector."""
    planned = plan(TOKENS)
    graph = planned.graph
    (output,) = graph.outputs.values()
    model = cnnplan.build(planned).double().eval()
    tokens = [torch.zeros(1, 12, dtype=torch.int64) for _ in graph.inputs]
    before = model(*tokens)
    for unit, index in itertools.product(range(3), range(2)):
        region, field = seen(output, (unit,), graph)[index], planned.reach.fields[output][index]
        found = []
        for place in range(12):
            changed = [x.clone() for x in tokens]
            changed[index][0, place] = 1
            if not torch.equal(model(*changed)[:, :, unit], before[:, :, unit]):
                found.append(place)
        assert region.exact
        assert found == [place for place in range(12) if region.along(0) >> place & 1]
        assert field
        assert field.axes[0].span
        assert field.axes[0].span.at(unit) == (found[0], found[-1])


@torch.no_grad()
def test_the_star_that_mixed_dilations_see() -> None:
    """The union of the windows, which is no window; behind another one, too. The smallest path is one dilation's."""
    op = {"out_channels": 4, "kernel_size": 3, "dilations": [1, 3]}
    text = net(f"- mixed_dilation_conv: {op}\n- slice: {{stop: 2}}\n- mixed_dilation_conv: {op}".replace("'", ""))
    planned = plan(text.replace("[3, 8, 8]", "[2, 17, 15]"))
    model = cnnplan.build(planned).double().eval()
    for parameter in model.parameters():
        parameter.uniform_(0.5, 1)
    first, cut, last = planned.layers
    one, both = first.receptive_field, last.receptive_field
    assert one
    assert both
    assert (one.size, one.min_size, both.size, both.min_size) == ((7, 7), (3, 3), (13, 13), (5, 5))
    assert one.aligned
    known = lines(planned.graph)
    for layer, field in ((first, one), (last, both)):
        found = known[layer.node.output].axes
        assert all(found)
        assert tuple(line.size for line in found if line) == field.size
        assert tuple(line.least for line in found if line) == field.min_size
    for unit in ((8, 7), (0, 1), (16, 14)):
        (region,) = seen(first.node.output, unit, planned.graph)
        places = {(i, j) for d in (1, 3) for i in (-d, 0, d) for j in (-d, 0, d)}
        inside = {(unit[0] + i, unit[1] + j) for i, j in places if 0 <= unit[0] + i < 17 and 0 <= unit[1] + j < 15}
        assert region.exact
        assert inside == {(i, j) for i in range(17) for j in range(15) if region.sees((1 << i, 1 << j))}
        assert region.positions == len(inside)
        assert not seen(cut.node.output, unit, planned.graph)[0].exact  # of the first dilation's channels alone


def test_rules_know_what_they_are() -> None:
    def codes(layers: str, **options: Any) -> set[str]:
        return {d.code for d in plan(net(layers, **options)).diagnostics}

    norm = "- conv: {out_channels: 8, kernel_size: 3}\n- batchnorm\n- relu"
    assert "N201" in codes(norm)
    assert "N201" in codes(norm.replace("conv: {", "mixed_dilation_conv: {dilations: [1, 2], "))
    for untied in ("all", "bias"):  # the mean of a channel is not what each unit adds
        assert "N201" not in codes(norm.replace("conv: {", f"locally_connected: {{untied: {untied}, "))
    chain = "- conv: {out_channels: 8, kernel_size: 3}\n- conv: {out_channels: 9, kernel_size: 3}\n- relu"
    assert "N202" in codes(chain)
    assert "N202" not in codes(chain.replace("- conv", "- locally_connected", 1))
    assert "N202" not in codes(chain.replace("- conv: {", "- mixed_dilation_conv: {dilations: [1, 2], ", 1))
    words = "- embedding: {num_embeddings: 9, embedding_dim: 33}\n- conv: {out_channels: 35, kernel_size: 3}\n- relu"
    assert "N202" not in codes(words, head=TEXT)
    target = "target: {device: a100-80gb, batch: 8, dtype: bfloat16}\n"
    found = plan(net(f"{words}\n- conv: {{out_channels: 2, kernel_size: 1}}", head=TEXT, more=target)).diagnostics
    assert [d.layer for d in found if d.code == "P701"] == ["conv1"]


def test_parameters_fix_the_size() -> None:
    for untied in ("all", "bias"):
        op = LocallyConnected(out_channels=2, kernel_size=3, padding=1, untied=untied)
        assert op.serves((Shape((3, 8, 8)),), (Shape((3, 8, 8)),))
        assert not op.serves((Shape((3, 8, 8)),), (Shape((3, 8, 9)),))
        assert not op.serves((Shape((3, 8, 8)),), (Shape((4, 8, 8)),))
    strided = LocallyConnected(out_channels=2, kernel_size=2, stride=2)  # a row behind the last window changes nothing
    assert strided.serves((Shape((3, 8, 8)),), (Shape((3, 9, 8)),))
    free = MixedDilationConv(out_channels=4, kernel_size=2, dilations=[1, 2], padding="same", stride=2)
    assert free.serves((Shape((3, 8, 8)),), (Shape((3, 10, 6)),))
    assert not free.serves((Shape((3, 8, 8)),), (Shape((3, 9, 8)),))  # padded on other sides


# ------------------------------------------------------------------------- memory

ALONE = {
    "- locally_connected: {out_channels: 4, kernel_size: 3, padding: half, dilation: 2}": 0.3,
    "- locally_connected: {out_channels: 4, kernel_size: 3}": 0,
    "- locally_connected: {out_channels: 9, kernel_size: 1, bias: false}": 0,
    "- locally_connected: {out_channels: 4, kernel_size: 3, untied: bias}": 0,
    "- mixed_dilation_conv: {out_channels: 3, kernel_size: 3, dilations: [1, 2, 3]}": 0.3,
    "- mixed_dilation_conv: {out_channels: 2, kernel_size: 2, dilations: [1, 3], padding: same}": 0.3,
    "- flatten\n- dropconnect_linear: {out_features: 30, p: 0.2}": 0,
}
"""By how much the peaks may be above what is counted."""


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layer", ALONE)
def test_peaks(layer: str, batch: int, frozen: bool) -> None:
    """Behind a factor, so that the input needs a gradient: never below what is counted."""
    still = layer + ("\n  trainable: false" if frozen else "")
    text = net(f"- scale\n{still}\n- tanh\n- flatten\n- linear: 2", head="cnnplan: 1\nname: net\ninput: [6, 9, 8]\n")
    planned = plan(text, batch=batch, target="cpu")
    model, x = cnnplan.build(planned).train(), [torch.randn(batch, 6, 9, 8)]
    assert planned.training.saved_activations == saved_bytes(model, x)
    training, inference = step_and_inference(planned.memory, model, x)
    assert inference
    assert 0 <= planned.training.peak / training - 1 <= ALONE[layer] + 0.1 * frozen
    assert 0 <= planned.inference.peak / inference - 1 <= ALONE[layer]


@pytest.mark.parametrize(
    "layers",
    [
        "- flatten\n- linear: 8\n- dropconnect_linear: {out_features: 8, p: 0.3}\n- tanh\n- linear: 3",
        "- flatten\n- dropconnect_linear: {out_features: 8, p: 0.3}\n- tanh\n- linear: 3",
        "- conv: {out_channels: 4, kernel_size: 3}\n- locally_connected: {out_channels: 3, kernel_size: 3, padding: 1}"
        "\n- relu\n- locally_connected: {out_channels: 2, kernel_size: 1, untied: bias}\n- silu",
    ],
)
def test_kept_under_autocast(layers: str) -> None:
    """Weights that are left are narrow, their mask is of the parameters' width."""
    for batch in (1, 3):
        planned = plan(net(layers), batch=batch, dtype="bfloat16", target="cpu")
        model = cnnplan.build(planned).train()
        assert planned.training.saved_activations == kept(model, [torch.randn(batch, 3, 8, 8)]).rest
        for dtype in (torch.bfloat16, torch.float16):
            pure = plan(net(layers), batch=batch, dtype=str(dtype)[6:], mixed=False, target="cpu")
            x = torch.randn(batch, 3, 8, 8).to(dtype)
            assert pure.training.saved_activations == saved_bytes(cnnplan.build(pure).to(dtype).train(), [x])


def test_masks_on_cuda_are_bytes() -> None:
    """Once for a batch."""
    for batch in (1, 7):
        found = plan(
            net("- linear: 8\n- dropconnect_linear: 5", head="cnnplan: 1\nname: net\ninput: [4]\n"), batch=batch
        )
        assert found.training.saved_activations == 4 * 8 * batch + 8 * 5 * (1 + 4)
