"""The graph: what a spec says once its blocks, repeats and branches are expanded.

    Value   the output of a layer, or an input of the network
    Node    one layer: an operation with its inputs and outputs
    Scope   what a list of the spec became: the network, a block, a branch, a named group, a copy
    Graph   the layers in the order they run, and the same as a tree of scopes

Everything after elaboration reads it and nothing changes it. Analyses fold over `nodes`; the
emitter and the table follow the tree, which still knows blocks and repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnnplan.ops.base import Op, Shape
    from cnnplan.source import Node as TextNode
    from cnnplan.spec import Block, Branch, Given, Item, Spec

    AnyOp = TypeVar("AnyOp", bound=Op)


class Value:
    """The output of a layer, or an input of the network. Compared by identity.

    Attributes:
        name: the layer's name, with the number of the output where it has several.
        shape: of one sample, channels first.
        dtype: "float32" or "int64".
        node: the layer that makes it; None for an input of the network.
        within: the `each` that it is inside of, from the outermost; its shape is that of a slice.
        slices: how many slices of it there are.
    """

    __slots__ = ("dtype", "name", "node", "shape", "slices", "within")

    def __init__(
        self,
        name: str,
        shape: Shape,
        dtype: str,
        node: Node | None = None,
        within: tuple[Item, ...] = (),
        slices: int = 1,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.node = node
        self.within = within
        self.slices = slices

    @property
    def numel(self) -> int:
        """Its elements for one sample, of all slices."""
        return self.shape.numel * self.slices

    @property
    def size(self) -> str:
        """Its shape as people read it: `64x8x8`, or `16 × 64x8x8` where it is that of a slice."""
        return str(self.shape) if self.slices == 1 else f"{self.slices} × {self.shape}"

    def __repr__(self) -> str:
        return f"<{self.name} {self.shape}>"


class Node:
    """One layer.

    Attributes:
        index: its place in the order of execution.
        name: its path, such as `stage1.conv2`.
        op: the operation, with its arguments.
        inputs: the values it computes on.
        like: the value whose size it takes, for `crop` and `upsample`.
        outputs: the values it makes; most make one.
        shapes: what the operation's methods take: the shapes of the inputs, and of `like` behind them.
        trainable: false where the spec freezes it.
        checkpoint: true where its activations are recomputed in the backward pass.
        shared_with: the name of the layer whose parameters it uses, for `share`.
        item: the item of the spec.
        at: where the spec says it: the item's word, or the use of the built-in block or `share`.
    """

    __slots__ = (
        "at",
        "checkpoint",
        "index",
        "inputs",
        "item",
        "like",
        "name",
        "op",
        "outputs",
        "shapes",
        "shared_with",
        "trainable",
    )

    def __init__(
        self,
        index: int,
        name: str,
        op: Op,
        inputs: tuple[Value, ...],
        like: Value | None,
        item: Item,
        trainable: bool,
        checkpoint: bool,
        shared_with: str | None,
        at: TextNode,
    ) -> None:
        self.index = index
        self.at = at
        self.name = name
        self.op = op
        self.inputs = inputs
        self.like = like
        self.outputs: tuple[Value, ...] = ()
        self.shapes: tuple[Shape, ...] = tuple([v.shape for v in inputs] + ([like.shape] if like else []))
        self.item = item
        self.trainable = trainable
        self.checkpoint = checkpoint
        self.shared_with = shared_with

    @property
    def line(self) -> int:
        """Where the spec says it, from 1."""
        return self.at.line

    @property
    def path(self) -> str:
        """Where its module is: under its own name, or under the name of the layer it shares."""
        return self.shared_with or self.name

    @property
    def slices(self) -> int:
        """How many times it runs for one sample: once for each slice of an `each`."""
        return self.inputs[0].slices

    def give(self, shapes: Sequence[Shape]) -> None:
        """Make its outputs, of these shapes."""
        first, op, name = self.inputs[0], self.op, self.name
        within, slices = first.within, first.slices
        if op.folds_axis:
            count = op.slices(*self.shapes)  # type: ignore[attr-defined]
            opens = op.folds_axis > 0
            within, slices = ((*within, self.item), slices * count) if opens else (within[:-1], slices // count)
        if len(shapes) == 1:
            self.outputs = (Value(name, shapes[0], op.gives or first.dtype, self, within, slices),)
        else:
            self.outputs = tuple(
                Value(f"{name}.{i}", shape, op.dtype_of(i, first.dtype), self, within, slices)
                for i, shape in enumerate(shapes)
            )

    @property
    def output(self) -> Value:
        """The first output, which is the only one of most layers."""
        return self.outputs[0]

    def __repr__(self) -> str:
        return f"<{self.name} {self.op.kind}>"


class Scope(NamedTuple):
    """What a list of the spec became.

    Attributes:
        name: its path in reports; "" for the network.
        path: its path in the emitted module: that of the first run, for `share`.
        part: the last part of its name.
        kind: "model", "block", "branch", "group" (a named group, or one copy of it) or "merge"
            (a merge that runs branches).
        label: the block's or the merge's word.
        inputs, outputs: the values that enter and leave.
        steps: its items, in the order of the spec; none for a merge.
        branches: of a merge: each branch, with its scope or None where its `if` removed it.
        node: the merging layer of a merge; None where a single branch is left.
        block: the block, with the values of its params in `arguments`.
    """

    name: str
    path: str
    part: str
    kind: str
    label: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    steps: tuple[Step, ...] = ()
    branches: tuple[tuple[Branch, Scope | None], ...] = ()
    node: Node | None = None
    block: Block | None = None
    arguments: Mapping[str, object] = {}

    def nodes(self) -> Iterator[Node]:
        """Its layers, at any depth, in the order they run."""
        for step in self.steps:
            yield from step.nodes()
        for _, scope in self.branches:
            if scope:
                yield from scope.nodes()
        if self.node:
            yield self.node


class Copy(NamedTuple):
    """One copy of an item: a layer, a scope, or the steps of a group without a name.

    `inputs` and `outputs` are the values that enter and leave it.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    node: Node | None = None
    scope: Scope | None = None
    steps: tuple[Step, ...] = ()

    def nodes(self) -> Iterator[Node]:
        """Its layers, in the order they run."""
        if self.node:
            yield self.node
        if self.scope:
            yield from self.scope.nodes()
        for step in self.steps:
            yield from step.nodes()

    def inside(self) -> Iterator[Step]:
        """The items inside it, one level down: of its list, or of its branches."""
        yield from self.steps
        if self.scope:
            yield from self.scope.steps
            for _, branch in self.scope.branches:
                yield from branch.steps if branch else ()


class Step(NamedTuple):
    """One item of a list and what it became: its copies in order; none where it is left out."""

    item: Item
    copies: tuple[Copy, ...]

    def nodes(self) -> Iterator[Node]:
        """Its layers, in the order they run."""
        for copy in self.copies:
            yield from copy.nodes()


class Graph(NamedTuple):
    """A network whose shapes all fit.

    Attributes:
        name: the spec's.
        inputs: the network's inputs.
        outputs: name → value, in the order of the spec.
        nodes: the layers, in the order they run.
        root: the same as a tree.
        spec: what it was made from.
        settings: target, budget, lint and train, where the spec has them: models of `settings`.
        overrides: what replaced the spec's variables.
        sizes: the further spatial sizes that the spec declares for an input.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: Mapping[str, Value]
    nodes: tuple[Node, ...]
    root: Scope
    spec: Spec
    settings: Mapping[str, Any] = {}
    overrides: Mapping[str, Given] = {}
    sizes: Mapping[str, Sequence[tuple[int, ...]]] = {}

    def of(self, kind: type[AnyOp]) -> Iterator[Node]:
        """The layers of one operation class."""
        return (node for node in self.nodes if isinstance(node.op, kind))

    def users(self) -> dict[Value, list[Node]]:
        """For each value, the layers that read it, `like` included."""
        found: dict[Value, list[Node]] = {v: [] for v in self.inputs}
        for node in self.nodes:
            for value in dict.fromkeys((*node.inputs, *((node.like,) if node.like else ()))):
                found[value].append(node)
            found.update((value, []) for value in node.outputs)
        return found
