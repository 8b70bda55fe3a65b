import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionPool(nn.Module):
    """The mean of each channel over all positions, weighed by attention; a learned query for each head."""

    def __init__(self, channels: int, num_heads: int = 1) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.zeros(num_heads, channels // num_heads))

    def forward(self, x: Tensor) -> Tensor:
        values = x.contiguous().flatten(2)
        scores = F.conv1d(values, self.query.unsqueeze(2), groups=self.num_heads)
        heads = values.view(x.shape[0], self.num_heads, -1, values.shape[2])
        return (heads @ scores.softmax(2).unsqueeze(3)).flatten(1)
