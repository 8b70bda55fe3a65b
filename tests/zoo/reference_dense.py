"""Networks with an output at each pixel or at each region, written by hand in PyTorch from their papers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


def conv_bn_relu(channels: int, width: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(channels, width, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU())


class Bottleneck(nn.Module):
    """He et al. 2016, dilated if one likes."""

    def __init__(self, channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != 4 * width:
            shortcut = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class ResNet50(nn.Module):
    """The maps of its four stages. Stages that do not stride dilate, except for their first block."""

    def __init__(self, strides: tuple[int, ...] = (1, 2, 2, 2)) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn_relu(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        stages = []
        channels, dilation = 64, 1
        for width, depth, stride in zip((64, 128, 256, 512), (3, 4, 6, 3), strides, strict=True):
            blocks = [Bottleneck(channels, width, stride, dilation)]
            if stride == 1 and width > 64:
                dilation *= 2
            blocks += [Bottleneck(4 * width, width, 1, dilation) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = 4 * width
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class ImagePool(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = conv_bn_relu(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.conv(x.mean((2, 3), keepdim=True))
        return F.interpolate(pooled, size=x.shape[2:], mode="bilinear")


class Aspp(nn.Module):
    def __init__(self, channels: int, rates: tuple[int, ...], width: int = 256) -> None:
        super().__init__()
        atrous = [conv_bn_relu(channels, width, 3, dilation=rate) for rate in rates]
        self.branches = nn.ModuleList([conv_bn_relu(channels, width, 1), *atrous, ImagePool(channels, width)])
        self.project = conv_bn_relu(width * len(self.branches), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.project(torch.cat([branch(x) for branch in self.branches], 1)), 0.5, self.training)


class Segmentation(nn.Module):
    """A dilated ResNet-50 with a head and an auxiliary one."""

    def __init__(self, head: nn.Module, classes: int = 21) -> None:
        super().__init__()
        self.backbone = ResNet50((1, 2, 1, 1))
        self.head = head
        self.auxiliary = fcn_head(1024, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        *_, third, fourth = self.backbone(x)
        out, aux = self.head(fourth), self.auxiliary(third)
        size = x.shape[2:]
        return F.interpolate(out, size=size, mode="bilinear"), F.interpolate(aux, size=size, mode="bilinear")


def fcn_head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(*conv_bn_relu(channels, channels // 4), nn.Dropout(0.1), nn.Conv2d(channels // 4, classes, 1))


def deeplabv3(classes: int = 21) -> nn.Module:
    """Chen et al. 2017, with the rates of output stride 8."""
    head = nn.Sequential(Aspp(2048, (12, 24, 36)), conv_bn_relu(256, 256), nn.Conv2d(256, classes, 1))
    return Segmentation(head, classes)


def fcn_resnet50(classes: int = 21) -> nn.Module:
    return Segmentation(fcn_head(2048, classes), classes)


class FPN(nn.Module):
    """Lin et al. 2017, figure 3, with the head of region proposals at each level."""

    def __init__(self, width: int = 256, anchors: int = 3) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in (256, 512, 1024, 2048))
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(4))
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, anchors, 1)
        self.box = nn.Conv2d(width, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.backbone(x)
        merged: list[Tensor] = []
        for map_, lateral in zip(maps[::-1], list(self.lateral)[::-1], strict=True):
            side = lateral(map_)
            merged.append(side + F.interpolate(merged[-1], size=side.shape[2:]) if merged else side)
        pyramid = [output(map_) for output, map_ in zip(self.output, merged[::-1], strict=True)]
        pyramid.append(pyramid[-1][..., ::2, ::2])
        scores, boxes = [], []
        for level in pyramid:
            hidden = F.relu(self.conv(level))
            scores.append(self.objectness(hidden).movedim(1, 3).flatten(1)[..., None])
            boxes.append(self.box(hidden).movedim(1, 3).flatten(1).unflatten(1, (-1, 4)))
        return torch.cat(scores, 1), torch.cat(boxes, 1)


class FCN(nn.Module):
    """Long, Shelhamer & Darrell 2015; scores are cut out where Caffe's crops of 19, 27, 31, 5 and 9 units put them."""

    def __init__(self, stride: int = 32, classes: int = 21) -> None:
        super().__init__()
        self.stride = stride
        stages = []
        channels = 3
        for width, depth in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
            layers: list[nn.Module] = []
            for i in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=100 if width == 64 and i == 0 else 1), nn.ReLU()]
                channels = width
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True)))
        self.stages = nn.ModuleList(stages)
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.score = nn.Conv2d(4096, classes, 1)
        fused = {32: [], 16: [512], 8: [512, 256]}[stride]
        self.up = nn.ModuleList(nn.ConvTranspose2d(classes, classes, 4, 2, bias=False) for _ in fused)
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for channels in fused)
        self.last = nn.ConvTranspose2d(classes, classes, 2 * stride, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        maps = [x]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        deep = F.dropout(F.relu(self.fc6(maps.pop())), 0.5, self.training)
        deep = self.score(F.dropout(F.relu(self.fc7(deep)), 0.5, self.training))
        for up, score, cut in zip(self.up, self.scores, (5, 9), strict=False):
            deep = up(deep)
            shallow = score(maps.pop())
            deep = deep + shallow[:, :, cut : cut + deep.shape[2], cut : cut + deep.shape[3]]
        cut = {32: 19, 16: 27, 8: 31}[self.stride]
        return self.last(deep)[:, :, cut : cut + height, cut : cut + width]


class BasicBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + x)


class Exchange(nn.Module):
    """Streams of one module, and the sums of them all at each resolution."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(4))) for width in widths)
        self.paths = nn.ModuleList(
            nn.ModuleList(self.path(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    @staticmethod
    def path(widths: list[int], source: int, target: int) -> nn.Module:
        if source > target:
            conv = nn.Conv2d(widths[source], widths[target], 1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(widths[target]), nn.Upsample(scale_factor=2 ** (source - target)))
        layers: list[nn.Module] = []
        for step in range(source, target):
            out = widths[target] if step == target - 1 else widths[source]
            layers += [nn.Conv2d(widths[source], out, 3, 2, 1, bias=False), nn.BatchNorm2d(out)]
            if step < target - 1:
                layers.append(nn.ReLU())
        return nn.Sequential(*layers)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        xs = [stream(x) for stream, x in zip(self.streams, xs, strict=True)]
        outputs = []
        for paths in self.paths:
            first, *others = [path(x) for path, x in zip(paths, xs, strict=True)]
            for other in others:
                first = first + other
            outputs.append(F.relu(first))
        return outputs


def step(channels: int, width: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, width, kernel, stride, kernel // 2), nn.BatchNorm2d(width), nn.ReLU())


class HRNet(nn.Module):
    """Wang et al. 2020, for classification."""

    def __init__(self, width: int = 18, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn_relu(3, 64, stride=2), conv_bn_relu(64, 64, stride=2))
        self.stage1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(3)))
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.finest = conv_bn_relu(256, width)
        self.begin = nn.ModuleList(
            conv_bn_relu(a, b, stride=2) for a, b in zip((256, *widths[1:3]), widths[1:], strict=True)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(Exchange(widths[:streams]) for _ in range(modules))
            for streams, modules in ((2, 1), (3, 4), (4, 3))
        )
        inner = (32, 64, 128, 256)
        self.wide = nn.ModuleList(Bottleneck(w, i) for w, i in zip(widths, inner, strict=True))
        self.narrow = nn.ModuleList(step(4 * i, 8 * i, 3, 2) for i in inner[:3])
        self.last = step(1024, 2048, 1, 1)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(self.stem(x))
        xs = [self.finest(x)]
        coarsest = x
        for begin, modules in zip(self.begin, self.stages, strict=True):
            xs.append(begin(coarsest))
            for module in modules:
                xs = module(xs)
            coarsest = xs[-1]
        x = self.wide[0](xs[0])
        for wide, narrow, stream in zip(list(self.wide)[1:], self.narrow, xs[1:], strict=True):
            x = wide(stream) + narrow(x)
        return self.fc(self.last(x).mean((2, 3)))


class RecurrentLayer(nn.Module):
    """Liang & Hu 2015, equations 1 to 4, for three steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.feed_forward = nn.Conv2d(width, width, 3, padding=1)
        self.recurrent = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.LocalResponseNorm(width // 8 + 1, 0.001)

    def forward(self, x: Tensor) -> Tensor:
        net_input = self.feed_forward(x)
        state = self.norm(F.relu(net_input))
        for _ in range(3):
            state = self.norm(F.relu(net_input + self.recurrent(state)))
        return state


class RecurrentCNN(nn.Module):
    def __init__(self, width: int = 96, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 5, padding=2)
        self.layers = nn.ModuleList(RecurrentLayer(width) for _ in range(4))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, fourth = self.layers
        x = self.dropout(self.pool(F.relu(self.conv(x))))
        x = self.dropout(self.pool(second(self.dropout(first(x)))))
        return self.fc(F.adaptive_max_pool2d(fourth(self.dropout(third(x))), 1).flatten(1))


class PaddedUNet(nn.Module):
    """Ronneberger et al. 2015, with a padding of 1."""

    def __init__(self, channels: int = 3, classes: int = 1) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(self.pair(a, b) for a, b in zip([channels, *widths], widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in (512, 256, 128, 64))
        self.merge = nn.ModuleList(self.pair(2 * w, w) for w in (512, 256, 128, 64))
        self.head = nn.Conv2d(64, classes, 1)

    @staticmethod
    def pair(channels: int, width: int) -> nn.Module:
        first, second = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, pair in enumerate(self.down):
            x = pair(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)
