"""Rules about what units see: F601, F602, R404, R408. What they claim is held against gradients."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.field import fields
from cnnplan.diagnostics import Diagnostic
from cnnplan.graph import Graph
from cnnplan.lint.lines import lines
from cnnplan.lint.net import Net
from cnnplan.lint.rules.unproductive_layer import seen
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import net
from tests.networks import Spec, networks


def hits(text: Any, code: str, **options: Any) -> list[Diagnostic]:
    """The findings of one rule."""
    return list(cnnplan.plan(text, selection=Selection(asked=Choice(select=(code,))), **options).diagnostics)


def shown(text: Any, code: str, **options: Any) -> list[tuple[str | None, str]]:
    """Their layers and levels."""
    return [(d.layer, d.severity) for d in hits(text, code, **options)]


def head(*shape: int) -> str:
    return f"cnnplan: 1\nname: net\ninput: {list(shape)}\n"


# --------------------------------------------------------------- the lines, against the exact fields


def compared(graph: Graph) -> int:
    """Hold the lines of a graph against its fields; how many axes were."""
    exact, count = fields(graph), 0
    for value, found in lines(graph).items():
        field = exact[value][graph.inputs.index(found.source)]
        if field is None or found.several:
            continue
        for line, axis in zip(found.axes, field.axes, strict=True):
            span = axis.span
            if line is None or span is None or line.periodic or span.period > 1 or axis.is_global:
                continue
            assert (span.low[0], span.high[0], span.stride) == (line.low, line.high, line.stride), value
            assert axis.least
            assert axis.least.size == line.least == line.least_high - line.least_low + 1, value
            assert line.size == span.size
            count += 1
    return count


@pytest.mark.parametrize("name", zoo.names())
def test_lines_are_the_fields_of_the_zoo(name: str) -> None:
    graph = cnnplan.plan(zoo.find(name)).graph
    assert compared(graph) > 1 or name in ("dcgan_generator", "dcgan_paper", "text_cnn")  # of noise, and of tokens


@given(networks(most=8))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_lines_are_the_fields_of_random_networks(spec: Spec) -> None:
    compared(cnnplan.plan(spec).graph)


FOLLOWED = {
    "channels that become an axis": (head(3, 8, 8), "- permute: [1, 0, 2]\n", None),
    "a single unit made larger": (
        head(3, 8),
        "- maxpool: 8\n- upsample: {size: 4, mode: linear, align_corners: true}\n",
        None,
    ),
    "a period of 1,024": (head(3, 2047), "- upsample: {size: 1024}\n", (None,)),
    "a longer one": (head(3, 2049), "- upsample: {size: 1025}\n", None),
    "periods that multiply": (head(3, 640), "- upsample: {size: 641}\n- upsample: {size: 1283}\n", None),
    "a stride beyond all inputs": (head(3, 1), 7 * "- conv: {out_channels: 3, kernel_size: 1, stride: 1000}\n", None),
}


@pytest.mark.parametrize(("top", "layers", "found"), FOLLOWED.values(), ids=FOLLOWED)
def test_what_is_not_followed(top: str, layers: str, found: object) -> None:
    graph = cnnplan.plan(net(layers + "- relu\n", head=top)).graph
    assert (graph.nodes[-1].output in lines(graph)) == (found is not None)


# ------------------------------------------------------------------------- F601 and F602, by examples


def stack(count: int, *, kernel: int = 3, padding: object = "half") -> str:
    """So many convolutions in a row, each with an activation."""
    conv = f"- conv: {{out_channels: 4, kernel_size: {kernel}, padding: {padding}}}"
    return f"- layers:\n    {conv}\n    - relu\n  repeat: {count}\n"


def residual(count: int, body: str) -> str:
    return f"- add:\n    body: [{body}]\n    shortcut: []\n  repeat: {count}\n"


def long(padding: str) -> str:
    """A pool that sees 140,001 units."""
    return f"- maxpool: {{kernel_size: 140001, stride: 1, padding: {padding}}}\n"


def ones(count: int) -> str:
    """Layers of one tap, and one of three behind them."""
    return stack(count, kernel=1).replace("out_channels: 4", "out_channels: 1") + (
        "- conv: {out_channels: 1, kernel_size: 3, padding: 1}\n"
    )


CONV1 = "{conv: {out_channels: 4, kernel_size: 1}}"
CONV3 = "{conv: {out_channels: 4, kernel_size: 3, padding: 1}}"
POOLS = (
    "- layers:\n    - conv: {out_channels: 4, kernel_size: 3, padding: 1}\n    - maxpool: 2\n    - relu\n  repeat: 2\n"
)

# a stack of 3x3 sees 3, 5, 7 …: the k-th one's input 2 k - 1
UNPRODUCTIVE = {
    "as large as the input": (head(3, 9, 9), stack(6), "conv5", "info"),
    "a unit less than the input": (head(3, 10, 10), stack(6), "conv6", "info"),
    "less than the input everywhere": (head(3, 12, 12), stack(6), None, None),
    "along one axis alone": (head(3, 9, 12), stack(6), None, None),
    "along both": (head(3, 9, 11), stack(6), "conv6", "info"),
    "one dimension": (head(3, 9), stack(6), "conv5", "info"),
    "three dimensions": (head(3, 3, 5, 9), stack(6), "conv5", "info"),
    "time alone is short": (head(3, 3, 12, 12), stack(6), None, None),
    "an axis of one unit": (head(3, 1, 9), stack(6), "conv5", "info"),
    "an input of one unit": (head(3, 1, 1), stack(6), None, None),
    # the corner of a map of n sees everything behind n - 1 layers
    "every unit sees all": (head(3, 4, 4), stack(5), "conv3", "warning"),
    "all but the corners": (head(3, 4, 4), stack(3), "conv3", "info"),
    "all but one side": (head(3, 4), stack(5, padding="[[2, 0]]"), "conv3", "info"),
    "without padding nothing is left": (head(3, 9, 9), stack(4, padding=0), None, None),
    "pools": (head(3, 10, 10), POOLS + stack(1), "conv3", "info"),
    "pools on a larger input": (head(3, 11, 11), POOLS + stack(1), None, None),
    "pools and all is seen": (head(3, 8, 8), POOLS + stack(2), "conv3", "warning"),
    "1x1 are not meant": (head(3, 4, 4), stack(3, padding=1) + stack(9, kernel=1), "conv3", "info"),
    "depthwise are": (
        head(3, 3, 3),
        stack(1) + "- depthwise_conv: {kernel_size: 3, padding: 1}",
        "depthwise_conv1",
        "info",
    ),
    "flat kernels are": (
        head(3, 3, 3),
        stack(1) + "- conv: {out_channels: 4, kernel_size: [1, 3], padding: half}",
        "conv2",
        "info",
    ),
    "pools are not meant": (head(3, 4, 4), stack(2) + "- maxpool: {kernel_size: 3, padding: 1}", None, None),
    "shortcuts keep layers productive": (head(4, 4, 4), residual(9, CONV3), None, None),
    "unless all paths are long": (
        head(4, 4, 4),
        f"- add:\n    a: [{CONV3}, {CONV3}]\n    b: [{CONV3}, {CONV3}, {CONV3}]\n" + stack(1),
        "add1.b.conv3",
        "info",
    ),
    "one path is short": (
        head(4, 5, 5),
        f"- add:\n    a: [{CONV3}]\n    b: [{CONV3}, {CONV3}]\n" + stack(1),
        None,
        None,
    ),
    "both are not": (
        head(4, 5, 5),
        f"- add:\n    a: [{CONV3}, {CONV3}]\n    b: [{CONV3}, {CONV3}]\n" + stack(1),
        "conv1",
        "info",
    ),
    "behind a gate, by the path around it": (
        head(4, 9, 9),
        stack(2) + "- squeeze_excite: 2\n" + stack(3),
        "conv5",
        "info",
    ),
    "a normalization is no global pool": (head(4, 5, 5), stack(2) + "- groupnorm: 2\n" + stack(1), "conv3", "info"),
    "behind a global pool": (
        head(4, 2, 2),
        "- global_avgpool: {keepdim: true}\n- conv: {out_channels: 4, kernel_size: 3, padding: 1}",
        None,
        None,
    ),
    "a dense layer as a convolution": (head(4, 8, 8), POOLS + "- conv: {out_channels: 9, kernel_size: 2}", None, None),
    "which leaves more than a unit": (
        head(4, 8, 8),
        POOLS + "- conv: {out_channels: 9, kernel_size: [1, 2]}",
        "conv3",
        "info",
    ),
    "a unit that is convolved again": (
        head(4, 4, 4),
        POOLS + "- conv: {out_channels: 4, kernel_size: 3, padding: 1}",
        "conv2",
        "warning",
    ),
    "a decoder": (head(4, 4, 4), "- layers: [" + CONV3 + ", {maxpool: 2}]\n- upsample: 2\n" + stack(9), None, None),
    "a transposed convolution": (
        head(4, 8, 8),
        POOLS + "- conv_transpose: {out_channels: 4, kernel_size: 3, padding: 1}",
        None,
        None,
    ),
    "what a decoder joins": (
        head(4, 3, 3),
        f"- concat:\n    a: [{CONV3}]\n    b: [{CONV3}, {{upsample: 2}}, {{maxpool: 2}}]\n" + stack(9),
        None,
        None,
    ),
    "units joined along an axis": (
        head(4, 3, 3),
        stack(1) + "- concat:\n    axis: 1\n    a: []\n    b: []\n" + stack(9),
        None,
        None,
    ),
    "axes that change places": (head(4, 3, 9), stack(1) + "- permute: [0, 2, 1]\n" + stack(4), "conv5", "info"),
    "rearranged": (head(4, 3, 3), stack(1) + "- reshape: [9, 2, 2]\n" + stack(3), None, None),
    "units of nothing but padding": (
        head(4, 2),
        "- conv: {out_channels: 4, kernel_size: 3, padding: [[0, 2]]}\n"
        "- conv: {out_channels: 4, kernel_size: 2, padding: [[2, 0]]}\n- conv: {out_channels: 4, kernel_size: 2}\n",
        "conv2",
        "info",
    ),
    "holes beside the border": (
        head(4, 7),
        "- conv: {out_channels: 4, kernel_size: 4, stride: 2, padding: [[2, 1]]}\n"
        "- conv: {out_channels: 4, kernel_size: 4, dilation: 2, padding: [[1, 4]]}\n"
        "- conv: {out_channels: 4, kernel_size: 2}\n",
        "conv3",
        "info",
    ),
    "one axis is seen by every unit": (head(4, 2, 9), stack(6), "conv5", "info"),
    "the smallest path covers one axis": (
        head(4, 3, 9),
        stack(1) + f"- add:\n    a: [{CONV3}, {CONV3}, {CONV3}]\n    b: [identity]\n" + stack(1),
        None,
        None,
    ),
    "every unit of a long axis": (head(4, 70_000), long("70000") + stack(1), "conv1", "warning"),
    "every unit, to the left": (head(4, 70_000), long("[[140000, 0]]") + stack(1), "conv1", "info"),
    "every unit, to the right": (head(4, 70_000), long("[[0, 140000]]") + stack(1), "conv1", "info"),
    # 27 layers of one multiplication, and one of three
    "a tenth of the work": (head(1, 4), "- maxpool: 4\n" + ones(27), "conv28", "warning"),
    "less than a tenth of it": (head(1, 4), "- maxpool: 4\n" + ones(28), "conv29", "info"),
    "holes along one axis": (
        head(4, 5, 5),
        "- conv: {out_channels: 4, kernel_size: [3, 5], padding: [8, 2], dilation: [8, 1]}\n" + stack(1),
        None,
        None,
    ),
    "holes are seen later": (
        head(4, 5, 5),
        "- conv: {out_channels: 4, kernel_size: 3, padding: 8, dilation: 8}\n" + stack(1),
        None,
        None,
    ),
}


@pytest.mark.parametrize(("top", "layers", "layer", "level"), UNPRODUCTIVE.values(), ids=UNPRODUCTIVE)
def test_unproductive_layers(top: str, layers: str, layer: str | None, level: str | None) -> None:
    found = shown(net(layers, head=top), "F601")
    assert found == ([(layer, level)] if layer else [])


def test_several_inputs_are_not_judged() -> None:
    inputs = "cnnplan: 1\nname: net\ninputs: {a: [4, 3, 3], b: [4, 9, 9]}\n"
    layers = "- conv: {out_channels: 4, kernel_size: 7}\n  from: b\n  name: c\n- add:\n  from: [a, c]\n" + stack(9)
    assert not shown(net(layers, head=inputs), "F601")
    alone = layers.replace("- add:\n  from: [a, c]", "- relu:\n  from: a")
    assert shown(net(alone, head=inputs), "F601") == [("conv2", "warning")]


def test_the_message_has_the_numbers() -> None:
    (found,) = hits(net(stack(5), head=head(3, 4, 4)), "F601")
    # 3 and 4 times 4 channels, 9 taps, 16 places: 1,728 + 4 · 2,304 MACs; three of the layers see nothing new
    assert found.message == (
        "what enters 'conv3' has a field of 5x5, the input 4x4; nothing new is seen by 3 convolutions from here on, "
        "63.2 % of the MACs; from 'conv4' on every unit sees all there is"
    )
    assert found.help.endswith("give an input of more than 9x9")
    (found,) = hits(net(stack(3), head=head(3, 4, 4)), "F601")
    assert found.message.endswith("by 1 convolution from here on, 36.4 % of the MACs, but beside its border")
    (found,) = hits(net("- maxpool: 4\n" + stack(1), head=head(3, 4, 4)), "F601")
    assert found.message.endswith("by 1 convolution from here on, 100.0 % of the MACs: every unit sees all there is")


POSSIBLY = {
    "the longest path is as large": (head(4, 7, 7), residual(4, CONV3), "add4.body.conv1"),
    "or larger": (head(4, 6, 6), residual(5, CONV3), "add4.body.conv1"),
    "it is a unit less": (head(4, 8, 8), residual(4, CONV3), None),
    "along one axis alone": (head(4, 7, 9), residual(4, CONV3), None),
    "all paths are": (head(4, 3, 3), residual(4, CONV3) + stack(9), None),
    "nothing is seen by pools": (head(4, 7, 7), residual(3, CONV3) + "- maxpool: 2", None),
    "nor by one tap": (head(4, 7, 7), residual(3, CONV3) + stack(3, kernel=1), None),
    "a small network": (head(4, 32, 32), residual(4, CONV3), None),
}


@pytest.mark.parametrize(("top", "layers", "layer"), POSSIBLY.values(), ids=POSSIBLY)
def test_possibly_unproductive_layers(top: str, layers: str, layer: str | None) -> None:
    assert shown(net(layers, head=top), "F602") == ([(layer, "info")] if layer else [])


def test_both_fields_are_said() -> None:
    (found,) = hits(net(residual(5, CONV3), head=head(4, 7, 7)), "F602")
    assert "a field of 7x7 through the longest path, 1x1 through the shortest, the input 7x7" in found.message
    assert "2 convolutions from here on, 40.0 % of the MACs" in found.message


def test_a_published_border() -> None:
    """VGG-16 on 32 pixels: the layers behind a field of 32; on 224, whose field is 212, there is none."""
    text = zoo.find("vgg16").read_text(encoding="utf-8").replace("[3, 224, 224]", "[3, 32, 32]")
    assert shown(text, "F601") == [("stage3.conv3", "warning")]
    assert not shown(zoo.find("vgg16"), "F601")


def test_a_board_game_is_no_warning() -> None:
    """The policy network of Silver et al. 2016: 19x19 points, thirteen layers, of which the ninth sees 19."""
    first = "- conv: {out_channels: 4, kernel_size: 5, padding: 2}\n- relu\n"
    layers = first + stack(11) + "- conv: {out_channels: 1, kernel_size: 1}\n- flatten"
    assert shown(net(layers, head=head(48, 19, 19)), "F601") == [("conv9", "info")]


# ------------------------------------------------------------------- F601 and F602, against gradients


class Window(NamedTuple):
    """A convolution or pool along one axis."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    pool: bool

    def item(self) -> dict[str, Any]:
        padding = [[self.before, self.after]]
        if self.pool:
            return {"avgpool": {"kernel_size": self.kernel, "stride": self.stride}}
        options = {"kernel_size": self.kernel, "stride": self.stride, "dilation": self.dilation, "padding": padding}
        return {"conv": {"out_channels": 1, **options}}

    def run(self, x: Tensor) -> Tensor:
        """The same in torch, with weights of 1."""
        if self.pool:
            return F.avg_pool1d(x, self.kernel, self.stride)
        weight = torch.ones(1, 1, self.kernel, dtype=x.dtype)
        return F.conv1d(F.pad(x, (self.before, self.after)), weight, None, self.stride, 0, self.dilation)


@st.composite
def window(draw: st.DrawFn) -> Window:
    kernel = draw(st.integers(1, 5))
    pool = draw(st.booleans()) and draw(st.booleans())
    dilation = 1 if pool else draw(st.sampled_from((1, 1, 1, 2)))
    before, after = (0 if pool else draw(st.integers(0, kernel)) for _ in range(2))
    return Window(kernel, draw(st.integers(1, min(kernel, 3))), dilation, before, after, pool)


def run(windows: Sequence[Window], x: Tensor) -> Tensor:
    for one in windows:
        x = one.run(x)
    return x


def sees(windows: Sequence[Window], size: int) -> Tensor:
    """Which of so many input units (columns) each unit behind the windows (rows) depends on: it is linear."""
    impulses = torch.eye(size, dtype=torch.float64).unsqueeze(1)
    return run(windows, impulses).squeeze(1).T != 0


def extent(windows: Sequence[Window]) -> int:
    """From the first to the last unit that one in the middle of a large map depends on."""
    start = torch.rand(1, 1, 1500, dtype=torch.float64, requires_grad=True)
    units = run(windows, start).flatten()
    (gradient,) = torch.autograd.grad(units[len(units) // 2], start)
    seen = gradient.flatten().nonzero()
    return int(seen[-1] - seen[0]) + 1


def planned(size: int, items: list[Any]) -> Net:
    return Net(cnnplan.plan({"cnnplan": 1, "name": "net", "input": [1, size], "layers": items}))


@given(st.lists(window(), min_size=2, max_size=6), st.integers(2, 40))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_layer_that_sees_nothing_new(windows: list[Window], size: int) -> None:
    """Sizes, and whether all units see all, of everything that enters a convolution."""
    try:
        known = planned(size, [one.item() for one in windows])
    except cnnplan.SpecError:
        assume(False)
    judged = {one.node: one for one in seen(known)}
    for index, node in enumerate(known.nodes):
        before = windows[:index]
        line = known.lines[node.inputs[0]].axes[0]
        assert line
        assert line.size == line.least == extent(before)
        if node not in judged:
            dense = node.output.shape.spatial == (1,) != node.shapes[0].spatial
            assert node.op.kind != "conv" or windows[index].kernel == 1 or dense or line.size < size
            continue
        if judged[node].is_covered(known):
            rows = sees(before, size)
            whole = judged[node].may_see_all() and judged[node].sees_all(known)
            assert whole or not rows.all()
            assert not whole or bool((rows == rows[0]).all())


@given(st.lists(st.tuples(st.lists(window(), max_size=3), st.lists(window(), max_size=2)), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_the_smallest_and_the_largest_path(blocks: list[tuple[list[Window], list[Window]]]) -> None:
    """Every path through blocks of two branches by itself."""
    items: list[Any] = []
    for branches in blocks:
        same = {}
        for name, windows in zip("ab", branches, strict=True):
            same[name] = [one._replace(stride=1, pool=False).item() for one in windows]
            lost = sum(w.dilation * (w.kernel - 1) - w.before - w.after for w in windows)
            left = min(sum(w.dilation * (w.kernel - 1) - w.before - w.after for w in b) for b in branches)
            same[name].append({"pad": {"padding": [[0, lost - left]]}})
        items.append({"add": same})
    items.append({"conv": {"out_channels": 1, "kernel_size": 3}})
    try:
        known = planned(400, items)
    except cnnplan.SpecError:
        assume(False)
    sizes = [
        extent([one._replace(stride=1, pool=False) for branch in path for one in branch]) for path in product(*blocks)
    ]
    line = known.lines[known.nodes[-1].inputs[0]].axes[0]
    assert line
    assert line.least == min(sizes)
    assert line.size >= max(sizes)


# --------------------------------------------------------------------------------------------- R404


def two(a: str, b: str, merge: str = "add") -> str:
    """A merge of two branches."""
    return f"- {merge}:\n    a: [{a}]\n    b: [{b}]\n"


def valid(kernel: object, stride: int = 1) -> str:
    return f"{{conv: {{out_channels: 4, kernel_size: {kernel}, stride: {stride}}}}}"


def cut(start: int, stop: int | None, axis: int = 1) -> str:
    return f"{{slice: {{axis: {axis}, start: {start}{'' if stop is None else f', stop: {stop}'}}}}}"


HALF = "- conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}\n"
BOTH = ", ".join((cut(0, -2), cut(0, -2, 2)))
MISALIGNED = {
    # what a 3x3 sees is in the middle of three units, one unit from where it begins
    "cut at the end": (
        head(4, 9, 9),
        two(valid(3), BOTH),
        "warning",
        "1 unit of the input apart along the height; the coarser of both has a stride of 1",
    ),
    "cut in the middle": (head(4, 9, 9), two(valid(3), "{crop: 7}"), None, ""),
    "cut at the start": (head(4, 9, 9), two(valid(3), f"{cut(2, None)}, {cut(2, None, 2)}"), "warning", "1 unit of"),
    "along the width": (head(4, 9, 9), two(valid([1, 3]), cut(0, -2, 2)), "warning", "along the width"),
    "along the depth": (
        head(4, 9, 9, 9),
        two(valid([5, 1, 1]), cut(0, -4, 1)),
        "warning",
        "2 units of the input apart along the depth",
    ),
    "half a unit": (
        head(4, 9, 9),
        two("{conv: {out_channels: 4, kernel_size: 4, padding: same}}", ""),
        "info",
        "0.5 units",
    ),
    "a unit of two": (
        head(4, 9, 9),
        HALF + two(valid([2, 1]), cut(0, -1)),
        "info",
        "1 unit of the input apart along the height; the coarser of both has a stride of 2",
    ),
    "two units of two": (head(4, 9, 9), HALF + two(valid([3, 1]), cut(0, -2)), "warning", "2 units of"),
    "strides that keep the centre": (
        head(4, 9, 9),
        two("{conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}}", valid(1, 2)),
        None,
        "",
    ),
    "a pool that moves it": (
        head(4, 8, 8),
        two(
            "{conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: [[0, 1], [0, 1]]}}",
            "{conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}}",
        ),
        "info",
        "1 unit of the input apart along the height; the coarser of both has a stride of 2",
    ),
    "padded before: causal": (
        head(4, 9, 9),
        two("{conv: {out_channels: 4, kernel_size: 5, padding: [[4, 0], [2, 2]]}}", ""),
        None,
        "",
    ),
    "padded behind": (
        head(4, 9, 9),
        two("{conv: {out_channels: 4, kernel_size: 5, padding: [[0, 4], [2, 2]]}}", ""),
        None,
        "",
    ),
    "padded before, behind a padded trunk": (
        head(4, 9, 9),
        HALF + two("{conv: {out_channels: 4, kernel_size: 5, padding: [[4, 0], [2, 2]]}}", ""),
        None,
        "",
    ),
    "padded behind, behind a padded trunk": (
        head(4, 9, 9),
        HALF + two("{conv: {out_channels: 4, kernel_size: 5, padding: [[0, 4], [2, 2]]}}", ""),
        None,
        "",
    ),
    "cut at the start, behind a padded trunk": (
        head(4, 9, 9),
        HALF + two(valid([3, 1]), cut(2, None)),
        "warning",
        "2 units of",
    ),
    "causal, and turned": (
        head(4, 8, 9),
        two(
            "{permute: [0, 2, 1]}, {conv: {out_channels: 4, kernel_size: 5, padding: [[2, 2], [4, 0]]}}",
            "{permute: [0, 2, 1]}",
        ),
        None,
        "",
    ),
    "causal, with a gate that both have": (
        head(4, 9, 9),
        "- global_avgpool: {keepdim: true}\n  name: gate\n"
        "- conv: {out_channels: 4, kernel_size: 5, padding: [[4, 0], [2, 2]]}\n  from: input\n  name: wide\n"
        "- multiply:\n  from: [wide, gate]\n  name: one\n- multiply:\n  from: [input, gate]\n  name: other\n"
        "- add:\n  from: [one, other]\n",
        None,
        "",
    ),
    "padded by one, at both ends": (
        head(4, 9, 9),
        two("{conv: {out_channels: 4, kernel_size: 5, padding: [[1, 3], [2, 2]]}}", ""),
        "warning",
        "1 unit of",
    ),
    "time that ends at the same place": (head(4, 9), two(valid(3), cut(2, None)), None, ""),
    "time that begins at the same place": (head(4, 9), two(valid(3), cut(0, -2)), None, ""),
    "time that does neither": (
        head(4, 9),
        two(valid(5), cut(1, -3)),
        "warning",
        "1 unit of the input apart along the length",
    ),
    "sizes that do not divide": (
        head(4, 16, 16),
        two(valid(1, 2), valid(9)),
        "info",
        "4 units of the input apart along the height; the coarser of both has a stride of 2",
    ),
    "further apart at the end": (
        head(4, 16, 16),
        two(valid(1, 2), f"{{pad: [[8, 0], [8, 0]]}}, {valid(17)}"),
        "info",
        "7 units of",
    ),
    "hardly apart": (
        head(4, 8, 8),
        two("{maxpool: 2}, {upsample: {scale_factor: 2, mode: bilinear, align_corners: true}}", ""),
        None,
        "",
    ),
    "pooled and made larger again": (head(4, 8, 8), two("{maxpool: 2}, {upsample: 2}", ""), None, ""),
    "strided and made larger again": (
        head(4, 8, 8),
        two("{conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}}, {upsample: 2}", ""),
        "info",
        "0.5 units of the input apart along the height; the coarser of both has a stride of 2",
    ),
    "transposed": (
        head(4, 8, 8),
        two("{maxpool: 2}, {conv_transpose: {out_channels: 4, kernel_size: 4, stride: 2, padding: 1}}", ""),
        None,
        "",
    ),
    "transposed and cut at one side": (
        head(4, 8, 8),
        two(
            "{maxpool: 2}, {conv_transpose: {out_channels: 4, kernel_size: 6, stride: 2}}, "
            f"{cut(0, 8)}, {cut(0, 8, 2)}",
            "",
        ),
        "warning",
        "2 units of the input apart along the height; the coarser of both has a stride of 2",
    ),
    "a gate": (head(4, 8, 8), two("{global_avgpool: {keepdim: true}}, sigmoid", "", "multiply"), None, ""),
    "what is broadcast": (head(4, 8, 8), two(valid(8), "", "multiply"), None, ""),
    "one behind the other": (
        head(4, 9, 9),
        "- concat:\n    axis: 1\n    a: []\n    b: [" + valid([3, 1]) + "]\n",
        None,
        "",
    ),
    "beside another axis": (
        head(4, 9, 9),
        "- concat:\n    axis: 1\n    a: [" + valid([1, 3]) + "]\n    b: [" + cut(0, -2, 2) + "]\n",
        "warning",
        "along the width",
    ),
    "axes that change places": (head(4, 8, 8), two("{permute: [0, 2, 1]}", "", "multiply"), None, ""),
    "which are compared as they lie": (
        head(4, 9, 9),
        two(f"{{permute: [0, 2, 1]}}, {valid([1, 3])}", f"{cut(0, -2)}, {{permute: [0, 2, 1]}}"),
        "warning",
        "along the width",
    ),
    "a normalization in between": (head(4, 9, 9), two(f"{valid(3)}, {{groupnorm: 2}}", BOTH), "warning", "1 unit of"),
    "other words for it": (
        head(4, 9, 9),
        two(valid(3), BOTH, "maximum"),
        "warning",
        "'add1.a.conv1'".replace("add", "maximum"),
    ),
}


@pytest.mark.parametrize(("top", "layers", "level", "part"), MISALIGNED.values(), ids=MISALIGNED)
def test_misaligned_merges(top: str, layers: str, level: str | None, part: str) -> None:
    found = hits(net(layers.replace("[]", "[identity]"), head=top), "R404")
    assert [d.severity for d in found] == ([level] if level else [])
    assert all(part in d.message for d in found), found


def test_paths_of_other_inputs_are_not_compared() -> None:
    inputs = "cnnplan: 1\nname: net\ninputs: {a: [4, 9, 9], b: [4, 9, 9]}\n"
    layers = "- conv: {out_channels: 4, kernel_size: 3}\n  from: a\n  name: c\n- slice: {axis: 1, stop: 7}\n  from: b\n"
    layers += "- slice: {axis: 2, stop: 7}\n- add:\n  from: [c, previous]\n  name: d\n"
    assert not shown(net(layers, head=inputs), "R404")
    again = two("{conv: {out_channels: 4, kernel_size: 5, padding: [[1, 3], [2, 2]]}}", "identity")
    assert shown(net(layers + again, head=inputs), "R404") == [("add1", "warning")]


def test_the_worst_of_many_paths_is_said() -> None:
    """Each is held against each other one, up to 32 that differ."""
    branches = "".join(f"    b{i}: [{cut(i, i - 40, 1)}]\n" for i in range(40))
    (found,) = hits(net(f"- mean:\n{branches}", head=head(4, 80, 1)), "R404")
    assert "'mean1.b0.slice1' and 'mean1.b31.slice1' see are 31 units" in found.message
    layers = "- mean:\n    a: []\n    b: [" + cut(0, None) + "]\n    c: [{pad: [[1, 0], [0, 0]]}, " + cut(0, -1) + "]\n"
    (found,) = hits(net(layers, head=head(4, 9, 9)), "R404")
    assert "'input' and 'mean1.c.slice1' see are 1 unit of" in found.message


def test_what_met_once_is_not_said_again() -> None:
    """Each merge is judged for its own paths."""
    layers = two(valid(3), BOTH) + two(CONV3[1:-1].join("{}"), "identity") + stack(1)
    assert shown(net(layers, head=head(4, 9, 9)), "R404") == [("add1", "warning")]


@st.composite
def resizing(draw: st.DrawFn) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """Something that makes a map larger, as an item and in torch."""
    kind = draw(st.sampled_from(("nearest", "linear", "transposed")))
    factor = draw(st.integers(2, 3))
    if kind == "transposed":
        kernel = draw(st.integers(factor, 5))
        cutting = draw(st.integers(0, kernel // 2))
        options = {"kernel_size": kernel, "stride": factor, "padding": cutting}
        weight = torch.ones(1, 1, kernel, dtype=torch.float64)
        return {"conv_transpose": {"out_channels": 1, **options}}, lambda x: F.conv_transpose1d(
            x, weight, None, factor, cutting
        )
    return {"upsample": {"scale_factor": factor, "mode": kind}}, lambda x: F.interpolate(
        x, scale_factor=factor, mode=kind
    )


@given(st.lists(window(), max_size=3), resizing(), st.lists(window(), max_size=2), st.none() | resizing())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_lines_run_through_the_mean_of_a_period(
    before: list[Window], first: Any, between: list[Window], second: Any
) -> None:
    """Centres behind up-sampling: what the units of a period see on average."""
    between = [one._replace(stride=1, pool=False) for one in between]
    resizes = [resize for resize in (first, second) if resize]
    items = [one.item() for one in before] + [first[0]] + [one.item() for one in between] + [r[0] for r in resizes[1:]]
    known = planned(300, [*items, "relu"])
    line = known.lines[known.nodes[-1].output].axes[0]
    assert line
    assert line.periodic
    x = run(before, torch.eye(300, dtype=torch.float64).unsqueeze(1))
    x = run(between, first[1](x))
    for _, resize in resizes[1:]:
        x = resize(x)
    rows = (x.squeeze(1).T != 0).int()
    assume(len(rows) > 120)
    units = range(len(rows) // 2, len(rows) // 2 + 36)  # a multiple of all periods
    ends = [(int(rows[u].argmax()), 299 - int(rows[u].flip(0).argmax())) for u in units]
    middle = sum(low + high - 2 * line.stride * u for u, (low, high) in zip(units, ends, strict=True)) / len(ends)
    assert middle == pytest.approx(float(line.low + line.high))


# --------------------------------------------------------------------------------------------- R408


def grouped(*groups: int, channels: int = 12) -> str:
    return "".join(f"- conv: {{out_channels: {channels}, kernel_size: 3, padding: 1, groups: {g}}}\n" for g in groups)


DENSE = "- conv: {out_channels: 12, kernel_size: 1}\n"
DEPTHWISE = "- depthwise_conv: {kernel_size: 3, padding: 1}\n"
THREE = "is the third grouped convolution in a row: {} sets of channels have not exchanged anything since"
PAIR = "has the {} groups of '{}' before it, with no exchange between them"
ISOLATED = {
    "three in a row": (DENSE + grouped(4, 4, 4), "conv4", THREE.format(4) + " 'conv1'"),
    "two": (DENSE + grouped(4, 4), None, ""),
    "five": (DENSE + grouped(4, 4, 4, 4, 4), "conv4", "is the third of 5 grouped convolutions in a row: 4 sets"),
    "two and two": (DENSE + grouped(4, 4) + DENSE + grouped(4, 4), None, ""),
    "a shuffle between": (DENSE + grouped(4, 4) + "- channel_shuffle: 4\n" + grouped(4), None, ""),
    "a shuffle in front": (DENSE + "- channel_shuffle: 4\n" + grouped(4, 4, 4), "conv4", THREE.format(4) + " 'conv1'"),
    "a shuffle behind": (DENSE + grouped(4, 4, 4) + "- channel_shuffle: 4\n", "conv4", ""),
    "a shuffle that takes pairs apart": (
        DENSE + grouped(2) + "- channel_shuffle: 2\n" + grouped(2, 2, 2),
        "conv5",
        THREE.format(2) + " 'channel_shuffle1'",
    ),
    "more groups, within those before": (DENSE + grouped(2, 4, 4), "conv4", THREE.format(2) + " 'conv1'"),
    "fewer groups": (DENSE + grouped(6, 6, 3), "conv4", THREE.format(3)),
    "groups that meet": (DENSE + grouped(4, 3, 4), None, ""),
    "groups that meet, and three more": (DENSE + grouped(4, 3, 3, 3), "conv5", THREE.format(3) + " 'conv2'"),
    "activations, norms and pools between": (
        DENSE
        + grouped(4)
        + "- relu\n- groupnorm: 2\n- dropout\n"
        + grouped(4)
        + "- batchnorm\n- maxpool: 2\n- layernorm\n"
        + grouped(4),
        "conv4",
        "",
    ),
    "a depthwise layer between": (
        DENSE + grouped(4) + DEPTHWISE + grouped(4) + DEPTHWISE + grouped(4),
        "conv4",
        THREE.format(4),
    ),
    "depthwise layers alone": (DENSE + 4 * DEPTHWISE + grouped(12, 12, 12), None, ""),
    "one that makes more channels": (
        DENSE + grouped(4, 4) + "- depthwise_conv: {kernel_size: 3, multiplier: 2}\n" + grouped(4),
        "conv4",
        THREE.format(4),
    ),
    "transposed convolutions": (
        DENSE + 3 * "- conv_transpose: {out_channels: 12, kernel_size: 3, groups: 4}\n",
        "conv_transpose3",
        "",
    ),
    "shortcuts": (
        DENSE + "- add:\n    a: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 4}}, relu]\n    b: []\n"
        "  repeat: 3\n",
        "add3.a.conv1",
        THREE.format(4) + " 'conv1'",
    ),
    "a dense shortcut": (
        DENSE + "- add:\n    a: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 4}}, relu]\n"
        "    b: [{conv: {out_channels: 12, kernel_size: 1}}]\n  repeat: 5\n",
        None,
        "",
    ),
    "branches of other groups": (
        DENSE + "- add:\n    a: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 2}}]\n"
        "    b: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 4}}]\n" + grouped(2, 2),
        "conv3",
        THREE.format(2) + " 'conv1'",
    ),
    "branches that cross": (
        DENSE + "- add:\n    a: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 3}}]\n"
        "    b: [{conv: {out_channels: 12, kernel_size: 3, padding: 1, groups: 2}}]\n" + grouped(2, 2),
        None,
        "",
    ),
    "a gate": (DENSE + grouped(4, 4) + "- squeeze_excite: 2\n" + grouped(4), None, ""),
    "a softmax over channels": (DENSE + grouped(4, 4) + "- softmax\n" + grouped(4), None, ""),
    "halves that change places": (
        DENSE + grouped(2, 2) + "- split: 2\n  name: half\n- concat:\n  from: [half.1, half.0]\n" + grouped(2),
        "conv4",
        THREE.format(2),
    ),
    "quarters that change places": (
        DENSE + grouped(2, 2) + "- split: 4\n  name: q\n- concat:\n  from: [q.0, q.2, q.1, q.3]\n" + grouped(2),
        None,
        "",
    ),
    "channels that are left out": (
        DENSE + grouped(4, 4) + "- slice: {stop: 6}\n" + grouped(2),
        "conv4",
        THREE.format(2),
    ),
    "joined twice": (
        DENSE + grouped(4) + "- concat:\n    a: []\n    b: [relu]\n" + grouped(2, 2, channels=24),
        None,
        "",
    ),
    "spatial axes that change places": (DENSE + grouped(4, 4) + "- permute: [0, 2, 1]\n" + grouped(4), "conv4", ""),
    "channels that change places": (DENSE + grouped(4, 4) + "- permute: [1, 0, 2]\n" + grouped(4), None, ""),
    "signals of the input": (grouped(4, 4, 4, 4), None, ""),
    "signals, each by itself first": (DEPTHWISE + "- relu\n" + grouped(4, 4, 4), None, ""),
    "signals that meet at last": (grouped(4, 4, 4) + DENSE + grouped(4, 4, 4), "conv7", "since 'conv4'"),
}


@pytest.mark.parametrize(("layers", "layer", "part"), ISOLATED.values(), ids=ISOLATED)
def test_isolated_groups(layers: str, layer: str | None, part: str) -> None:
    found = [d for d in hits(net(layers, head=head(12, 12, 12)), "R408") if "in a row" in d.message]
    assert [(d.layer, d.severity) for d in found] == ([(layer, "warning")] if layer else [])
    assert all(part in d.message for d in found), found


PAIRED = {
    "two": (DENSE + grouped(4, 4), "conv3", PAIR.format(4, "conv2")),
    "two, with what keeps channels apart between": (
        DENSE + grouped(3) + "- batchnorm\n- relu\n- maxpool: 2\n" + DEPTHWISE + grouped(3),
        "conv3",
        PAIR.format(3, "conv2"),
    ),
    "two towers": (DENSE + grouped(2, 2), None, ""),
    "two of different groups": (DENSE + grouped(4, 6), None, ""),
    "two, and a shuffle": (DENSE + grouped(4, 4) + "- batchnorm\n- relu\n- channel_shuffle: 4\n", None, ""),
    "two over a sum": (
        DENSE + grouped(4) + "- add: [[], [relu]]\n- relu\n" + grouped(4),
        None,
        "",
    ),
    "two of the input's signals": (grouped(4, 4), None, ""),
    "two of the input's signals, each by itself first": (DEPTHWISE + grouped(4, 4), None, ""),
    "two and two": (DENSE + grouped(3, 3) + DENSE + grouped(4), "conv3", ""),
    "three": (DENSE + grouped(4, 4, 4), None, ""),
    "three, of other groups first": (DENSE + grouped(3, 4, 4), None, ""),
}


@pytest.mark.parametrize(("layers", "layer", "part"), PAIRED.values(), ids=PAIRED)
def test_two_grouped_convolutions_one_behind_the_other(layers: str, layer: str | None, part: str) -> None:
    found = [d for d in hits(net(layers, head=head(12, 12, 12)), "R408") if "before it" in d.message]
    assert [(d.layer, d.severity) for d in found] == ([(layer, "warning")] if layer else [])
    assert all(part in d.message for d in found), found


def test_where_a_row_begins_and_how_it_ends() -> None:
    (found,) = hits(net(DENSE + grouped(4, 6, 2), head=head(12, 12, 12)), "R408")
    assert [r.message for r in found.related] == ["the row begins with 'conv2'"]
    assert found.related[0].start
    assert found.help.startswith("put `- channel_shuffle: 2` before it")
    assert found.fix
    assert not found.fix.safe


@st.composite
def mixing(draw: st.DrawFn, channels: int) -> tuple[list[Any], Callable[[Tensor], Tensor], bool]:
    """A layer over so many channels: its items, itself in torch, and whether it is a grouped convolution."""
    kind = draw(st.sampled_from(("grouped", "grouped", "grouped", "shuffle", "depthwise", "split", "residual")))
    groups = draw(st.sampled_from((2, 3, 4, 6)))
    weight = torch.rand(channels, channels // groups, 1, dtype=torch.float64) + 1
    conv = {"conv": {"out_channels": channels, "kernel_size": 1, "groups": groups}}
    if kind == "grouped":
        return [conv], lambda x: F.conv1d(x, weight, groups=groups), True
    if kind == "residual":
        return [{"add": {"a": [conv], "b": []}}], lambda x: x + F.conv1d(x, weight, groups=groups), True
    if kind == "shuffle":
        return [{"channel_shuffle": groups}], nn.ChannelShuffle(groups), False
    if kind == "depthwise":
        return [{"depthwise_conv": 1}], lambda x: 2 * x, False
    order = draw(st.permutations(range(groups)))
    items = [{"split": groups, "name": "part"}, {"concat": None, "from": [f"part.{i}" for i in order]}]
    return [{"layers": items}], lambda x: torch.cat([x.chunk(groups, 1)[i] for i in order], 1), False


def sets(depends: Tensor) -> int:
    """How many sets of outputs (rows) depend on inputs (columns) that no other set depends on."""
    joined = (depends.double() @ depends.double().T) > 0
    for _ in range(len(joined)):
        joined = (joined.double() @ joined.double()) > 0
    return len({tuple(row) for row in joined.tolist()})


@given(st.lists(mixing(12), min_size=3, max_size=7))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_groups_are_apart_where_no_gradient_passes(layers: list[tuple[list[Any], Any, bool]]) -> None:
    items: list[Any] = [{"conv": {"out_channels": 12, "kernel_size": 1}}]
    items += [item for several, _, _ in layers for item in several]
    found = hits({"cnnplan": 1, "name": "net", "input": [3, 4], "layers": items}, "R408")
    start, row, expected = 0, 0, []

    def depends(first: int, last: int) -> Tensor:
        x = torch.eye(12, dtype=torch.float64).unsqueeze(2)  # it is linear: what each channel alone leads to
        for _, layer, _ in layers[first:last]:
            x = layer(x)
        return x.squeeze(2).T != 0

    for index, (_, _, is_grouped) in enumerate(layers):
        if not is_grouped:
            continue
        if sets(depends(start, index + 1)) == 1:
            start, row = index, 0
        row += 1
        if row == 3:
            expected.append(sets(depends(start, index + 1)))
    rows = [d.message.partition(": ")[2].split()[0] for d in found if "in a row" in d.message]
    assert sorted(map(int, rows)) == sorted(expected)
