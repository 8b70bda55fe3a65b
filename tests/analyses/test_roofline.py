"""The roofline by hand: work, bytes and bounds of single layers on a device of round numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cnnplan.analyses.precision import Precision
from cnnplan.analyses.roofline import Pass, Roof, roofline, step, total
from cnnplan.devices import Device, devices
from cnnplan.fitting import times
from tests.language.helpers import net, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.planning import Plan

FLOAT32 = Precision("float32", False, "cuda")
MIXED = Precision("bfloat16", True, "cuda")
SLOW = Device(
    key="slow",
    name="a device of round numbers",
    memory=1 << 30,
    bandwidth=1_000,
    float32=10_000,
    tf32=40_000,
    float16=80_000,
    bfloat16=80_000,
    l2=0,
    compute_capability=(8, 0),
    sources=(),
)
CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"


def roofs(
    layers: str, batch: int = 1, precision: Precision = FLOAT32, device: Device | None = SLOW, size: str = "[3, 8, 8]"
) -> list[Roof]:
    """Of each layer, in their order."""
    graph = plan(net(layers, head=f"cnnplan: 1\nname: net\ninput: {size}\n")).graph
    return list(roofline(graph, precision, batch, device).values())


def work(one: Pass) -> tuple[int, int]:
    """Its operations, and its bytes."""
    return one.flops, one.bytes


# ------------------------------------------------------------------------- work and bytes


def test_a_convolution() -> None:
    """3 x 8 x 8 to 4 x 8 x 8 by 3 x 3: 4 · 64 outputs, each of 27 products and a bias; two samples."""
    macs, weights = 4 * 64 * 27, 4 * 27 + 4
    (roof,) = roofs(f"- {CONV}", batch=2)
    assert work(roof.forward) == (2 * (2 * macs + 4 * 64), 4 * (2 * 3 * 64 + 2 * 4 * 64 + weights))
    assert roof.format == "tf32"


def test_a_dense_layer() -> None:
    """6 to 5: a product and a bias for each output; its products are float32, by torch's default."""
    (roof,) = roofs("- linear: 5", batch=3, size="[6]")
    assert work(roof.forward) == (3 * (2 * 30 + 5), 4 * (3 * 6 + 3 * 5 + 35))
    assert roof.format == "float32"


def test_an_activation() -> None:
    """ReLU: one operation an element, each read and written once; no products."""
    (roof,) = roofs("- relu", batch=2)
    assert work(roof.forward) == (2 * 192, 2 * 4 * 2 * 192)
    assert roof.format == ""
    assert work(roof.backward) == (0, 0)


def test_views_move_nothing() -> None:
    _, roof, _ = roofs(f"- {CONV}\n- flatten\n- linear: 2")
    assert work(roof.forward) == work(roof.backward) == (0, 0)
    assert (roof.forward.seconds, roof.forward.bound, roof.forward.intensity) == (0, "", None)


def test_intensity() -> None:
    (roof,) = roofs("- linear: 5", size="[6]")
    assert roof.forward.intensity == 65 / (4 * (6 + 5 + 35))


# ------------------------------------------------------------------------- backward

PASSES = f"- {CONV}\n- {CONV}\n- relu\n- {CONV}"
X, Y, FIRST, OTHER = 3 * 64, 4 * 64, 4 * 27 + 4, 4 * 36 + 4
"""Elements of the input, of every other map, and of the weights of the first and of any other convolution."""


def test_a_convolution_backward() -> None:
    """Products for the data and for the weights: twice the work. It reads the gradient, its input and weights."""
    roof = roofs(PASSES)[3]
    assert roof.backward.flops == 2 * roof.forward.flops
    assert roof.backward.bytes == 4 * (Y + Y + OTHER + Y + OTHER)


def test_an_activation_backward() -> None:
    """ReLU reads the gradient and its output, and writes the gradient of its input."""
    assert work(roofs(PASSES)[2].backward) == (Y, 4 * 3 * Y)


def test_the_first_layer_has_no_gradient_of_its_input() -> None:
    """It reads the gradient and its input, and writes the gradient of the weights."""
    roof = roofs(PASSES)[0]
    assert roof.backward.flops == roof.forward.flops
    assert roof.backward.bytes == 4 * (Y + X + FIRST)


def test_a_frozen_layer_has_no_gradient_of_its_weights() -> None:
    """It reads the gradient and the weights, and writes the gradient of its input."""
    roof = roofs(f"- {CONV}\n- {CONV}\n  trainable: false\n- relu")[1]
    assert roof.backward.flops == roof.forward.flops
    assert roof.backward.bytes == 4 * (Y + OTHER + Y)


def test_the_passes_of_frozen_and_first_layers() -> None:
    """One product less each; and nothing at all where no gradient passes."""
    frozen, first, again = roofs(f"- {CONV}\n  trainable: false\n- {CONV}\n- {CONV}\n  trainable: false")
    assert frozen.backward == Pass(0, 0, 0.0, "")
    assert first.backward.flops == first.forward.flops
    assert again.backward.flops == again.forward.flops


def test_a_sum() -> None:
    """Three values of one size: it reads three and writes one."""
    *_, roof = roofs(f"- {CONV}\n- add:\n    a: [{{{CONV}}}]\n    b: [{{{CONV}}}]\n    c: []")
    assert work(roof.forward) == (2 * Y, 4 * 4 * Y)


def test_a_sum_passes_its_gradient_on() -> None:
    *_, roof = roofs(f"- {CONV}\n- add:\n    a: [{{{CONV}}}]\n    b: []")
    assert roof.backward.bytes == 0


# ------------------------------------------------------------------------- inference

DROPS = ("dropout", "dropout2d", "alpha_dropout", "stochastic_depth: 0.5")


@pytest.mark.parametrize("layer", DROPS)
def test_what_does_nothing_in_evaluation(layer: str) -> None:
    """In training it reads and writes every element; an inference passes by."""
    found = plan(net(f"- {CONV}\n- {layer}\n- {CONV}"), batch=2)
    training, inference = list(found.roofline.values())[1], list(found.inference_roofline.values())[1]
    assert training.forward.bytes == 2 * 2 * 4 * Y
    assert training.backward.bytes
    assert inference == Roof("", Pass(0, 0, None, ""), Pass(0, 0, None, ""))
    timed = plan(net(f"- {CONV}\n- {layer}"), target="t4").inference_roofline.values()
    assert list(timed)[1].forward == Pass(0, 0, 0.0, "")


def test_an_inference_has_no_backward_pass() -> None:
    found = plan(net(f"- {CONV}\n- batchnorm\n- relu\n- {CONV}"), target="t4")
    inference = list(found.inference_roofline.values())
    assert [roof.backward for roof in inference] == [Pass(0, 0, 0.0, "")] * 4
    assert [roof.forward for roof in inference] == [roof.forward for roof in found.roofline.values()]


# ------------------------------------------------------------------------- bounds


def test_the_bound() -> None:
    """The larger of work / peak and bytes / bandwidth; stride 2, so that no multiplications can be saved."""
    text = "- conv: {out_channels: 4, kernel_size: 2, stride: 2, bias: false}"
    (roof,) = roofs(text, size="[3, 8, 8]")
    flops, moved = 2 * 4 * 16 * 12, 4 * (192 + 64 + 48)
    assert work(roof.forward) == (flops, moved)
    assert roof.forward.seconds == max(flops / 40_000, moved / 1_000) == moved / 1_000
    assert roof.forward.bound == "memory"
    (roof,) = roofs(text, device=SLOW._replace(bandwidth=10**9))
    assert roof.forward.seconds == flops / 40_000
    assert roof.forward.bound == "compute"


def test_the_ridge_point() -> None:
    """40,000 operations and 31,666 bytes a second are 1.263 operations a byte; 1536 / 1216 are 1.26316."""
    for bandwidth, bound in ((31_666, "memory"), (31_667, "compute")):
        device = SLOW._replace(bandwidth=bandwidth)
        (roof,) = roofs("- conv: {out_channels: 4, kernel_size: 2, stride: 2, bias: false}", device=device)
        assert roof.forward.bound == bound


def test_the_cache() -> None:
    """As many bytes as the cache holds are free of those read, and of those written; the ridge point still binds."""
    layers = "- conv: {out_channels: 4, kernel_size: 2, stride: 2, bias: false}"
    for cache, seconds, bound in ((0, 1.216, "memory"), (500, 0.216, "memory"), (608, 1536 / 40_000, "memory")):
        (roof,) = roofs(layers, device=SLOW._replace(l2=cache))
        assert roof.forward.seconds == pytest.approx(seconds)
        assert roof.forward.bound == bound
    (roof,) = roofs(layers, device=SLOW._replace(l2=608, bandwidth=10**6))
    assert roof.forward.bound == "compute"


def test_elementwise_work() -> None:
    """Of a bias and of activations: on CUDA cores, two at a time at best, while others do the products."""
    fast = SLOW._replace(bandwidth=10**9)
    (roof,) = roofs("- softmax", device=fast)
    assert roof.forward.seconds == 5 * 192 / 20_000
    (roof,) = roofs("- conv: {out_channels: 4, kernel_size: 1, stride: 2}", device=fast, size="[1, 8, 8]")
    assert roof.forward.seconds == max(2 * 64 / 40_000, 64 / 20_000)


WINOGRAD: dict[str, tuple[str, str, float]] = {
    "F(4x4, 3x3)": ("kernel_size: 3", "[3, 16, 16]", 4),  # Lavin & Gray 2015, section 4.3: 144 to 36
    "F(4, 3)": ("kernel_size: 3", "[3, 16]", 2),
    "F(4x4x4, 3x3x3)": ("kernel_size: 3", "[3, 8, 8, 8]", 8),
    "F(4x4, 5x5)": ("kernel_size: 5", "[3, 16, 16]", 6.25),  # 16 · 25 products of 8 · 8
    "F(4, 2)": ("kernel_size: 2", "[3, 16]", 1.6),  # 8 products of 5
    "along one axis": ("kernel_size: [3, 1]", "[3, 16, 16]", 2),
    "along the other axis alone": ("kernel_size: 3, stride: [2, 1]", "[3, 16, 16]", 2),
    "one tap": ("kernel_size: 1", "[3, 16, 16]", 1),
    "a stride": ("kernel_size: 3, stride: 2", "[3, 16, 16]", 1),
    "holes": ("kernel_size: 3, dilation: 2", "[3, 16, 16]", 1),
}


@pytest.mark.parametrize("name", WINOGRAD)
def test_winograd(name: str) -> None:
    """F(m, r) makes m outputs of r taps with m + r - 1 products instead of m · r, along each axis; here m = 4."""
    arguments, size, fewer = WINOGRAD[name]
    fast = SLOW._replace(bandwidth=10**12)
    (roof,) = roofs(f"- conv: {{out_channels: 4, bias: false, {arguments}}}", size=size, device=fast)
    assert roof.forward.seconds == pytest.approx(roof.forward.flops / 40_000 / fewer)


def test_winograd_backward() -> None:
    fast = SLOW._replace(bandwidth=10**12)
    _, roof = roofs(f"- {CONV}\n- conv: {{out_channels: 4, kernel_size: 3, bias: false}}", device=fast)
    assert roof.backward.seconds == pytest.approx(roof.backward.flops / 40_000 / 4)


def test_no_device() -> None:
    """Work and bytes are known all the same."""
    (roof,) = roofs(f"- {CONV}", device=None)
    assert (roof.forward.seconds, roof.forward.bound, roof.format) == (None, "", "tf32")
    assert work(roof.forward) == work(roofs(f"- {CONV}")[0].forward)


# ------------------------------------------------------------------------- formats

NET = f"- {CONV}\n- relu\n- flatten\n- linear: 5"
V100 = SLOW._replace(tf32=None, bfloat16=None)
FORMATS: list[tuple[Precision, Device | None, list[str]]] = [
    (FLOAT32, SLOW, ["tf32", "", "", "float32"]),
    (FLOAT32, V100, ["float32", "", "", "float32"]),
    (FLOAT32, None, ["tf32", "", "", "float32"]),
    (Precision("float32", False, "cpu"), None, ["float32", "", "", "float32"]),
    (MIXED, SLOW, ["bfloat16", "", "", "bfloat16"]),
    (MIXED, V100, ["float32", "", "", "float32"]),
    (Precision("float16", True, "cuda"), V100, ["float16", "", "", "float16"]),
    (Precision("float16", False, "cuda"), SLOW, ["float16", "", "", "float16"]),
    (MIXED, None, ["bfloat16", "", "", "bfloat16"]),
]


@pytest.mark.parametrize(("precision", "device", "formats"), FORMATS)
def test_formats(precision: Precision, device: Device | None, formats: list[str]) -> None:
    """TF32 is on for convolutions, off for dense layers; a format that the hardware lacks runs in float32."""
    assert [roof.format for roof in roofs(NET, precision=precision, device=device)] == formats


def test_the_peak_is_that_of_the_format() -> None:
    """Of a dense layer, by 60 operations of products and 5 of a bias."""
    fast = SLOW._replace(bandwidth=10**12)
    found = {p: roofs("- linear: 5", precision=p, device=fast, size="[6]")[0].forward.seconds for p in (FLOAT32, MIXED)}
    assert found == {FLOAT32: 60 / 10_000, MIXED: max(60 / 80_000, 5 / 20_000)}


def test_mixed_bytes() -> None:
    """Under autocast a convolution reads float32 and writes bfloat16, its weights' copies are of bfloat16.

    Backward: the gradient, input and weights in bfloat16, the gradient of the input; that of the weights is float32.
    """
    first, _, other = roofs(f"- {CONV}\n- relu\n- {CONV}", precision=MIXED)
    assert first.forward.bytes == 4 * X + 2 * Y + 2 * FIRST
    assert other.forward.bytes == 2 * (Y + Y + OTHER)
    assert other.backward.bytes == 2 * (Y + Y + OTHER + Y) + 4 * OTHER


@pytest.mark.parametrize("key", devices())
def test_known_devices(key: str) -> None:
    """A large convolution on every device: compute-bound, at the peak of its format, less what Winograd saves."""
    layers = "- conv: {out_channels: 512, kernel_size: 3, padding: 1, bias: false}"
    device = devices()[key]
    (roof,) = roofs(layers, batch=64, device=device, size="[512, 28, 28]")
    peak = device.tf32 or device.float32
    assert roof.forward.flops == 2 * 64 * 512 * 784 * 512 * 9
    assert roof.forward.seconds == pytest.approx(roof.forward.flops / 4 / peak)
    assert roof.forward.bound == "compute"
    assert roof.format == ("tf32" if device.tf32 else "float32")


# ------------------------------------------------------------------------- sums


def summed(passes: Sequence[Pass]) -> tuple[int, int, float]:
    return sum(p.flops for p in passes), sum(p.bytes for p in passes), sum(p.seconds or 0 for p in passes)


def test_totals() -> None:
    """Work, bytes and seconds add up; what binds is what binds for longer."""
    compute, memory, none = Pass(10, 4, 3.0, "compute"), Pass(1, 20, 2.0, "memory"), Pass(0, 0, 0.0, "")
    assert total([compute, memory, none]) == Pass(11, 24, 5.0, "compute")
    assert total([compute, memory, memory]) == Pass(12, 44, 7.0, "memory")
    assert total([compute, memory._replace(seconds=None)]).seconds is None
    assert total([]) == Pass(0, 0, 0, "memory")


def planned(**options: Any) -> Plan:
    return plan(net(f"- {CONV}\n- batchnorm\n- relu\n- {CONV}\n- flatten\n- linear: 5"), batch=16, **options)


@pytest.mark.parametrize("options", [{}, {"dtype": "bfloat16"}, {"dtype": "float16", "optimizer": "adam"}], ids=str)
def test_a_step(options: dict[str, Any]) -> None:
    """Forward, backward, and the optimizer's step, by layer and in all."""
    found = planned(target="a100-80gb", **options)
    parts = times(found)
    roofs = list(found.roofline.values())
    assert (parts.forward.flops, parts.forward.bytes, parts.forward.seconds) == summed([r.forward for r in roofs])
    assert (parts.backward.flops, parts.backward.bytes, parts.backward.seconds) == summed([r.backward for r in roofs])
    several = [parts.forward, parts.backward, parts.step]
    assert (parts.training.flops, parts.training.bytes, parts.training.seconds) == pytest.approx(summed(several))
    inference = [r.forward for r in found.inference_roofline.values()]
    assert (parts.inference.flops, parts.inference.bytes, parts.inference.seconds) == summed(inference)


def test_the_optimizer_moves() -> None:
    """Adam reads parameters, gradients and two states, and writes all but the gradients: 4 + 3 numbers each."""
    assert step(100, 2, 4, SLOW) == Pass(0, 100 * 4 * 7, 2.8, "memory")
    assert step(100, 0, 4, SLOW._replace(l2=200)) == Pass(0, 100 * 4 * 3, 0.8, "memory")
    assert step(100, 1, 4, None) == Pass(0, 100 * 4 * 5, None, "")


def test_an_inference_in_a_narrow_dtype() -> None:
    """Parameters and input are of it, too."""
    mixed = planned(target="a100-80gb", dtype="bfloat16")
    first = next(iter(mixed.inference_roofline.values()))
    assert first.forward.bytes == 2 * (16 * X + 16 * Y + FIRST)
    assert next(iter(mixed.roofline.values())).forward.bytes == 4 * 16 * X + 2 * (16 * Y + FIRST)
