"""How the emitted model starts: the initialization that its activations ask for.

Weights of convolutions and dense layers are drawn from a normal distribution: He's before ReLU and
its kin, LeCun's before SELU, Glorot's where saturating activations follow or none; those of gates as
most of the network. Biases start at zero, normalizations as torch makes them, with weight 1 and bias 0.

Source: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; Klambauer et al. 2017.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cnnplan.emit.layout import WIDTH, Call, broken, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cnnplan.emit.structure import Rules
    from cnnplan.graph import Copy, Graph, Node, Scope, Value

_HE = frozenset({"relu", "relu6", "prelu", "elu", "celu", "gelu", "silu", "mish", "softplus", "hardswish", "maximum"})
_GLOROT = frozenset({"tanh", "sigmoid", "hardsigmoid", "hardtanh", "abs_tanh", "softmax", "log_softmax"})
_WEIGHTED = ("nn.Conv", "nn.Linear", "PointwiseConv", "MixedDilationConv", "UntiedBiasConv", "DropConnectLinear")

_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "he": ("kaiming_normal_", ('nonlinearity="relu"',)),
    "leaky": ("kaiming_normal_", ("a=SLOPE", 'nonlinearity="leaky_relu"')),
    "lecun": ("kaiming_normal_", ('nonlinearity="linear"',)),
    "glorot": ("xavier_normal_", ()),
}
_WORDS = {
    "he": "He initialization, for ReLU and its kin",
    "leaky": "He initialization, for leaky ReLU",
    "lecun": "LeCun initialization, for SELU",
    "glorot": "Glorot initialization",
}


def initialization(graph: Graph, rules: Rules) -> tuple[list[str], list[str]]:
    """The function that initializes a module, and the statements for the layers that start otherwise."""
    targets: dict[str, None] = {}
    kinds: dict[Node, str] = {}
    users = graph.users()
    for node in graph.nodes:
        target = getattr(rules.of(node), "target", "")
        if target.startswith(_WEIGHTED) and not node.shared_with:
            targets[target] = None
            kinds[node] = _follower(node, users)
    if not kinds:
        return [], []
    inner = Counter(kind for kind in kinds.values() if kind not in ("", "gate", "pose"))
    usual = inner.most_common(1)[0][0] if inner else "glorot"
    branches = frozenset(_numbered_branches(graph.root))
    others: list[str] = []
    for node, wanted in kinds.items():
        kind = {"": "glorot", "gate": usual}.get(wanted, wanted)
        if kind != usual:
            module = path(node.path, branches)
            if kind == "pose":
                rank = 2 if node.output.shape.numel == 6 else 3
                others += [f"        nn.init.zeros_({module}.weight)"]
                others += [f"        nn.init.eye_({module}.bias.view({rank}, {rank + 1}))"]
            elif _is_transposed(getattr(rules.of(node), "target", ""), kind):
                others += [f"        layer = {module}", *_transposed("layer", kind, 8)]
            else:
                others += statement(8, _call(kind, module))
    return _function(usual, tuple(targets)), others


def _follower(node: Node, users: Mapping[Value, Sequence[Node]]) -> str:
    """Which initialization the first activation behind a layer asks for.

    "" = there is none: the layer gives an output. "gate" = the activation weighs another value. "pose" = the
    layer says how a map is transformed: at the start not at all (Jaderberg et al. 2015, arXiv:1506.02025).
    """
    seen: set[int] = set()
    front = list(users[node.output])
    reached_weight = False
    while front:
        user = front.pop(0)
        if user.index in seen:
            continue
        seen.add(user.index)
        kind = user.op.kind
        if kind == "spatial_transformer" and user.inputs[1] is node.output and getattr(node.op, "bias", False):
            return "pose"
        if kind == "leaky_relu":
            return f"leaky {user.op.negative_slope!r}"  # type: ignore[attr-defined]
        if kind in _HE:
            return "he"
        if kind == "selu":
            return "lecun"
        if kind in _GLOROT:
            after = users[user.output]
            if after and all(u.op.kind == "multiply" for u in after):
                return "gate"
            return "glorot" if after else ""
        if user.op.macs(*user.shapes):
            reached_weight = True
            continue
        front += [u for value in user.outputs for u in users[value]]
    return "he" if reached_weight else ""


def _call(kind: str, module: str) -> Call:
    kind, _, slope = kind.partition(" ")
    function, options = _CALLS[kind]
    return Call(f"nn.init.{function}(", (f"{module}.weight", *(o.replace("SLOPE", slope) for o in options)))


def _is_transposed(target: str, kind: str) -> bool:
    """Whether torch's own fan_in is not the number of values that an output is the sum of."""
    return target.startswith("nn.ConvTranspose") and kind != "glorot"


def _transposed(module: str, kind: str, indent: int) -> list[str]:
    """The statements for a transposed convolution: one output is the sum of one tap in each stride."""
    kind, _, slope = kind.partition(" ")
    gain = {"he": "2", "lecun": "1", "leaky": f"2 / (1 + {slope}**2)"}[kind]
    pad = " " * indent
    return [
        f"{pad}fan_in = {module}.weight[:, 0].numel() / {module}.groups / torch.Size({module}.stride).numel()",
        f"{pad}nn.init.normal_({module}.weight, std=({gain} / fan_in) ** 0.5)",
    ]


def _function(kind: str, targets: tuple[str, ...]) -> list[str]:
    """`initialize`, which the model applies to all its modules."""
    head = [
        "def initialize(module: nn.Module) -> None:",
        f'    """{_WORDS[kind.partition(" ")[0]]}; biases start at zero."""',
    ]
    transposed = [t for t in targets if _is_transposed(t, kind)]
    if not transposed:
        bias = ["        if module.bias is not None:", "            nn.init.zeros_(module.bias)"]
        return [*head, *_condition("if isinstance(", targets), f"        {_call(kind, 'module')}", *bias]
    body = ["        return", *_condition("if isinstance(", transposed), *_transposed("module", kind, 8)]
    if len(transposed) < len(targets):
        body += ["    else:", f"        {_call(kind, 'module')}"]
    else:
        body = ["        return", *(line[4:] for line in _transposed("module", kind, 8))]
    bias = ["    if module.bias is not None:", "        nn.init.zeros_(module.bias)"]
    return [*head, *_condition("if not isinstance(", targets), *body, *bias]


def _condition(opening: str, targets: Sequence[str]) -> list[str]:
    lines = broken("    ", Call(opening, ("module", " | ".join(targets)), "):"), "")
    if max(map(len, lines)) <= WIDTH:
        return lines
    rows = [f"        {'| ' if i else ''}{target}" for i, target in enumerate(targets)]
    return [f"    {opening}", "        module,", *rows[:-1], f"{rows[-1]},", "    ):"]


def path(name: str, branches: frozenset[str]) -> str:
    """The source of a layer of the model: `self.head.linear1`, `self.stage[0]`.

    Args:
        branches: the paths of branches that are numbers, which no index reaches.
    """
    found, whole = "self", ""
    for part in name.split("."):
        whole = f"{whole}.{part}" if whole else part
        if whole in branches:
            return f'self.get_submodule("{name}")'
        found += f"[{part}]" if part.isdecimal() else f".{part}"
    return found


def _numbered_branches(scope: Scope) -> Iterator[str]:
    """The paths of all branches whose names are numbers."""
    for step in scope.steps:
        for copy in step.copies:
            yield from _of_copy(copy)
    for branch, ran in scope.branches:
        if ran:
            if branch.name.isdecimal():
                yield ran.path
            yield from _numbered_branches(ran)


def _of_copy(copy: Copy) -> Iterator[str]:
    if copy.scope:
        yield from _numbered_branches(copy.scope)
    for step in copy.steps:
        for inner in step.copies:
            yield from _of_copy(inner)
