"""N201 bias-before-batchnorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node, Value
    from cnnplan.lint.net import Net

CARRIES = frozenset(
    (
        "identity",
        "maxpool",
        "adaptive_maxpool",
        "adaptive_avgpool",
        "global_maxpool",
        "global_avgpool",
        "flatten",
        "crop",
        "slice",
        "split",
        "channel_shuffle",
        "upsample",
        "space_to_depth",
        "linear",
        "scale",
        "layer_scale",
        "add",
        "subtract",
        "mean",
    )
)
"""Operations that hand on what is added to a whole channel as what is added to a whole channel."""


class BiasBeforeBatchnorm(Rule):
    """A bias that the normalization behind it subtracts again.

    Batch norm and instance norm take each channel's mean away. A number that is added to a whole channel before
    changes nothing, also through a pool, a sum or a convolution without padding: its gradient is zero, and it still
    costs parameters, the optimizer's state and time. Layer norm, and group norm of several channels a group, take the
    mean of several channels: there a bias counts.

    Weights of a trained network still load: its running mean is then lower by the bias.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.2.
    """

    code: ClassVar[str] = "N201"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - batchnorm
          - relu
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3, bias: false}
          - batchnorm
          - relu
    """

    def check(self, net: Net) -> Iterator[Finding]:
        biased = [n for n in net.nodes if net.is_weighted(n) and getattr(n.op, "bias", False) and n.trainable]
        biased = [n for n in biased if n.op.kind != "locally_connected"]  # not one number for a whole channel
        if not any(subtracts(reader) or carries(reader, net) for node in biased for reader in net.readers(node)):
            return
        taken = subtracted(net)
        for node in biased:
            if node.shared_with is None and all(run.output in taken for run in net.runs(node)):
                yield at(
                    node,
                    f"the bias of '{node.name}' ({node.output.shape.channels:,} parameters) is taken away again by "
                    f"'{taken[node.output].name}'",
                    help="write `bias: false`",
                    change=Change(True, "set `bias: false`", ((node, ("set", "bias", "false")),)),
                )


def subtracted(net: Net) -> dict[Value, Node]:
    """The values of which a normalization takes away all that is added to a whole channel, and the first that does."""
    found: dict[Value, Node] = {}
    for node in reversed(net.nodes):
        for value in node.outputs:
            first = None
            for reader in () if value in net.wanted else reversed(net.users[value]):
                if subtracts(reader):
                    first = reader
                elif carries(reader, net) and all(v in found for v in reader.outputs):
                    first = found[reader.output]
                else:
                    break
            else:
                if first:
                    found[value] = first
    return found


def subtracts(node: Node) -> bool:
    """Whether it takes the mean of each channel away."""
    if node.op.kind == "groupnorm":
        op: Any = node.op
        return bool(op.num_groups == node.shapes[0].channels)
    return node.op.kind in ("batchnorm", "instancenorm")


def carries(node: Node, net: Net) -> bool:
    """Whether what is added to a whole channel before it is added to a whole channel behind it."""
    op: Any = node.op
    match op.kind:
        case "conv" | "depthwise_conv":
            return not (is_padded(node, net) and op.padding_mode == "zeros")
        case "avgpool":
            return not (is_padded(node, net) and op.counts_padding)
        case "concat":
            return bool(op.axis % len(node.shapes[0]) == 0)
        case "permute":
            return bool(op.axes[0] == 0)
    return op.kind in CARRIES


def is_padded(node: Node, net: Net) -> bool:
    """Whether its windows reach over the border."""
    return any(w.before or w.after for w in net.slides[node])
