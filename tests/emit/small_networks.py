"""Small specs picked by hand: each has a feature that the emitted source must get right."""

from functools import cache
from textwrap import dedent
from typing import Any

import torch
from torch import Tensor, nn

import cnnplan
from cnnplan.planning import Plan

SPECS = {
    "chain": """
        cnnplan: 1
        name: chain
        description: "a plain chain"
        input: [3, 12, 12]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
          - batchnorm
          - relu
          - maxpool: 2
          - conv: {out_channels: 12, kernel_size: 3, stride: 2, padding: same}
          - leaky_relu: 0.1
          - dropout: 0.5
          - flatten
          - linear: 16
          - relu
          - linear: 5
        """,
    "residual": """
        cnnplan: 1
        name: residual
        input: [3, 16, 16]
        blocks:
          residual:
            params: {out_channels: int, stride: 1}
            layers:
              - add:
                  body:
                    - conv_bn_relu: {out_channels: =out_channels, stride: =stride}
                    - conv: {out_channels: =out_channels, kernel_size: 3, padding: 1, bias: false}
                    - batchnorm
                  shortcut:
                    - conv: {out_channels: =out_channels, kernel_size: 1, stride: =stride, bias: false}
                      if: =stride != 1 or in_channels != out_channels
              - relu
        layers:
          - conv_bn_relu: 8
          - residual: 8
            repeat: 2
          - residual: {out_channels: 12, stride: 2}
          - global_avgpool
          - linear: 4
        """,
    "inception": """
        cnnplan: 1
        name: inception
        input: [3, 12, 12]
        blocks:
          conv_relu:
            params: {out_channels: int, kernel_size: 1}
            layers:
              - conv: {out_channels: =out_channels, kernel_size: =kernel_size, padding: half}
              - relu
          mixed:
            params: {one: int, three: list, five: list, pool: int}
            layers:
              - concat:
                  one:
                    - conv_relu: =one
                  three:
                    - conv_relu: =three[0]
                    - conv_relu: {out_channels: "=three[1]", kernel_size: 3}
                  five:
                    - conv_relu: =five[0]
                    - conv_relu: {out_channels: "=five[1]", kernel_size: 5}
                  pooled:
                    - maxpool: {kernel_size: 3, stride: 1, padding: 1}
                    - conv_relu: =pool
        layers:
          - conv_relu: {out_channels: 8, kernel_size: 3}
          - mixed: {one: 4, three: [3, 6], five: [2, 4], pool: 2}
          - maxpool: {kernel_size: 3, stride: 2, ceil_mode: true}
          - mixed: {one: 6, three: [4, 8], five: [2, 5], pool: 5}
          - lrn: 5
          - avgpool: {kernel_size: 3, stride: 2, padding: same}
          - global_avgpool
          - linear: 5
        """,
    "two_inputs": """
        cnnplan: 1
        name: two_inputs
        inputs: {image: [3, 10, 10], features: [6]}
        layers:
          - conv: {out_channels: 6, kernel_size: 3}
            from: image
          - relu
          - global_avgpool: {keepdim: true}
            name: pooled
          - reshape: [6, 1, 1]
            from: features
            name: side
          - multiply:
            from: [pooled, side]
            name: gated
          - concat:
            from: [gated, pooled, side]
          - flatten
          - linear: 7
          - tanh
          - linear: 3
        """,
    "two_outputs": """
        cnnplan: 1
        name: two_outputs
        input: [3, 12, 12]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, padding: 1}
            name: stem
          - relu
          - conv: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}
          - relu:
            name: features
          - conv: {out_channels: 4, kernel_size: 1}
            from: features
            name: boxes
          - global_avgpool:
            from: features
          - linear: 5
            name: logits
        outputs: [logits, boxes, features]
        """,
    "crossed": """
        cnnplan: 1
        name: crossed
        input: [4, 10, 10]
        blocks:
          exchange:
            params: {width: int}
            inputs: [fine, coarse]
            outputs: [finer, coarser]
            layers:
              - conv: {out_channels: =width, kernel_size: 3, stride: 2, padding: 1}
                from: fine
                name: down
              - conv: {out_channels: =width, kernel_size: 1}
                from: coarse
                name: kept
              - add:
                from: [down, kept]
                name: coarser
              - upsample: {like: fine, mode: bilinear}
                from: kept
                name: up
              - concat:
                from: [fine, up]
              - conv: {out_channels: =width, kernel_size: 1}
              - relu:
                name: finer
        layers:
          - conv: {out_channels: 4, kernel_size: 3, padding: 1}
          - relu:
            name: fine
          - maxpool: 2
            name: coarse
          - exchange: 6
            from: [fine, coarse]
            name: first
          - exchange: 8
            from: [first.0, first.1]
            name: second
          - global_avgpool:
            from: second.0
            name: a
          - global_maxpool:
            from: second.1
            name: b
          - subtract:
            from: [a, b]
          - linear: 3
        """,
    "counted": """
        cnnplan: 1
        name: counted
        input: [3, 16, 16]
        variables: {width: 4, depths: [1, 3]}
        layers:
          - conv: {out_channels: =width, kernel_size: 3, padding: half}
          - layers:
              - layers:
                  - conv: {out_channels: =width * 2 ** stage + 2 * index, kernel_size: 3, padding: half}
                  - batchnorm
                  - relu
                repeat: =depths[stage]
              - maxpool: 2
            repeat: {stage: 2}
          - conv_bn_relu: "=make_divisible(3.5 * width, 4)"
            repeat: 4
          - conv: {out_channels: =in_channels + width, kernel_size: 1}
            repeat: 3
            name: growing
          - global_avgpool
          - linear: =len(depths)
        """,
    "siamese": """
        cnnplan: 1
        name: siamese
        inputs: {left: [1, 10, 10], right: [1, 10, 10]}
        layers:
          - layers:
              - conv: {out_channels: 6, kernel_size: 3}
              - batchnorm
              - relu
              - global_avgpool
              - linear: 8
            from: left
            name: tower
          - share: tower
            from: right
            name: other
          - subtract:
            from: [tower, other]
          - abs
          - linear: 1
          - sigmoid
        """,
    "recomputed": """
        cnnplan: 1
        name: recomputed
        input: [3, 12, 12]
        blocks:
          body:
            params: {width: int}
            layers:
              - conv: {out_channels: =width, kernel_size: 3, padding: 1}
              - relu
              - dropout: 0.3
              - conv: {out_channels: =width, kernel_size: 3, padding: 1}
              - relu
        layers:
          - conv: {out_channels: 6, kernel_size: 3, padding: 1}
            name: stem
          - body: 6
            checkpoint: true
          - body: 6
            checkpoint: true
            repeat: 2
            name: more
          - layers:
              - add:
                  conv:
                    - conv: {out_channels: 6, kernel_size: 1}
                  identity: []
              - relu
              - concat:
                from: [stem, previous]
            checkpoint: true
            name: joined
          - global_avgpool
          - linear: 4
        """,
    "frozen": """
        cnnplan: 1
        name: frozen
        input: [3, 12, 12]
        layers:
          - layers:
              - conv: {out_channels: 6, kernel_size: 3}
              - batchnorm
              - relu
            trainable: false
          - conv_bn_relu: 6
            trainable: false
            repeat: 3
          - conv: {out_channels: 6, kernel_size: 3}
            name: adapter
          - layers:
              - conv: {out_channels: 8, kernel_size: 1}
              - layer_scale: 0.5
            trainable: false
            name: neck
          - relu
          - global_avgpool
          - linear: 4
        """,
    "audio": """
        cnnplan: 1
        name: audio
        input: [1, 64]
        layers:
          - conv: {out_channels: 6, kernel_size: 9, stride: 2, padding: same}
          - batchnorm
          - elu
          - maxpool: {kernel_size: 3, padding: same}
          - separable_conv: 8
          - instancenorm: {affine: true}
          - dropout2d: 0.4
          - lppool: {p: 2, kernel_size: 2}
          - permute: [1, 0]
          - slice: {axis: 1, start: 1}
          - groupnorm: 1
          - global_avgpool
          - linear: 3
          - log_softmax
        """,
    "video": """
        cnnplan: 1
        name: video
        input: [2, 6, 8, 8]
        layers:
          - conv: {out_channels: 4, kernel_size: [3, 5, 5], padding: half, bias: false}
          - batchnorm
          - relu
          - maxpool: {kernel_size: [1, 2, 2]}
          - conv: {out_channels: 6, kernel_size: 3, stride: [1, 2, 1], padding: [[1, 1], [0, 1], [1, 1]]}
          - prelu
          - adaptive_avgpool: [2, 1, 2]
          - flatten
          - layernorm
          - linear: 3
        """,
    "unet": """
        cnnplan: 1
        name: small_unet
        input: [1, 28, 28]
        blocks:
          double:
            params: {width: int}
            layers:
              - conv: {out_channels: =width, kernel_size: 3}
              - relu
              - conv: {out_channels: =width, kernel_size: 3}
              - relu
        layers:
          - double: 4
            name: enc1
          - maxpool: 2
          - double: 8
            name: enc2
          - maxpool: 2
          - conv: {out_channels: 16, kernel_size: 1}
          - conv_transpose: {out_channels: 8, kernel_size: 2, stride: 2}
            name: up2
          - crop: {like: up2}
            from: enc2
            name: skip2
          - concat:
            from: [skip2, up2]
          - double: 8
          - upsample: {scale_factor: 2, mode: bilinear}
            name: up1
          - crop: {like: previous}
            from: enc1
            name: skip1
          - concat:
            from: [skip1, up1]
          - conv: {out_channels: 2, kernel_size: 1}
        """,
    "modern": """
        cnnplan: 1
        name: modern
        input: [8, 8, 8]
        blocks:
          mix:
            params: {drop: float}
            layers:
              - add:
                  body:
                    - depthwise_conv: {kernel_size: 3, padding: 1}
                    - layernorm: channels
                    - conv: {out_channels: =2 * in_channels, kernel_size: 1}
                    - gelu
                    - squeeze_excite: {reduction: 4}
                    - conv: {out_channels: =in_channels // 2, kernel_size: 1}
                    - layer_scale: 0.1
                    - stochastic_depth: =drop
                  shortcut: []
        layers:
          - mix: 0.2
          - mix: 0.5
          - space_to_depth: 2
          - mix: 0.5
          - pixel_shuffle: 2
          - scale
          - silu
          - global_avgpool
          - linear: 3
        """,
    "shuffled": """
        cnnplan: 1
        name: shuffled
        input: [8, 6, 6]
        blocks:
          unit:
            layers:
              - split: 2
                name: half
              - concat:
                  same: []
                  changed:
                    - conv: {out_channels: 4, kernel_size: 1}
                    - relu
                    - depthwise_conv: {kernel_size: 3, padding: 1}
                from: [half.0, half.1]
              - channel_shuffle: 2
        layers:
          - unit:
            repeat: 2
          - split: {sections: [3, 5], axis: 0}
            name: part
          - global_avgpool:
            from: part.1
          - softplus
          - linear: 2
        """,
    "tokens": """
        cnnplan: 1
        name: tokens
        inputs:
          ids: {shape: [6, 4], dtype: int64}
          image: [6, 4]
        layers:
          - slice: {axis: 1, start: 1, stop: 3}
            from: ids
            name: middle
          - flatten:
            name: kept
          - conv: {out_channels: 4, kernel_size: 3}
            from: image
          - hardtanh
          - global_avgpool
          - linear: 3
            name: logits
        outputs: [kept, logits]
        """,
    "pool_kinds": """
        cnnplan: 1
        name: pool_kinds
        input: [3, 20, 20]
        blocks:
          stage:
            params: {width: int, alpha: 0.5, beta: 1.0}
            layers:
              - conv: {out_channels: =2 * width, kernel_size: 3, padding: 1}
              - channel_maxpool: =width
              - mixed_pool: {kernel_size: 3, stride: 1, padding: 1, alpha: =alpha}
              - softmax_pool: {kernel_size: 2, stride: 1, beta: =beta}
              - blur_pool
        layers:
          - stage: {width: 6, alpha: learned}
          - stage: {width: 8, beta: learned}
          - stochastic_pool: 2
          - spatial_pyramid_pool: [1, 2]
          - linear: 4
        """,
}
SPECS = {name: dedent(text) for name, text in SPECS.items()}
NAMES = tuple(SPECS)


@cache
def plan(name: str) -> Plan:
    """The plan of a small network."""
    return cnnplan.plan(SPECS[name])


def build(name: str, seed: int = 0) -> nn.Module:
    """The model of a small network, whose weights and statistics all matter to its output."""
    torch.manual_seed(seed)
    return disturbed(cnnplan.build(SPECS[name]))


@torch.no_grad()
def disturbed(model: nn.Module) -> nn.Module:
    """The model, with other numbers than those that its layers start with."""
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if "running_var" in name:
            tensor.uniform_(0.5, 1.5)
        elif tensor.dim() < 2 or "layer_scale" in name or "scale1" in name:
            tensor.add_(torch.randn_like(tensor), alpha=0.2)
    return model


def inputs(name: str, batch: int = 2, device: str = "cpu") -> list[Tensor]:
    """Random inputs of a small network."""
    return [
        torch.randint(0, 50, (batch, *v.shape), device=device)
        if v.dtype == "int64"
        else torch.randn(batch, *v.shape, device=device)
        for v in plan(name).graph.inputs
    ]


def outputs(name: str) -> list[tuple[int, ...]]:
    """The planned shapes of the outputs, of one sample."""
    return [tuple(v.shape) for v in plan(name).graph.outputs.values()]


def listed(y: Any) -> list[Tensor]:
    """What a model gives, as a list."""
    return [y] if isinstance(y, Tensor) else list(y)
