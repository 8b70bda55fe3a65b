"""A class of the emitted source while it is written, and its signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.emit.calls import literal
from cnnplan.emit.layout import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.emit.solver import Argument
    from cnnplan.graph import Scope


class Draft:
    """A class being written.

    Attributes:
        name: its name in the source.
        uses: the scopes that it runs: the uses of one block, or the network.
        chain: whether it is an nn.Sequential and needs no `forward`.
        arguments: of its constructor, in order.
        lines: the body of the constructor.
        helpers: classes of cnnplan.layers that it needs.
    """

    def __init__(self, name: str, uses: Sequence[Scope], chain: bool) -> None:
        self.name = name
        self.uses = uses
        self.chain = chain
        self.arguments: list[Argument] = []
        self.lines: list[str] = []
        self.forward: list[str] = []
        self.helpers: set[str] = set()

    @property
    def word(self) -> str:
        """The block's name."""
        return self.uses[0].label


def annotation(values: Sequence[Any]) -> str:
    """The type of an argument, from its values."""
    kinds = {type(v) for v in values}
    if kinds <= {int}:
        return "int"
    if kinds <= {int, float}:
        return "float"
    if kinds == {bool}:
        return "bool"
    if kinds == {str}:
        return "str"
    if kinds == {list}:
        return f"list[{annotation([v for value in values for v in value])}]"
    if kinds == {tuple}:
        return "tuple[int, ...]"
    return " | ".join(
        sorted("None" if k is type(None) else "tuple[int, ...]" if k is tuple else k.__name__ for k in kinds)
    )


def signature_of(draft: Draft) -> Call:
    """`def __init__(self, …) -> None:`"""
    arguments = [
        f"{a.name}: {annotation(a.values)}" + (f" = {literal(a.default)}" if a.has_default else "")
        for a in draft.arguments
    ]
    return Call("def __init__(", ("self", *arguments), ") -> None:")
