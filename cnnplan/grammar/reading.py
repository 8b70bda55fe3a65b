"""What the grammar knows while it reads, and the values that every part of it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan import names
from cnnplan.diagnostics import Position
from cnnplan.source import Mapping, Scalar, Sequence
from cnnplan.spec import Block, Given, PlacedError, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.diagnostics import Related, Report
    from cnnplan.source import Node


class Reading:
    """One spec being read.

    Attributes:
        report: collects what is wrong.
        block_nodes: the blocks of the file by name, known before any of them is read.
        builtin_nodes: the built-in blocks that are used.
        blocks: the blocks that are read.
        input_names: the named inputs of the block, or file, that is being read.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.block_nodes: dict[str, Node] = {}
        self.builtin_nodes: dict[str, Node] = {}
        self.blocks: dict[str, Block] = {}
        self.input_names: tuple[str, ...] = ()

    def mapping(self, node: Node | None, what: str) -> Iterable[tuple[Scalar, Node]]:
        """The entries of a mapping; none, and a finding, where it is something else."""
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return ()
        if isinstance(node, Mapping):
            return node
        self.report.add("Y911", f"`{what}` is a mapping, not {node.kind}", node)
        return ()

    def sequence(self, node: Node | None, what: str) -> list[Node]:
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return []
        if isinstance(node, Sequence):
            return node.items
        help = "each layer is an item of a list: put `- ` before it" if what in ("layers", "branch") else ""
        self.report.add("Y911", f"`{what}` is a list, not {node.kind}", node, help=help)
        return []

    def given(self, node: Node) -> Given | None:
        """The value; None, and a finding, where an expression cannot be read."""
        try:
            return Given(node)
        except PlacedError as error:
            expression_error(self.report, error)
            return None

    def references(self, node: Node | None, what: str) -> tuple[Reference, ...]:
        found = self.sequence(node, what)
        if isinstance(node, Sequence) and not found:
            self.report.add("Y912", f"`{what}` is empty: it lists at least one reference", node)
        return tuple(r for r in map(self.reference, found) if r)

    def reference(self, node: Node) -> Reference | None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            name, dot, part = node.value.partition(".")
            good_part = not dot or part.isdecimal() or names.IDENTIFIER.fullmatch(part)
            if names.IDENTIFIER.fullmatch(name) and good_part:
                return Reference(name, part if dot else None, node)
        help = "write NAME, or NAME.0 for one of several outputs"
        if isinstance(node, Scalar) and node.is_expression:
            help = "references are names, not expressions"
        self.report.add("S016", f"{node.kind} is not a reference", node, help=help)
        return None


def expression_error(
    report: Report, error: PlacedError, layer: str | None = None, related: Iterable[Related] = ()
) -> None:
    """Report an expression that cannot be read or evaluated, under the part that is to blame."""
    node = error.node
    if node.spoiled:
        return  # which is reported
    start, end = node.start, node.end
    if start.line == end.line:
        shift = start.column + (1 if node.plain else 2)
        first = min(shift + error.start, end.column - 1)
        last = max(first + 1, min(shift + error.end, end.column - (0 if node.plain else 1)))
        start, end = Position(start.line, first), Position(start.line, last)
    help = error.help
    if node.plain and node.flow and any(mark in node.text for mark in "([") and "not closed" in error.message:
        help = 'YAML ends a plain text at a comma or bracket inside {…} and […]; put the expression in quotes: "=…"'
    elif node.plain and "no closing quote" in help:
        help = 'YAML ends a plain text at a comma, `: ` or ` #`; put the expression in quotes: "=…"'
    report.add(error.code, error.message, span=(start, end), help=help, layer=layer, related=related)
