"""Rules about transposed convolutions: what fires, what does not, and where the line between them lies."""

import pytest

from tests.lint.geometry import Table, judge


def deconv(arguments: str) -> str:
    """A transposed convolution as an item."""
    return f"- conv_transpose: {{out_channels: 4, {arguments}}}"


U501: Table = {
    "3 and 2": (
        "[3, 8, 8]",
        deconv("kernel_size: 3, stride: 2, padding: 1, output_padding: 1"),
        "warning conv_transpose1: the kernel 3x3 of 'conv_transpose1' is no multiple of its stride 2x2: along height, "
        "units get 1 or 2 taps in turn = write `kernel_size: 4`, `padding: 1`, `output_padding: 0`, or `upsample` "
        "before a convolution | unsafe: set `kernel_size: 4`, `padding: 1`, `output_padding: 0`",
    ),
    "4 and 2": ("[3, 8, 8]", deconv("kernel_size: 4, stride: 2, padding: 1")),
    "5 and 2": (
        "[3, 8]",
        deconv("kernel_size: 5, stride: 2"),
        "2 or 3 taps | write `kernel_size: 6`, `padding: 1`, `output_padding: 1`,",
    ),
    "2 and 2": ("[3, 8]", deconv("kernel_size: 2, stride: 2")),
    "no stride": ("[3, 8]", deconv("kernel_size: 3")),
    "one axis": (
        "[3, 8, 8]",
        deconv("kernel_size: [2, 3], stride: 2"),
        "along width, units get 1 or 2 | write `kernel_size: [2, 4]`, `padding: [0, 1]`, `output_padding: [0, 1]`,",
    ),
    "a single unit meets no other": ("[3, 1, 1]", deconv("kernel_size: 3, stride: 2")),
    "holes are another rule's": ("[3, 8]", deconv("kernel_size: 2, stride: 3")),
    "dilation that meets every unit": (
        "[3, 8]",
        deconv("kernel_size: 3, stride: 2, dilation: 3"),
        "write `kernel_size: 4`, `padding: 2`, `output_padding: 1`,",
    ),
    "dilation with holes is another rule's": ("[3, 8]", deconv("kernel_size: 3, stride: 2, dilation: 2")),
    "more output padding than the larger kernel makes up for": (
        "[3, 8]",
        deconv("kernel_size: 5, stride: 3, output_padding: 2"),
        "write `kernel_size: 9`, `padding: 1`, `output_padding: 0`,",
    ),
}

U502: Table = {
    "a stride that exceeds the kernel": (
        "[3, 8, 8]",
        deconv("kernel_size: 2, stride: 3"),
        "error conv_transpose1: no input reaches 51.6 % of the units that 'conv_transpose1' gives (23x23): stride 3 "
        "exceeds kernel 2 = write `kernel_size: 3`, `padding: 1`, `output_padding: 1` | unsafe: set `kernel_size: 3`",
    ),
    "a kernel of 1": ("[3, 8]", deconv("kernel_size: 1, stride: 2"), "error | 46.7 % | (15)"),
    "one axis": (
        "[3, 8, 8]",
        deconv("kernel_size: [3, 1], stride: [1, 2]"),
        "error | 46.7 % | stride 2 exceeds kernel 1",
    ),
    "as wide": ("[3, 8]", deconv("kernel_size: 3, stride: 3")),
    "two units": ("[3, 2]", deconv("kernel_size: 2, stride: 3"), "error | 20.0 %"),
    "a single unit": ("[3, 1]", deconv("kernel_size: 2, stride: 3")),
    "a single unit and more": (
        "[3, 1]",
        deconv("kernel_size: 2, stride: 3, output_padding: 1"),
        "warning | 33.3 % | at the border",
    ),
    "dilation in step with the stride": (
        "[3, 8]",
        deconv("kernel_size: 3, stride: 2, dilation: 2"),
        "error | 47.4 % | stride 2 and dilation 2 have a common factor = write `dilation: 1` | no fix",
    ),
    "dilation that meets every unit": ("[3, 8]", deconv("kernel_size: 3, stride: 2, dilation: 3, padding: 3")),
    "dilation that misses the border": (
        "[3, 8]",
        deconv("kernel_size: 3, stride: 2, dilation: 3"),
        "warning | 9.5 % | they lie at the border",
    ),
    "dilation without a stride": ("[3, 8]", deconv("kernel_size: 3, dilation: 4")),
    "dilation on a short map": ("[3, 2]", deconv("kernel_size: 3, dilation: 4"), "warning | 40.0 %"),
    "a border": (
        "[3, 8]",
        deconv("kernel_size: 2, stride: 2, output_padding: 1"),
        "warning | no input reaches 5.9 % | = write `kernel_size: 4`, `padding: 1`, `output_padding: 1`",
    ),
    "a border that is cut": ("[3, 8]", deconv("kernel_size: 4, stride: 2, padding: 1, output_padding: 1")),
    "nothing helps": ("[3, 8]", deconv("kernel_size: 1, stride: 5, output_padding: 4"), "error"),
    "too large to look at": ("[3, 2]", deconv("kernel_size: 1, stride: 70000")),
}

TABLES = {name: table for name, table in globals().items() if name[:2] in ("G1", "U5")}


@pytest.mark.parametrize(
    ("code", "case"),
    [pytest.param(code, case, id=f"{code} {name}") for code, table in TABLES.items() for name, case in table.items()],
)
def test_cases(code: str, case: tuple[str, ...]) -> None:
    judge(code, case)
