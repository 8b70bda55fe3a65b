"""S011 batchnorm-one-value."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.norms import batch_said, group_norm, positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.diagnostics import Related
    from cnnplan.graph import Node
    from cnnplan.lint.net import Net


class BatchnormOneValue(Rule):
    """A normalization of single values: less its own mean, each of them is 0.

    Batch norm sees batch x positions values a channel; PyTorch refuses to train with one ("Expected more than 1 value
    per channel when training"). It judges the batch size that the spec, or the command line, names. Group norm of one
    channel a group and layer norm of one channel give their bias, whatever the input, where they see one position;
    there no batch size helps.

    Source: torch.nn.functional.batch_norm and group_norm, which check the number of values.
    """

    code: ClassVar[str] = "S011"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [64, 8, 8]
        layers:
          - global_avgpool: {keepdim: true}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - batchnorm
          - relu
        train: {batch: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [64, 8, 8]
        layers:
          - global_avgpool: {keepdim: true}
          - conv: {out_channels: 16, kernel_size: 1, bias: false}
          - groupnorm: 1
          - relu
        train: {batch: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        for node in net.of("batchnorm", "groupnorm", "layernorm"):
            x = node.shapes[0]
            if node.op.kind != "batchnorm":
                if values(node) == 1:
                    message = f"'{node.name}' normalizes single values of {x}: all it gives is its bias"
                    yield self.finding(node, message, f"remove `{node.item.word}`")
            elif net.batch == positions(node) == 1:
                message = f"'{node.name}' would see one value a channel in training: batch 1 of {x}"
                yield self.finding(node, message, "train with a batch of 2 or more", batch_said(net))

    @staticmethod
    def finding(node: Node, message: str, help: str, related: tuple[Related, ...] = ()) -> Finding:
        """With a group norm in its place, where there are channels to put together."""
        if node.shapes[0].channels == 1:
            return at(node, message, help=help, related=related)
        norm = group_norm([node])
        change = Change(False, f"use `{norm}`", ((node, ("replace", norm)),))
        return at(node, message, help=f"{help}, or use `{norm}`", related=related, change=change)


def values(node: Node) -> int:
    """How many values of a sample a group norm or layer norm takes together."""
    x = node.shapes[0]
    if node.op.kind == "groupnorm":
        return x.numel // node.op.num_groups  # type: ignore[attr-defined, no-any-return]
    return x.numel if node.op.over_all(x) else x.channels  # type: ignore[attr-defined]
