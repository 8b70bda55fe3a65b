"""Pools of regions, against loops over their definitions; norms, noise and padding of whole regions, against theirs."""

from __future__ import annotations

import math
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.analyses.region import Look
from cnnplan.errors import ShapeError
from cnnplan.layers.gaussian_noise import GaussianNoise
from cnnplan.layers.global_response_norm import GlobalResponseNorm
from cnnplan.layers.l2_norm import L2Norm
from cnnplan.layers.mean_pad import MeanPad
from cnnplan.layers.roi_align import RoiAlign, RoiAlignFunction
from cnnplan.layers.roi_pool import RoiPool, RoiPoolFunction
from cnnplan.ops.base import Op, Shape
from cnnplan.ops.gaussian_noise import GaussianNoise as GaussianNoiseOp
from cnnplan.ops.grn import Grn
from cnnplan.ops.l2norm import L2Norm as L2NormOp
from cnnplan.ops.pad import Pad
from cnnplan.ops.roi_align import RoiAlign as RoiAlignOp
from cnnplan.ops.roi_pool import RoiPool as RoiPoolOp
from cnnplan.runtime.memory import saved_bytes
from cnnplan.testing import agrees_with_torch
from tests.language.helpers import net, plan
from tests.ops.strategies import maps, paddings, per_axis, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POOLS = [RoiPool, RoiAlign]


@pytest.fixture(autouse=True, scope="module")
def _without_torchvision() -> Iterator[None]:
    """What is tested here is the same on machines that have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchvision.ops", None)
        yield


# ------------------------------------------------------------------------- shapes, memory, what is read

sizes = per_axis(2, st.integers(1, 5))
scales = st.sampled_from([1.0, 0.25, 1.5])
boxes_of = st.builds(lambda n: Shape((n, 4)), st.integers(1, 5))
region_pools = st.one_of(
    st.builds(RoiPoolOp, output_size=sizes, spatial_scale=scales),
    st.builds(
        RoiAlignOp,
        output_size=sizes,
        spatial_scale=scales,
        sampling_ratio=st.integers(1, 3),
        aligned=st.booleans(),
    ),
)


@given(region_pools, maps(2), boxes_of)
def test_region_pools(op: Op, x: Shape, boxes: Shape) -> None:
    assert agrees_with_torch(op, x, boxes)


@given(region_pools, samples, samples)
def test_region_pools_of_anything(op: Op, x: Shape, boxes: Shape) -> None:
    fits = x.rank == 2 and boxes.rank == 1 and boxes[-1] == 4
    assert agrees_with_torch(op, x, boxes) == fits


@given(st.builds(Grn, eps=st.floats(1e-6, 1)), maps())
def test_grn(op: Op, x: Shape) -> None:
    assert agrees_with_torch(op, x)


@given(samples, st.integers(-4, 3), st.one_of(st.none(), st.sampled_from([1, 20.5])), st.floats(1e-12, 1))
def test_l2norm(x: Shape, axis: int, scale: float | None, eps: float) -> None:
    assert agrees_with_torch(L2NormOp(axis=axis, scale=scale, eps=eps), x) == (-len(x) <= axis < len(x))


@given(st.sampled_from([0, 0.5, 2]), samples)
def test_gaussian_noise(std: float, x: Shape) -> None:
    assert agrees_with_torch(GaussianNoiseOp(std=std), x)


@given(maps(), st.data())
def test_padding_with_the_mean(x: Shape, data: st.DataObject) -> None:
    padding = data.draw(paddings(x.rank).filter(lambda p: not isinstance(p, str)))
    assert agrees_with_torch(Pad(padding=padding, mode="mean"), x)


@pytest.mark.parametrize(
    ("op", "xs", "message"),
    [
        (
            RoiPoolOp(output_size=2),
            ((3, 8), (4, 4)),
            "takes a map with 2 spatial axes and boxes Rx4; its inputs are 3x8",
        ),
        (RoiPoolOp(output_size=2), ((4, 4), (3, 8, 8)), r"`from: \[features, boxes\]`"),
        (RoiAlignOp(output_size=2), ((3, 8, 8), (4, 5)), "'roi_align' .* 3x8x8 and 4x5"),
        (RoiAlignOp(output_size=2), ((3, 8, 8), (4,)), "columns of the boxes are x1, y1, x2, y2"),
        (RoiAlignOp(output_size=(2, 2, 2)), ((3, 8, 8), (4, 4)), "output_size for 3 axes, but its input 3x8x8 has 2"),
        (RoiAlignOp(output_size=2**31), ((3, 8, 8), (4, 4)), r"2\^63 elements or more"),
        (Grn(), ((3,),), "slides over a map, but its input is a vector"),
        (L2NormOp(axis=2), ((3, 8),), "axis 2"),
        (Pad(padding=1, mode="mean", value=1.0), ((3, 8),), "value has no meaning for mode 'mean'"),
        (Pad(padding=[1, 1], mode="mean"), ((3, 8),), "padding for 2 axes"),
    ],
)
def test_what_is_refused(op: Op, xs: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ShapeError) as error:
        op.output(*map(Shape, xs))
    said = f"{error.value.message}; {error.value.help}"
    assert re.search(message, said), said


def test_what_the_language_refuses() -> None:
    def said(layer: str, inputs: str = "{x: [3, 8, 8], boxes: [4, 4]}") -> str:
        with pytest.raises(cnnplan.SpecError) as error:
            plan(net(layer, head=f"cnnplan: 1\nname: net\ninputs: {inputs}\n"))
        return str(error.value)

    assert "takes 2 values" in said("- roi_pool: 2\n  from: x")
    assert "an integer ≥ 1 is wanted" in said("- roi_align: {output_size: 2, sampling_ratio: -1}\n  from: [x, boxes]")
    assert "a number above 0 is wanted" in said("- roi_pool: {output_size: 2, spatial_scale: 0}\n  from: [x, boxes]")
    assert "a number ≥ 0 is wanted" in said("- gaussian_noise: -0.1\n  from: x")
    assert "float32" in said("- roi_pool: 2\n  from: [x, b]", "{x: [3, 8, 8], b: {shape: [4, 4], dtype: int64}}")


# ------------------------------------------------------------------------- pools of regions, by their definitions


def pooled(
    x: list[list[float]], box: list[float], size: tuple[int, int], scale: float
) -> Iterator[tuple[int, int] | None]:
    """The position of the largest value of each bin (Girshick 2015), the first of several; None in an empty one."""
    height, width = len(x), len(x[0])
    x1, y1, x2, y2 = (math.copysign(math.floor(abs(v * scale) + 0.5), v * scale) for v in box)
    for row in range(size[0]):
        for column in range(size[1]):
            ends = []
            for start, end, number, bins, most in ((y1, y2, row, size[0], height), (x1, x2, column, size[1], width)):
                step = max(end - start + 1, 1) / bins
                first = math.floor(number * step) + int(start)
                last = math.ceil((number + 1) * step) + int(start)
                ends.append(range(max(first, 0), min(last, most)))
            inside = [(i, j) for i in ends[0] for j in ends[1]]
            yield max(inside, key=lambda at: x[at[0]][at[1]]) if inside else None


def aligned(
    shape: tuple[int, int], box: list[float], size: tuple[int, int], scale: float, ratio: int, half: bool
) -> Iterator[list[tuple[int, int, float]]]:
    """The positions that each bin averages, with their weights (He et al. 2017, and torchvision at the border)."""
    x1, y1, x2, y2 = (v * scale - 0.5 * half for v in box)
    steps = [(end - start if half else max(end - start, 1)) for start, end in ((y1, y2), (x1, x2))]
    for row in range(size[0]):
        for column in range(size[1]):
            found = []
            for i in range(ratio):
                for j in range(ratio):
                    y = y1 + (row + (i + 0.5) / ratio) * steps[0] / size[0]
                    x = x1 + (column + (j + 0.5) / ratio) * steps[1] / size[1]
                    if not (-1 <= y <= shape[0] and -1 <= x <= shape[1]):
                        continue
                    for a, p in between(y, shape[0]):
                        found += [(a, b, p * q / ratio**2) for b, q in between(x, shape[1])]
            yield found


def between(at: float, n: int) -> list[tuple[int, float]]:
    """The units that a place lies between, with their weights; one at the border."""
    at = min(max(at, 0), n - 1)
    low = int(at)
    return [(low, 1 - (at - low)), (low + 1, at - low)] if low < n - 1 else [(low, 1.0)]


def expected(layer: nn.Module, x: Tensor, boxes: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """What a layer gives, and the gradient of its map from that of its output."""
    n, c, h, w = x.shape
    size, *rest = layer.arguments  # type: ignore[misc]
    y = x.new_zeros(n, c, boxes.shape[1], *size)
    read: dict[tuple[int, ...], list[tuple[int, int, float]]] = {}
    for sample in range(n):
        for number, box in enumerate(boxes[sample].tolist()):
            for channel in range(c):
                values = x[sample, channel].tolist()
                if isinstance(layer, RoiPool):
                    found = [[(*at, 1.0)] if at else [] for at in pooled(values, box, size, *rest)]  # type: ignore[arg-type]
                else:
                    found = list(aligned((h, w), box, size, *rest))  # type: ignore[arg-type]
                for bin, several in enumerate(found):
                    place = (sample, channel, number, *divmod(bin, size[1]))
                    read[place] = several
                    y[place] = sum(weight * values[i][j] for i, j, weight in several)

    def gradient(grad: Tensor) -> Tensor:
        result = torch.zeros_like(x)
        for place, several in read.items():
            for i, j, weight in several:
                result[place[0], place[1], i, j] += weight * grad[place]
        return result

    return y, gradient


SETTINGS = {
    RoiPool: [((3, 2), 1.0), ((1, 1), 0.3), ((5, 9), 2.0)],
    RoiAlign: [((3, 2), 1.0, 2, False), ((1, 1), 0.3, 3, False), ((4, 5), 1.5, 1, True), ((2, 2), 0.5, 2, True)],
}
CASES = [(kind, arguments) for kind in POOLS for arguments in SETTINGS[kind]]
coordinates = st.one_of(st.integers(-8, 16), st.integers(-16, 32).map(lambda v: v / 2), st.floats(-40, 40, width=32))
box_lists = st.lists(st.lists(coordinates, min_size=4, max_size=4), min_size=2, max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CASES), box_lists, st.sampled_from([(1, 1), (1, 7), (6, 4), (9, 8)]), st.integers(0, 9))
def test_regions_are_pooled_as_defined(
    case: tuple[type[nn.Module], tuple[Any, ...]], corners: list[list[float]], shape: tuple[int, int], seed: int
) -> None:
    """Values and gradients; of values that are alike, the first has the gradient."""
    kind, arguments = case
    layer = kind(*arguments)
    boxes = torch.tensor(corners, dtype=torch.float64).view(2, 1, 4)
    x = torch.randn(2, 2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = (x.relu() if seed % 2 else x).requires_grad_()
    y = layer(x, boxes)
    wanted, gradient = expected(layer, x.detach(), boxes)
    torch.testing.assert_close(y, wanted, rtol=1e-9, atol=1e-12)
    grad = torch.randn_like(y)
    y.backward(grad)
    torch.testing.assert_close(x.grad, gradient(grad), rtol=1e-9, atol=1e-12)


EDGES = [
    [0.5, 1.5, 2.5, 3.5],  # halves are rounded away from zero, as C does
    [-0.5, -1.5, 2.5, 0.5],
    [-1.5, -1.5, -0.5, -0.5],  # the sample is at -1, the last place that counts
    [5.5, 3.5, 6.5, 4.5],  # at the sizes of the map, 4x6, likewise
    [-1.6, 0, -0.6, 1],
    [5.6, 0, 6.6, 1],
    [3, 2, 1, 1],  # the wrong way round
    [0, 0, 5, 3],
    [-100, -100, 100, 100],
]


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_edges(kind: type[nn.Module], size: tuple[int, int]) -> None:
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    boxes = torch.tensor([EDGES], dtype=torch.float64)
    for layer in (kind(size), *([RoiAlign(size, 1.0, 1), RoiAlign(size, 1.0, 1, True)] if kind is RoiAlign else [])):
        torch.testing.assert_close(layer(x, boxes), expected(layer, x, boxes)[0])
    assert RoiAlign(1, 1.0, 1)(x, boxes)[0, 0, 2:6, 0, 0].ne(0).tolist() == [True, True, False, False]


@pytest.mark.parametrize("kind", POOLS)
def test_several_boxes_of_several_samples(kind: type[nn.Module]) -> None:
    """Each of its own sample; the boxes of a sample lie one behind the other in memory, as torchvision's do."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 4, 11, 9, dtype=torch.float64, generator=generator)
    boxes = torch.rand(3, 5, 4, dtype=torch.float64, generator=generator) * 14 - 2
    layer = kind((3, 2), 0.8)
    y = layer(x, boxes)
    torch.testing.assert_close(y, expected(layer, x, boxes)[0])
    assert y.transpose(1, 2).is_contiguous()
    turned = x.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    torch.testing.assert_close(layer(turned, boxes), y)


@pytest.mark.parametrize("kind", POOLS)
def test_gradients(kind: type[nn.Module]) -> None:
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = (torch.rand(2, 3, 4, dtype=torch.float64) * 8 - 2).requires_grad_()
    layer = kind((2, 3), 0.9)
    assert torch.autograd.gradcheck(lambda x: layer(x, boxes), x)
    layer(x, boxes).sum().backward()
    assert boxes.grad is None
    assert not layer(x.detach(), boxes).requires_grad


def test_limits() -> None:
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    whole = torch.tensor([[[0, 0, 5, 7.0]]] * 2, dtype=torch.float64)
    for size in ((1, 1), (2, 3), (3, 4), (8, 6), (9, 11)):  # a box as large as the map: adaptive max pooling
        torch.testing.assert_close(RoiPool(size)(x, whole)[:, :, 0], F.adaptive_max_pool2d(x, size))
    box = torch.tensor([[[1, 2, 5, 7.0]]] * 2, dtype=torch.float64)
    for ratio in (1, 2):  # a bin a unit: the samples of a bin are the unit itself, or lie evenly around it
        y = RoiAlign((5, 4), 1.0, ratio, aligned=True)(torch.ones_like(x).cumsum(2), box)[:, :, 0]
        torch.testing.assert_close(y, torch.ones_like(x).cumsum(2)[:, :, 2:7, 1:5])
    torch.testing.assert_close(RoiAlign((5, 4), 1.0, 1, aligned=True)(x, box)[:, :, 0], x[:, :, 2:7, 1:5])
    ramp = torch.arange(8.0, dtype=torch.float64).view(1, 1, 8, 1).expand(2, 3, 8, 6)
    y = RoiAlign(1, 1.0, 7)(ramp, box)[..., 0, 0]  # the mean of a ramp is its middle
    torch.testing.assert_close(y, torch.full_like(y, (2 + 7) / 2))
    for layer in (RoiPool(3, 0.25), RoiAlign(3, 0.25)):
        torch.testing.assert_close(layer(x, 4 * box), type(layer)(3)(x, box))  # type: ignore[call-arg]
    far = torch.tensor([[[50, 50, 60, 60.0]]] * 2, dtype=torch.float64)
    assert not RoiPool(3)(x, far).any()
    assert not RoiAlign(3)(x, far).any()


@pytest.mark.parametrize("kind", POOLS)
def test_boxes_that_are_no_numbers(kind: type[nn.Module]) -> None:
    """They are somewhere outside; nothing else is read."""
    boxes = torch.tensor([[[math.nan] * 4, [0, 0, math.inf, 3], [-math.inf, -math.inf, math.inf, math.inf]]])
    assert kind(2)(torch.randn(1, 3, 6, 6), boxes).isfinite().all()
    assert not kind(2)(torch.randn(1, 3, 6, 6), boxes[:, :1]).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", POOLS)
def test_narrow_maps(kind: type[nn.Module], dtype: torch.dtype) -> None:
    """Boxes are not rounded to the map's dtype, in which 517.3 would be 516 or 520."""
    x = torch.randn(1, 2, 4, 700, dtype=dtype)
    boxes = torch.tensor([[[517.3, 0, 519.2, 3]]])
    y = kind(2)(x, boxes)
    assert y.dtype == dtype
    assert torch.equal(y, kind(2)(x.float(), boxes).to(dtype))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile's own
@pytest.mark.parametrize("kind", POOLS)
def test_compiled_and_exported(kind: type[nn.Module]) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.pool = kind((3, 2), 0.7)

        def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
            y: Tensor = self.pool(self.conv(x), boxes)
            return y

    model, x, boxes = Model(), torch.randn(2, 3, 9, 7), torch.rand(2, 5, 4) * 12 - 3
    wanted = model(x, boxes)
    (gradient,) = torch.autograd.grad(wanted.square().sum(), model.conv.weight)
    found = torch.compile(model, fullgraph=True, backend="aot_eager")(x, boxes)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), model.conv.weight)[0], gradient)
    batch = torch.export.Dim("batch", max=64)
    exported = torch.export.export(model, (x, boxes), dynamic_shapes={"x": {0: batch}, "boxes": {0: batch}})
    other = torch.randn(3, 3, 9, 7), torch.rand(3, 5, 4) * 12
    torch.testing.assert_close(exported.module()(*other), model(*other))


# ------------------------------------------------------------------------- torchvision, where it is installed


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls of a torchvision that runs ours."""
    found: list[tuple[Any, ...]] = []

    def stand_in(own: Any) -> Callable[..., Tensor]:
        def run(*arguments: Any) -> Tensor:
            found.append(arguments)
            y: Tensor = own.apply(*arguments)
            return y

        return run

    ops = ModuleType("torchvision.ops")
    vars(ops).update(roi_pool=stand_in(RoiPoolFunction), roi_align=stand_in(RoiAlignFunction))
    package = ModuleType("torchvision")
    vars(package)["ops"] = ops
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.ops", ops)
    return found


@pytest.mark.parametrize(
    ("layer", "rest"),
    [
        (lambda: RoiPool(3, 0.5), ((3, 3), 0.5)),
        (lambda: RoiAlign((2, 3), 0.5, 4, aligned=True), ((2, 3), 0.5, 4, True)),
    ],
)
def test_torchvision_is_called(
    layer: Callable[[], nn.Module], rest: tuple[Any, ...], calls: list[tuple[Any, ...]]
) -> None:
    """Positionally: input, boxes, output_size, spatial_scale, and for RoIAlign sampling_ratio and aligned."""
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "torchvision.ops", None)
        own = layer()
    x = torch.randn(3, 4, 8, 8, dtype=torch.bfloat16).requires_grad_()
    boxes = (torch.rand(3, 5, 4) * 14).requires_grad_()
    y = layer()(x, boxes)
    ((given, rois, *arguments),) = calls
    assert tuple(arguments) == rest
    assert given.dtype == rois.dtype == torch.float32
    assert torch.equal(given, x.float())
    assert rois.shape == (15, 5)
    assert rois[:, 0].tolist() == [sample for sample in range(3) for _ in range(5)]
    assert torch.equal(rois[:, 1:].view(3, 5, 4), boxes)
    assert not rois.requires_grad
    assert y.shape == (3, 4, 5, *rest[0])
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, own(x, boxes))
    assert len(calls) == 1


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
def test_a_broken_torchvision(
    kind: type[nn.Module], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was built for another torch cannot be imported: "operator torchvision::nms does not exist"."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise {error}('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("torchvision", "torchvision.ops"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    x, boxes = torch.randn(1, 2, 6, 6), torch.rand(1, 3, 4) * 6
    y = kind(2)(x, boxes)
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    assert torch.equal(y, kind(2)(x, boxes))


def test_the_built_model_calls_it(calls: list[tuple[Any, ...]]) -> None:
    text = net(
        "- roi_pool: 2\n  from: [x, boxes]\n- roi_align: 3\n  from: [x, boxes]",
        head="cnnplan: 1\nname: net\ninputs: {x: [3, 8, 8], boxes: [4, 4]}\n",
    )
    cnnplan.build(text)(torch.randn(2, 3, 8, 8), torch.rand(2, 4, 4) * 8)
    assert [len(call) for call in calls] == [4, 6]


# ------------------------------------------------------------------------- in networks

FEATURES = "- conv: {out_channels: 8, kernel_size: 3, padding: 1}\n  from: x\n- relu:\n  name: features\n"
REGIONS = {
    "a vector": "- flatten\n- linear: 5",
    "a convolution of volumes": "- conv: {out_channels: 4, kernel_size: 1}\n- tanh",
    "a norm": "- groupnorm: 2\n- tanh",
    "an activation": "- silu\n- gelu",
    "a norm beside an activation": "- add:\n    a: [silu]\n    b: [{groupnorm: 2}]\n- tanh",
    "a vector beside an activation": "- concat:\n    a: [silu, flatten]\n    b: [flatten, {linear: 5}]",
    "regions beside an activation": (
        "- layers: [silu, flatten]\n  name: a\n- layers: [flatten, {linear: 5}]\n  each: 1\n  from: pooled\n"
        "- flatten\n- concat:\n  from: [a, previous]"
    ),
    "region by region": (
        "- layers: [{conv: {out_channels: 4, kernel_size: 3, padding: 1}}, relu, flatten, {linear: 5}]\n  each: 1"
    ),
}


@pytest.mark.parametrize("pool", ["roi_pool", "roi_align"])
@pytest.mark.parametrize("behind", REGIONS)
def test_what_is_kept(behind: str, pool: str) -> None:
    """The second axis is the outermost in memory: what needs rows copies, and the regions one by one do not."""
    text = net(
        f"{FEATURES}- {pool}: [3, 2]\n  from: [features, boxes]\n  name: pooled\n{REGIONS[behind]}",
        head="cnnplan: 1\nname: net\ninputs: {x: [3, 10, 10], boxes: [6, 4]}\n",
    )
    for batch in (1, 3):
        found = plan(text, batch=batch, target="cpu")
        model, inputs = cnnplan.build(found).train(), [torch.randn(batch, *v.shape) for v in found.graph.inputs]
        assert found.training.saved_activations == saved_bytes(model, inputs)
        pure = plan(text, batch=batch, dtype="bfloat16", mixed=False, target="cpu")
        narrow = cnnplan.build(pure).to(torch.bfloat16).train()
        assert pure.training.saved_activations == saved_bytes(narrow, [x.bfloat16() for x in inputs])


def test_no_gradient_passes_to_boxes() -> None:
    """A map that needs none, and boxes from a layer: nothing behind needs a gradient, and nothing is kept."""
    text = net(
        "- linear: 20\n  from: v\n- tanh\n- reshape: [5, 4]\n  name: boxes\n- roi_align: 2\n  from: [x, boxes]\n- silu",
        head="cnnplan: 1\nname: net\ninputs: {x: [3, 8, 8], v: [6]}\n",
    )
    found = plan(text, batch=2, target="cpu")
    model, inputs = cnnplan.build(found).train(), [torch.randn(2, *v.shape) for v in found.graph.inputs]
    assert not model(*inputs).requires_grad
    assert found.training.saved_activations == saved_bytes(model, inputs) == 4 * 2 * 20  # of the hyperbolic tangent


BLOCKS = """
blocks:
  head:
    inputs: [features, boxes]
    params: {size: 3, ratio: 2}
    layers:
      - roi_align: {output_size: =size, spatial_scale: 0.5, sampling_ratio: =ratio}
        from: [features, boxes]
      - layers: [flatten, {linear: 6}, gaussian_noise: 0.1]
        each: 1
  unit:
    params: {width: int, margin: 1}
    layers:
      - pad: {padding: =margin, mode: mean}
      - conv: {out_channels: =width, kernel_size: 3}
      - grn
      - relu
      - l2norm: {scale: =width}
"""
NETWORK = """
- unit: 4
  from: x
- unit: {width: 4, margin: [2, 0]}
  repeat: 2
- grn:
  name: g
- share: g
  name: features
- head:
  from: [features, boxes]
  name: a
- head: {size: [2, 4], ratio: 1}
  from: [features, boxes]
  name: b
- share: a
  from: [features, others]
  name: c
- roi_pool: 1
  from: [features, boxes]
  name: d
- reshape: [4, 5]
- concat:
  from: [a, b, c, previous]
"""


@pytest.mark.parametrize("size", ["12, 10", "7, 16"])
def test_in_blocks(size: str) -> None:
    """Used with different numbers, repeated and shared, at two sizes: the built model agrees with its plan."""
    head = f"cnnplan: 1\nname: net\ninputs: {{x: [3, {size}], boxes: [5, 4], others: [5, 4]}}\n"
    text = net(NETWORK, head=head, more=BLOCKS)
    found = cnnplan.verify(text, probes=1)
    wrong = {c.what: c.verdict for c in found.checks if c.verdict == "differs"}
    assert not wrong
    assert next(c for c in found.checks if c.what == "peak").oracle.endswith("torchvision is not installed")


# ------------------------------------------------------------------------- norms, noise, padding


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_grn_is_as_defined(x: Tensor) -> None:
    norm = GlobalResponseNorm((4, 1, 1), eps=0.01).double()
    torch.testing.assert_close(norm(x), x)  # weight and bias start at 0
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    y = norm(x)
    for sample in range(3):
        norms = [math.sqrt(sum(v * v for v in x[sample, c].flatten().tolist())) for c in range(4)]
        for c in range(4):
            response = norms[c] / (sum(norms) / 4 + 0.01)
            wanted = norm.weight[c] * x[sample, c] * response + norm.bias[c] + x[sample, c]
            torch.testing.assert_close(y[sample, c], wanted)
    zeros = torch.zeros_like(x, requires_grad=True)
    norm(zeros).sum().backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_l2norm_is_as_defined(x: Tensor, dim: int) -> None:
    torch.testing.assert_close(L2Norm(dim)(x).square().sum(dim), torch.ones_like(x.sum(dim)))
    torch.testing.assert_close(L2Norm(dim)(x), x / x.square().sum(dim, keepdim=True).sqrt())
    scaled = L2Norm(dim, scale=20, shape=(4, 1, 1)).double()
    torch.testing.assert_close(scaled(x), 20 * L2Norm(dim)(x))
    assert scaled.weight is not None
    assert scaled.weight.dtype == torch.float64
    small = torch.zeros(1, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    L2Norm(dim, eps=0.5)(small + 1e-3).sum().backward()
    torch.testing.assert_close(small.grad, torch.full_like(small, 2.0))  # below eps it only divides by it
    assert not L2Norm(dim)(torch.zeros(1, 4, 2, 2)).any()


def test_noise(x: Tensor) -> None:
    torch.manual_seed(0)
    noise = GaussianNoise(0.3)
    wide = torch.zeros(100_000, dtype=torch.float64, requires_grad=True)
    y = noise(wide)
    assert abs(y.mean().item()) < 4 * 0.3 / math.sqrt(100_000)
    assert abs(y.std().item() - 0.3) < 0.005
    assert abs(((y / 0.3) ** 4).mean().item() - 3) < 0.1  # the fourth moment of a normal distribution
    y.sum().backward()
    assert torch.equal(wide.grad, torch.ones_like(wide))  # type: ignore[arg-type]
    assert not torch.equal(noise(x), noise(x))
    assert noise.eval()(x) is x
    assert GaussianNoise(0)(x) is x


@pytest.mark.parametrize("padding", [(1, 2, 0, 3), (0, 0, 0, 0), (0, 0, 2, 0)])
def test_a_region_is_filled_up_with_its_mean(x: Tensor, padding: tuple[int, ...]) -> None:
    y = MeanPad(padding)(x)
    for sample in range(3):
        for c in range(4):
            mean = x[sample, c].sum().item() / 30
            torch.testing.assert_close(y[sample, c], F.pad(x[sample, c], padding, value=mean))
    assert y.is_contiguous()
    inside = y[:, :, padding[2] : padding[2] + 5, padding[0] : padding[0] + 6]
    assert torch.equal(inside, x)
    assert torch.autograd.gradcheck(MeanPad(padding), x.requires_grad_())


def test_what_padding_with_the_mean_sees() -> None:
    """A unit of the map sees its own; one that was added sees the whole map, and what reads it does."""
    found = plan(
        net(
            "- pad: {padding: [[2, 1], [0, 1]], mode: mean}\n- conv: {out_channels: 2, kernel_size: [2, 1]}",
            head="cnnplan: 1\nname: net\ninput: [1, 4, 3]\n",
        )
    )
    model = cnnplan.build(found).double().eval()
    padded, output = (node.output for node in found.graph.nodes)
    look = Look(found.graph)
    for value, run in ((padded, model[0]), (output, model)):  # type: ignore[index]
        for row in range(value.shape[1]):
            for column in range(value.shape[2]):
                (region,) = look.seen(value, (row, column))
                assert region.exact
                for i in range(4):
                    for j in range(3):
                        x = torch.ones(1, 1, 4, 3, dtype=torch.float64)
                        x[0, 0, i, j] = math.nan
                        reached = run(x)[0, :, row, column].isnan().any().item()
                        assert region.sees((1 << i, 1 << j)) == reached, (row, column, i, j)
    assert (look.seen(padded, (2, 0))[0].positions, look.seen(padded, (1, 0))[0].positions) == (1, 12)
    field = found.layers[-1].receptive_field
    assert field is not None
    assert (field.size, field.is_global) == ((2, 1), True)


@pytest.mark.parametrize(
    "module",
    [GlobalResponseNorm((4, 1, 1)), L2Norm(2, scale=2, shape=(4, 1, 1)), GaussianNoise(0.0), MeanPad((1, 0, 2, 0))],
    ids=lambda module: type(module).__name__,
)
def test_the_others_compiled_and_exported(module: nn.Module) -> None:
    x = torch.randn(2, 4, 5, 6)
    wanted = module(x)
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="aot_eager")(x), wanted)
    torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), wanted)
