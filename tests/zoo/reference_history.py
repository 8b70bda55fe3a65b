"""Early networks, written by hand in PyTorch from their papers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """A trainable coefficient and bias for each map."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x + self.bias


class TDNN(nn.Module):
    """Waibel et al. 1989, figure 2: every unit is one dense layer, moved over the frames by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Conv1d(16, 8, 3)
        self.hidden2 = nn.Conv1d(8, 3, 5)
        self.output = Scale(3)

    def forward(self, x: Tensor) -> Tensor:
        frames = [torch.sigmoid(self.hidden1(x[:, :, t : t + 3])) for t in range(13)]
        x = torch.cat(frames, 2)
        firings = [torch.sigmoid(self.hidden2(x[:, :, t : t + 5])) for t in range(9)]
        evidence = torch.stack(firings).sum(0).squeeze(2) / 9
        return torch.sigmoid(self.output(evidence))


# LeCun et al. 1998, table I: a row for each map of S2, a column for each map of C3
TABLE = [
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
]


class LeNet5(nn.Module):
    """LeCun et al. 1998, figure 2 and table I."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Scale(6, 1, 1)
        self.c3 = nn.ModuleList([nn.Conv2d(18, 6, 5, groups=6), nn.Conv2d(36, 9, 5, groups=9), nn.Conv2d(6, 1, 5)])
        self.s4 = Scale(16, 1, 1)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.rbf = nn.Linear(84, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.s2(mean_of_four(torch.tanh(self.c1(x)))))
        seen = [
            [row for column in columns for row in range(6) if TABLE[row][column] == "X"]
            for columns in (range(6), range(6, 15), range(15, 16))
        ]
        x = torch.cat([conv(x[:, maps]) for conv, maps in zip(self.c3, seen, strict=True)], 1)
        x = torch.tanh(self.s4(mean_of_four(torch.tanh(x))))
        x = torch.tanh(self.f6(torch.tanh(self.c5(x)).flatten(1)))
        return self.rbf(x)


def mean_of_four(x: Tensor) -> Tensor:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
