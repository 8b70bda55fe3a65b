"""What the box of a scope says: of a block its name and params, of a group or a branch what it consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagrams.drafts import MOST_LINES, SMALL
from cnnplan.diagrams.wording import WIDEST, brief, used

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Node, Scope, Step

SHORT = 4
"""Layers of a scope that is drawn as one box with a line for each, however deep it is, if they are a chain."""


def meaning(scope: Scope) -> str:
    """What a scope is, with all arguments."""
    if scope.kind == "block":
        return used(scope)
    if scope.kind == "merge":
        names = [branch.name for branch, ran in scope.branches if ran]
        numbered = all(name.isdecimal() for name in names)
        return f"{scope.label} of {len(names)} branches" if numbered else f"{scope.label} of {', '.join(names)}"
    return ""


def content(scopes: Sequence[Scope]) -> list[str]:
    """What the box of a scope says: the block, or for a group or a branch what it consists of."""
    last = scopes[-1]
    if last.kind not in ("group", "branch"):
        words = {meaning(scope) for scope in scopes}
        return [words.pop() if len(words) == 1 else last.label]
    lines: list[str] = []
    for step in last.steps:
        nodes = list(step.nodes())
        if not nodes:
            continue
        if lines and _small(nodes) and len(lines[-1]) + len(text := f" + {nodes[0].op.kind}") <= WIDEST:
            lines[-1] += text
        else:
            lines.append(_step(step))
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"… {len(lines) - MOST_LINES + 1} more"]


def _small(nodes: Sequence[Node]) -> bool:
    return len(nodes) == 1 and nodes[0].op.group in SMALL


def _step(step: Step) -> str:
    """An item of a closed group or branch in a few words."""
    full = [copy for copy in step.copies if any(True for _ in copy.nodes())]
    copy, times = full[-1], len(full)
    head, *others = copy.nodes()
    if len(others) < SHORT and all(_small([node]) for node in others):
        text = " + ".join((brief(head), *(node.op.kind for node in others)))
    elif copy.scope:
        text = meaning(copy.scope) or copy.scope.part
    else:
        text = " + ".join(_step(inner) for inner in copy.steps if any(True for _ in inner.nodes()))
    return f"{text} × {times}" if times > 1 else text
