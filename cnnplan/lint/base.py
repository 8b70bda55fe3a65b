"""What a rule is, and what it says.

A rule is one file in `rules/`: a docstring (what, why, source), a `bad` and a `good` spec, which
are its tests and its documentation, and a `check` that yields findings. Its code, name and level
stand in the catalogue, `cnnplan.codes`.

    Rule      a rule; `Refusal` documents what is found while a spec is read
    Finding   what it has found, and where
    Change    how the text would change; `edits` turns it into edits of the text
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.diagnostics import Fix, Related
    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.source import Node as TextNode


class Change(NamedTuple):
    """How the items of some layers are written otherwise.

    Attributes:
        safe: whether the network computes the same with the same weights, or what goes is certainly a mistake.
        message: what it does, such as "remove `softmax`".
        steps: what is done to which layer's item: ("set", argument, text), ("drop", argument), ("replace", text),
            ("remove",), ("swap", the node behind it), ("before", text of an item), ("after", text of an item).
    """

    safe: bool
    message: str
    steps: tuple[tuple[Node, tuple[str | Node, ...]], ...]


class Finding(NamedTuple):
    """What a rule has found, and where.

    Findings of layers that one line of the spec makes are shown as one.

    Attributes:
        message: what is wrong, with the numbers that disagree.
        node: where in the text.
        layer: the layer's name.
        help: what to write instead.
        related: further places.
        severity: a level that is not the rule's own.
        found: the layer, where it is about one.
        change: a fix, of the items of layers.
        fix: a fix, as edits.
    """

    message: str
    node: TextNode | None
    layer: str | None = None
    help: str = ""
    related: tuple[Related, ...] = ()
    severity: str = ""
    found: Node | None = None
    change: Change | None = None
    fix: Fix | None = None


def at(
    node: Node,
    message: str,
    *,
    help: str = "",
    argument: str = "",
    related: tuple[Related, ...] = (),
    severity: str = "",
    change: Change | None = None,
) -> Finding:
    """A finding at a layer; at one of its arguments, where that is named and written there."""
    place = node.at
    given = node.item.arguments.get(argument)
    if given and node.at is node.item.key:
        place = given[0] or given[1].node
    return Finding(message, place, node.name, help, related, severity, node, change)


class Rule:
    """A rule. Its code and name are those of `codes.CODES`.

    A rule of another package says `name`, `severity` and whether it is on by `default` itself, and may have an
    `url` of its own.
    """

    code: ClassVar[str]
    bad: ClassVar[str]
    good: ClassVar[str]
    name: ClassVar[str] = ""
    severity: ClassVar[str] = "warning"
    default: ClassVar[bool] = True
    url: ClassVar[str] = ""

    def check(self, net: Net) -> Iterator[Finding]:
        """What is wrong with the network."""
        raise NotImplementedError


class Refusal(Rule):
    """What is found while a spec is read: the class is its documentation."""

    def check(self, net: Net) -> Iterator[Finding]:
        """Nothing: a spec that has a plan has no such mistake."""
        yield from ()
