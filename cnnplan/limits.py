"""What a spec may expand to, checked before the work is done.

The limits of the text itself are `source.MAX_BYTES`, `MAX_NODES` and `MAX_DEPTH`; those of
expressions are in `expressions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.spec import Block, Item

MAX_LAYERS: Final = 20_000
"""Layers of a network, after blocks and repeats are expanded."""

MAX_VISITS: Final = 100_000
"""Items run, those that are left out included."""

MAX_NESTING: Final = 60
"""Lists inside lists, through blocks, groups and branches."""


MAX_SIZES: Final = 32
"""Further sizes that an input declares; the network is planned for each."""


def height(items: tuple[Item, ...], blocks: Mapping[str, Block]) -> int:
    """How many lists are nested in a list, itself included; the heights of the blocks are known."""

    def one(item: Item) -> int:
        if item.kind == "block":
            used = blocks.get(item.word)
            return used.height if used else 0
        below = [item.items, *(branch.items for branch in item.branches or ())]
        return max((height(inner, blocks) for inner in below if inner), default=0)

    return 1 + max(map(one, items), default=0)


def least_layers(items: tuple[Item, ...], blocks: Mapping[str, Block]) -> int:
    """A lower bound of the layers that a list expands to, found without expanding it.

    What depends on an expression counts as absent, so that no network within the limit is refused.
    """
    known: dict[str, int] = {}

    def block(name: str) -> int:
        if name not in known:
            known[name] = 0  # a block that reaches itself is reported elsewhere
            found = blocks.get(name)
            known[name] = total(found.items) if found else 0
        return known[name]

    def total(items: tuple[Item, ...]) -> int:
        return sum(map(one, items))

    def one(item: Item) -> int:
        if item.condition or item.kind in ("broken", "share"):
            return 0
        times = 1
        if item.repeat:
            times = item.repeat.constant if isinstance(item.repeat.constant, int) else 0
        if item.kind == "block":
            return times * block(item.word)
        if item.kind == "group":
            return times * total(item.items)
        branches = sum(total(b.items) for b in item.branches or () if not b.condition)
        return times * (1 + branches)

    return total(items)
