"""Rules about kernels and their padding: what fires, what does not, and where the line between them lies."""

import pytest

from tests.lint.geometry import Table, conv, each, judge

G105: Table = {
    "a border of biases": (
        "[3, 32, 30]",
        conv("kernel_size: 1, padding: 1"),
        "warning conv1: 'conv1' pads where its window is a single unit: 2 of 34 along height, 2 of 32 along width of "
        "its output see nothing and are its bias = remove `padding` | unsafe: remove `padding`",
    ),
    "without a bias": ("[3, 32]", conv("kernel_size: 1, padding: 2, bias: false"), "4 of 36 along length | and are 0"),
    "one axis": (
        "[3, 32, 32]",
        conv("kernel_size: [1, 3], padding: 1"),
        "2 of 34 along height of its output | = write `padding: [0, 1]` | unsafe: set `padding: [0, 1]`",
    ),
    "one side": ("[3, 32]", conv("kernel_size: 1, padding: [[0, 1]]"), "1 of 33 along length"),
    "sides that differ on another axis": (
        "[3, 8, 8]",
        "- depthwise_conv: {kernel_size: [1, 2], padding: [[1, 0], [1, 0]]}",
        "1 of 9 along height of its output see nothing and are its bias = write `padding: [[0, 0], [1, 0]]`",
    ),
    "with a stride": ("[3, 8]", conv("kernel_size: 1, stride: 2, padding: 1"), "1 of 5 along length"),
    "padding that the stride does not reach": ("[3, 7]", conv("kernel_size: 1, stride: 2, padding: [[0, 1]]")),
    "no padding": ("[3, 8]", conv("kernel_size: 1")),
    "half padding is none": ("[3, 8]", conv("kernel_size: 1, padding: half")),
    "the same padding is none": ("[3, 8]", conv("kernel_size: 1, padding: same")),
    "a border of the map's own": ("[3, 8, 8]", conv("kernel_size: 1, padding: 1, padding_mode: replicate")),
    "a larger window": ("[3, 8, 8]", conv("kernel_size: 3, padding: 3")),
}

HALF = "`padding: half` keeps the size"
G106: Table = {
    "windows beyond the map": (
        "[3, 32, 32]",
        conv("kernel_size: 3, padding: 3"),
        "warning conv1: 2 of 36 windows of 'conv1' along height see padding alone: 3 units of it beside a window of 3 "
        f"= {HALF} | unsafe: set `padding: half`",
    ),
    "the map grows": (
        "[3, 32, 32]",
        conv("kernel_size: 3, padding: 2"),
        f"info conv1: 'conv1' makes height 32 larger, 34: it pads by 4, its window takes 2 = {HALF} | no fix",
    ),
    "half padding": ("[3, 32, 32]", conv("kernel_size: 3, padding: 1")),
    "a dilated window": (
        "[3, 32]",
        conv("kernel_size: 3, dilation: 2, padding: 5"),
        "warning | 2 of 38 windows | a window of 5",
    ),
    "a dilated window that reaches the map": ("[3, 32]", conv("kernel_size: 3, dilation: 2, padding: 4"), "info"),
    "half padding of a dilated window": ("[3, 32]", conv("kernel_size: 3, dilation: 2, padding: 2")),
    "one axis": ("[3, 8, 8]", conv("kernel_size: 3, padding: [1, 3]"), "along width"),
    "the axis that is worse": ("[3, 8, 8]", conv("kernel_size: 3, padding: [2, 3]"), "warning | along width"),
    "one side": ("[3, 8]", conv("kernel_size: 3, padding: [[0, 3]]"), "1 of 9 windows | 3 units of it"),
    "causal padding": ("[3, 8]", conv("kernel_size: 3, padding: [[2, 0]]")),
    "more than causal padding": (
        "[3, 8]",
        conv("kernel_size: 3, padding: [[2, 1]]"),
        "info | larger, 9: it pads by 3,",
    ),
    "with a stride": (
        "[3, 8]",
        conv("kernel_size: 3, stride: 2, padding: 4"),
        "2 of 7 windows | = pad by less than 3 | no fix",
    ),
    "with a stride the map does not grow": ("[3, 8]", conv("kernel_size: 3, stride: 2, padding: 2")),
    "an even window": ("[3, 8]", conv("kernel_size: 4, padding: 4"), "warning | = pad by less than 4 | no fix"),
    "an even window and one unit more is another rule's": ("[3, 8]", conv("kernel_size: 4, padding: 2")),
    "an even window and one unit more on one side": ("[3, 8]", conv("kernel_size: 4, padding: [[1, 3]]"), "info"),
    "an even window and three units more": ("[3, 8]", conv("kernel_size: 4, padding: 3"), "info"),
    "taps on both sides of the map": (
        "[3, 4]",
        conv("kernel_size: 2, dilation: 8, padding: 6"),
        "warning | 4 of 8 windows",
    ),
    "taps that just meet the map": ("[3, 8]", conv("kernel_size: 2, dilation: 8, padding: [[7, 7]]"), "info"),
    "a 1x1 window is another rule's": ("[3, 8, 8]", conv("kernel_size: 1, padding: 1")),
    "reflected units are no padding": ("[3, 8]", conv("kernel_size: 3, padding: 4, padding_mode: reflect")),
    "a crop comes later": ("[3, 8, 8]", each(conv("kernel_size: 3, padding: 100"), "- relu", "- crop: {like: input}")),
    "a crop that cuts nothing": (
        "[3, 8, 8]",
        each(conv("kernel_size: 3, padding: 3"), "- crop: {size: 12}"),
        "warning",
    ),
    "a crop came before": ("[3, 8, 8]", each("- crop: {size: 6}", conv("kernel_size: 3, padding: 3")), "warning"),
    "a slice of the map": ("[3, 8]", each(conv("kernel_size: 3, padding: 4"), "- slice: {start: 0, stop: 8, axis: 1}")),
    "a slice of channels": (
        "[3, 8]",
        each(conv("kernel_size: 3, padding: 4"), "- slice: {start: 0, stop: 2}"),
        "warning",
    ),
    "two crops": (
        "[3, 8]",
        each(*[conv("kernel_size: 3, padding: 4"), "- crop: {size: 8}"] * 2),
    ),
    "one axis has a stride": (
        "[3, 8, 8]",
        conv("kernel_size: 3, stride: [1, 2], padding: 3"),
        "warning | = pad by less than 3 | no fix",
    ),
    "the first is found, the second cropped": (
        "[3, 8]",
        each(conv("kernel_size: 3, padding: 4"), "- crop: {size: 8}", conv("kernel_size: 3, padding: 4")),
        "warning conv2:",
    ),
}

G108: Table = {
    "the same size by force": (
        "[3, 32, 32]",
        conv("kernel_size: 4, padding: same"),
        "warning conv1: 'conv1' pads height by 1 and 2, which shifts the map by half a unit: its window of 4 has no "
        "centre = write `kernel_size: 5` | unsafe: set `kernel_size: 5`",
    ),
    "half a kernel": (
        "[3, 32, 32]",
        conv("kernel_size: 4, padding: half"),
        "'conv1' makes height 32 to 31: its window of 4",
    ),
    "half a kernel, rounded up": ("[3, 32, 32]", conv("kernel_size: 2, padding: 1"), "'conv1' makes height 32 to 33"),
    "half a kernel, rounded down, in numbers": ("[3, 32, 32]", conv("kernel_size: 4, padding: 1")),
    "more than half": ("[3, 32, 32]", conv("kernel_size: 4, padding: 3")),
    "sides that differ": ("[3, 32]", conv("kernel_size: 4, padding: [[1, 2]]")),
    "one more before than behind": ("[3, 32]", conv("kernel_size: 4, padding: [[2, 1]]")),
    "causal": ("[3, 32]", conv("kernel_size: 2, padding: [[1, 0]]")),
    "no padding": ("[3, 32]", conv("kernel_size: 4")),
    "odd": ("[3, 32]", conv("kernel_size: 5, padding: same")),
    "odd once dilated": ("[3, 32]", conv("kernel_size: 2, dilation: 2, padding: same")),
    "even though dilated": (
        "[3, 32]",
        conv("kernel_size: 2, dilation: 3, padding: same"),
        "pads length by 1 and 2 | unsafe: set `kernel_size: 3`",
    ),
    "dilated, in numbers": ("[3, 32]", conv("kernel_size: 2, dilation: 3, padding: 2"), "makes length 32 to 33"),
    "one axis": (
        "[3, 32, 32]",
        conv("kernel_size: [3, 4], padding: same"),
        "pads width by 1 and 2 | `kernel_size: [3, 5]`",
    ),
    "one axis has a stride": ("[3, 32, 32]", conv("kernel_size: 4, stride: [2, 1], padding: 2")),
    "with a stride": ("[3, 32, 32]", conv("kernel_size: 4, stride: 2, padding: 1")),
    "depthwise": ("[3, 32, 32]", "- depthwise_conv: {kernel_size: 2, padding: same}", "pads height by 0 and 1"),
    "whatever the padding holds": ("[3, 8]", conv("kernel_size: 2, padding: same, padding_mode: reflect"), "warning"),
    "long": ("[3, 32]", conv("kernel_size: 8, padding: same")),
    "not long": ("[3, 32]", conv("kernel_size: 6, padding: same"), "its window of 6"),
    "long along another axis": ("[3, 32, 32]", conv("kernel_size: [10, 4], padding: same")),
    "as large as the map": ("[3, 4]", conv("kernel_size: 4, padding: same"), "warning"),
    "larger than the map": ("[3, 3]", conv("kernel_size: 4, padding: same")),
    "a strided layer has the same window": (
        "[3, 32, 32]",
        each(conv("kernel_size: 4, stride: 2, padding: 2"), conv("kernel_size: 4, padding: 2")),
    ),
    "a strided layer has another window": (
        "[3, 32, 32]",
        each(conv("kernel_size: 2, stride: 2, padding: 1"), conv("kernel_size: 4, padding: 2")),
        "conv2",
    ),
    "a strided layer has other padding": (
        "[3, 32, 32]",
        each(conv("kernel_size: 4, stride: 2, padding: 1"), conv("kernel_size: 4, padding: same")),
        "conv2",
    ),
    "a layer of the same window without a stride": (
        "[3, 32]",
        each(conv("kernel_size: 4, padding: 2"), conv("kernel_size: 4, padding: 2")),
        "conv1",
        "conv2",
    ),
    "a pool": ("[3, 32, 32]", each(conv("kernel_size: 1"), "- maxpool: {kernel_size: 2, stride: 1, padding: same}")),
}

G109: Table = {
    "a 3x3 kernel on a single unit": (
        "[64, 1, 1]",
        conv("kernel_size: 3, padding: 1"),
        "warning conv1: 8 of the 9 taps of 'conv1' see padding alone (88.9 %): its input is 64x1x1 = `kernel_size: 1` "
        "with `padding: 0` does the same | unsafe: set `kernel_size: 1`, `padding: 0`",
    ),
    "two units": (
        "[3, 2, 2]",
        conv("kernel_size: 5, padding: 2"),
        "16 of the 25 taps | `kernel_size: 3` with `padding: 1`",
    ),
    "as many as the taps reach": ("[3, 3, 3]", conv("kernel_size: 5, padding: 2")),
    "one axis": ("[3, 9, 1]", conv("kernel_size: 3, padding: 1", 4).replace("9", "8")),
    "too much dilation": ("[3, 14, 14]", conv("kernel_size: 3, dilation: 14, padding: 14"), "8 of the 9 taps"),
    "just not too much dilation": ("[3, 14, 14]", conv("kernel_size: 3, dilation: 13, padding: 13")),
    "depthwise": (
        "[3, 2]",
        "- depthwise_conv: {kernel_size: 7, padding: 3}",
        "4 of the 7 taps (57.1 %)".replace(" (", " of 'depthwise_conv1' see padding alone ("),
    ),
    "no padding": ("[3, 3]", conv("kernel_size: 3")),
    "a pool": ("[3, 1, 1]", each(conv("kernel_size: 1"), "- maxpool: {kernel_size: 3, stride: 1, padding: 1}")),
    "a stride that leaves one window": (
        "[3, 2, 2]",
        conv("kernel_size: 4, stride: 2, padding: 1"),
        "12 of the 16 taps | `kernel_size: 2` with `padding: 0`",
    ),
    "padding before alone": (
        "[3, 2]",
        conv("kernel_size: 4, padding: [[3, 0]]"),
        "2 of the 4 taps | `padding: [[1, 0]]`",
    ),
    "padding behind alone": (
        "[3, 2]",
        conv("kernel_size: 4, padding: [[0, 3]]"),
        "2 of the 4 taps | `padding: [[0, 1]]`",
    ),
    "no tap that sees a unit": (
        "[3, 4]",
        conv("kernel_size: 2, dilation: 8, padding: half"),
        "2 of the 2 taps | = use a smaller kernel, a smaller dilation | no fix",
    ),
    "a tap between those that see one": (
        "[3, 1]",
        conv("kernel_size: 3, stride: 2, padding: 2"),
        "1 of the 3 taps | no fix",
    ),
    "taps between those that see one": (
        "[3, 1]",
        conv("kernel_size: 5, stride: 2, padding: 4"),
        "2 of the 5 taps | no fix",
    ),
    "taps between those that see one, and before": (
        "[3, 1]",
        conv("kernel_size: 4, stride: 2, padding: [[3, 3]]"),
        "2 of the 4 | no fix",
    ),
    "taps before those that see one": (
        "[3, 1]",
        conv("kernel_size: 3, stride: 2, padding: [[2, 0]]"),
        "2 of the 3 | `kernel_size: 1`",
    ),
    "taps behind those that see one": (
        "[3, 1]",
        conv("kernel_size: 3, stride: 2, padding: [[0, 2]]"),
        "2 of the 3 | `kernel_size: 1`",
    ),
    "a shorter kernel would begin inside": (
        "[3, 2]",
        conv("kernel_size: 2, dilation: 2, padding: [[1, 0]]"),
        "1 of the 2 taps | no fix",
    ),
    "a shorter kernel would give more windows": (
        "[3, 2]",
        conv("kernel_size: 2, dilation: 2, padding: [[0, 1]]"),
        "1 of the 2 taps | no fix",
    ),
    "a shorter kernel ends inside": (
        "[3, 2]",
        conv("kernel_size: 2, stride: 2, dilation: 2, padding: [[0, 1]]"),
        "1 of the 2 taps | `kernel_size: 1` with `padding: 0`",
    ),
    "the map's own units": ("[3, 1, 1]", conv("kernel_size: 3, padding: 1, padding_mode: replicate")),
    "other sizes are declared": ("{shape: [3, 1, 1], sizes: [8]}", conv("kernel_size: 3, padding: 1"), "info conv1:"),
    "an axis that has collapsed is another rule's": ("[3, 1, 9]", conv("kernel_size: 3, padding: 1")),
    "an axis beside one that is not long": (
        "[3, 1, 8]",
        conv("kernel_size: 3, padding: 1"),
        "6 of the 9 | `kernel_size: [1, 3]` with `padding: [0, 1]`",
    ),
    "the other axis beside one that has collapsed": (
        "[3, 1, 9]",
        conv("kernel_size: 3, dilation: [1, 9], padding: [1, 9]"),
        "6 of the 9 | `kernel_size: [3, 1]`",
    ),
    "a kernel of one row": ("[3, 8, 1]", conv("kernel_size: [3, 1], padding: [1, 0]")),
}

TABLES = {name: table for name, table in globals().items() if name[:2] in ("G1", "U5")}


@pytest.mark.parametrize(
    ("code", "case"),
    [pytest.param(code, case, id=f"{code} {name}") for code, table in TABLES.items() for name, case in table.items()],
)
def test_cases(code: str, case: tuple[str, ...]) -> None:
    judge(code, case)
