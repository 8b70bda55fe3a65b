"""How the emitted model starts: the initialization that its activations ask for.

Weights of convolutions and dense layers are drawn from a normal distribution: He's before ReLU and
its kin, LeCun's before SELU, Glorot's where saturating activations follow or none; biases start at
zero. Normalizations start as torch makes them, with weight 1 and bias 0.

Source: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; Klambauer et al. 2017.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cnnplan.emit.layout import WIDTH, Call, broken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.emit.structure import Rules
    from cnnplan.graph import Graph, Node, Value

_HE = frozenset({"relu", "relu6", "prelu", "elu", "celu", "gelu", "silu", "mish", "softplus", "hardswish", "maximum"})
_GLOROT = frozenset({"tanh", "sigmoid", "hardsigmoid", "hardtanh", "abs_tanh", "softmax", "log_softmax"})
_WEIGHTED = ("nn.Conv", "nn.Linear")

_CALLS: dict[str, str] = {
    "he": 'nn.init.kaiming_normal_(module.weight, nonlinearity="relu")',
    "leaky": 'nn.init.kaiming_normal_(module.weight, a=SLOPE, nonlinearity="leaky_relu")',
    "lecun": 'nn.init.kaiming_normal_(module.weight, nonlinearity="linear")',
    "glorot": "nn.init.xavier_normal_(module.weight)",
}
_WORDS = {
    "he": "He initialization, for ReLU and its kin",
    "leaky": "He initialization, for leaky ReLU",
    "lecun": "LeCun initialization, for SELU",
    "glorot": "Glorot initialization",
}


def initialization(graph: Graph, rules: Rules) -> tuple[list[str], list[str]]:
    """The function that initializes a module, and the paths of the layers that start otherwise.

    Those are the layers that give the network's outputs, where what follows asks for Glorot's
    initialization and the rest of the network for He's.
    """
    targets: dict[str, None] = {}
    weighted = []
    for node in graph.nodes:
        target = getattr(rules.of(node), "target", "")
        if target.startswith(_WEIGHTED) and not node.shared_with:
            targets[target] = None
            weighted.append(node)
    if not weighted:
        return [], []
    users = graph.users()
    found = {node.index: _follower(node, users) for node in weighted}
    inner = Counter(kind for kind in found.values() if kind)
    kind = inner.most_common(1)[0][0] if inner else "glorot"
    heads = [node.path for node in weighted if not found[node.index]] if kind != "glorot" else []
    return _function(kind, tuple(targets)), heads


def _follower(node: Node, users: Mapping[Value, Sequence[Node]]) -> str:
    """Which initialization the first activation behind a layer asks for; "" = there is none."""
    seen: set[int] = set()
    front = list(users[node.output])
    reached_weight = False
    while front:
        user = front.pop(0)
        if user.index in seen:
            continue
        seen.add(user.index)
        kind = user.op.kind
        if kind == "leaky_relu":
            return f"leaky {user.op.negative_slope!r}"  # type: ignore[attr-defined]
        if kind in _HE:
            return "he"
        if kind == "selu":
            return "lecun"
        if kind in _GLOROT:
            return "glorot" if users[user.output] else ""
        if user.op.macs(*user.shapes):
            reached_weight = True
            continue
        front += [u for value in user.outputs for u in users[value]]
    return "he" if reached_weight else ""


def _function(kind: str, targets: tuple[str, ...]) -> list[str]:
    types = " | ".join(targets)
    kind, _, slope = kind.partition(" ")
    call = _CALLS[kind].replace("SLOPE", slope)
    condition = broken("    ", Call("if isinstance(", ("module", types), "):"), "")
    if max(map(len, condition)) > WIDTH:
        rows = [f"        | {target}" for target in targets]
        rows[0] = f"        {targets[0]}"
        condition = ["    if isinstance(", "        module,", *rows, "    ):"]
        condition[-2] += ","
    return [
        "def initialize(module: nn.Module) -> None:",
        f'    """{_WORDS[kind]}; biases start at zero."""',
        *condition,
        f"        {call}",
        "        if module.bias is not None:",
        "            nn.init.zeros_(module.bias)",
    ]
