"""cnnplan init: a first spec."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from cnnplan.cli import common

SCHEMA = "cnnplan.schema.json"

TEMPLATE = """\
# yaml-language-server: $schema=./cnnplan.schema.json
cnnplan: 1
name: {name}
description: A small residual network for 32x32 images
input: [3, 32, 32]               # one sample: [channels, height, width]
variables: {{classes: 10, width: 32}}

blocks:
  residual:                      # two 3x3 convolutions beside a shortcut
    params: {{out_channels: int, stride: 1}}
    layers:
      - add:
          body:
            - conv_bn_relu: {{out_channels: =out_channels, stride: =stride}}
            - conv: {{out_channels: =out_channels, kernel_size: 3, padding: 1, bias: false}}
            - batchnorm
          shortcut:
            - conv: {{out_channels: =out_channels, kernel_size: 1, stride: =stride, bias: false}}
              if: =stride != 1 or in_channels != out_channels
      - relu

layers:
  - conv_bn_relu: =width
  - residual: =width
  - residual: {{out_channels: =2 * width, stride: 2}}
  - residual: {{out_channels: =4 * width, stride: 2}}
  - global_avgpool
  - dropout: 0.1
  - linear: =classes
"""


def command(
    path: Annotated[Path, typer.Argument(metavar="[FILE]", help="The spec to write.")] = Path("network.yaml"),
    quiet: common.Quiet = False,
) -> None:
    """Write a first spec, and the JSON Schema that lets editors complete and check it."""
    from cnnplan.render.schema import schema_text

    name = re.sub(r"\W+", "_", path.stem).strip("_") or "network"
    name = f"net_{name}" if name[0].isdigit() else name
    common.write(path, TEMPLATE.format(name=name), new=True)
    schema = path.parent / SCHEMA
    common.write(schema, schema_text())
    if not quiet:
        sys.stderr.write(f"wrote {path} and {schema}; next: cnnplan check {path}\n")
