"""A diagram as a Mermaid flowchart, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.diagnostics import printable
from cnnplan.diagrams.colors import COLORS, FAINT, TEXT
from cnnplan.diagrams.model import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.diagrams.model import Box, Diagram

MAX_EDGES, MAX_TEXT = 500, 50_000
"""What Mermaid draws by default. Source: its configuration schema, `maxEdges` and `maxTextSize`."""

SHAPES = {"input": ('(["', '"])'), "output": ('(["', '"])'), "merge": ('{{"', '"}}'), "block": ('[["', '"]]')}
ENTITIES = {ord(c): f"#{ord(c)};" for c in '#&<>"`\\[]{}()|;%'}
"""Characters that mean something, as Mermaid writes them in texts."""


def mermaid(found: Diagram) -> str:
    """The diagram, a flowchart from top to bottom."""
    boxes = list(found.root.boxes())
    colors = {key: COLORS[key] for key in dict.fromkeys(box.color for box in boxes)}
    lines = [
        "flowchart TB",
        *_parts(found.root, "  "),
        *(_edge(edge.source, edge.target, edge.label, edge.sized) for edge in found.edges),
        *(f"  classDef {key}_ fill:{c.fill},stroke:{c.line},color:{TEXT}" for key, c in colors.items()),
    ]
    if shared := [f"n{box.key}" for box in boxes if box.shared]:
        lines += ["  classDef shared_ stroke-dasharray:5 3", f"  class {','.join(shared)} shared_"]
    if frames := [f"g{group.key}" for group in found.root.groups()]:
        lines += [f"  classDef frame_ fill:{FAINT}18,stroke:{FAINT}", f"  class {','.join(frames)} frame_"]
    text = "\n".join(lines) + "\n"
    return _warning(len(found.edges), len(text)) + text


def _warning(edges: int, size: int) -> str:
    """A comment on top of what Mermaid does not draw unless it is told to: "" for most."""
    over = []
    if edges > MAX_EDGES:
        over.append(("edges", "maxEdges", edges, MAX_EDGES))
    if size > MAX_TEXT - 1_000:
        over.append(("characters", "maxTextSize", size + 1_000, MAX_TEXT))
    if not over:
        return ""
    many = " and ".join(f"more than {limit:,} {word}" for word, _, _, limit in over)
    options = ", ".join(f"{option}: {value}" for _, option, value, _ in over)
    return (
        f"%% This diagram has {many}, which Mermaid refuses by default. A page of your own draws it after\n"
        f"%% mermaid.initialize({{{options}}}); a directive in this text cannot lift the limit, and GitHub does not.\n"
        "%% A smaller --depth draws less.\n"
    )


def _parts(group: Group, indent: str) -> Iterator[str]:
    for part in group.parts:
        if not isinstance(part, Group):
            yield f"{indent}{_box(part)}"
            continue
        title = " ".join(filter(None, (f"<b>{_text(part.title)}</b>", _text(part.what))))
        yield f'{indent}subgraph g{part.key}["{title}"]'
        yield from _parts(part, f"{indent}  ")
        yield f"{indent}end"


def _box(box: Box) -> str:
    before, behind = SHAPES.get(box.shape, ('["', '"]'))
    texts = (f"<b>{_text(line.text)}</b>" if line.style == "name" else _text(line.text) for line in box.lines)
    return f"n{box.key}{before}{'<br/>'.join(texts)}{behind}:::{box.color}_"


def _edge(source: int, target: int, label: str, sized: bool) -> str:
    arrow = "-.->" if sized else "-->"
    return f"  n{source} {arrow}{f'|{_quoted(label)}|' if label else ''} n{target}"


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    """A text in quotes, so that nothing in it is taken for a part of the diagram."""
    return printable(text).translate(ENTITIES)
