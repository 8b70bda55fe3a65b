"""N202 linear-chain."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

LINEAR = frozenset(
    (
        "identity",
        "dropout",
        "dropout2d",
        "alpha_dropout",
        "stochastic_depth",
        "gaussian_noise",
        "flatten",
        "pad",
        "crop",
        "scale",
        "layer_scale",
        "batchnorm",
        "avgpool",
        "adaptive_avgpool",
        "global_avgpool",
    )
)
"""Operations that are linear in evaluation. What reorders or enlarges a map ends a chain: it is meant as a whole."""

UNLIKE = frozenset(("conv_transpose", "locally_connected", "mixed_dilation_conv"))
"""Convolutions that are not one with the layer beside them."""

HIDDEN = ("relu", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "relu6", "hardswish", "tanh")
"""Activations of hidden layers, without required arguments."""


class LinearChain(Rule):
    """Two layers with weights and nothing nonlinear between them, which are one linear layer together.

    Two 3x3 convolutions of 64 channels in a row have 73,728 weights and compute what one 5x5 convolution can. Batch
    norm between them changes nothing about that: in evaluation it is a factor and an offset.

    Factorizations are not meant, as they have fewer weights than what they stand for: a depthwise layer beside
    another, a bottleneck that is narrower than both sides, kernels along different axes; nor are transposed
    convolutions, frozen layers, values that something else reads too, and the smoothing layers of a feature pyramid.

    Source: Simonyan & Zisserman 2014, arXiv:1409.1556, section 2.3; Sandler et al. 2018, arXiv:1801.04381, section
    3.2, of linear bottlenecks.
    """

    code: ClassVar[str] = "N202"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - conv: {out_channels: 16, kernel_size: 3}
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        usual = ""
        for node in net.nodes:
            if node.shared_with or not _weighs(node, net):
                continue
            behind = node
            first = net.before(node)
            while first and _is_linear(first) and net.next(first) is behind:
                behind = first
                first = net.before(first)
            if (
                not first
                or not _weighs(first, net)
                or net.next(first) is not behind
                or _factorize(first, node, net)
                or _is_pyramid(first)
            ):
                continue
            before, between, after = (s.channels for s in (first.shapes[0], first.output.shape, node.output.shape))
            place = behind if behind.op.kind == "batchnorm" else first
            usual = usual or _usual(net)
            yield at(
                node,
                f"nothing nonlinear stands between '{first.name}' ({before:,} to {between:,} channels) and "
                f"'{node.name}' (to {after:,}): together they are one linear layer",
                help=f"put an activation between them, such as `- {usual}`, or leave one of them out",
                related=(Related(f"'{first.name}' is the other one", first.at.start),),
                change=Change(False, f"insert `{usual}`", ((place, ("after", usual)),)),
            )


def _weighs(node: Node, net: Net) -> bool:
    """Whether it is a layer with weights that is not exempt by itself."""
    if not net.is_weighted(node) or node.op.kind in UNLIKE or not node.trainable:
        return False
    return not net.is_depthwise(node)


def _is_linear(node: Node) -> bool:
    """Whether it is linear in evaluation: a batch norm that keeps no statistics divides by those of its input."""
    return node.op.kind in LINEAR and getattr(node.op, "track_running_stats", True)


def _is_pyramid(first: Node) -> bool:
    """Whether it smooths a sum with what was made larger again: a feature pyramid has nothing nonlinear there.

    Source: Lin et al. 2016, arXiv:1612.03144, section 3.
    """
    merge = first.inputs[0].node
    if merge is None or merge.op.kind != "add":
        return False
    return any(value.node and value.node.op.group == "unpooling and resizing" for value in merge.inputs)


def _factorize(first: Node, second: Node, net: Net) -> bool:
    """Whether both have fewer weights than the one layer that they are together, and are meant so."""
    before, between, after = (s.channels for s in (first.shapes[0], first.output.shape, second.output.shape))
    if between < min(before, after):
        return True
    if "dense" in (first.op.group, second.op.group):
        return False
    kernels = [[w.kernel for w in net.slides[node]] for node in (first, second)]
    wide = [max(kernel) > 1 for kernel in kernels]
    if any(wide):
        return all(wide) and all(1 in both for both in zip(*kernels, strict=False))
    return between <= before and between < after


def _usual(net: Net) -> str:
    """The activation that the network uses most."""
    used = Counter(node.op.kind for node in net.nodes if node.op.kind in HIDDEN)
    return used.most_common(1)[0][0] if used else "relu"
