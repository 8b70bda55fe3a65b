"""Rules about hardware and cost: P701, P703, P706, P707, P711."""

from typing import Any

import pytest

import cnnplan
from cnnplan import zoo
from cnnplan.devices import devices
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.selection import Choice, Selection
from cnnplan.render.numbers import short
from tests.language.helpers import net


def hits(text: Any, code: str, **options: Any) -> list[Diagnostic]:
    """The findings of one rule."""
    return list(cnnplan.plan(text, selection=Selection(asked=Choice(select=(code,))), **options).diagnostics)


def shown(text: Any, code: str, **options: Any) -> list[tuple[str | None, str]]:
    """Their layers and levels."""
    return [(d.layer, d.severity) for d in hits(text, code, **options)]


def head(*shape: int, more: str = "") -> str:
    return f"cnnplan: 1\nname: net\ninput: {list(shape)}\n{more}"


def conv(channels: object, more: str = "", kernel: object = 3) -> str:
    return f"- conv: {{out_channels: {channels}, kernel_size: {kernel}, padding: half{more}}}\n"


# --------------------------------------------------------------------------------------------- P701

BFLOAT = "target: {device: a100-80gb, dtype: bfloat16}\n"
LAST = conv(10, kernel=1)
TARGETS = {
    "no target": ("", None),
    "a device": ("target: {device: a100-80gb}\n", "info"),
    "a device and bfloat16": (BFLOAT, "warning"),
    "a device and float16": ("target: {device: v100-16gb, dtype: float16}\n", "warning"),
    "precision of the training": ("target: {device: h100}\ntrain: {precision: bfloat16}\n", "warning"),
    "any device": ("target: {dtype: float16}\n", "info"),
    "any device, by name": ("target: {device: cuda, dtype: float16}\n", "info"),
    "any device in float32": ("target: {batch: 8}\n", None),
    "a device without the format": ("target: {device: v100-16gb, dtype: bfloat16}\n", None),
    "a device without TF32": ("target: {device: t4}\n", None),
    "a CPU": ("target: {device: cpu, dtype: bfloat16}\n", None),
}


@pytest.mark.parametrize(("target", "level"), TARGETS.values(), ids=TARGETS)
def test_when_channels_are_judged(target: str, level: str | None) -> None:
    found = shown(net(conv(30) + LAST, head=head(3, 8, 8, more=target)), "P701")
    assert found == ([("conv1", level)] if level else [])


def test_a_device_of_the_command_line() -> None:
    text = net(conv(30) + LAST, head=head(3, 8, 8))
    assert shown(text, "P701", target="a100-80gb", dtype="bfloat16") == [("conv1", "warning")]
    assert not shown(text, "P701", target="a100-80gb", batch=4)[1:]
    assert not shown(text, "P701", batch=4)


CHANNELS = {
    "a multiple": (conv(32) + LAST, [], []),
    "just over": (conv(33) + LAST, ["conv1"], ["conv1"]),
    "of 4 alone": (conv(12) + LAST, ["conv1"], []),
    "few": (conv(5) + LAST, ["conv1"], ["conv1"]),
    "so few that they mean something": (conv(4) + conv(3) + conv(2) + conv(1) + LAST, [], []),
    "the last layer": (conv(30), [], []),
    "behind the last layer": (conv(30) + "- relu\n- dropout\n", [], []),
    "the last layers of several outputs": (
        "- conv: {out_channels: 32, kernel_size: 3}\n  name: c\n- conv: {out_channels: 9, kernel_size: 1}\n  name: a\n"
        "- conv: {out_channels: 7, kernel_size: 1}\n  from: c\n  name: b\n",
        [],
        [],
    ),
    "transposed": (
        "- conv_transpose: {out_channels: 30, kernel_size: 2}\n" + LAST,
        ["conv_transpose1"],
        ["conv_transpose1"],
    ),
    "dense, which stays in float32": ("- flatten\n- linear: 30\n- relu\n- linear: 10\n", ["linear1"], []),
    "in groups": (conv(32) + conv(36, ", groups: 2") + conv(36, ", groups: 4") + LAST, [], []),
    "depthwise": ("- depthwise_conv: {kernel_size: 3, multiplier: 10}\n" + LAST, [], []),
    "depthwise, in other words": (conv(30, ", groups: 3") + LAST, [], []),
    "behind a global pool, and more": ("- global_avgpool\n- dropout\n- linear: 30\n- relu\n- linear: 10\n", [], []),
    "behind a global pool": ("- global_avgpool\n- linear: 30\n- relu\n- linear: 10\n", [], []),
    "behind an adaptive one": ("- adaptive_avgpool: 1\n" + conv(30, kernel=1) + "- relu\n" + LAST, [], []),
    "behind one that leaves more": (
        "- adaptive_avgpool: 2\n" + conv(30, kernel=1) + "- relu\n" + LAST,
        ["conv1"],
        ["conv1"],
    ),
    "a gate": (conv(32) + "- squeeze_excite: {channels: 9}\n" + conv(30) + LAST, ["conv2"], ["conv2"]),
    "a pool that is merged": (
        "- add:\n    a: [{global_avgpool: {keepdim: true}}]\n    b: []\n" + conv(30) + LAST,
        ["conv1"],
        ["conv1"],
    ),
    "run again": (
        conv(32)
        + "- conv: {out_channels: 30, kernel_size: 1}\n  name: c\n- slice: {stop: 1}\n- prelu\n"
        + conv(32)
        + "- share: c\n"
        + LAST,
        ["c"],
        ["c"],
    ),
    "other operations": (conv(32) + "- slice: {stop: 30}\n- prelu\n- batchnorm\n" + LAST, [], []),
}


@pytest.mark.parametrize(("layers", "narrow", "wide"), CHANNELS.values(), ids=CHANNELS)
def test_channels_of_tensor_cores(layers: str, narrow: list[str], wide: list[str]) -> None:
    """8 at once in 16 bits, 4 in TF32."""
    assert shown(net(layers, head=head(3, 8, 8, more=BFLOAT)), "P701") == [(name, "warning") for name in narrow]
    tf32 = net(layers, head=head(3, 8, 8, more="target: {device: a100-80gb}\n"))
    assert shown(tf32, "P701") == [(name, "info") for name in wide]


def test_channels_are_rounded_up() -> None:
    text = net(conv(30) + "- flatten\n- linear: 33\n- relu\n- linear: 10\n", head=head(3, 8, 8, more=BFLOAT))
    first, second = hits(text, "P701")
    assert first.message == (
        "the 30 channels of 'conv1' are no multiple of 8, which tensor cores take at once in bfloat16"
    )
    assert (first.help, second.help) == ("write `out_channels: 32`", "write `out_features: 40`")
    assert first.start
    assert text.splitlines()[first.start.line - 1][first.start.column - 1 :].startswith("out_channels: 30")
    for one, written in ((first, "32"), (second, "40")):
        assert one.fix
        assert not one.fix.safe
        assert [edit.text for edit in one.fix.edits] == [written]
    (one,) = hits(net(conv(30) + LAST, head=head(3, 8, 8, more="target: {device: h100}\n")), "P701")
    assert "no multiple of 4, which tensor cores take at once in tf32" in one.message
    (one,) = hits(net(conv("=5 * 6") + LAST, head=head(3, 8, 8, more=BFLOAT)), "P701")
    assert one.fix is None


# --------------------------------------------------------------------------------------------- P703

A100 = "target: {device: a100-80gb, batch: 64}\n"
DEPTHWISE = "- depthwise_conv: {kernel_size: 3, padding: 1}\n"
WAITING = {
    "no device": ("", DEPTHWISE + conv(256), None),
    "a CPU": ("target: {device: cpu, batch: 64}\n", DEPTHWISE + conv(256), None),
    "a depthwise layer that takes a third": (A100, DEPTHWISE + conv(256), "depthwise_conv1"),
    "one that takes less than a quarter": (A100, DEPTHWISE + 3 * conv(256), None),
    "computed layers alone": (A100, conv(256), None),
    "the one that takes longest": (
        A100.replace("64", "512"),
        conv(256) + "- maxpool: 2\n" + DEPTHWISE + "- upsample: 2\n" + DEPTHWISE,
        "depthwise_conv2",
    ),
    "activations alone": (A100, conv(256) + 9 * "- relu\n", None),
    "all of the time": (A100, DEPTHWISE, "depthwise_conv1"),
    "no time": (A100, "- identity\n", None),
    "hardly any time": ("target: {device: a100-80gb, batch: 1}\n", "- maxpool: 8\n" + DEPTHWISE + conv(256), None),
}


@pytest.mark.parametrize(("target", "layers", "layer"), WAITING.values(), ids=WAITING)
def test_layers_that_wait_for_memory(target: str, layers: str, layer: str | None) -> None:
    found = shown(net(layers, head=head(256, 56, 56, more=target)), "P703")
    assert found == ([(layer, "info")] if layer else [])


def test_what_a_layer_waits_for() -> None:
    """64 maps of 256x56x56 in float32, read and written, without twice 40 MiB of cache, at 2,039 GB/s."""
    (found,) = hits(net(DEPTHWISE + conv(256), head=head(256, 56, 56, more=A100)), "P703")
    moved = 2 * 4 * 64 * 256 * 56 * 56 + 4 * 256 * 10
    assert f"it waits for memory {(moved - 2 * 41_943_040) / 2.039e12 * 1e6:.2f} µs at batch 64" in found.message
    intensity = (2 * 9 + 1) * 64 * 256 * 56 * 56 / moved
    assert f"does {intensity:.1f} FLOPs for each byte that moves" in found.message
    a100 = devices()["a100-80gb"]
    assert f"{a100.name} could do {(a100.tf32 or 0) / a100.bandwidth:.0f}" in found.message
    assert "all 1 such layer " in found.message
    assert "wider layers" in found.help


@pytest.mark.parametrize("width", range(192, 400, 16))
def test_a_quarter_of_the_time(width: int) -> None:
    """Between a fifth and a third, by how wide the layer behind it is."""
    text = net(DEPTHWISE + conv(width), head=head(256, 56, 56, more=A100))
    first, second = (roof.forward for roof in cnnplan.plan(text).inference_roofline.values())
    assert (first.bound, second.bound) == ("memory", "compute")
    assert first.seconds
    assert second.seconds
    share = first.seconds / (first.seconds + second.seconds)
    assert 0.2 < share < 0.4
    assert bool(hits(text, "P703")) == (share >= 0.25)


@pytest.mark.parametrize(("batch", "waits"), [(234, False), (235, True)])
def test_layers_that_take_less_than_a_launch(batch: int, waits: bool) -> None:
    """2 · 4 · 256 · 14 · 14 bytes a sample, 10,240 of weights, less twice 40 MiB, at 2,039 GB/s: 4.9 and 5.1 µs."""
    seconds = (batch * 2 * 4 * 256 * 14 * 14 + 10_240 - 2 * 41_943_040) / 2.039e12
    assert (seconds >= 5e-6) == waits
    text = net(DEPTHWISE, head=head(256, 14, 14))
    assert bool(hits(text, "P703", target="a100-80gb", batch=batch)) == waits


def test_a_dense_layer_of_a_small_batch() -> None:
    """AlexNet's first dense layer: 38 million weights are read for every sample."""
    (found,) = hits(zoo.find("alexnet"), "P703", target="a100-80gb")
    assert (found.layer, found.severity) == ("linear1", "info")
    assert "use a larger batch" in found.help
    assert not hits(zoo.find("alexnet"), "P703", target="a100-80gb", batch=64)
    assert not hits(zoo.find("alexnet"), "P703")


# --------------------------------------------------------------------------------------------- P706

STEM = conv(64)
LARGE = {
    "7x7": (STEM + conv(64, kernel=7), "conv2"),
    "5x5, 28 % dearer": (STEM + conv(64, kernel=5), "conv2"),
    "3x3": (STEM + conv(64, kernel=3), None),
    "1x1": (STEM + conv(64, kernel=1), None),
    "behind a path that has a layer": (
        "- concat:\n    a: []\n    b: [{conv: {out_channels: 64, kernel_size: 1}}]\n" + conv(64, kernel=9),
        "conv1",
    ),
    "an even kernel": (STEM + "- conv: {out_channels: 64, kernel_size: 6}\n", None),
    "one even side": (STEM + "- conv: {out_channels: 64, kernel_size: [9, 8]}\n", None),
    "the first convolution": (conv(64, kernel=7), None),
    "a first one behind pads, norms and splits": (
        "- pad: {padding: 1}\n- batchnorm\n- split: [1, 63]\n  name: s\n"
        "- conv: {out_channels: 64, kernel_size: 7}\n  from: s.1\n",
        None,
    ),
    "two first ones": (
        "- add:\n    a: [{conv: {out_channels: 64, kernel_size: 7}}]\n"
        "    b: [{conv: {out_channels: 64, kernel_size: 7}}]\n",
        None,
    ),
    "behind a dense layer": ("- flatten\n- linear: 8192\n- reshape: [128, 8, 8]\n" + conv(128, kernel=7), "conv1"),
    "a stride": (STEM + "- conv: {out_channels: 64, kernel_size: 13, stride: 2}\n", None),
    "along one axis": (STEM + "- conv: {out_channels: 64, kernel_size: 7, stride: [2, 1]}\n", None),
    "depthwise": (STEM + "- depthwise_conv: {kernel_size: 7}\n", None),
    "groups": (STEM + conv(64, ", groups: 2", kernel=13), None),
    "dilated": (STEM + conv(64, ", dilation: 2", kernel=7), "conv2"),
    "flat": (STEM + conv(64, kernel=[1, 7]), None),
    "nearly flat": (STEM + conv(64, kernel=[3, 9]), "conv2"),
    "wide": (STEM + conv(64, kernel=[5, 9]), "conv2"),
    "32 channels": (conv(32) + conv(32, kernel=7), "conv2"),
    "31 enter": (conv(31) + conv(32, kernel=7), None),
    "31 leave": (conv(32) + conv(31, kernel=7), None),
    "more leave than enter": (conv(32) + conv(64, kernel=5), None),
    "fewer": (conv(64) + conv(32, kernel=5), "conv2"),
    # 25 c d against 9 c d + 9 d d
    "a quarter less": (conv(72) + conv(78, kernel=5), "conv2"),
    "not quite": (conv(72) + conv(79, kernel=5), None),
    "transposed": (STEM + "- conv_transpose: {out_channels: 64, kernel_size: 7}\n", None),
}


@pytest.mark.parametrize(("layers", "layer"), LARGE.values(), ids=LARGE)
def test_large_kernels(layers: str, layer: str | None) -> None:
    assert shown(net(layers, head=head(64, 32, 32)), "P706") == ([(layer, "info")] if layer else [])


def test_one_axis_costs_more_in_a_stack_and_three_less() -> None:
    assert not hits(net(STEM + conv(64, kernel=5), head=head(64, 32)), "P706")
    assert hits(net(STEM + conv(64, kernel=5), head=head(64, 9, 9, 9)), "P706")


@pytest.mark.parametrize("kernel", [[5, 5], [7, 7], [9, 5], [5, 5, 7], [7, 3, 7], [7, 1, 7]])
@pytest.mark.parametrize(("padding", "dilation"), [("half", 1), ("half", 2), (0, 1), (0, 2)])
def test_the_stack_is_counted_as_it_would_be_written(kernel: list[int], padding: object, dilation: int) -> None:
    """Its MACs and its field, as of a network that has it."""
    shape = (32, *(90 if len(kernel) == 2 else 60,) * len(kernel))
    more = f"padding: {padding}, dilation: {dilation}"
    (found,) = hits(
        net(conv(48) + f"- conv: {{out_channels: 40, kernel_size: {kernel}, {more}}}\n", head=head(*shape)), "P706"
    )
    count = max(kernel) // 2
    items = [
        f"- conv: {{out_channels: 40, kernel_size: {[3 if k // 2 > i else 1 for k in kernel]}, {more}}}\n"
        for i in range(count)
    ]
    one = cnnplan.plan(
        net(conv(48) + f"- conv: {{out_channels: 40, kernel_size: {kernel}, {more}}}\n", head=head(*shape))
    )
    several = cnnplan.plan(net(conv(48) + "".join(items), head=head(*shape)))
    assert one.receptive_field == several.receptive_field
    assert one.layers[-1].output == several.layers[-1].output
    wanted = several.macs - several.layers[0].macs
    small = "x".join("3" if k > 1 else "1" for k in kernel)
    assert f"takes {short(one.layers[-1].macs)} MACs; {count} convolutions of {small} and 40 channels" in found.message
    assert found.message.endswith(f"see as much with {short(wanted)}")


# --------------------------------------------------------------------------------------------- P707


def layers_of(*macs: int) -> str:
    """Layers of so many multiplications each, on a single unit of 1 channel."""
    return "".join(
        f"- conv: {{out_channels: 1, kernel_size: {n}, padding: [[{n - 1}, 0]], bias: false}}\n" for n in macs
    )


HOT = {
    "30 % and no more": (layers_of(*7 * (1,), 1, 1, 1, 1, 1, 1, 1, 6), None),
    "more than that": (layers_of(*7 * (1,), 1, 1, 1, 1, 1, 1, 1, 7), "conv15"),
    "three layers": (layers_of(*2 * (1,), 90), None),
    "four": (layers_of(*3 * (1,), 90), "conv4"),
    "five, three times an equal share": (layers_of(2, 2, 2, 2, 12), None),
    "five, and more": (layers_of(2, 2, 2, 2, 13), "conv5"),
    "four, most of them activations": (layers_of(*2 * (1,), 90) + 9 * "- relu\n", None),
    "four, with dense ones": (layers_of(*2 * (1,), 90) + "- flatten\n- linear: 1\n", "conv3"),
    "all alike": (layers_of(*12 * (3,)), None),
}


@pytest.mark.parametrize(("layers", "layer"), HOT.values(), ids=HOT)
def test_hot_layers(layers: str, layer: str | None) -> None:
    assert shown(net(layers, head=head(1, 1)), "P707") == ([(layer, "info")] if layer else [])


def test_how_hot_a_layer_is() -> None:
    (found,) = hits(net(layers_of(*9 * (1,), 91), head=head(1, 1)), "P707")
    assert found.message == "'conv10' has 91.0 % of the multiplications: 91 of 100 MACs"
    assert not hits(net(12 * "- relu\n", head=head(1, 1)), "P707")


def test_what_a_layer_keeps_is_judged_where_a_device_is_named() -> None:
    # of 4 bytes each: 64 x 64 units once, 16 x 16 nine times; ReLU keeps its output
    rest = "- maxpool: 4\n" + 9 * (conv(1) + "- relu\n")
    layers = conv(1, kernel=1) + "- relu\n" + rest
    text = net(layers, head=head(1, 64, 64))
    assert not hits(text, "P707", batch=2)
    assert not hits(text, "P707", target="cpu")
    (found,) = hits(text, "P707", target="a100-80gb", batch=2)
    saved = cnnplan.plan(text, target="a100-80gb", batch=2).memory.saved_bytes
    most = max(saved.values())
    assert most == 2 * 4 * 64 * 64
    assert (found.layer, found.severity) == ("relu1", "info")
    assert (
        f"{100 * most / sum(saved.values()):.1f} % of what is kept for the backward pass: 32.00 KiB of" in found.message
    )
    more = net(4 * (conv(1, kernel=1) + "- relu\n") + rest, head=head(1, 64, 64))
    assert not hits(more, "P707", target="a100-80gb")


def test_what_is_kept_up_to_30_percent() -> None:
    """ReLU keeps what it gives, convolutions nothing more: three channels of ten, and four of eleven."""
    for channels, finds in ((3, False), (4, True)):
        layers = 7 * (conv(1, kernel=1) + "- relu\n") + conv(channels, kernel=1) + "- relu:\n  name: hot\n"
        layers += 12 * "- conv: {out_channels: 1, kernel_size: 1}\n  from: hot\n"
        found = hits(net(layers, head=head(1, 8, 8)), "P707", target="a100-80gb")
        assert [d.layer for d in found] == ["hot"] * finds


# --------------------------------------------------------------------------------------------- P711

INT32 = {
    "as many as there are": ((1, 2**31 - 1), "", "- relu\n", 1, None),
    "one more": ((1, 2**31), "", "- relu\n- tanh\n", 1, "relu1"),
    "in a batch": ((2, 1024, 1024), "", "- relu\n", 1023, None),
    "in a larger one": ((2, 1024, 1024), "", "- relu\n", 1024, "relu1"),
    "an output": ((2, 1024, 1024), "", "- relu\n" + conv(4) + "- tanh\n", 512, "conv1"),
    "one of two inputs": ((2, 1024, 1024), "", "- slice: {stop: 1}\n- relu\n", 1024, "slice1"),
    "one of two outputs": ((3, 1024, 1024), "", "- split: [1, 2]\n  name: s\n- relu:\n  from: s.0\n", 700, "s"),
    "the batch of a target": ((2, 1024, 1024), "target: {batch: 1024}\n", "- relu\n", None, "relu1"),
    "the batch of a training": ((2, 1024, 1024), "train: {batch: 1024}\n", "- relu\n", None, "relu1"),
    "a CPU": ((2, 1024, 1024), "target: {device: cpu}\n", "- relu\n", 1024, None),
    "a batch of 65,535": ((1, 2, 2), "", "- relu\n", 65_535, None),
    "of one more": ((1, 2, 2), "", "- relu\n- tanh\n", 65_536, "relu1"),
    "of one more on a CPU": ((1, 2, 2), "target: {device: cpu}\n", "- relu\n", 65_536, None),
    "of one more, of vectors": ((4,), "", "- linear: 3\n- relu\n", 65_536, None),
    "of one more, of maps behind vectors": ((4,), "", "- linear: 4\n- reshape: [1, 2, 2]\n- relu\n", 65_536, "relu1"),
    "both": ((2, 256, 256), "", conv(1) + "- relu\n", 65_536, "conv1"),
}


@pytest.mark.parametrize(("shape", "more", "layers", "batch", "layer"), INT32.values(), ids=INT32)
def test_tensors_over_int32(
    shape: tuple[int, ...], more: str, layers: str, batch: int | None, layer: str | None
) -> None:
    found = shown(net(layers, head=head(*shape, more=more)), "P711", batch=batch)
    assert found == ([(layer, "warning")] if layer else [])


def test_the_largest_batch_is_said() -> None:
    (found,) = hits(net("- relu\n", head=head(2, 1024, 1024)), "P711", batch=1500)
    assert found.message == (
        "'input' (2x1024x1024) has 3,145,728,000 elements at batch 1,500: some CUDA kernels count up to 2,147,483,647"
    )
    assert found.help == "use a batch of at most 1,023"
    assert not hits(net("- relu\n", head=head(2, 1024, 1024)), "P711", batch=1023)
    (found,) = hits(net("- relu\n", head=head(1, 2**31)), "P711")
    assert found.help == "cut the input into tiles"
    (found,) = hits(net("- relu\n", head=head(1, 2)), "P711", batch=70_000)
    assert found.message == "a batch of 70,000 maps: some CUDA kernels take 65,535 at most"
    assert found.help.startswith("use a batch of at most 65,535")
