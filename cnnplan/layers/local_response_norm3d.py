from torch import Tensor, nn


class LocalResponseNorm3d(nn.LocalResponseNorm):
    """Local response normalization of volumes; torch's own sees height and width as one axis, which some are not."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.contiguous())
