"""Small networks and generators, written by hand in PyTorch from their papers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


class DcganGenerator(nn.Module):
    """Radford, Metz & Chintala 2016, figure 1."""

    def __init__(self, latent: int = 100) -> None:
        super().__init__()
        widths = [1024, 512, 256, 128]
        self.project = nn.Linear(latent, 1024 * 4 * 4, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.convs = nn.ModuleList(nn.ConvTranspose2d(a, b, 5, 2, 2, 1, bias=False) for a, b in pairwise(widths))
        self.last = nn.ConvTranspose2d(128, 3, 5, 2, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.project(z).unflatten(1, (1024, 4, 4))))
        for conv, norm in zip(self.convs, list(self.norms)[1:], strict=True):
            x = F.relu(norm(conv(x)))
        return torch.tanh(self.last(x))


class ConvAutoencoder(nn.Module):
    """Keras' blog. TensorFlow pads 7 to 8 at the end before it pools."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 16), (16, 8), (8, 8)))
        self.up = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 16, 3)])
        self.last = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.down:
            x = F.relu(conv(x))
            x = F.max_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2)
        for conv in self.up:
            x = F.relu(conv(x)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return torch.sigmoid(self.last(x))


class ESPCN(nn.Module):
    """Shi et al. 2016, equation 4: the sub-pixels of a place are the channels there."""

    def __init__(self, factor: int = 3) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, factor**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x)))))
        batch, _, height, width = x.shape
        out = x.new_empty(batch, 1, self.factor * height, self.factor * width)
        for i in range(self.factor):
            for j in range(self.factor):
                out[:, 0, i :: self.factor, j :: self.factor] = x[:, self.factor * i + j]
        return out


class Siamese(nn.Module):
    """Koch, Zemel & Salakhutdinov 2015, figure 4."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(1, 64, 10),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 7),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(128, 128, 4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(128, 256, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(9216, 4096),
            nn.Sigmoid(),
        )
        self.out = nn.Linear(4096, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        distance = (self.tower(left) - self.tower(right)).abs()
        return torch.sigmoid(self.out(distance))


class PrimaryCapsules(nn.Module):
    """Sabour, Frosst & Hinton 2017: a capsule is 8 values of one channel of capsules at one place of 6x6."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 256, 9)
        self.primary = nn.Conv2d(256, 32 * 8, 9, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(F.relu(self.conv1(x)))
        capsules = [x[:, 8 * c : 8 * c + 8, i, j] for c in range(32) for i in range(6) for j in range(6)]
        return torch.stack(capsules, 1)
