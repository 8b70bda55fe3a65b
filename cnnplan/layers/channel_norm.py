from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of each position; the channels come first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
