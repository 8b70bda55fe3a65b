"""What a spec file says, as data: items, blocks, and values that may hold expressions.

`grammar` makes these from the nodes of the text; `elaborate` runs them. They keep the nodes, so
that every finding has a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.errors import ExpressionError
from cnnplan.expressions import parse
from cnnplan.source import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from cnnplan.expressions import Expression, Names
    from cnnplan.ops.base import Op
    from cnnplan.source import Node

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
    "list": (list,),
}


class Given:
    """A value of the text that may be, or hold, expressions.

    Attributes:
        node: where it stands.
        dynamic: whether it holds an expression; otherwise `constant` is its value.
        names: the names its expressions use.
        needs_input: whether `in_channels` or `in_size` is one of them.
    """

    __slots__ = ("_parsed", "constant", "dynamic", "names", "needs_input", "node")

    def __init__(self, node: Node) -> None:
        """Read a value.

        Raises:
            PlacedError: one of its expressions cannot be read, or a value is spoiled; `.node`
                says which.
        """
        self.node = node
        found: list[Expression] = []
        self._parsed = _read(node, found)
        self.dynamic = bool(found)
        self.constant = None if found else self._parsed
        self.names = frozenset().union(*(e.names() for e in found)) if found else frozenset()
        self.needs_input = not self.names.isdisjoint(("in_channels", "in_size"))

    def value(self, names: Names) -> Any:
        """Its value, given the values of the names.

        Raises:
            ExpressionError: an expression cannot be evaluated; `.node` says which.
        """
        if not self.dynamic:
            return self._parsed
        return _evaluate(self._parsed, names)

    @property
    def expression(self) -> Expression | None:
        """The expression, where the whole value is one."""
        return self._parsed.expression if isinstance(self._parsed, _Formula) else None


class _Formula(NamedTuple):
    expression: Expression
    node: Scalar


def _read(node: Node, found: list[Expression]) -> Any:
    if isinstance(node, Scalar):
        if node.spoiled:
            raise placed(ExpressionError("no value"), node)
        if not node.is_expression:
            return node.value
        try:
            expression = parse(node.value[1:])
        except ExpressionError as error:
            raise placed(error, node) from None
        found.append(expression)
        return _Formula(expression, node)
    if isinstance(node, Sequence):
        return [_read(item, found) for item in node.items]
    assert isinstance(node, Mapping)
    return {key.value: _read(value, found) for key, value in node}


def _evaluate(parsed: Any, names: Names) -> Any:
    if type(parsed) is _Formula:
        names.budget.spend(parsed.expression.size)
        try:
            return parsed.expression.value(names)
        except ExpressionError as error:
            raise placed(error, parsed.node) from None
    if type(parsed) is list:
        return [_evaluate(item, names) for item in parsed]
    if type(parsed) is dict:
        return {key: _evaluate(value, names) for key, value in parsed.items()}
    return parsed


class PlacedError(ExpressionError):
    """An expression error that knows the scalar it stands in."""

    node: Scalar


def placed(error: ExpressionError, node: Scalar) -> PlacedError:
    """The same error with its node."""
    found = PlacedError(error.message, error.start, error.end, error.help, error.code)
    found.node = node
    return found


class Reference(NamedTuple):
    """`NAME` or `NAME.part`."""

    name: str
    part: str | None
    node: Scalar

    def __str__(self) -> str:
        return f"{self.name}.{self.part}" if self.part is not None else self.name


class Branch(NamedTuple):
    """A branch of a merge: its name (or number), its items, and its condition."""

    name: str
    node: Node
    items: tuple[Item, ...]
    condition: Given | None


class Item:
    """One item of a list of layers.

    Attributes:
        kind: "op", "block", "merge", "group", "share", or "broken" (a finding says why).
        word: the key: the operation's or block's name, `layers`, `share`.
        key: the node of that word.
        guessed: whether an unknown word is taken for the nearest one: its arguments may not fit.
        unsure: whether one of its arguments is not understood.
        op: the operation class, of an op or a merge.
        arguments: name → (key node or None, value), for ops, blocks and merges.
        fixed: the operation, where no argument depends on a name.
        items: of a group.
        branches: of a merge that runs branches; None where it merges what `from` lists.
        name, sources, condition, repeat, counter, trainable, checkpoint: the modifiers.
        each: of a group that stands for an item with `each`: the modifier's key, and the axis.
        label: of such a group: the name of the item inside it, which it is known by.
        target: the name that `share` runs again.
    """

    __slots__ = (
        "arguments",
        "branches",
        "cache",
        "checkpoint",
        "condition",
        "counter",
        "each",
        "fixed",
        "guessed",
        "items",
        "key",
        "kind",
        "label",
        "listed",
        "name",
        "name_node",
        "op",
        "repeat",
        "sources",
        "target",
        "trainable",
        "unsure",
        "word",
    )

    def __init__(self, kind: str, word: str, key: Node) -> None:
        self.kind = kind
        self.word = word
        self.key = key
        self.guessed = False
        self.unsure = False
        self.op: type[Op] | None = None
        self.arguments: dict[str, tuple[Scalar | None, Given]] = {}
        self.fixed: Op | None = None
        self.items: tuple[Item, ...] = ()
        self.branches: tuple[Branch, ...] | None = None
        self.name: str | None = None
        self.name_node: Scalar | None = None
        self.sources: tuple[Reference, ...] = ()
        self.listed = False  # whether `from` is a list
        self.condition: Given | None = None
        self.repeat: Given | None = None
        self.counter = "index"
        self.trainable: bool | None = None
        self.checkpoint = False
        self.target: Reference | None = None
        self.each: tuple[Scalar, int] | None = None
        self.label: str | None = None
        self.cache: dict[Any, Op] = {}

    @property
    def line(self) -> int:
        return self.key.line

    @property
    def known_as(self) -> str | None:
        """The name that references know it by."""
        return self.name or self.label

    def __repr__(self) -> str:
        return f"<{self.kind} {self.word} line {self.line}>"


class Param(NamedTuple):
    """A param of a block: a required one has a type, the others a default."""

    name: str
    node: Scalar
    type: str | None
    default: Given | None


class Block(NamedTuple):
    """A named list of layers with params.

    `builtin` blocks come with cnnplan; findings inside them are shown where they are used.
    `height` is how many lists are nested in it, through the blocks that it uses.
    """

    name: str
    node: Node
    params: dict[str, Param]
    inputs: tuple[str, ...]
    outputs: tuple[Reference, ...]
    items: tuple[Item, ...]
    builtin: bool = False
    height: int = 0


class Input(NamedTuple):
    """An input of the network, as the spec gives it."""

    name: str
    node: Node
    shape: Given
    dtype: str
    sizes: Given | None


class Spec(NamedTuple):
    """A whole spec file.

    A variable without a value is one that cannot be read, which is reported.
    `settings` holds the keys that describe the plan rather than the network: `target`, `budget`,
    `lint` and `train`, each still as a node.
    """

    name: str
    path: str
    text: str
    description: str
    reference: str
    inputs: tuple[Input, ...]
    named_inputs: bool
    variables: dict[str, tuple[Scalar, Given | None]]
    blocks: dict[str, Block]
    items: tuple[Item, ...]
    outputs: tuple[Reference, ...]
    settings: dict[str, Node]
