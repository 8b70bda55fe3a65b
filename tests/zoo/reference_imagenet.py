"""Networks of tests/zoo/imagenet.py as people write them in PyTorch: oracles for their wiring.

Each follows the paper and the common PyTorch implementation. As in the specs, a residual body runs before its shortcut.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


def mlpconv(channels: int, widths: tuple[int, int, int], kernel: int, stride: int, padding: int) -> list[nn.Module]:
    a, b, c = widths
    return [
        nn.Conv2d(channels, a, kernel, stride, padding),
        nn.ReLU(),
        nn.Conv2d(a, b, 1),
        nn.ReLU(),
        nn.Conv2d(b, c, 1),
        nn.ReLU(),
    ]


def nin_cifar10() -> nn.Module:
    """Lin, Chen & Yan 2014, as the authors define it for cuda-convnet."""
    return nn.Sequential(
        *mlpconv(3, (192, 160, 96), 5, 1, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        *mlpconv(96, (192, 192, 192), 5, 1, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        *mlpconv(192, (192, 192, 10), 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def nin_imagenet() -> nn.Module:
    """The model of Caffe's zoo."""
    return nn.Sequential(
        *mlpconv(3, (96, 96, 96), 11, 4, 0),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *mlpconv(96, (256, 256, 256), 5, 1, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *mlpconv(256, (384, 384, 384), 3, 1, 1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        *mlpconv(384, (1024, 1024, 1000), 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


# ------------------------------------------------------------------------- GoogLeNet


class BasicConv(nn.Module):
    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class InceptionBN(nn.Module):
    def __init__(self, channels: int, c1: int, c3r: int, c3: int, c5r: int, c5: int, pool: int) -> None:
        super().__init__()
        self.b1 = BasicConv(channels, c1, 1)
        self.b2 = nn.Sequential(BasicConv(channels, c3r, 1), BasicConv(c3r, c3, 3))
        self.b3 = nn.Sequential(BasicConv(channels, c5r, 1), BasicConv(c5r, c5, 3))
        self.b4 = BasicConv(channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(x, 3, 1, 1)
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(pooled)], 1)


class GoogLeNetBN(nn.Module):
    """Szegedy et al. 2015 with batch normalization, as in torchvision, without the auxiliary classifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = BasicConv(3, 64, 7, 2)
        self.conv2 = BasicConv(64, 64, 1)
        self.conv3 = BasicConv(64, 192, 3)
        self.stage3 = nn.Sequential(
            InceptionBN(192, 64, 96, 128, 16, 32, 32), InceptionBN(256, 128, 128, 192, 32, 96, 64)
        )
        self.stage4 = nn.Sequential(
            InceptionBN(480, 192, 96, 208, 16, 48, 64),
            InceptionBN(512, 160, 112, 224, 24, 64, 64),
            InceptionBN(512, 128, 128, 256, 24, 64, 64),
            InceptionBN(512, 112, 144, 288, 32, 64, 64),
            InceptionBN(528, 256, 160, 320, 32, 128, 128),
        )
        self.stage5 = nn.Sequential(
            InceptionBN(832, 256, 160, 320, 32, 128, 128), InceptionBN(832, 384, 192, 384, 48, 128, 128)
        )
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.stage3(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.stage4(x), 2, 2, ceil_mode=True)
        return self.fc(self.dropout(self.stage5(x).mean((2, 3))))


# ------------------------------------------------------------------------- ShuffleNetV2


def conv_bn(channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


class ShuffleUnit(nn.Module):
    """Figure 3 of the paper: c with stride 1, d with stride 2."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.left = nn.Sequential()
        if stride == 2:
            self.left = nn.Sequential(
                *conv_bn(channels, channels, 3, 2, channels), *conv_bn(channels, half, 1, 1), nn.ReLU()
            )
        self.right = nn.Sequential(
            *conv_bn(channels if stride == 2 else half, half, 1, 1),
            nn.ReLU(),
            *conv_bn(half, half, 3, stride, half),
            *conv_bn(half, half, 1, 1),
            nn.ReLU(),
        )
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        x = torch.cat([self.left(left), self.right(right)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet_v2() -> nn.Module:
    """Ma et al. 2018, table 5, 1x."""
    layers: list[nn.Module] = [*conv_bn(3, 24, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 24
    for width, depth in ((116, 4), (232, 8), (464, 4)):
        for i in range(depth):
            layers.append(ShuffleUnit(channels, width, 2 if i == 0 else 1))
            channels = width
    layers += [*conv_bn(464, 1024, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000)]
    return nn.Sequential(*layers)


# ------------------------------------------------------------------------- inverted residuals


class Gate(nn.Module):
    """Squeeze and excitation; with hard functions in MobileNetV3."""

    def __init__(self, channels: int, squeezed: int, hard: bool = False) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.hard = hard

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc1(x.mean((2, 3), keepdim=True))
        if self.hard:
            return F.hardsigmoid(self.fc2(F.relu(gate))) * x
        return torch.sigmoid(self.fc2(F.silu(gate))) * x


class DropPath(nn.Module):
    """Stochastic depth, a sample at a time."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.empty(len(x), 1, 1, 1, device=x.device).bernoulli_(1 - self.p)
        return x * (keep / (1 - self.p))


class Residual(nn.Module):
    """A body, with the identity beside it where shapes allow."""

    def __init__(self, body: list[nn.Module], residual: bool, drop: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.drop = DropPath(drop)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.body(x)) + x if self.residual else self.body(x)


def norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, 0.001, 0.01)


def mobilenet_v3_small() -> nn.Module:
    """Howard et al. 2019, table 2."""
    settings = [
        (3, 16, 16, 8, False, 2),
        (3, 72, 24, 0, False, 2),
        (3, 88, 24, 0, False, 1),
        (5, 96, 40, 24, True, 2),
        (5, 240, 40, 64, True, 1),
        (5, 240, 40, 64, True, 1),
        (5, 120, 48, 32, True, 1),
        (5, 144, 48, 40, True, 1),
        (5, 288, 96, 72, True, 2),
        (5, 576, 96, 144, True, 1),
        (5, 576, 96, 144, True, 1),
    ]
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), norm(16), nn.Hardswish()]
    channels = 16
    for kernel, hidden, out_channels, squeezed, hard_swish, stride in settings:
        act = nn.Hardswish if hard_swish else nn.ReLU
        body: list[nn.Module] = []
        if hidden != channels:
            body += [nn.Conv2d(channels, hidden, 1, bias=False), norm(hidden), act()]
        body += [nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False), norm(hidden), act()]
        if squeezed:
            body.append(Gate(hidden, squeezed, hard=True))
        body += [nn.Conv2d(hidden, out_channels, 1, bias=False), norm(out_channels)]
        layers.append(Residual(body, stride == 1 and channels == out_channels))
        channels = out_channels
    return nn.Sequential(
        *layers,
        nn.Conv2d(96, 576, 1, bias=False),
        norm(576),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(576, 1024),
        nn.Hardswish(),
        nn.Dropout(0.2),
        nn.Linear(1024, 1000),
    )


def mbconv(channels: int, out_channels: int, kernel: int, stride: int, expand: int, eps: float) -> list[nn.Module]:
    hidden = expand * channels
    body: list[nn.Module] = []
    if expand > 1:
        body += [nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden, eps), nn.SiLU()]
    return [
        *body,
        nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
        nn.BatchNorm2d(hidden, eps),
        nn.SiLU(),
        Gate(hidden, channels // 4),
        nn.Conv2d(hidden, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels, eps),
    ]


def fused_mbconv(channels: int, out_channels: int, stride: int, expand: int, eps: float) -> list[nn.Module]:
    if expand == 1:
        return [
            nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels, eps),
            nn.SiLU(),
        ]
    return [
        nn.Conv2d(channels, expand * channels, 3, stride, 1, bias=False),
        nn.BatchNorm2d(expand * channels, eps),
        nn.SiLU(),
        nn.Conv2d(expand * channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels, eps),
    ]


def efficientnet_b0() -> nn.Module:
    """Tan & Le 2019, table 1."""
    stages = [
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ]
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU()]
    channels, block = 32, 0
    for expand, kernel, stride, out_channels, depth in stages:
        for i in range(depth):
            s = stride if i == 0 else 1
            body = mbconv(channels, out_channels, kernel, s, expand, 1e-5)
            layers.append(Residual(body, s == 1 and channels == out_channels, 0.2 * block / 16))
            channels, block = out_channels, block + 1
    layers += [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000))


def efficientnet_v2_s() -> nn.Module:
    """Tan & Le 2021, table 4."""
    stages = [
        (True, 1, 1, 24, 2),
        (True, 4, 2, 48, 4),
        (True, 4, 2, 64, 4),
        (False, 4, 2, 128, 6),
        (False, 6, 1, 160, 9),
        (False, 6, 2, 256, 15),
    ]
    layers: list[nn.Module] = [nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24, 0.001), nn.SiLU()]
    channels, block = 24, 0
    for fused, expand, stride, out_channels, depth in stages:
        for i in range(depth):
            s = stride if i == 0 else 1
            if fused:
                body = fused_mbconv(channels, out_channels, s, expand, 0.001)
            else:
                body = mbconv(channels, out_channels, 3, s, expand, 0.001)
            layers.append(Residual(body, s == 1 and channels == out_channels, 0.2 * block / 40))
            channels, block = out_channels, block + 1
    layers += [nn.Conv2d(256, 1280, 1, bias=False), nn.BatchNorm2d(1280, 0.001), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000))


# ------------------------------------------------------------------------- RegNet


class RegNetBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, group_width: int, gated: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(channels, width, 1, 1),
            nn.ReLU(),
            *conv_bn(width, width, 3, stride, width // group_width),
            nn.ReLU(),
        )
        if gated:
            self.fc1 = nn.Conv2d(width, round(0.25 * channels), 1)
            self.fc2 = nn.Conv2d(round(0.25 * channels), width, 1)
        self.gated = gated
        self.last = nn.Sequential(*conv_bn(width, width, 1, 1))
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != width:
            self.shortcut = nn.Sequential(*conv_bn(channels, width, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.gated:
            y = torch.sigmoid(self.fc2(F.relu(self.fc1(y.mean((2, 3), keepdim=True))))) * y
        return F.relu(self.last(y) + self.shortcut(x))


def widths_and_depths(depth: int, w0: float, wa: float, wm: float, group_width: int) -> list[tuple[int, int]]:
    """Stages by section 3.3 of Radosavovic et al. 2020: block j is w0 + wa * j wide, rounded to w0 * wm ** integer."""
    widths = []
    for j in range(depth):
        steps = round(log((w0 + wa * j) / w0) / log(wm))
        widths.append(round(w0 * wm**steps / 8) * 8)
    stages = [(w, widths.count(w)) for w in sorted(set(widths))]
    return [(round(w / group_width) * group_width if w > group_width else w, d) for w, d in stages]


def regnet(stages: list[tuple[int, int]], group_width: int, gated: bool) -> nn.Module:
    layers: list[nn.Module] = [*conv_bn(3, 32, 3, 2), nn.ReLU()]
    channels = 32
    for width, depth in stages:
        for i in range(depth):
            layers.append(RegNetBlock(channels, width, 2 if i == 0 else 1, group_width, gated))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


def regnet_x_400mf() -> nn.Module:
    """Radosavovic et al. 2020, figure 15; the parameters are those of the authors' configuration."""
    return regnet(widths_and_depths(22, 24, 24.48, 2.54, 16), 16, gated=False)


def regnet_y_400mf() -> nn.Module:
    """Radosavovic et al. 2020, figure 16; the parameters are those of the authors' configuration."""
    return regnet(widths_and_depths(16, 48, 27.89, 2.09, 8), 8, gated=True)


# ------------------------------------------------------------------------- ConvNeXt


class ChannelsFirstNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Gamma(nn.Module):
    """Layer scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(1e-6 * torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


def convnext_block(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
        ChannelsFirstNorm(channels, eps=1e-6),
        nn.Conv2d(channels, 4 * channels, 1),
        nn.GELU(),
        nn.Conv2d(4 * channels, channels, 1),
        Gamma(channels),
    ]


def convnext_tiny() -> nn.Module:
    """Liu et al. 2022, table 9."""
    depths, widths = (3, 3, 9, 3), (96, 192, 384, 768)
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), ChannelsFirstNorm(96, eps=1e-6)]
    block = 0
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage > 0:
            layers += [ChannelsFirstNorm(width // 2, eps=1e-6), nn.Conv2d(width // 2, width, 2, 2)]
        for _ in range(depth):
            layers.append(Residual(convnext_block(width), True, 0.1 * block / 17))
            block += 1
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(768, eps=1e-6), nn.Linear(768, 1000)]
    return nn.Sequential(*layers)


class GRN(nn.Module):
    """Algorithm 1 of Woo et al. 2023, channels first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        gx = x.square().sum((2, 3), keepdim=True).sqrt()
        nx = gx / (gx.mean(1, keepdim=True) + 1e-6)
        return self.weight * (x * nx) + self.bias + x


def convnext_v2_atto() -> nn.Module:
    """Woo et al. 2023, figure 5 and appendix A.1."""
    layers: list[nn.Module] = [nn.Conv2d(3, 40, 4, 4), ChannelsFirstNorm(40, eps=1e-6)]
    for depth, width in ((2, 40), (2, 80), (6, 160), (2, 320)):
        if width > 40:
            layers += [ChannelsFirstNorm(width // 2, eps=1e-6), nn.Conv2d(width // 2, width, 2, 2)]
        for _ in range(depth):
            *body, last, _ = convnext_block(width)
            layers.append(Residual([*body, GRN(4 * width), last], True))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(320, eps=1e-6), nn.Linear(320, 1000)]
    return nn.Sequential(*layers)
