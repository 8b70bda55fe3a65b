import torch
from torch import Tensor, nn


class SequenceLSTM(nn.LSTM):
    """An LSTM over a sequence whose channels come first; its output at each step, or its last hidden states."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, False, dropout, bidirectional)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        y, (h, _) = super().forward(x.permute(2, 0, 1))
        if not self.last:
            return y.permute(1, 2, 0).contiguous()
        return torch.cat((h[-2], h[-1]), 1) if self.bidirectional else h[-1]
