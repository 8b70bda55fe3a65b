"""Small specs that together use the whole language: what the fuzzers start from."""

from pathlib import Path

SPECS: dict[str, str] = {}

SPECS["vgg"] = """\
cnnplan: 1                       # language version, required
name: vgg
description: optional text
reference: "Simonyan & Zisserman, ICLR 2015"
input: [3, 16, 16]
variables: {classes: 10}

blocks:
  stage:
    params: {out_channels: int, depth: int}
    layers:
      - layers:
          - conv: {out_channels: =out_channels, kernel_size: 3, padding: 1}
          - relu
        repeat: =depth
      - maxpool: {kernel_size: 2, stride: 2}

layers:
  - stage: {out_channels: 4, depth: 2}
  - stage: {out_channels: 8, depth: 1}
  - flatten
  - linear: 16
  - relu
  - dropout: 0.5
  - linear: =classes
"""

SPECS["densenet"] = """\
cnnplan: 1
name: densenet
input: [3, 32, 32]
variables: {growth: 4, depths: [2, 3, 1]}
blocks:
  dense_layer:
    layers:
      - concat:
          skip: []
          new:
            - batchnorm
            - relu
            - conv: {out_channels: =4 * growth, kernel_size: 1, bias: false}
            - conv: {out_channels: =growth, kernel_size: 3, padding: 1, bias: false}
  transition:
    layers:
      - conv: {out_channels: =in_channels // 2, kernel_size: 1, bias: false}
      - avgpool: 2
layers:
  - conv: {out_channels: =2 * growth, kernel_size: 7, stride: 2, padding: 3, bias: false}
  - layers:
      - dense_layer:
        repeat: =depths[stage]
      - transition
    repeat: {stage: 3}
  - dense_layer:
    repeat: 2
  - global_avgpool
  - linear: 10
"""

SPECS["resnet"] = """\
cnnplan: 1
name: resnet
input: {shape: [3, 16, 16], sizes: [16, [20, 24]]}
variables:
  depth: 18
  table: {18: [1, 2], 34: [2, 1]}
  depths: =table[depth]
blocks:
  conv_bn:
    params: {out_channels: int, kernel_size: 3, stride: 1}
    layers:
      - conv:
          out_channels: =out_channels
          kernel_size: =kernel_size
          stride: =stride
          padding: half
          bias: false
      - batchnorm
  unit:
    params: {width: int, stride: 1, expansion: 2}
    layers:
      - add:
          body:
            - conv_bn: {out_channels: =width}
            - relu
            - conv_bn: {out_channels: =expansion * width, stride: =stride}
          shortcut:
            - conv_bn: {out_channels: =expansion * width, kernel_size: 1, stride: =stride}
              if: =stride != 1 or in_channels != expansion * width
      - relu
layers:
  - conv_bn: 8
  - layers:
      - unit: {width: =4 * 2 ** stage, stride: =2 if stage > 0 and index == 0 else 1}
        repeat: =depths[stage]
    repeat: {stage: 2}
    name: trunk
  - global_avgpool
  - linear: 10
    name: head
outputs: [trunk, head]
"""

SPECS["unet"] = """\
cnnplan: 1
name: unet
input: [3, 16, 16]
blocks:
  double:
    params: {width: int}
    layers:
      - layers:
          - conv: {out_channels: =width, kernel_size: 3, padding: half}
          - relu
        repeat: 2
layers:
  - double: 4
    name: enc1
  - maxpool: 2
  - double: 8
    name: enc2
  - maxpool: 2
  - double: 16
  - conv_transpose: {out_channels: 8, kernel_size: 2, stride: 2}
  - concat:
    from: [enc2, previous]
  - double: 8
  - upsample: {like: enc1, mode: bilinear}
  - concat:
    from: [enc1, previous]
  - double: 4
  - conv: {out_channels: 2, kernel_size: 1}
    name: logits
  - conv: {out_channels: 1, kernel_size: 1}
    from: enc2
    name: aux
outputs: [logits, aux]
"""

SPECS["shuffle"] = """\
cnnplan: 1
name: shuffle
input: [8, 12, 12]
blocks:
  main_branch:
    params: {channels: int}
    layers:
      - conv: {out_channels: =channels, kernel_size: 1, bias: false}
      - batchnorm
      - depthwise_conv: {kernel_size: 3, padding: 1, bias: false}
      - conv: {out_channels: =channels, kernel_size: 1, bias: false}
  unit:
    layers:
      - split: 2
        name: half
      - concat:
          left: []
          right:
            - main_branch: {channels: =in_channels}
        from: [half.0, half.1]
      - channel_shuffle: 2
layers:
  - unit:
    repeat: 2
  - multiply:
      gate:
        - global_avgpool: {keepdim: true}
        - conv: {out_channels: 4, kernel_size: 1}
        - relu
        - conv: {out_channels: 8, kernel_size: 1}
        - sigmoid
      identity: []
  - separable_conv: 6
  - squeeze_excite: {reduction: 2}
"""

SPECS["twin"] = """\
cnnplan: 1
name: twin
inputs: {left: [3, 12, 12], right: [3, 12, 12]}
blocks:
  cross:
    inputs: [x, skip]
    outputs: [y, total]
    layers:
      - conv: {out_channels: 4, kernel_size: 3, padding: 1}
        from: x
        name: y
      - add:
        from: [y, skip]
        name: total
layers:
  - layers:
      - conv: {out_channels: =4, kernel_size: 3, padding: 1, padding_mode: reflect}
      - relu
    from: left
    name: tower
  - share: tower
    from: right
    name: again
  - cross:
    from: [tower, again]
    repeat: 2
    name: mixed
  - maxpool: {kernel_size: 3, stride: 2, padding: same}
    from: mixed.total
  - subtract: [[relu], [], {layers: [sigmoid], if: false}]
  - avgpool: {kernel_size: [2, 3], padding: [[1, 0], [0, 1]], stride: 1}
    trainable: false
    checkpoint: true
  - flatten
"""

SPECS["odd"] = """\
cnnplan: 1
name: odd
input: [4, 20]
variables:
  on: true
  ratio: 1.5
  label: 'deep'
  widths: [4, 8]
  more: "=widths + [16, make_divisible(ratio * 10, divisor=4)]"
layers:
  - conv: {out_channels: "=more[-1]", kernel_size: 3, stride: 2, padding: [1], dilation: 2}
  - prelu
    # a comment
  - layers:
      - conv:
          out_channels: "=min(more[i], 8) if on else 2"
          kernel_size: =3 - i // 2
          padding: same
        name: step
      - tanh:
        if: =i % 2 == 0 and not (label in ['flat', 'wide'])
    repeat: {i: =len(more)}
  - maximum:
      - []
      - - conv: {out_channels: =in_channels, kernel_size: 1}
  - concat: {axis: 1, a: [], b: [relu]}
  - slice: {axis: 1, start: 0, stop: 5}
  - reshape: [-1]
  - linear: 3
  - softmax
lint: {ignore: [R401]}
budget: {parameters: 100K, macs: {at_most: 1G}}
target: {device: a100-80gb, batch: 8, dtype: bfloat16, optimizer: adamw}
"""

FOLDER = Path(__file__).parents[2] / "specs"


def zoo() -> dict[str, str]:
    """The specs that come with cnnplan."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}
