"""N212 deep-plain-stack."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Finding, Rule, at
from cnnplan.lint.net import WEIGHTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

MOST = 20
"""VGG-19 has 19, and was trained in steps, from a network of 11."""


class DeepPlainStack(Rule):
    """More than 20 layers with weights in a row, without a normalization and without a skip around any.

    Each layer scales the signal and the gradient; over many, one of both vanishes or explodes, and a deeper network
    trains to a larger error than a shallow one. Counted are trainable layers that every path goes through: what a
    branch, a skip or another output leads around is not. Normalizations and SELU start the count anew.

    Source: He et al. 2015, arXiv:1512.03385, figure 1; Simonyan & Zisserman 2014, arXiv:1409.1556, section 3.1.
    """

    code: ClassVar[str] = "N212"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 64, 64]
        layers:
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: 1}
              - relu
            repeat: 20
          - global_avgpool
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 64, 64]
        layers:
          - layers:
              - conv: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}
              - batchnorm
              - relu
            repeat: 20
          - global_avgpool
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        row: list[Node] = []
        users = net.users
        furthest = max(ends(users[value], value in net.wanted) for value in net.graph.inputs)
        for index, node in enumerate(net.nodes):
            group = node.op.group
            evens = (group == "normalization" and node.op.kind != "lrn") or node.op.kind == "selu"
            if row and (evens or furthest > index):
                yield from self.found(row)
                row = []
            elif group in WEIGHTED and node.trainable and furthest <= index:
                row.append(node)
            for value in node.outputs:
                furthest = max(furthest, ends(users[value], value in net.wanted))
        yield from self.found(row)

    @staticmethod
    def found(row: list[Node]) -> Iterator[Finding]:
        """Layers in a row, where they are too many."""
        if len(row) > MOST:
            first, last = row[0], row[-1]
            yield at(
                first,
                f"{len(row)} layers with weights in a row, from '{first.name}' to '{last.name}', without a "
                "normalization and without a skip",
                help="put `batchnorm` behind the convolutions, or `add` a shortcut around every two of them",
                related=(Related(f"'{last.name}' is the last of them", last.at.start),),
            )


def ends(readers: list[Node], wanted: bool) -> float:
    """The place of the last layer that reads a value; behind all of them, where it is an output."""
    return inf if wanted else readers[-1].index if readers else 0
