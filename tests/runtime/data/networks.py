"""Small networks to give data to, and an .npz file to give to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cnnplan

if TYPE_CHECKING:
    from cnnplan.planning import Plan

CLASSIFIER = """cnnplan: 1
name: classifier
input: [{channels}, {height}, {width}]
variables: {{classes: {classes}}}
layers:
  - conv: {{out_channels: 4, kernel_size: 3, padding: 1}}
  - relu
  - global_avgpool
  - linear: =classes
train: {{loss: {loss}}}
"""


def classifier(
    channels: int = 1, size: tuple[int, int] = (8, 8), classes: int = 10, loss: str = "cross_entropy"
) -> Plan:
    """A network of images with an output for each class, on line 9."""
    height, width = size
    return cnnplan.plan(CLASSIFIER.format(channels=channels, height=height, width=width, classes=classes, loss=loss))


def network(text: str) -> Plan:
    """A network of these lines behind its name."""
    return cnnplan.plan(f"cnnplan: 1\nname: small\n{text}\n")
