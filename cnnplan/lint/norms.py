"""What rules ask about normalizations: how many values are normalized together, and what to use instead."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnnplan.diagnostics import Related

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

ENOUGH = 16
"""So many values in a group have a mean and a variance that say something."""

GROUPS = 32
"""Groups of the paper's group norm: Wu & He 2018, arXiv:1803.08494."""


def batch_said(net: Net) -> tuple[Related, ...]:
    """Where the spec says the batch size, if nothing goes over it."""
    for key in ("target", "train"):
        where = net.place(key, "batch")
        if where and net.said(key, "batch") == net.batch:
            return (Related("the batch size is said here", where.start),)
    return ()


def positions(node: Node) -> int:
    """How many positions a map has; 1 for a vector."""
    return prod(node.shapes[0].spatial)


def group_norm(nodes: Iterable[Node]) -> str:
    """The group norm that could stand in the place of these layers, with enough values in a group: of two, one is 1
    and the other -1, whatever they were."""
    groups = GROUPS
    for node in nodes:
        channels = node.shapes[0].channels
        while groups > 1 and (
            channels % groups or channels // groups < 2 or channels // groups * positions(node) < ENOUGH
        ):
            groups //= 2
    return f"groupnorm: {groups}"
