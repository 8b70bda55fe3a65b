"""R401 dead-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import some
from cnnplan.lint.base import Change, Finding, Rule, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net
    from cnnplan.spec import Item, Spec


class DeadLayer(Rule):
    """A layer, or an input, whose value reaches no output of the network.

    Why: it costs parameters, time and memory, and changes nothing. Its parameters never get a
    gradient, which stops distributed training with an error.

    Source: PyTorch's documentation of DistributedDataParallel, `find_unused_parameters`.
    """

    code: ClassVar[str] = "R401"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        outputs: [out]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu:
            name: out
          - conv: {out_channels: 8, kernel_size: 3}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - conv: {out_channels: 8, kernel_size: 3}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        graph, users, wanted = net.graph, net.users, set(net.wanted)
        if all(readers or value in wanted for value, readers in users.items()):
            return  # what leads nowhere ends in a value that nothing reads
        live: set[Node] = set()
        for node in reversed(graph.nodes):
            if any(v in wanted for v in node.outputs):
                live.add(node)
                wanted.update(node.inputs)
                wanted.update([node.like] if node.like else [])
        places = {given.name: given.node for given in net.plan.spec.inputs}
        for value in graph.inputs:
            if value not in wanted:
                message = f"input '{value.name}' reaches no output of the network"
                yield Finding(message, places[value.name], help="use it with `from`, or remove it")
        for node in graph.nodes:
            if node not in live:
                if not any(users[v] for v in node.outputs):
                    yield self.dead(node, net, live)
                continue
            visible = node.outputs[: len(node.outputs) - node.op.hidden]
            if unused := [v.name for v in visible if not users[v] and v not in wanted]:
                what = f"output {some(unused)} is" if len(unused) == 1 else f"outputs {some(unused)} are"
                help = "use it, or `slice` what is wanted"
                yield Finding(f"{what} not used", node.at, node.name, help=help)

    @classmethod
    def dead(cls, node: Node, net: Net, live: set[Node]) -> Finding:
        """The last of a row of layers that lead nowhere."""
        message = f"the output of '{node.name}' reaches no output of the network"
        help = "use it with `from`, name it in `outputs`, or remove it"
        whole = cls.can_go(node, net, live)
        return at(node, message, help=help, change=cls.without(node, net) if whole else None)

    @staticmethod
    def can_go(node: Node, net: Net, live: set[Node]) -> bool:
        """Whether the items of the whole row that leads nowhere can go: half a forgotten head is worse than all."""
        row, todo = {node}, [node]
        while todo:
            found = todo.pop()
            before = [value.node for value in found.inputs if value.node and value.node not in live]
            todo += [one for one in before if one not in row]
            row.update(before)
        return all(one.at is one.item.key and live.isdisjoint(net.made_by(one)) for one in row)

    @classmethod
    def without(cls, node: Node, net: Net) -> Change | None:
        """The text without the layer; unsafe where other values of variables may bring back what reads it."""
        spec, name = net.plan.spec, node.item.name
        items = list(written(spec))
        given = {reference.name for block in spec.blocks.values() for reference in block.outputs}
        if name in given or any(name in referred(item) for item in items):
            return None
        made = {id(other.item) for other in net.nodes}
        left_out = (item.kind == "op" and id(item) not in made for item in items)
        idle = (branch.condition and not branch.items for item in items for branch in item.branches or ())
        safe = not any(left_out) and not any(idle) and not cls.renames(node, net)
        return Change(safe, f"remove `{node.item.word}`", ((node, ("remove",)),))

    @staticmethod
    def renames(node: Node, net: Net) -> bool:
        """Whether parameters behind it would get its name, so that its weights would be loaded for theirs."""
        word = node.name.rstrip("0123456789")
        behind = (other for other in net.nodes[node.index + 1 :] if other.item is not node.item)
        return bool(net.layer(node).work.tensors) and any(n.name.rstrip("0123456789") == word for n in behind)


def written(spec: Spec) -> Iterator[Item]:
    """All items of the text, at any depth, run or not."""
    stack = [*spec.items, *(item for block in spec.blocks.values() if not block.builtin for item in block.items)]
    while stack:
        item = stack.pop()
        yield item
        stack += item.items
        stack += [inner for branch in item.branches or () for inner in branch.items]


def referred(item: Item) -> set[str]:
    """The names that an item refers to."""
    found = {reference.name for reference in (*item.sources, *([item.target] if item.target else ()))}
    for word in ("like", "of"):
        if named := item.arguments.get(word):
            found.add(str(named[1].constant).partition(".")[0])
    return found
