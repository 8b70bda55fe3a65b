"""A plan as rules ask about it: who reads whom, what is a weight layer, what the spec says of its loss."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from cnnplan.source import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Graph, Node, Value
    from cnnplan.lint.edits import Sheet
    from cnnplan.lint.lines import Lines
    from cnnplan.ops.window import Sliding
    from cnnplan.planning import Layer, Plan
    from cnnplan.source import Node as TextNode

WEIGHTED = ("convolution", "dense")
"""The groups of operations whose output is a weighted sum of their input."""

PASSING = frozenset(
    (
        *("identity", "dropout", "dropout2d", "alpha_dropout", "stochastic_depth", "gaussian_noise"),
        *("flatten", "reshape", "permute"),
    )
)
"""Operations that hand on their input's numbers, in evaluation, whatever their order."""


SLIDING = (
    *("conv", "depthwise_conv", "maxpool", "avgpool", "lppool"),
    *("mixed_pool", "stochastic_pool", "softmax_pool"),
)
"""Operations whose windows slide."""


class Net:
    """A plan and what rules ask about it. Nothing is computed before it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.graph: Graph = plan.graph

    @property
    def nodes(self) -> Sequence[Node]:
        """The layers in the order they run."""
        return self.graph.nodes

    def of(self, *kinds: str) -> Iterator[Node]:
        """The layers that run one of these operations."""
        return (node for node in self.graph.nodes if node.op.kind in kinds)

    def layer(self, node: Node) -> Layer:
        """The layer's numbers."""
        return self.plan.layers[node.index]

    # ------------------------------------------------------------ the text

    @cached_property
    def _made(self) -> dict[int, set[Node]]:
        found: dict[int, set[Node]] = {}
        for node in self.graph.nodes:
            found.setdefault(id(node.item), set()).add(node)
        return found

    def made_by(self, node: Node) -> set[Node]:
        """All layers that the item of this one makes."""
        return self._made[id(node.item)]

    @cached_property
    def _runs(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.graph.nodes:
            if node.shared_with:
                found.setdefault(node.shared_with, []).append(node)
        return found

    def runs(self, node: Node) -> list[Node]:
        """All layers that use this one's parameters, itself first, by `share`; for one that is no `share`."""
        return [node, *self._runs.get(node.name, ())]

    @cached_property
    def sheet(self) -> Sheet:
        """The text, to write changes of it."""
        from cnnplan.lint.edits import Sheet

        return Sheet(self.plan.spec.text)

    # ------------------------------------------------------------ who reads whom

    @cached_property
    def users(self) -> dict[Value, list[Node]]:
        """For each value, the layers that read it."""
        return self.graph.users()

    @cached_property
    def wanted(self) -> frozenset[Value]:
        """The outputs of the network."""
        return frozenset(self.graph.outputs.values())

    def readers(self, node: Node) -> list[Node]:
        """The layers that read any of its outputs."""
        return list(dict.fromkeys(user for value in node.outputs for user in self.users[value]))

    def is_output(self, node: Node) -> bool:
        """Whether one of its outputs is an output of the network."""
        return any(value in self.wanted for value in node.outputs)

    def next(self, node: Node) -> Node | None:
        """The one layer that reads its output, which nothing else does."""
        readers = self.readers(node)
        return readers[0] if len(readers) == 1 and not self.is_output(node) else None

    @staticmethod
    def before(node: Node) -> Node | None:
        """The layer that makes its one input; None for an input of the network, or where it takes several."""
        return node.inputs[0].node if len(node.inputs) == 1 else None

    def chain(self, node: Node) -> Iterator[Node]:
        """The layers behind it, as long as each is read by one layer alone that reads nothing else."""
        following = self.next(node)
        while following and len(following.inputs) == 1 and following.like is None:
            yield following
            following = self.next(following)

    def behind(self, node: Node, skip: frozenset[str] = PASSING) -> Node | None:
        """The next layer of its chain, without those that hand on their input."""
        return next((found for found in self.chain(node) if found.op.kind not in skip), None)

    @classmethod
    def ahead(cls, node: Node, skip: frozenset[str] = PASSING) -> Node | None:
        """The layer that its input comes from, without those that hand on theirs."""
        found = cls.before(node)
        while found and found.op.kind in skip:
            found = cls.before(found)
        return found

    # ------------------------------------------------------------ what a layer is

    @staticmethod
    def is_weighted(node: Node) -> bool:
        """Whether it is a convolution or a dense layer."""
        return node.op.group in WEIGHTED and node.op.kind != "embedding"

    @staticmethod
    def is_depthwise(node: Node) -> bool:
        """Whether each of its output channels sees one channel of its input alone."""
        groups = getattr(node.op, "groups", 1)
        return node.op.kind == "depthwise_conv" or (groups > 1 and groups == node.shapes[0].channels)

    @cached_property
    def slides(self) -> dict[Node, tuple[Sliding, ...]]:
        """Convolutions and pools with their windows, one for each spatial axis."""
        found = {}
        for node in self.of(*SLIDING):
            op: Any = node.op
            x = node.shapes[0]
            found[node] = (op.conv(x) if op.kind == "depthwise_conv" else op).sliding(x)
        return found

    @cached_property
    def lines(self) -> dict[Value, Lines]:
        """Where the units of each value lie over the network's input; without those that have no local paths."""
        from cnnplan.lint.lines import lines

        return lines(self.graph)

    @cached_property
    def last_weighted(self) -> frozenset[Node]:
        """Convolutions and dense layers with no other behind them on the way to an output: the logits' layers."""
        reached: set[Value] = set()
        found = set()
        for node in reversed(self.graph.nodes):
            leads = any(value in reached for value in node.outputs)
            if not leads and self.is_weighted(node):
                found.add(node)
            if leads or self.is_weighted(node):
                reached.update(node.inputs)
        return frozenset(found)

    # ------------------------------------------------------------ what the spec says

    def setting(self, key: str) -> Any:
        """A setting of the spec, such as its `train`; None where it has none."""
        return self.graph.settings.get(key)

    def said(self, key: str, name: str) -> Any:
        """What a setting of the spec says itself; None where it says nothing."""
        setting = self.setting(key)
        return getattr(setting, name) if setting is not None and name in setting.model_fields_set else None

    def place(self, key: str, name: str) -> TextNode | None:
        """Where the spec says it."""
        node = self.plan.spec.settings.get(key)
        return node.get(name) if isinstance(node, Mapping) else None

    @cached_property
    def losses(self) -> dict[str, Any]:
        """For each output that the spec gives a loss: the loss, with its `name` and `options`."""
        loss = self.said("train", "loss")
        if loss is None:
            return {}
        if isinstance(loss, dict):
            return loss
        return dict.fromkeys(self.graph.outputs, loss)

    def trained(self) -> Iterator[tuple[str, Value, str]]:
        """Each output that the spec gives a loss: its name, its value, the loss's name."""
        for name, loss in self.losses.items():
            if name in self.graph.outputs:
                yield name, self.graph.outputs[name], loss.name

    @cached_property
    def batch(self) -> int | None:
        """The batch size on one device that somebody named; None where it is only the default."""
        asked = self.plan.conditions
        said = self.said("target", "batch") or self.said("train", "batch")
        return asked.batch if said is not None or asked.batch != 1 else None
