"""Networks on sound, series and video, written by hand in PyTorch from their papers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


class TemporalBlock(nn.Module):
    """Bai, Kolter & Koltun 2018: padded on both sides, and the end cut off again."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.cut = (kernel - 1) * dilation
        self.conv1 = nn.Conv1d(channels, width, kernel, padding=self.cut, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, kernel, padding=self.cut, dilation=dilation)
        self.downsample = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv1(x)[..., : -self.cut])
        out = F.relu(self.conv2(out)[..., : -self.cut])
        return F.relu(out + self.downsample(x))


class TCN(nn.Module):
    def __init__(self, width: int = 25, levels: int = 8, kernel: int = 7, classes: int = 10) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(TemporalBlock(1 if i == 0 else width, width, kernel, 2**i) for i in range(levels))
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.blocks(x)[:, :, -1])


class WaveNetLayer(nn.Module):
    def __init__(self, residual: int, skips: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter = nn.Conv1d(residual, residual, 2, dilation=dilation)
        self.gate = nn.Conv1d(residual, residual, 2, dilation=dilation)
        self.skip = nn.Conv1d(residual, skips, 1)
        self.residual = nn.Conv1d(residual, residual, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        past = F.pad(x, (self.dilation, 0))
        z = torch.tanh(self.filter(past)) * torch.sigmoid(self.gate(past))
        skip = self.skip(z)
        return x + self.residual(z), skip


class WaveNet(nn.Module):
    """van den Oord et al. 2016, figures 2 to 4."""

    def __init__(self, levels: int = 256, residual: int = 32, skips: int = 256) -> None:
        super().__init__()
        self.first = nn.Conv1d(levels, residual, 1)
        self.layers = nn.ModuleList(WaveNetLayer(residual, skips, 2**i) for _ in range(3) for i in range(10))
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(skips, skips, 1), nn.ReLU(), nn.Conv1d(skips, levels, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips = []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        return self.last(torch.stack(skips).sum(0))


class Anomaly(nn.Module):
    """Keras' example. TensorFlow's SAME: half of the padding in front, the odd unit at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 32, 7, 2)
        self.conv2 = nn.Conv1d(32, 16, 7, 2)
        self.up1 = nn.ConvTranspose1d(16, 16, 7, 2)
        self.up2 = nn.ConvTranspose1d(16, 32, 7, 2)
        self.up3 = nn.ConvTranspose1d(32, 1, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(F.pad(x, (2, 3))))
        x = F.relu(self.conv2(F.pad(x, (2, 3))))
        x = F.relu(self.up1(x)[..., 2:-3])  # the gradient of the convolution: what it padded is cut off
        x = F.relu(self.up2(x)[..., 2:-3])
        return self.up3(x)[..., 3:-3]


class BasicBlock3d(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv3d(channels, width, 1, stride, bias=False), nn.BatchNorm3d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


def r3d_18(classes: int = 400) -> nn.Module:
    """Tran et al. 2018."""
    layers: list[nn.Module] = [
        nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(),
    ]
    channels = 64
    for width in (64, 128, 256, 512):
        layers += [BasicBlock3d(channels, width, 1 if width == 64 else 2), BasicBlock3d(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(512, classes))


def cnn_m_2048(channels: int, second_norm: bool, classes: int = 101, map_size: int = 6) -> nn.Module:
    """Chatfield et al. 2014, CNN-M with a last hidden layer of 2048; Simonyan & Zisserman 2014."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 96, 7, 2), nn.ReLU(), nn.LocalResponseNorm(5, 5e-4, 0.75, 2)]
    layers += [nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, 2, 1), nn.ReLU()]
    if second_norm:
        layers.append(nn.LocalResponseNorm(5, 5e-4, 0.75, 2))
    layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    for inner in (256, 512, 512):
        layers += [nn.Conv2d(inner, 512, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2), nn.Flatten()]
    layers += [nn.Linear(512 * map_size**2, 4096), nn.ReLU(), nn.Dropout(0.9)]
    layers += [nn.Linear(4096, 2048), nn.ReLU(), nn.Dropout(0.9), nn.Linear(2048, classes)]
    return nn.Sequential(*layers)
