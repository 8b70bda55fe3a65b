"""Rules about dilation, pools and transposed convolutions: what fires, what does not, and where the line lies."""

import pytest

from tests.lint.geometry import Table, conv, each, judge


def dilated(*dilations: int, kernel: int = 3) -> str:
    """Convolutions one behind the other that keep the map's size."""
    return each(*(conv(f"kernel_size: {kernel}, padding: half, dilation: {d}") for d in dilations))


STRIDE = conv("kernel_size: 3, stride: 2, padding: 1")
G111: Table = {
    "the same dilation again and again": (
        "[3, 64, 64]",
        dilated(2, 2, 2),
        "warning conv3: the dilations 2, 2, 2 up to 'conv3' leave holes: along height, a unit reads 7 of the 13 units "
        "that it spans (53.8 %) = write dilations such as 1, 2, 5 | no fix",
    ),
    "doubled dilations begin at 1": ("[3, 64, 64]", dilated(1, 2, 4)),
    "doubled dilations begin at 2": ("[3, 64, 64]", dilated(2, 4, 8), "2, 4, 8 up to 'conv3' | 15 of the 29"),
    "1, 2, 5": ("[3, 64, 64]", dilated(1, 2, 5)),
    "1, 2, 9": ("[3, 64, 64]", dilated(1, 2, 9), "info conv3: the dilations 2, 9 up to 'conv3' | 21 of the 25"),
    "a window between them": ("[3, 64]", each(dilated(2), "- maxpool: {kernel_size: 2, stride: 1}", dilated(2))),
    "a dense convolution behind them": ("[3, 64]", dilated(2, 2, 1)),
    "one of them": ("[3, 64]", dilated(8)),
    "one of them, and a dense one": ("[3, 64]", dilated(1, 8)),
    "two of them": ("[3, 64]", dilated(3, 3), "3, 3 up to 'conv2' | 5 of the 13"),
    "a 1x1 convolution is not dilated": ("[3, 64]", each(dilated(8), conv("kernel_size: 1, dilation: 2"))),
    "depthwise": (
        "[3, 64]",
        each(*["- depthwise_conv: {kernel_size: 3, padding: half, dilation: 2}"] * 2),
        "5 of the 9",
    ),
    "one axis": (
        "[3, 64, 64]",
        each(*[conv("kernel_size: 3, padding: half, dilation: [1, 2]")] * 2),
        "along width, a unit",
    ),
    "the axis that is worse": (
        "[3, 64, 64]",
        each(*[conv("kernel_size: 3, padding: half, dilation: [2, 3]")] * 2),
        "along width, a unit reads 5 of the 13",
    ),
    "the axis that is worse, first": (
        "[3, 64, 64]",
        each(*[conv("kernel_size: 3, padding: half, dilation: [3, 2]")] * 2),
        "along height, a unit reads 5 of the 13",
    ),
    "more than six": ("[3, 64]", dilated(*[2] * 7), "dilations …, 2, 2, 2, 2, 2, 2 up to 'conv7'"),
    "six": ("[3, 64]", dilated(*[2] * 6), "dilations 2, 2, 2, 2, 2, 2 up to 'conv6'"),
    "a change of stride before": ("[3, 64]", each(dilated(1, 1), STRIDE, dilated(2, 2)), "conv5"),
    "a window with a stride fills the holes": ("[3, 64]", each(dilated(2, 2), STRIDE, dilated(1))),
    "a pool with a stride fills the holes": ("[3, 64]", each(dilated(2, 2), "- maxpool: 2")),
    "a window with a stride that does not": ("[3, 64]", each(dilated(3, 3), "- maxpool: 2"), "conv2"),
    "one on each side of a stride": ("[3, 64]", each(dilated(2), STRIDE, dilated(2))),
    "a transposed convolution": (
        "[3, 64]",
        each(dilated(2, 2), "- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}", dilated(1)),
        "conv2",
    ),
    "resized": (
        "[3, 64, 64]",
        each(dilated(2, 2), "- upsample: {scale_factor: 2, mode: bilinear}", dilated(1)),
        "conv2",
    ),
    "a head": ("[3, 64, 64]", each(dilated(2, 2), "- global_avgpool", "- linear: 4"), "conv2"),
    "a head that keeps its axes": ("[3, 64, 64]", each(dilated(2, 2), "- global_avgpool: {keepdim: true}"), "conv2"),
    "a head that pools adaptively": ("[3, 64, 64]", each(dilated(2, 2), "- adaptive_avgpool: 1"), "conv2"),
    "a flat head": ("[3, 64]", each(dilated(2, 2), "- flatten", "- linear: 4"), "conv2"),
    "axes that change places": ("[3, 64, 64]", each(dilated(2), "- permute: [0, 2, 1]", dilated(2))),
    "activations between": ("[3, 64]", each(dilated(2), "- batchnorm", "- relu", dilated(2)), "conv2"),
    "padding between": ("[3, 64]", each(dilated(2), "- pad: 2", dilated(2)), "conv2"),
    "a skip": (
        "[4, 64]",
        each("- add:", "    a:", *(f"      {i}" for i in dilated(2, 2).split("\n")), "    b: []"),
        "5 of the 9",
    ),
    "a dense branch": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *(f"      {i}" for i in dilated(2, 2).split("\n")),
            "    b:",
            f"      {conv('kernel_size: 9, padding: half')}",
        ),
    ),
    "a branch that looks elsewhere": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *(f"      {i}" for i in dilated(2, 2).split("\n")),
            "    b:",
            "      - pad: [[0, 1]]",
            "      - crop: {size: 64}",
            "      - relu",
        ),
        "5 of the 9",
    ),
    "branches that look to either side": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *(f"      {i}" for i in dilated(2, 2).split("\n")),
            "    b:",
            *(f"      {i}" for i in dilated(2, 2).split("\n")),
            "      - pad: [[1, 0]]",
            "      - slice: {start: 0, stop: 64, axis: 1}",
        ),
    ),
    "a branch that looks further back": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *["      - conv: {out_channels: 4, kernel_size: 2, dilation: 2, padding: [[2, 0]]}"] * 2,
            "    b:",
            "      - pad: [[1, 0]]",
            "      - slice: {start: 0, stop: 64, axis: 1}",
        ),
        "4 of the 5",
    ),
    "the larger dilation is named": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *(f"      {i}" for i in dilated(2, 2).split("\n")),
            "    b:",
            *(f"      {i}" for i in dilated(2, 6).split("\n")),
        ),
        "warning concat1.b.conv2: the dilations 2, 6 | 9 of the 17",
    ),
    "the longer branch is named": (
        "[3, 64]",
        each(
            "- concat:",
            "    a:",
            *(f"      {i}" for i in dilated(2, 2, 2).split("\n")),
            "    b:",
            *(f"      {i}" for i in dilated(6).split("\n")),
        ),
        "concat1.a.conv3: the dilations 2, 2, 2 ",
    ),
    "two ends": (
        "[3, 64]\noutputs: [a, b]",
        each(dilated(2, 2), "  name: a", dilated(2), "  name: b"),
        "'a' | 5 of the 9",
        "'b' | 7 of the 13",
    ),
    "the worse of two ends": (
        "[3, 64]\noutputs: [p, a]",
        each(dilated(3, 3), "  name: a", "- maxpool: {kernel_size: 2}", "  name: p"),
        "'a' leave holes: along length, a unit reads 5 of the 13",
    ),
    "taps that see padding alone": ("[3, 4]", dilated(4, 4)),
    "taps that see the map": ("[3, 5]", dilated(4, 4), "conv2"),
    "kernels of 2": ("[3, 64]", each(*[conv("kernel_size: 2, dilation: 2, padding: [[2, 0]]")] * 2), "3 of the 5"),
    "kernels of 7": ("[3, 64]", dilated(2, 2, kernel=7), "13 of the 25"),
    "a dilated pool is none": (
        "[3, 64]",
        each(*["- maxpool: {kernel_size: 3, stride: 1, padding: 1, dilation: 2}"] * 3),
    ),
    "too large to follow": ("[3, 200000]", dilated(20000, 20000)),
    "nearly too large to follow": ("[3, 200000]", dilated(10000, 10000), "5 of the 40001"),
    "three quarters": (
        "[3, 64]",
        each(conv("kernel_size: 2, dilation: 3, padding: [[3, 0]]"), dilated(2)),
        "info | 6 of the 8",
    ),
}

G113: Table = {
    "windows that differ": (
        "[3, 9, 9]",
        "- adaptive_avgpool: 7",
        "warning adaptive_avgpool1: 'adaptive_avgpool1' pools height 9 to 7, which does not divide it: its windows "
        "overlap = 9 divides by 1, 3, 9; or give it a map of a multiple of 7 | no fix",
    ),
    "windows that are alike": ("[3, 14, 14]", "- adaptive_avgpool: 7"),
    "the largest of each": ("[3, 9, 9]", "- adaptive_maxpool: 5", "warning adaptive_maxpool1:"),
    "one axis": ("[3, 14, 9]", "- adaptive_avgpool: 7", "pools width 9 to 7"),
    "one unit": ("[3, 9, 9]", "- adaptive_avgpool: 1"),
    "windows that overlap evenly": ("[3, 9, 9]", "- adaptive_avgpool: [3, 4]", "pools width 9 to 4"),
    "each window one further": ("[3, 7, 7]", "- adaptive_avgpool: 6", "pools height 7 to 6"),
    "windows that are as large, but not as far apart": ("[3, 14]", "- adaptive_avgpool: 12", "14 to 12"),
    "windows that are as far apart, but not as large": ("[3, 5]", "- adaptive_avgpool: 3", "5 to 3"),
    "copies of each": ("[3, 3, 3]", "- adaptive_avgpool: 6"),
    "copies of some": ("[3, 5, 5]", "- adaptive_avgpool: 7", "pools height 5 to 7"),
    "a pyramid": (
        "[3, 9, 9]",
        each(
            "- concat:",
            "    - [{adaptive_avgpool: 5}, {upsample: {size: 9}}]",
            "    - [{adaptive_avgpool: 3}, {upsample: {size: 9}}]",
        ),
        "info concat1.0.adaptive_avgpool1:",
    ),
    "pools of two kinds": (
        "[3, 9, 9]",
        each("- concat:", "    - [{adaptive_avgpool: 5}]", "    - [{adaptive_maxpool: 5}]"),
        "warning",
        "warning",
    ),
    "other sizes are declared": ("{shape: [3, 9, 9], sizes: [14]}", "- adaptive_avgpool: 7", "info"),
    "too many to look at": ("[1, 70001]", "- adaptive_avgpool: 70000", "warning"),
}

G116: Table = {
    "a round trip": (
        "[3, 32, 32]",
        each("- maxpool: 2", "- upsample: 2", conv("kernel_size: 1")),
        "warning upsample1: 'upsample1' makes large again what 'maxpool1' made small, with nothing between them that "
        "learns: 3x32x32 to 3x16x16 to 3x32x32 | 'maxpool1' makes it smaller | unsafe: remove `maxpool` and `upsample`",
    ),
    "a convolution between": ("[3, 32, 32]", each("- maxpool: 2", conv("kernel_size: 1"), "- upsample: 2")),
    "layers that act unit by unit between": (
        "[3, 32, 32]",
        each(
            "- avgpool: 2",
            "- batchnorm",
            "- relu",
            "- dropout: 0.1",
            "- identity",
            "- upsample: 2",
            conv("kernel_size: 1"),
        ),
        "avgpool1",
    ),
    "a transposed convolution learns": (
        "[3, 32, 32]",
        each("- maxpool: 2", "- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2}"),
    ),
    "a convolution made it small": ("[3, 32, 32]", each(STRIDE, "- upsample: 2")),
    "an adaptive pool": (
        "[3, 32, 32]",
        each("- adaptive_avgpool: 8", "- upsample: {size: 32}", conv("kernel_size: 1")),
        "upsample1",
    ),
    "an upsample makes it smaller": (
        "[3, 32, 32]",
        each("- upsample: 0.5", "- upsample: 2", conv("kernel_size: 1")),
        "upsample2",
    ),
    "an upsample makes it larger": ("[3, 16, 16]", each("- upsample: 2", "- upsample: 2", conv("kernel_size: 1"))),
    "a pool with a stride of 1": ("[3, 32, 32]", each("- maxpool: {kernel_size: 3, stride: 1}", "- upsample: 2")),
    "a little smaller": (
        "[3, 32, 32]",
        each("- upsample: {size: 17}", "- upsample: {size: 32}", conv("kernel_size: 1")),
    ),
    "half of an odd map, rounded up": (
        "[3, 31, 31]",
        each("- maxpool: {kernel_size: 2, ceil_mode: true}", "- upsample: 2", conv("kernel_size: 1")),
        "3x31x31 to 3x16x16 to 3x32x32",
    ),
    "units to channels": ("[3, 32, 32]", each("- space_to_depth: 2", "- upsample: 2")),
    "channels to units": ("[4, 1, 32]", each("- pixel_shuffle: 2", "- upsample: 2")),
    "one axis": ("[3, 32, 32]", each("- maxpool: [1, 2]", "- upsample: [1, 2]", conv("kernel_size: 1")), "upsample1"),
    "different axes": ("[3, 32, 32]", each("- maxpool: [1, 2]", "- upsample: [2, 1]", conv("kernel_size: 1"))),
    "an odd map": (
        "[3, 33, 33]",
        each("- maxpool: 2", "- upsample: 2", conv("kernel_size: 1")),
        "3x33x33 to 3x16x16 to 3x32x32 | no fix",
    ),
    "another scale": ("[3, 24, 24]", each("- avgpool: 3", "- upsample: 2", conv("kernel_size: 1"))),
    "nearly as large": ("[3, 24, 24]", each("- avgpool: 3", "- upsample: {size: 21}", conv("kernel_size: 1"))),
    "as large but for a unit that is cut": (
        "[3, 24, 24]",
        each("- avgpool: 3", "- upsample: {size: 22}", conv("kernel_size: 1")),
        "no fix",
    ),
    "larger than before": ("[3, 16, 16]", each("- avgpool: 2", "- upsample: 4", conv("kernel_size: 1")), "no fix"),
    "a global pool": (
        "[3, 16, 16]",
        each("- global_avgpool: {keepdim: true}", "- upsample: {size: 16}", conv("kernel_size: 1")),
    ),
    "a pool of two units": (
        "[3, 16, 16]",
        each("- adaptive_avgpool: [1, 2]", "- upsample: {size: 16}", conv("kernel_size: 1")),
        "upsample1",
    ),
    "a global pool and a vector": (
        "[3, 16, 16]",
        each("- global_avgpool", "- reshape: [3, 1, 1]", "- upsample: {size: 16}"),
    ),
    "a copy is kept": ("[3, 16, 16]", each("- concat:", "    - [{maxpool: 2}, {upsample: 2}]", "    - []")),
    "its size is kept": (
        "[3, 16, 16]",
        each("- relu:", "  name: a", "- maxpool: 2", "- upsample: {like: a}", conv("kernel_size: 1")),
        "upsample1",
    ),
    "a copy is an output": (
        "[3, 16, 16]\noutputs: [a, b]",
        each("- relu:", "  name: a", "- maxpool: 2", "- upsample: 2", "  name: b"),
    ),
    "the small map is an output": (
        "[3, 16, 16]\noutputs: [a, b]",
        each("- maxpool: 2", "  name: a", "- upsample: 2", conv("kernel_size: 1"), "  name: b"),
    ),
    "the small map is used": (
        "[3, 16, 16]\noutputs: [b, c]",
        each(
            "- maxpool: 2",
            "  name: a",
            "- upsample: 2",
            conv("kernel_size: 1"),
            "  name: b",
            conv("kernel_size: 1"),
            "  from: a",
            "  name: c",
        ),
    ),
    "the small map gives its size": (
        "[3, 16, 16]\noutputs: [b, c]",
        each(
            "- maxpool: 2",
            "  name: a",
            "- upsample: 2",
            conv("kernel_size: 1"),
            "  name: b",
            "- crop: {like: a}",
            "  name: c",
        ),
        "upsample1",
    ),
    "nothing before it": ("[3, 16, 16]", each("- upsample: 2", conv("kernel_size: 1"))),
    "the code of an autoencoder": (
        "[3, 16, 16]",
        each("- relu", "- maxpool: 2", "- upsample: 2", conv("kernel_size: 1", 3)),
    ),
    "beside the code of an autoencoder": (
        "[3, 16, 16]",
        each(
            "- relu",
            "- maxpool: 2",
            "- upsample: 2",
            conv("kernel_size: 1", 1),
            conv("kernel_size: 2, stride: 2", 1),
            "- upsample: 2",
            conv("kernel_size: 1", 3),
        ),
        "upsample1",
    ),
}

G117: Table = {
    "a window of 1": (
        "[3, 8, 8]",
        "- maxpool: 1\n- relu",
        "warning maxpool1: 'maxpool1' changes nothing: its window is a single unit, and so is its stride "
        "= remove it | safe: remove `maxpool`",
    ),
    "an average of 1": ("[3, 8, 8]", "- avgpool: {kernel_size: 1, stride: 1}\n- relu", "warning avgpool1:"),
    "a stride": ("[3, 8, 8]", "- maxpool: {kernel_size: 1, stride: 2}\n- relu"),
    "a window": ("[3, 8, 8]", "- maxpool: {kernel_size: 3, stride: 1, padding: 1}\n- relu"),
    "one axis has a window": ("[3, 8, 8]", "- maxpool: {kernel_size: [1, 3], stride: 1, padding: [0, 1]}\n- relu"),
    "a single unit": (
        "[3, 1, 1]",
        "- maxpool: {kernel_size: 3, stride: 1, padding: 1}\n- relu",
        "each window sees a single unit of its input 3x1x1",
    ),
    "a single unit with a stride": (
        "[3, 1, 1]",
        "- maxpool: {kernel_size: 3, stride: 2, padding: 1}\n- relu",
        "warning",
    ),
    "a single unit along one axis": (
        "[3, 1, 8]",
        "- maxpool: {kernel_size: [3, 1], stride: 1, padding: [1, 0]}\n- relu",
        "warning maxpool1: | each window sees a single unit of its input 3x1x8",
    ),
    "taps on both sides of the unit": (
        "[3, 1]",
        "- maxpool: {kernel_size: 2, stride: 1, padding: 1, dilation: 2}\n- relu",
    ),
    "an average with padding": ("[3, 1, 1]", "- avgpool: {kernel_size: 3, stride: 1, padding: 1}\n- relu"),
    "an average with padding along one axis": (
        "[3, 1, 1]",
        "- avgpool: {kernel_size: [3, 1], stride: 1, padding: [1, 0]}\n- relu",
    ),
    "two units, one of padding": ("[3, 3]", "- maxpool: {kernel_size: 2, stride: 1, padding: [[1, 0]]}\n- relu"),
    "an average without the padding": (
        "[3, 1, 1]",
        "- avgpool: {kernel_size: 3, stride: 1, padding: 1, count_include_pad: false}\n- relu",
        "warning",
    ),
    "an average over the same padding": (
        "[3, 1, 1]",
        "- avgpool: {kernel_size: 3, stride: 1, padding: same}\n- relu",
        "warning",
    ),
    "an average with padding behind": (
        "[3, 1, 1]",
        "- avgpool: {kernel_size: 2, stride: 1, padding: [[0, 1], [0, 1]]}\n- relu",
    ),
    "a power": ("[3, 8, 8]", "- lppool: {p: 2, kernel_size: 1}\n- relu"),
    "the first power": ("[3, 8, 8]", "- lppool: {p: 1, kernel_size: 1}\n- relu", "warning lppool1:"),
    "a sum beyond the end": ("[3, 1, 1]", "- lppool: {p: 1, kernel_size: [1, 2], ceil_mode: true}\n- relu"),
    "an adaptive pool to the same size": (
        "[3, 7, 7]",
        "- adaptive_avgpool: 7\n- relu",
        "info adaptive_avgpool1: 'adaptive_avgpool1' changes nothing: its input is 7x7 already = remove it, unless "
        "| unsafe:",
    ),
    "an adaptive pool of a single unit": (
        "[3, 1, 1]",
        "- adaptive_maxpool: 1\n- relu",
        "info | each window sees a single unit of its input 3x1x1",
    ),
    "an adaptive pool to one row": (
        "[3, 1, 8]",
        "- adaptive_avgpool: [1, 8]\n- relu",
        "info | its input is 1x8 already",
    ),
    "an adaptive pool to another size": ("[3, 7, 7]", "- adaptive_avgpool: 1\n- relu"),
    "an adaptive pool, and other sizes": ("{shape: [3, 7, 7], sizes: [8]}", "- adaptive_avgpool: 7\n- relu"),
    "a fixed pool, and other sizes": ("{shape: [3, 7, 7], sizes: [8]}", "- maxpool: 1\n- relu", "warning"),
    "a global pool that keeps the axes": ("[3, 1, 1]", "- global_avgpool: {keepdim: true}\n- relu", "info"),
    "a global pool makes a vector": ("[3, 1, 1]", "- global_avgpool\n- linear: 3"),
    "every pool of an item": (
        "[3, 8, 8]",
        each("- layers:", "    - maxpool: 1", "    - relu", "  repeat: 2"),
        "the same in 'maxpool2'",
    ),
    "some pools of an item": (
        "[3, 8, 8]",
        each("- layers:", '    - maxpool: "=[1, 2][index]"', "    - relu", "  repeat: 2"),
    ),
}

G118: Table = {
    "a pool that leaves one row": (
        "[3, 2, 32]",
        each("- maxpool: 2", conv("kernel_size: 3, padding: 1")),
        "warning maxpool1: 'maxpool1' leaves a single unit of height beside 16 of width, and 'conv1' slides a window "
        "of 3x3 over it = write `kernel_size: [1, 2]` | 'conv1' slides over it "
        "| unsafe: take a stride of 1 along height",
    ),
    "one column": (
        "[3, 32, 2]",
        each("- maxpool: 2", conv("kernel_size: 3, padding: 1")),
        "of width beside 16 of height | `kernel_size: [2, 1]`",
    ),
    "a pool of its own stride": (
        "[3, 3, 32]",
        each("- maxpool: {kernel_size: 3, stride: 2}", conv("kernel_size: 3, padding: 1")),
        "= write `kernel_size: [1, 2]` | unsafe",
    ),
    "a convolution": (
        "[3, 2, 32]",
        each(STRIDE, conv("kernel_size: 3, padding: 1")),
        "warning conv1: | = write `stride: [1, 2]` | unsafe",
    ),
    "a window that is as high as the map": (
        "[3, 3, 32]",
        each(conv("kernel_size: 3"), conv("kernel_size: 3, padding: 1")),
        "warning conv1: | no fix",
    ),
    "two rows": ("[3, 4, 32]", each("- maxpool: 2", conv("kernel_size: 3, padding: 1"))),
    "nine columns": ("[3, 2, 18]", each("- maxpool: 2", conv("kernel_size: 3, padding: 1")), "beside 9 of width"),
    "eight columns": ("[3, 2, 16]", each("- maxpool: 2", conv("kernel_size: 3, padding: 1"))),
    "a window of one row": ("[3, 2, 32]", each("- maxpool: 2", conv("kernel_size: [1, 3], padding: [0, 1]"))),
    "a window of one column": (
        "[3, 2, 32]",
        each("- maxpool: 2", conv("kernel_size: [3, 1], padding: [1, 0]")),
        "a window of 3x1",
    ),
    "nothing behind it": ("[3, 2, 32]", "- maxpool: 2"),
    "a pool behind it": (
        "[3, 2, 32]",
        each("- maxpool: 2", "- maxpool: {kernel_size: 3, stride: 1, padding: 1}"),
        "and 'maxpool2' slides",
    ),
    "layers between": (
        "[3, 2, 32]",
        each("- maxpool: 2", "- relu", conv("kernel_size: 1"), conv("kernel_size: 3, padding: 1")),
        "maxpool1: | 'conv2'",
    ),
    "found once": (
        "[3, 2, 32]",
        each("- maxpool: 2", conv("kernel_size: 3, padding: 1"), conv("kernel_size: 3, padding: 1")),
        "'conv1'",
    ),
    "a window of two rows": ("[3, 2, 32]", each("- maxpool: 2", conv("kernel_size: 2, padding: same")), "maxpool1"),
    "layers between, along the width": (
        "[3, 32, 2]",
        each("- maxpool: 2", "- relu", conv("kernel_size: 3, padding: 1")),
        "maxpool1: | 'conv1'",
    ),
    "two causes": (
        "[3, 2, 32]",
        each(
            "- concat:",
            "    - [{maxpool: 2}, {maxpool: {kernel_size: 3, stride: 1, padding: 1}}]",
            "    - [{avgpool: 2}, {maxpool: {kernel_size: 3, stride: 1, padding: 1}}]",
        ),
        "maxpool1",
        "avgpool1",
    ),
    "the input": (
        "[3, 1, 32]",
        each("- relu", conv("kernel_size: 3, padding: 1"), conv("kernel_size: 3, padding: 1")),
        "warning conv1: 'conv1' slides a window of 3x3 over 3x1x32: a single unit of height beside 32 of width "
        "= write `kernel_size: [1, 3]`, without padding along height | no fix",
    ),
    "a reshape": ("[96]", each("- reshape: [3, 1, 32]", conv("kernel_size: 3, padding: 1")), "conv1: 'conv1' slides"),
    "an adaptive pool": (
        "[3, 9, 9]",
        each("- adaptive_avgpool: [1, 9]", conv("kernel_size: 3, padding: 1")),
        "conv1: 'conv1' slides",
    ),
    "of a volume": (
        "[3, 2, 9, 9]",
        each("- maxpool: [2, 1, 1]", conv("kernel_size: 3, padding: 1")),
        "of depth beside 9 of height | `kernel_size: 1`",
    ),
    "one axis": ("[3, 1]", conv("kernel_size: 3, padding: 1")),
}

G119: Table = {
    "a pool": (
        "[3, 32, 32]",
        "- maxpool: 2",
        "info maxpool1: 'maxpool1' takes a stride of 2x2 without a blur before it = a stride of 1, and "
        "`avgpool: {kernel_size: 3, stride: 2, padding: 1}` behind it | unsafe: set `stride: 1`, insert `avgpool",
    ),
    "a convolution": ("[3, 32, 32]", STRIDE, "info conv1: | behind its activation | no fix"),
    "a depthwise convolution": ("[3, 32, 32]", "- depthwise_conv: {kernel_size: 3, stride: 2}", "depthwise_conv1"),
    "a larger stride": ("[3, 32, 32]", "- maxpool: 3", "3x3 | no fix"),
    "one axis": ("[3, 32, 32]", "- maxpool: [1, 2]", "1x2 | no fix"),
    "no stride": ("[3, 32, 32]", conv("kernel_size: 3")),
    "an average is a blur": ("[3, 32, 32]", each("- avgpool: 2", conv("kernel_size: 1"))),
    "one unit": ("[3, 2, 2]", "- maxpool: 2"),
    "two units": ("[3, 4, 4]", "- maxpool: 2", "maxpool1"),
    "one unit along the axis with the stride": ("[3, 2, 32]", "- maxpool: [2, 1]"),
    "behind an average": (
        "[3, 32, 32]",
        each("- avgpool: {kernel_size: 2, stride: 1}", "- maxpool: {kernel_size: 1, stride: 2}"),
    ),
    "behind an average of one": (
        "[3, 32, 32]",
        each("- avgpool: {kernel_size: 1, stride: 1}", "- maxpool: {kernel_size: 1, stride: 2}"),
        "maxpool1",
    ),
    "behind an average of one column": (
        "[3, 32, 32]",
        each("- avgpool: {kernel_size: [2, 1], stride: 1}", "- maxpool: {kernel_size: 1, stride: 2}"),
    ),
    "behind fixed weights": ("[3, 32, 32]", each("- depthwise_conv: {kernel_size: 3}", "  trainable: false", STRIDE)),
    "behind weights that learn": ("[3, 32, 32]", each("- depthwise_conv: {kernel_size: 3}", STRIDE), "conv1"),
    "behind weights that do not, across channels": (
        "[3, 32, 32]",
        each(conv("kernel_size: 3"), "  trainable: false", STRIDE),
        "conv2",
    ),
    "behind a dropout behind an average": (
        "[3, 32, 32]",
        each("- avgpool: {kernel_size: 2, stride: 1}", "- dropout: 0.1", STRIDE),
    ),
}


TABLES = {name: table for name, table in globals().items() if name[:2] in ("G1", "U5")}


@pytest.mark.parametrize(
    ("code", "case"),
    [pytest.param(code, case, id=f"{code} {name}") for code, table in TABLES.items() for name, case in table.items()],
)
def test_cases(code: str, case: tuple[str, ...]) -> None:
    judge(code, case)
