"""What `build --optimize` adds to the source: a function that makes a trained model faster and leaves what it computes.

Batch norms that follow a convolution or a dense layer are linear in evaluation, and fold into its weights
(torch.nn.utils.fusion). Images lie channels last in memory, as convolutions read them (PyTorch's tutorial "Channels
Last Memory Format in PyTorch").
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cnnplan.ops.base import Module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.emit.structure import Rules
    from cnnplan.graph import Graph, Node

FUNCTION = "optimized"
CONVOLUTION = re.compile(r"nn\.Conv(Transpose)?[123]d")
CALLS = {
    "nn.Linear": "fuse_linear_bn_eval({})",
    "nn.ConvTranspose": "fuse_conv_bn_eval({}, transpose=True)",
    "nn.Conv": "fuse_conv_bn_eval({})",
}
"""What folds a batch norm into a layer, by the beginning of the layer's class."""


def foldable(graph: Graph, rules: Rules) -> Iterator[tuple[Node, Node]]:
    """Layers whose output goes into a batch norm and nowhere else, each with that batch norm."""
    users = graph.users()
    uses = Counter(node.path for node in graph.nodes)
    ends = set(graph.outputs.values())
    for node in graph.nodes:
        readers = users[node.output]
        if len(node.outputs) > 1 or len(readers) != 1 or node.output in ends:
            continue
        (norm,) = readers
        if uses[node.path] == uses[norm.path] == 1 and _folds(node, norm, rules):
            yield node, norm


def _folds(node: Node, norm: Node, rules: Rules) -> bool:
    first, second = rules.of(node), rules.of(norm)
    if not isinstance(first, Module) or not isinstance(second, Module) or first.after or second.before:
        return False
    if not second.target.startswith("nn.BatchNorm") or _given(second, "track_running_stats") is False:
        return False
    if first.target == "nn.Linear":
        return not node.output.shape.rank  # of vectors: the norm's channels are the layer's features
    found = CONVOLUTION.fullmatch(first.target)
    return bool(found and not (found[1] and _given(first, "groups") not in (None, 1)))  # torch does not fuse those


def _target(node: Node, rules: Rules) -> str:
    target: str = getattr(rules.of(node), "target", "")
    return target


def _given(rule: Module, name: str) -> object:
    return next((argument.value for argument in rule.arguments if argument.name == name), None)


def memory_format(graph: Graph, rules: Rules) -> str | None:
    """The format that all maps of a network can have; None where it has images and volumes, or neither."""
    found = {CONVOLUTION.fullmatch(_target(node, rules)) for node in graph.nodes}
    ranks = "".join(sorted({match[0][-2] for match in found if match}))
    return {"2": "channels_last", "3": "channels_last_3d"}.get(ranks)


def function(graph: Graph, rules: Rules, model: str) -> tuple[list[str], list[str]]:
    """The function's lines, and the imports that it needs."""
    folds: dict[str, list[str]] = {}
    for node, norm in foldable(graph, rules):
        call = next(call for prefix, call in CALLS.items() if _target(node, rules).startswith(prefix))
        folds.setdefault(call, []).append(f'        "{norm.path}": "{node.path}",')
    format = memory_format(graph, rules)
    done = ["batch norms in the layers before them"] * bool(folds) + ["channels last"] * bool(format)
    about = (
        f"the same function; {', '.join(done)}" if done else "nothing folds, and there are no maps of one kind alone"
    )
    lines = [
        f"def {FUNCTION}(model: {model}) -> {model}:",
        f'    """For inference, with trained weights: {about}."""',
        "    model.eval()",
    ]
    for call, pairs in folds.items():
        lines += ["    folds = {", *pairs, "    }", "    for norm, layer in folds.items():"]
        lines.append(f"        folded = {call.format('model.get_submodule(layer), model.get_submodule(norm)')}")
        lines.append("        model.set_submodule(layer, folded)")
        lines.append("        model.set_submodule(norm, nn.Identity())")
    lines.append(f"    return model.to(memory_format=torch.{format})" if format else "    return model")
    names = sorted({call.partition("(")[0] for call in folds})
    return lines, [f"from torch.nn.utils.fusion import {', '.join(names)}"] if names else []
