"""A diagram in graphviz's language: `dot -Tsvg`, `dot -Tpdf`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.diagrams.colors import COLORS, EDGE, FAINT, TEXT
from cnnplan.diagrams.model import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.diagrams.model import Box, Diagram

SHAPES = {"input": "oval", "output": "oval", "merge": "oval"}
SIZES = {"name": ("<b>", "</b>"), "what": ("", ""), "number": (f'<font point-size="9" color="{FAINT}">', "</font>")}


def dot(found: Diagram) -> str:
    """The diagram, a digraph."""
    lines = [
        "digraph {",
        f"  graph [label=<<b>{_html(found.title)}</b><br/>{_html(found.subtitle)}>, labelloc=t, nodesep=0.3, "
        f'ranksep=0.35, fontname="Helvetica", fontsize=12, fontcolor="{TEXT}"]',
        f'  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, fontcolor="{TEXT}", '
        "margin=0.12, height=0.3]",
        f'  edge [color="{EDGE}", fontcolor="{FAINT}", fontname="Helvetica", fontsize=9, arrowsize=0.7]',
        *_parts(found.root, "  "),
    ]
    for edge in found.edges:
        about = [f"label={_quoted(edge.label)}"] if edge.label else []
        if edge.sized:
            about += ["style=dashed"]
        options = f" [{', '.join(about)}]" if about else ""
        lines.append(f"  n{edge.source} -> n{edge.target}{options}")
    return "\n".join([*lines, "}"]) + "\n"


def _parts(group: Group, indent: str) -> Iterator[str]:
    for part in group.parts:
        if not isinstance(part, Group):
            yield f"{indent}{_box(part)}"
            continue
        style = "rounded,dashed" if part.kind == "branch" else "rounded"
        what = f" {_html(part.what)}" if part.what else ""
        yield f"{indent}subgraph cluster_{part.key} {{"
        yield (
            f'{indent}  graph [label=<<b>{_html(part.title)}</b>{what}>, labeljust=l, style="{style}", '
            f'color="{FAINT}", fontsize=10, tooltip={_quoted(part.details)}]'
        )
        yield from _parts(part, f"{indent}  ")
        yield f"{indent}}}"


def _box(box: Box) -> str:
    color = COLORS[box.color]
    label = "<br/>".join(f"{SIZES[line.style][0]}{_html(line.text)}{SIZES[line.style][1]}" for line in box.lines)
    about = [f"label=<{label}>", f'fillcolor="{color.fill}"', f'color="{color.line}"']
    if box.shape in SHAPES:
        about.append(f"shape={SHAPES[box.shape]}")
    if box.shared:
        about.append('style="rounded,filled,dashed"')
    if box.times > 1:
        about.append("peripheries=2")
    about.append(f"tooltip={_quoted(box.details)}")
    return f"n{box.key} [{', '.join(about)}]"


def _html(text: str) -> str:
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _quoted(text: str) -> str:
    """A string of the language: a backslash and a quote are escaped; lines end in what graphviz reads as such."""
    lines = [printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n")]
    return '"' + "\\n".join(lines) + '"'
