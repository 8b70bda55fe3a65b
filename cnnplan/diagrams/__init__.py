"""Diagrams of networks.

    plan ─ building ─▶ Diagram ─┬─ layout ─▶ svg
                                ├──────────▶ dot
                                └──────────▶ mermaid

Nothing but Python is needed: the SVG's layout is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.planning import Plan

FORMATS = ("svg", "dot", "mermaid")


def draw(plan: Plan, format: str, depth: int | None = None) -> str:
    """A diagram of a network, as text: the same for the same plan, byte for byte.

    Args:
        format: "svg"; "dot" for graphviz; "mermaid" for Markdown.
        depth: how many levels of blocks are drawn, as in `cnnplan check --depth`: 1 = the items of `layers` alone, with
            copies of an item in one box where they are alike; 0, the default = in one box also where they differ.

    Raises:
        UsageError: there is no such format or depth, or the picture would be larger than anybody can read.
    """
    if depth is not None and depth < 0:
        raise UsageError(f"a depth is 0 or more levels of blocks, not {depth}")
    if format not in FORMATS:
        raise UsageError(f"a diagram is one of {', '.join(FORMATS)}, not '{format}'")
    from cnnplan.diagrams.building import diagram

    found = diagram(plan, depth)
    if format == "dot":
        from cnnplan.diagrams.dot import dot

        return dot(found)
    if format == "mermaid":
        from cnnplan.diagrams.mermaid import mermaid

        return mermaid(found)
    from cnnplan.diagrams.svg import svg

    return svg(found)
