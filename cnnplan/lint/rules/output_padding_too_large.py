"""S009 output-padding-too-large."""

from typing import ClassVar

from cnnplan.lint.base import Refusal


class OutputPaddingTooLarge(Refusal):
    """An `output_padding` that is not below the stride or the dilation.

    A strided convolution makes several input sizes one: with stride 2, 31 and 32 both become 16. The transposed one
    chooses among them by `output_padding`, from 0 to the larger of stride and dilation, less 1; more of it would be
    rows of nothing but bias. torch stops with "output padding must be smaller than either stride or dilation".

    To double a map: `kernel_size: 4, stride: 2, padding: 1`, or
    `kernel_size: 3, stride: 2, padding: 1, output_padding: 1`.

    Source: torch.nn.ConvTranspose2d; Dumoulin & Visin 2016, arXiv:1603.07285, section 4.6.
    """

    code: ClassVar[str] = "S009"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [8, 16, 16]
        layers:
          - conv_transpose: {out_channels: 4, kernel_size: 4, stride: 2, padding: 2, output_padding: 2}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [8, 16, 16]
        layers:
          - conv_transpose: {out_channels: 4, kernel_size: 4, stride: 2, padding: 1}
    """
