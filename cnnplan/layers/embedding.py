from torch import Tensor, nn


class Embedding(nn.Embedding):
    """A learned vector for each token; its numbers are the channels, which come first."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).movedim(-1, 1)
