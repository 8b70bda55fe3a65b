"""N203 double-activation."""

from __future__ import annotations

from math import exp, inf, tanh
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cnnplan.diagnostics import Related
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.net import PASSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnnplan.graph import Node
    from cnnplan.lint.net import Net

HANDING = PASSING - {"alpha_dropout", "gaussian_noise"}
"""Operations behind which a number has the sign that it had before."""

POOLS = frozenset(("maxpool", "avgpool", "adaptive_maxpool", "adaptive_avgpool", "global_maxpool", "global_avgpool"))
"""Operations that give nothing below zero where they take nothing below zero."""

RANGES = {
    "relu": (0.0, inf),
    "softplus": (0.0, inf),
    "abs": (0.0, inf),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "abs_tanh": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}
"""What activations give; any number, where they are not named."""

SAME_ABOVE_ZERO = frozenset(("relu", "abs", "leaky_relu", "prelu", "elu", "celu"))
SHAPING = frozenset(("abs", "hardtanh"))
"""Rectifying and clamping may be meant for what another activation gives."""

DISTRIBUTIONS = frozenset(("softmax", "log_softmax"))
BOUNDED: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1 / (1 + exp(-x)),
    "hardsigmoid": lambda x: min(x + 3, 6.0) / 6,  # none of them takes less than -3
    "tanh": tanh,
}
"""Activations that are chosen for what they give: where one is too much, it is the one before them."""


class Fault(NamedTuple):
    """Two activations, and which of them is one too many; `safe` where it does nothing."""

    first: Node
    second: Node
    extra: Node
    why: str
    safe: bool = True


class DoubleActivation(Rule):
    """An activation behind an activation, with nothing between them that computes.

    Where one of them changes nothing, as a ReLU behind a ReLU, it costs a pass over the map. Elsewhere one of them was
    meant to go: a sigmoid behind a ReLU gives at least 0.5, a tanh behind a sigmoid at most 0.76.

    Gates, which are multiplied with something, may be shaped by two: Mish is `x * tanh(softplus(x))`.

    Source: torch.nn.ReLU, max(0, x), for which max(0, max(0, x)) is the same; Misra 2019, arXiv:1908.08681, of Mish.
    """

    code: ClassVar[str] = "N203"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        layers:
          - conv: {out_channels: 8, kernel_size: 3}
          - relu
          - relu
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
        faults = []
        for node in net.nodes:
            if node.op.group == "activation" and all(map(leads, net.users[node.output])):
                faults += [fault] if (fault := judged(node, net)) else []
        firsts, seconds = {fault.first for fault in faults}, {fault.second for fault in faults}
        for first, second, one, why, safe in faults:
            # where both words make other layers too, it is the seam of two blocks, and neither can go
            alone = [n for n, known in ((second, seconds), (first, firsts)) if net.made_by(n) <= known]
            if not alone or second.shared_with:
                continue
            extra = alone[0] if one not in alone and first.op == second.op else one
            yield at(
                second,
                why,
                help=f"remove '{extra.name}'"
                if extra in alone
                else f"let one of '{first.name}' and '{second.name}' go",
                related=(Related(f"'{first.name}' is before it", first.at.start),),
                change=Change(safe, f"remove `{extra.item.word}`", ((extra, ("remove",)),)),
            )


def leads(node: Node) -> bool:
    """Whether it is an activation, or may stand between two."""
    return node.op.group == "activation" or node.op.kind in PASSING or node.op.kind in POOLS


def judged(first: Node, net: Net) -> Fault | None:
    """What is wrong with an activation and the one it goes to."""
    between: set[str] = set()
    for second in net.chain(first):
        if second.op.group == "activation":
            break
        if not leads(second):
            return None
        between.add(second.op.kind)
    else:
        return None
    known = idle(first, second, between) or distributions(first, second, between)
    if known or between & POOLS or is_meant(first, second, net):
        return known
    return doubled(first, second)


def idle(first: Node, second: Node, between: set[str]) -> Fault | None:
    """One of the two does nothing."""
    low, high = gives(first)
    if low >= 0 and second.op.kind in SAME_ABOVE_ZERO and between <= HANDING | POOLS:
        why = f"'{second.name}' changes nothing: '{first.name}' gives nothing below 0"
        return Fault(first, second, second, why, safe=second.op.kind != "prelu")  # weights of others would be renamed
    least, most = gives(second)
    if second.op.kind in ("relu6", "hardtanh") and not between and least <= low and high <= most:
        why = f"'{second.name}' changes nothing: '{first.name}' gives {low:g} to {high:g}"
        return Fault(first, second, second, why)
    if second.op.kind in ("relu", "relu6", "hardtanh") and least >= 0 and between <= HANDING and keeps_signs(first):
        why = f"'{first.name}' changes nothing: '{second.name}' leaves nothing below {least:g}"
        return Fault(first, second, first, why)
    return None


def distributions(first: Node, second: Node, between: set[str]) -> Fault | None:
    """Two softmaxes along one axis."""
    kinds = first.op.kind, second.op.kind
    if between or not DISTRIBUTIONS.issuperset(kinds) or len({axis(first), axis(second)}) > 1:
        return None
    if kinds[0] == "log_softmax":  # the softmax of log-probabilities are the probabilities
        extra = first if kinds[1] == "softmax" else second
        return Fault(first, second, extra, f"'{extra.name}' changes nothing: it is taken twice")
    extra = first if kinds[1] == "log_softmax" else second
    return Fault(first, second, extra, f"'{second.name}' takes the probabilities of '{first.name}' for logits", False)


def doubled(first: Node, second: Node) -> Fault:
    """Both do something, and one was meant to go."""
    why = f"'{second.name}' takes what '{first.name}' gives, which is an activation already"
    bound = BOUNDED.get(second.op.kind)
    if bound is None:
        return Fault(first, second, second, why, safe=False)
    low, high = gives(first)
    if low > -inf:
        why += f": it gives {bound(low):.2f} to {bound(high):.2f}"
    return Fault(first, second, first, why, safe=False)


def is_meant(first: Node, second: Node, net: Net) -> bool:
    """Whether people write both on purpose, or another rule judges them."""
    kinds = {first.op.kind, second.op.kind}
    if kinds & SHAPING or second.op.kind in DISTRIBUTIONS:
        return True
    last = second
    for node in net.chain(second):
        if node.op.kind not in PASSING:
            break
        last = node
    if any(reader.op.kind == "multiply" for reader in net.readers(last)):
        return True
    return second.op.kind == "sigmoid" and net.is_output(last) and gives(first)[1] > 1  # cut logits


def gives(node: Node) -> tuple[float, float]:
    """The least and the most that an activation gives."""
    if node.op.kind == "hardtanh":
        return getattr(node.op, "min_val", -1.0), getattr(node.op, "max_val", 1.0)
    return RANGES.get(node.op.kind, (-inf, inf))


def keeps_signs(node: Node) -> bool:
    """Whether it gives what is above zero as it is, and nothing above zero otherwise."""
    kind = node.op.kind
    if kind in ("elu", "celu", "leaky_relu"):
        return bool(getattr(node.op, "negative_slope" if kind == "leaky_relu" else "alpha", 0) >= 0)
    return kind == "relu"


def axis(node: Node) -> int:
    """The axis of a softmax, from 0."""
    return int(getattr(node.op, "axis", 0)) % len(node.shapes[0])
