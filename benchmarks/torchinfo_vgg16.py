"""VGG-16 as people write it by hand, summarized by torchinfo: what `cnnplan check` is compared with."""

import torchinfo
from torch import nn


def vgg16() -> nn.Module:
    """Configuration D of Simonyan & Zisserman 2014."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(4096, 1000))


print(torchinfo.summary(vgg16(), (1, 3, 224, 224), verbose=0))
