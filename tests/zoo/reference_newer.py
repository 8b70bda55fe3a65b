"""Networks with operations beside the usual ones, written by hand in PyTorch from their papers."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


class PointBias(nn.Module):
    """A 1x1 filter, and a bias for each point of the board."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.randn(1, size, size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,c->nhw", x, self.weight.flatten()).unsqueeze(1) + self.bias


class AlphaGoPolicy(nn.Module):
    """Silver et al. 2016, methods."""

    def __init__(self, size: int, filters: int = 192) -> None:
        super().__init__()
        self.first = nn.Conv2d(48, filters, 5)
        self.others = nn.ModuleList(nn.Conv2d(filters, filters, 3) for _ in range(11))
        self.last = PointBias(filters, size)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(F.pad(x, (2, 2, 2, 2))))
        for conv in self.others:
            x = F.relu(conv(F.pad(x, (1, 1, 1, 1))))
        return F.softmax(self.last(x).flatten(1), 1)


class TextCNN(nn.Module):
    """Kim 2014: a feature is a filter's response to h words, and the largest one counts."""

    def __init__(self, vocabulary: int, maps: int = 100, classes: int = 2) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, 300)
        self.filters = nn.ModuleList(nn.Conv1d(300, maps, words) for words in (3, 4, 5))
        self.out = nn.Linear(3 * maps, classes)

    def forward(self, x: Tensor) -> Tensor:
        sentence = self.vectors(x).transpose(1, 2)
        largest = [F.relu(conv(sentence)).amax(2) for conv in self.filters]
        return self.out(F.dropout(torch.cat(largest, 1), 0.5, self.training))


def vgg16_stage(channels: int, width: int, depth: int) -> nn.Sequential:
    widths = [channels, *[width] * depth]
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers)


class FastRCNN(nn.Module):
    """Girshick 2015: section 2.1, the sub-windows as his Caffe rounds them."""

    def __init__(self, units: int = 4096, classes: int = 21) -> None:
        super().__init__()
        stages = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))
        self.stages = nn.ModuleList(vgg16_stage(*stage) for stage in stages)
        self.fc6 = nn.Linear(512 * 7 * 7, units)
        self.fc7 = nn.Linear(units, units)
        self.score = nn.Linear(units, classes)
        self.offset = nn.Linear(units, 4 * classes)

    def forward(self, image: Tensor, proposals: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stages[0](image)
        for stage in list(self.stages)[1:]:
            x = stage(F.max_pool2d(x, 2, ceil_mode=True))
        scores, offsets = [], []
        for features, boxes in zip(x, proposals, strict=True):
            pooled = torch.stack([self.pool(features, [round(float(v) / 16) for v in box]) for box in boxes])
            hidden = F.dropout(F.relu(self.fc6(pooled.flatten(1))), 0.5, self.training)
            hidden = F.dropout(F.relu(self.fc7(hidden)), 0.5, self.training)
            scores.append(self.score(hidden).T)
            offsets.append(self.offset(hidden).T)
        return torch.stack(scores), torch.stack(offsets)

    @staticmethod
    def pool(features: Tensor, box: list[int], bins: int = 7) -> Tensor:
        left, top, right, bottom = box
        height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
        out = features.new_zeros(features.shape[0], bins, bins)
        for i in range(bins):
            for j in range(bins):
                rows = slice(max(top + floor(i * height / bins), 0), max(top + ceil((i + 1) * height / bins), 0))
                columns = slice(max(left + floor(j * width / bins), 0), max(left + ceil((j + 1) * width / bins), 0))
                window = features[:, rows, columns]
                if window.numel():
                    out[:, i, j] = window.amax((1, 2))
        return out


class SppNet(nn.Module):
    """He et al. 2014: ZF-5, and the bins of appendix A."""

    def __init__(self, pyramid: tuple[int, ...] = (6, 3, 2, 1), classes: int = 1000) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.conv1 = nn.Conv2d(3, 96, 7, 2, padding=1)
        self.conv2 = nn.Conv2d(96, 256, 5, 2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)
        self.fc6 = nn.Linear(256 * sum(n * n for n in pyramid), 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.local_response_norm(F.relu(conv(x)), 5, 5e-4, 0.75, 2)
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for conv in (self.conv3, self.conv4, self.conv5):
            x = F.relu(conv(x))
        x = torch.cat([self.level(x, n).flatten(1) for n in self.pyramid], 1)
        x = F.dropout(F.relu(self.fc6(x)), 0.5, self.training)
        x = F.dropout(F.relu(self.fc7(x)), 0.5, self.training)
        return self.fc8(x)

    @staticmethod
    def level(x: Tensor, n: int) -> Tensor:
        h, w = x.shape[2:]
        rows = [
            [
                x[:, :, floor(i * h / n) : ceil((i + 1) * h / n), floor(j * w / n) : ceil((j + 1) * w / n)].amax((2, 3))
                for j in range(n)
            ]
            for i in range(n)
        ]
        return torch.stack([torch.stack(row, 2) for row in rows], 2)


def conv_norm(channels: int, width: int, kernel: int = 3) -> nn.Sequential:
    padding = 1 if kernel == 3 else 0
    return nn.Sequential(nn.Conv2d(channels, width, kernel, padding=padding), nn.BatchNorm2d(width), nn.ReLU())


def deconv_norm(channels: int, width: int, kernel: int = 3) -> nn.Sequential:
    padding = 1 if kernel == 3 else 0
    deconv = nn.ConvTranspose2d(channels, width, kernel, padding=padding)
    return nn.Sequential(deconv, nn.BatchNorm2d(width), nn.ReLU())


class Unpooling(nn.Module):
    """The convolutions of VGG-16, something between, and each pool undone before what mirrors its stage."""

    decoder: nn.ModuleList
    mirror = ([512, 512, 512, 512], [512, 512, 512, 256], [256, 256, 256, 128], [128, 128, 64])

    def __init__(self) -> None:
        super().__init__()
        stages = ([3, 64, 64], [64, 128, 128], [128, 256, 256, 256], [256, 512, 512, 512], [512, 512, 512, 512])
        self.encoder = nn.ModuleList(nn.Sequential(*(conv_norm(a, b) for a, b in pairwise(stage))) for stage in stages)

    def down(self, x: Tensor, ceil_mode: bool) -> tuple[Tensor, list[tuple[Tensor, torch.Size]]]:
        places = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, place = F.max_pool2d(x, 2, ceil_mode=ceil_mode, return_indices=True)
            places.append((place, size))
        return x, places

    def up(self, x: Tensor, places: list[tuple[Tensor, torch.Size]]) -> Tensor:
        for stage, (place, size) in zip(self.decoder, reversed(places), strict=True):
            sparse = x.new_zeros(*x.shape[:2], size[0] * size[1])
            sparse.scatter_(2, place.flatten(2), x.flatten(2))
            x = stage(sparse.unflatten(2, size))
        return x


class DeconvNet(Unpooling):
    """Noh, Hong & Han 2015, figure 2."""

    def __init__(self, units: int = 4096, window: int = 7, classes: int = 21) -> None:
        super().__init__()
        fc6, fc7 = conv_norm(512, units, window), conv_norm(units, units, 1)
        self.middle = nn.Sequential(fc6, fc7, deconv_norm(units, 512, window))
        stages = [nn.Sequential(*(deconv_norm(a, b) for a, b in pairwise(stage))) for stage in self.mirror]
        self.decoder = nn.ModuleList([*stages, nn.Sequential(deconv_norm(64, 64), deconv_norm(64, 64))])
        self.score = nn.Conv2d(64, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, places = self.down(x, ceil_mode=False)
        return self.score(self.up(self.middle(x), places))


class SegNet(Unpooling):
    """Badrinarayanan, Kendall & Cipolla 2015, figure 2."""

    def __init__(self, classes: int = 11) -> None:
        super().__init__()
        stages = [nn.Sequential(*(conv_norm(a, b) for a, b in pairwise(stage))) for stage in self.mirror]
        self.decoder = nn.ModuleList([*stages, nn.Sequential(conv_norm(64, 64), nn.Conv2d(64, classes, 3, padding=1))])

    def forward(self, x: Tensor) -> Tensor:
        return self.up(*self.down(x, ceil_mode=True))


class SpatialTransformerMnist(nn.Module):
    """PyTorch's tutorial; positions are computed and weighed by hand, as in Jaderberg et al. 2015, equation 5."""

    def __init__(self) -> None:
        super().__init__()
        self.localization = nn.Sequential(
            nn.Conv2d(1, 8, 7),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(10 * 3 * 3, 32),
            nn.ReLU(),
            nn.Linear(32, 6),
        )
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sample(x, self.localization(x).view(-1, 2, 3))
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(F.dropout2d(self.conv2(x), 0.5, self.training), 2))
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.5, self.training)
        return F.log_softmax(self.fc2(x), 1)

    @staticmethod
    def sample(image: Tensor, theta: Tensor) -> Tensor:
        """Each output unit is the sum of all units, weighed by how near they are to where it looks."""
        height, width = image.shape[2:]
        rows, columns = torch.arange(height, dtype=image.dtype), torch.arange(width, dtype=image.dtype)
        y, x = torch.meshgrid((2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1, indexing="ij")
        target = torch.stack([x, y, torch.ones_like(x)])
        source = torch.einsum("nij,jhw->nihw", theta, target)
        at_x, at_y = ((source[:, i] + 1) * n / 2 - 0.5 for i, n in ((0, width), (1, height)))
        near_x = (1 - (at_x[..., None] - columns).abs()).clamp(min=0)
        near_y = (1 - (at_y[..., None] - rows).abs()).clamp(min=0)
        return torch.einsum("ncrs,nhwr,nhws->nchw", image, near_y, near_x)


class LSTM(nn.Module):
    """Step by step; rows of the weights are those of the gates i, f, the candidate g, and the gate o."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.randn(4 * units, channels) / channels**0.5)
        self.weight_hh_l0 = nn.Parameter(torch.randn(4 * units, units) / units**0.5)
        self.bias_ih_l0 = nn.Parameter(torch.randn(4 * units))
        self.bias_hh_l0 = nn.Parameter(torch.randn(4 * units))

    def forward(self, steps: list[Tensor]) -> list[Tensor]:
        h = c = steps[0].new_zeros(len(steps[0]), self.weight_hh_l0.shape[1])
        states = []
        for x in steps:
            rows = x @ self.weight_ih_l0.T + self.bias_ih_l0 + h @ self.weight_hh_l0.T + self.bias_hh_l0
            i, f, g, o = rows.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return states


class LRCN(nn.Module):
    """Donahue et al. 2015, section 4, frame by frame."""

    def __init__(self, map_size: int, units: int = 256, classes: int = 101) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, 2)
        self.conv2 = nn.Conv2d(96, 384, 5, 2, groups=2)
        self.conv3 = nn.Conv2d(384, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(512, 384, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(384 * map_size**2, 4096)
        self.lstm = LSTM(4096, units)
        self.out = nn.Linear(units, classes)

    def frame(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(conv(x)), 3, 2, ceil_mode=True)
            x = F.local_response_norm(x, 5)
        for conv in (self.conv3, self.conv4, self.conv5):
            x = F.relu(conv(x))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return F.dropout(F.relu(self.fc6(x.flatten(1))), 0.9, self.training)

    def forward(self, video: Tensor) -> Tensor:
        states = self.lstm([self.frame(frame) for frame in video.unbind(2)])
        return torch.stack([self.out(F.dropout(h, 0.5, self.training)) for h in states], 2)


def blur(x: Tensor, stride: int = 2) -> Tensor:
    """Zhang 2019: Tri-3 over the reflected map."""
    row = x.new_tensor([0.25, 0.5, 0.25])
    x = F.pad(x, (1, 1, 1, 1), mode="reflect")
    x = sum(row[k] * x[:, :, k : x.shape[2] - 2 + k] for k in range(3))
    x = sum(row[k] * x[:, :, :, k : x.shape[3] - 2 + k] for k in range(3))
    return x[:, :, ::stride, ::stride]


class BlurredBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(blur(out) if self.stride > 1 else out))
        return F.relu(out + (self.shortcut(blur(x)) if self.stride > 1 else x))


class AntialiasedResNet18(nn.Module):
    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks = []
        for channels, width in pairwise((64, 64, 128, 256, 512)):
            blocks += [BlurredBlock(channels, width, 1 if channels == width else 2), BlurredBlock(width, width, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.blocks(blur(F.max_pool2d(x, 2, 1)))
        return self.fc(x.mean((2, 3)))


class PlacedBiasConv(nn.Module):
    """A convolution, and a bias for each unit of its map."""

    def __init__(self, channels: int, width: int, kernel: int, padding: int, size: int) -> None:
        super().__init__()
        self.padding = padding
        self.weight = nn.Parameter(torch.randn(width, channels, kernel, kernel) / kernel)
        self.bias = nn.Parameter(torch.randn(width, size, size))

    def forward(self, x: Tensor) -> Tensor:
        zeros = torch.zeros(len(self.bias), dtype=x.dtype)
        return F.conv2d(x, self.weight, zeros, padding=self.padding) + self.bias


class MaxoutMnist(nn.Module):
    """Goodfellow et al. 2013: a unit is the largest of its pieces, which are neighbours here."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [PlacedBiasConv(1, 96, 8, 0, 21), PlacedBiasConv(48, 96, 8, 3, 9), PlacedBiasConv(48, 96, 5, 3, 6)]
        )
        self.out = nn.Linear(24 * 3 * 3, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(x, 0.2, self.training)
        for conv, pieces, pool in zip(self.convs, (2, 2, 4), (4, 4, 2), strict=True):
            z = conv(x)
            x = torch.stack([z[:, piece::pieces] for piece in range(pieces)]).amax(0)
            x = F.dropout(F.max_pool2d(x, pool, 2, ceil_mode=True), 0.5, self.training)
        return self.out(x.flatten(1))


class Local(nn.Module):
    """Filters of its own at each place."""

    def __init__(self, channels: int, width: int, kernel: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(size, size, width, channels, kernel, kernel) / kernel / channels**0.5)
        self.bias = nn.Parameter(torch.randn(width, size, size))

    def forward(self, x: Tensor) -> Tensor:
        size, kernel = self.weight.shape[0], self.weight.shape[-1]
        out = x.new_empty(len(x), *self.bias.shape)
        for i in range(size):
            for j in range(size):
                top, left = i * self.stride, j * self.stride
                window = x[:, :, top : top + kernel, left : left + kernel]
                out[:, :, i, j] = window.flatten(1) @ self.weight[i, j].flatten(1).T
        return out + self.bias


class DeepFace(nn.Module):
    """Taigman et al. 2014, figure 2, for images of 80x80."""

    def __init__(self, classes: int = 4030) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 32, 11)
        self.c3 = nn.Conv2d(32, 16, 9)
        self.l4 = Local(16, 16, 9, 19)
        self.l5 = Local(16, 16, 7, 7, stride=2)
        self.l6 = Local(16, 16, 5, 3)
        self.f7 = nn.Linear(16 * 3 * 3, 4096)
        self.f8 = nn.Linear(4096, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.c1(x)), 3, 2, ceil_mode=True)
        for layer in (self.c3, self.l4, self.l5, self.l6):
            x = F.relu(layer(x))
        return self.f8(F.dropout(F.relu(self.f7(x.flatten(1))), 0.5, self.training))
