"""Rules about windows that slide: what fires, what does not, and where the line between them lies."""

import pytest

from tests.lint.geometry import Table, conv, each, judge

NAMED = each(conv("kernel_size: 3, padding: 1"), "  name: a")
BOTH = "outputs: [b, c]"

G101: Table = {
    "the stem of SqueezeNet": (
        "[3, 224, 224]",
        conv("kernel_size: 7, stride: 2"),
        "warning conv1: 'conv1' never reads the end of its input 3x224x224: 1 of height 224, 1 of width 224"
        "| write `padding: [[0, 1], [0, 1]]` | no fix",
    ),
    "at 227, for which it was made": ("[3, 227, 227]", conv("kernel_size: 7, stride: 2")),
    "padding in its place": ("[3, 32, 32]", conv("kernel_size: 3, stride: 2, padding: 1")),
    "behind the padding": (
        "[3, 17, 16]",
        conv("kernel_size: 5, stride: 4, padding: [[1, 0], [0, 1]]"),
        "warning | : 1 of height 17 = write `padding: [[1, 3], [0, 1]]`",
    ),
    "two of them": ("[3, 20]", conv("kernel_size: 3, stride: 3"), ": 2 of length 20 = | `padding: [[0, 1]]`"),
    "a step of 1 reads all": ("[3, 32, 32]", conv("kernel_size: 7")),
    "one axis alone": ("[3, 32, 32]", conv("kernel_size: 3, stride: [2, 1]"), ": 1 of height 32 ="),
    "a dilated window": ("[3, 32, 33]", conv("kernel_size: 3, stride: 2, dilation: 3"), ": 1 of height 32 ="),
    "a depthwise one": ("[3, 32, 33]", "- depthwise_conv: {kernel_size: 3, stride: 2}", "1 of height 32 ="),
    "a volume": (
        "[3, 8, 9, 9]",
        "- maxpool: 2",
        "warning maxpool1| : 1 of height 9, 1 of width 9 = write `ceil_mode: true`",
    ),
    "rounded up": ("[3, 9, 9]", "- maxpool: {kernel_size: 2, ceil_mode: true}"),
    "a thousandth of the input": ("[3, 1000]", conv("kernel_size: 3, stride: 3"), "warning"),
    "less than a thousandth": ("[3, 1001]", conv("kernel_size: 2, stride: 2"), "info conv1: | 1 of length 1001"),
    "a thousandth of one axis": ("[3, 1001, 333]", conv("kernel_size: 2, stride: 2"), "warning"),
    "a row of a later map": ("[3, 7, 7]", "- relu\n- avgpool: 2", "info avgpool1: | 1 of height 7, 1 of width 7"),
    "most of a later map": ("[3, 3, 3]", "- relu\n- lppool: {p: 2, kernel_size: 2}", "warning lppool1:"),
    "half of a later map": ("[3, 3, 4]", "- relu\n- maxpool: [2, 3]", "info maxpool1:"),
    "other sizes are declared": ("{shape: [3, 9, 9], sizes: [8]}", "- maxpool: 2", "info"),
    "steps wider than the window are another rule's": ("[3, 8, 8]", conv("kernel_size: 1, stride: 2")),
    "one axis is stepped over": ("[3, 8, 9]", conv("kernel_size: [1, 2], stride: 2")),
    "another layer reads it": ("[3, 9, 9]", each(NAMED, "- maxpool: 2", "- add:", "  from: [a, a]")),
    "another window reads it": (
        "[3, 9, 9]",
        each("- concat:", "    - [{maxpool: {kernel_size: 2}}]", "    - [{avgpool: {kernel_size: 3, stride: 2}}]"),
    ),
    "no window reads it": (
        "[3, 8, 8]",
        each(
            "- concat:",
            "    - [{maxpool: {kernel_size: 3, stride: 2}}]",
            "    - [{avgpool: {kernel_size: 3, stride: 2}}]",
        ),
        "warning concat1.0.maxpool1: | 1 of height 8, 1 of width 8",
    ),
    "the one that reads more counts": (
        "[3, 11]",
        each("- maxpool: 3", "  name: b", "- maxpool: 2", "  from: input", "  name: c", "- add: ", "  from: [c, c]"),
        "warning b: | : 1 of length 11",
    ),
    "each loses another axis": (
        "[3, 9, 9]",
        each(
            "- maxpool: [2, 1]",
            "  name: b",
            "- maxpool: [1, 2]",
            "  from: input",
            "- upsample: {like: b}",
            "- add:",
            "  from: [b, previous]",
        ),
    ),
    "it is an output as well": (
        "[3, 9, 9]\noutputs: [a, b]",
        each(NAMED, "- maxpool: 2", "  name: b"),
    ),
    "circular padding reads it": (
        "[3, 33]",
        conv("kernel_size: 3, stride: 2, padding: [[1, 0]], padding_mode: circular"),
    ),
    "circular padding reads the last of two": (
        "[3, 10]",
        conv("kernel_size: 3, stride: 3, padding: [[1, 0]], padding_mode: circular"),
        ": 1 of length 10",
    ),
    "reflected padding does not": (
        "[3, 33]",
        conv("kernel_size: 3, stride: 2, padding: [[1, 0]], padding_mode: reflect"),
        ": 1 of length 33",
    ),
}

CROPPED = each("- crop: {like: up}", "  from: a", "  name: c", "- concat:", "  from: [up, previous]")
UP = each("- upsample: 2", "  name: up", CROPPED)
G103: Table = {
    "a copy that is cropped": (
        "[3, 21, 20]",
        each(NAMED, "- maxpool: 2", UP),
        "warning maxpool1: 'maxpool1' cuts height 21 to 20 on its way to 10, and 'concat1' merges"
        "| an input size at which height is 20 here, or write `ceil_mode: true` | 'concat1' merges them | no fix",
    ),
    "an even map": ("[3, 20, 20]", each(NAMED, "- maxpool: 2", UP)),
    "rounded up": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: {kernel_size: 2, ceil_mode: true}", "- upsample: {size: 21}"),
    ),
    "an even map that is cut": (
        "[3, 20, 20]",
        each(NAMED, "- maxpool: {kernel_size: 3, stride: 2}", UP),
        "cuts height 20 to 19",
    ),
    "a convolution with a stride": (
        "[3, 21, 21]",
        each(NAMED, conv("kernel_size: 2, stride: 2"), UP),
        ": 'conv1' cuts height 21 to 20 on its way to 10 | height is 20 here [",
    ),
    "padded to the size before, beside another pool": (
        "[3, 21, 21]\noutputs: [b, d]",
        each(
            NAMED,
            "- maxpool: 2",
            "  name: b",
            "- maxpool: 2",
            "  from: a",
            "- upsample: 2",
            "- pad: [[0, 1], [0, 1]]",
            conv("kernel_size: 3"),
            "  name: up",
            CROPPED,
            "  name: d",
        ),
    ),
    "a projection, and a convolution without padding": (
        "[3, 20, 20]",
        each(NAMED, conv("kernel_size: 1, stride: 2"), conv("kernel_size: 3"), UP),
    ),
    "a transposed convolution": (
        "[3, 21, 21]",
        each(
            NAMED,
            "- avgpool: 2",
            UP.replace("upsample: 2", "conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}"),
        ),
        "avgpool1",
    ),
    "channels that become a map": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: 2", conv("kernel_size: 1", 16), UP.replace("upsample", "pixel_shuffle")),
        "maxpool1",
    ),
    "further layers on the way": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: 2", "- relu", UP.replace("  name: up", "- relu:\n  name: up")),
        "maxpool1",
    ),
    "resized to the copy": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: 2", "- upsample: {like: a}", "- add:", "  from: [a, previous]"),
    ),
    "padded to the size before": (
        "[3, 21, 21]",
        each(
            NAMED,
            "- maxpool: 2",
            "- upsample: 2",
            "- pad: [[0, 1], [0, 1]]",
            conv("kernel_size: 3"),
            "  name: up",
            CROPPED,
        ),
    ),
    "resized to the size before, and cropped behind": (
        "[3, 21, 21]",
        each(
            NAMED,
            "- maxpool: 2",
            "- upsample: {size: 21}",
            conv("kernel_size: 3"),
            "- upsample: 1",
            "  name: up",
            CROPPED,
        ),
    ),
    "a merge of another scale": (
        "[3, 42, 42]",
        each(NAMED, "- maxpool: 2", "- maxpool: 2", "- upsample: 2", UP),
        "maxpool2: 'maxpool2' cuts height 21 to 20 | 'concat1'",
    ),
    "a copy of the pooled map": (
        "[3, 21, 21]",
        each("- maxpool: 2", "- upsample: 2", NAMED, "- upsample: {scale_factor: 0.8}", "  name: up", CROPPED),
    ),
    "a crop that cuts nothing": ("[3, 20, 20]", each(NAMED, "- maxpool: 2", UP)),
    "a crop along the other axis": (
        "[3, 21, 24]",
        each(
            conv("kernel_size: [2, 1]"),
            "  name: a",
            "- pad: [[1, 0], [0, 0]]",
            "- maxpool: 2",
            conv("kernel_size: [1, 3]"),
            UP,
        ),
    ),
    "nothing is made larger": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: 2", "  name: p", "- crop: {like: p}", "  from: a", "- add:", "  from: [p, previous]"),
    ),
    "met twice": (
        "[3, 21, 21]",
        each(NAMED, "- maxpool: 2", UP, "- add:", "  from: [up, c]"),
        "maxpool1",
    ),
    "a pool beside, of which nothing is made larger": (
        "[3, 21, 21]\noutputs: [b, d]",
        each(
            NAMED,
            "- maxpool: 2",
            "  name: b",
            "- avgpool: 2",
            "  from: a",
            UP,
            "  name: d",
        ),
        "avgpool1",
    ),
    "a copy that is smaller, but not cropped": (
        "[3, 21, 21]",
        each(
            "- crop: {size: 21}",
            NAMED,
            "- maxpool: 2",
            "- upsample: 2",
            "  name: up",
            conv("kernel_size: 2"),
            "  from: a",
            "- concat:",
            "  from: [up, previous]",
        ),
    ),
    "another input": (
        "{x: [3, 21, 21], y: [3, 20, 20]}",
        each(
            "- crop: {size: 21}",
            "  from: x",
            "- maxpool: 2",
            "- upsample: 2",
            "  name: up",
            "- concat:",
            "  from: [up, y]",
        ),
    ),
    "resized to a copy of another scale, and cropped behind": (
        "[3, 42, 42]",
        each(
            NAMED,
            "- maxpool: 2",
            "- maxpool: 2",
            "- upsample: {like: a}",
            conv("kernel_size: 3"),
            "- upsample: 1",
            "  name: up",
            CROPPED,
        ),
    ),
    "resized by a factor, and cropped behind": (
        "[3, 42, 42]",
        each(
            NAMED,
            "- maxpool: 2",
            "- maxpool: 2",
            "- upsample: 4",
            conv("kernel_size: 3"),
            "- upsample: 1",
            "  name: up",
            CROPPED,
        ),
        "maxpool2",
    ),
    "two pools": (
        "[3, 43, 43]",
        each(NAMED, "- maxpool: 2", "- maxpool: 2", "- upsample: 2", UP),
        "maxpool1: 'maxpool1' cuts height 43 to 42",
        "maxpool2: 'maxpool2' cuts height 21 to 20",
    ),
}

PROJECTED = """\
- add:
    body:
      - conv: {out_channels: 4, kernel_size: BODY}
      - relu
      - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    shortcut:
      - conv: {out_channels: 8, kernel_size: SHORT}
"""


def projected(body: str, short: str) -> str:
    """A residual block."""
    return PROJECTED.replace("BODY", body).replace("SHORT", short)


def far(layers: int) -> str:
    """A 1x1 convolution and so many layers on its branch."""
    return each(
        "- add:",
        "    body:",
        "      - conv: {out_channels: 3, kernel_size: 1, stride: 2}",
        f"      - layers: [relu]\n        repeat: {layers - 1}",
        "    shortcut: [{avgpool: {kernel_size: 2}}]",
    )


G104: Table = {
    "a quarter is read": (
        "[3, 32, 32]",
        conv("kernel_size: 1, stride: 2"),
        "warning conv1: 'conv1' reads 25.0 % of the units of its input 3x32x32: its stride 2x2 exceeds its window "
        "of 1x1 = `avgpool: 2` before it, and `stride: 1` | unsafe: insert `avgpool: 2` before it, set `stride: 1`",
    ),
    "of an odd map": (
        "[3, 7, 6]",
        conv("kernel_size: 1, stride: 2"),
        "reads 28.6 % | insert `avgpool: {kernel_size: 2, ceil_mode: true, count_include_pad: false}` before it",
    ),
    "one axis": (
        "[3, 32, 32]",
        conv("kernel_size: 1, stride: [1, 4]"),
        "reads 25.0 % | stride 1x4 exceeds its window of 1x1 = `avgpool: [1, 4]` before it | insert `avgpool: [1, 4]`",
    ),
    "a window of 2": (
        "[3, 9, 9]",
        conv("kernel_size: 2, stride: 3"),
        "reads 44.4 % | = write `kernel_size: 3`, or a smaller stride | no fix",
    ),
    "a window that is long along another axis": (
        "[3, 9, 9]",
        conv("kernel_size: [5, 2], stride: 3"),
        "`kernel_size: [5, 3]`",
    ),
    "a long map": ("[1, 70000]", conv("kernel_size: 1, stride: 2"), "reads 50.0 %"),
    "a long map, and a window of 2": ("[1, 70000]", conv("kernel_size: 2, stride: 3"), "reads 66.7 %"),
    "a long map, and a common factor": ("[1, 70000]", conv("kernel_size: 3, stride: 4, dilation: 2"), "reads 50.0 %"),
    "a window as wide as the step": ("[3, 9, 9]", conv("kernel_size: 3, stride: 3")),
    "with padding": ("[3, 8, 8]", conv("kernel_size: 1, stride: 2, padding: 1"), "reads 25.0 % | no fix"),
    "a pool": ("[3, 9, 9]", "- maxpool: {kernel_size: 1, stride: 2}", "warning maxpool1: | reads 30.9 % | no fix"),
    "a depthwise convolution": (
        "[3, 8]",
        "- depthwise_conv: {kernel_size: 1, stride: 2}",
        "50.0 % | unsafe: insert `avgpool: 2`",
    ),
    "the only unit": ("[3, 1, 1]", conv("kernel_size: 1, stride: 2")),
    "one window": ("[3, 3, 3]", conv("kernel_size: 2, stride: 3"), "reads 44.4 %"),
    "one window that reads all": ("[3, 2, 2]", conv("kernel_size: 2, stride: 3")),
    "dilation in step with the stride": (
        "[3, 32]",
        conv("kernel_size: 3, stride: 2, dilation: 2, padding: 2"),
        "reads 50.0 % | its stride 2 and its dilation 2 have a common factor = write `dilation: 1`, or a dilation",
    ),
    "a kernel as wide as the step, with gaps": (
        "[3, 32]",
        conv("kernel_size: 2, stride: 2, dilation: 2"),
        "its stride 2 and its dilation 2 have a common factor = write `dilation: 1`",
    ),
    "gaps along one axis, and too large a step along the other": (
        "[3, 32, 32]",
        conv("kernel_size: [1, 3], stride: 2, dilation: [1, 2]"),
        "its stride 2x2 exceeds its window of 1x3 = write `kernel_size: [2, 3]`",
    ),
    "a window of one row": (
        "[3, 8, 8]",
        conv("kernel_size: [1, 3], stride: [2, 1]"),
        "= write `kernel_size: [2, 3]` | no fix",
    ),
    "padding behind one axis": ("[3, 8, 8]", conv("kernel_size: 1, stride: 2, padding: [[0, 0], [0, 1]]"), "no fix"),
    "padding before one axis": ("[3, 8, 8]", conv("kernel_size: 1, stride: 2, padding: [[1, 0], [0, 0]]"), "no fix"),
    "dilation that meets every unit": ("[3, 32]", conv("kernel_size: 3, stride: 3, dilation: 2, padding: 2")),
    "dilation and a stride that exceeds the kernel": (
        "[3, 32]",
        conv("kernel_size: 2, stride: 3, dilation: 2"),
        "its stride 3 exceeds its window of 2",
    ),
    "circular padding reads the rest": (
        "[3, 3]",
        conv("kernel_size: 1, stride: 2, padding: 1, padding_mode: circular"),
    ),
    "zeros in its place do not": ("[3, 3]", conv("kernel_size: 1, stride: 2, padding: 1"), "reads 33.3 %"),
    "a projection": (
        "[3, 32, 32]",
        projected("3, stride: 2, padding: 1", "1, stride: 2"),
        "info add1.shortcut.conv1: | no fix",
    ),
    "both branches": (
        "[3, 32, 32]",
        projected("1, stride: 2", "1, stride: 2"),
        "info add1.body.conv1:",
        "info add1.shortcut.conv1:",
    ),
    "a branch with a window of 2": (
        "[3, 33, 33]",
        projected("2, stride: 3", "1, stride: 3"),
        "warning add1.body.conv1:",
        "info add1.shortcut.conv1:",
    ),
    "a branch with a window of 2 along one axis": (
        "[3, 33, 33]",
        projected("[1, 2], stride: 3", "1, stride: 3"),
        "warning add1.body.conv1:",
        "info add1.shortcut.conv1:",
    ),
    "a branch that is 98 layers long": ("[3, 8, 8]", far(98), "info add1.body.conv1:"),
    "a branch of a hundred layers has another reader": ("[3, 8, 8]", far(110), "info add1.body.conv1:"),
    "behind a layer of its own, too far": (
        "[3, 8, 8]",
        far(99).replace("- conv: {out_channels: 3", "- relu\n      - conv: {out_channels: 3"),
        "warning add1.body.conv1:",
    ),
    "behind a layer of its own, near enough": (
        "[3, 8, 8]",
        far(98).replace("- conv: {out_channels: 3", "- relu\n      - conv: {out_channels: 3"),
        "info add1.body.conv1:",
    ),
    "residuals come later": (
        "[3, 8, 8]",
        each(conv("kernel_size: 1, stride: 2"), "- add:", "    a: [relu]", "    b: []"),
        "warning conv1:",
    ),
    "its sum with itself, and a product with another": (
        "[3, 8, 8]",
        each("- relu", conv("kernel_size: 1, stride: 2", 3), "- multiply:", "    - [relu]", "    - []"),
        "warning conv1:",
    ),
    "an add beside it": (
        "[3, 8, 8]",
        each(
            "- relu",
            conv("kernel_size: 1, stride: 2", 3),
            "  name: a",
            "- avgpool: 2",
            "  from: input",
            "- add:",
            "  from: [previous, previous]",
            "- concat:",
            "  from: [previous, a]",
        ),
        "warning a:",
    ),
    "another layer reads the rest": (
        "[3, 8, 8]",
        each("- concat:", "    - [{maxpool: {kernel_size: 1, stride: 2}}]", "    - [{maxpool: 2}]"),
        "info concat1.0.maxpool1:",
    ),
    "another layer reads more": (
        "[3, 9, 9]",
        each(
            "- concat:",
            "    - [{maxpool: {kernel_size: 1, stride: 3}}]",
            "    - [{maxpool: {kernel_size: 2, stride: 3}}]",
        ),
        "info concat1.0.maxpool1:",
        "warning concat1.1.maxpool1:",
    ),
    "another layer reads as much": (
        "[3, 8, 8]",
        each(
            "- concat:",
            "    - [{maxpool: {kernel_size: 1, stride: 2}}]",
            "    - [{avgpool: {kernel_size: 1, stride: 2}}]",
        ),
        "warning",
        "warning",
    ),
    "the map is an output": (
        "[3, 8, 8]\noutputs: [a, b]",
        each(NAMED, "- maxpool: {kernel_size: 1, stride: 2}", "  name: b"),
        "info b:",
    ),
    "behind what hands it on": (
        "[3, 8, 8]",
        each("- relu", "- dropout: 0.1", conv("kernel_size: 1, stride: 2")),
        "warning conv1:",
    ),
    "another reads it before it is handed on": (
        "[3, 8, 8]",
        each(
            NAMED,
            "- dropout: 0.1",
            conv("kernel_size: 1, stride: 2"),
            "  name: b",
            "- avgpool: 2",
            "  from: a",
            "- concat:",
            "  from: [b, previous]",
        ),
        "info",
    ),
    "as much is read before it is handed on": (
        "[3, 8, 8]",
        each(
            NAMED,
            "- dropout: 0.1",
            "- maxpool: {kernel_size: 1, stride: 2}",
            "  name: b",
            "- avgpool: {kernel_size: 1, stride: 2}",
            "  from: a",
            "- concat:",
            "  from: [b, previous]",
        ),
        "warning b:",
        "info avgpool1:",
    ),
    "each reads other units of one map": (
        "[3, 8, 8]",
        each(
            "- relu",
            "- concat:",
            "    - [{maxpool: {kernel_size: 1, stride: 2}}]",
            "    -",
            "      - pad: [[0, 1], [0, 1]]",
            "      - slice: {start: 1, stop: 9, axis: 1}",
            "      - maxpool: {kernel_size: 1, stride: 2}",
            "      - crop: {size: 4}",
        ),
        "info concat1.0.maxpool1:",
        "info concat1.1.maxpool1:",
    ),
    "behind a layer that computes": (
        "[3, 8, 8]",
        each("- concat:", "    - [relu, {maxpool: {kernel_size: 1, stride: 2}}]", "    - [{maxpool: 2}]"),
        "warning concat1.0.maxpool1:",
    ),
}

TABLES = {name: table for name, table in globals().items() if name[:2] in ("G1", "U5")}


@pytest.mark.parametrize(
    ("code", "case"),
    [pytest.param(code, case, id=f"{code} {name}") for code, table in TABLES.items() for name, case in table.items()],
)
def test_cases(code: str, case: tuple[str, ...]) -> None:
    judge(code, case)
