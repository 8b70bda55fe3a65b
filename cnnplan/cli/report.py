"""The results of `check` as text, in each of its formats."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.cli import common
from cnnplan.codes import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.analyses.region import Sight
    from cnnplan.diagnostics import Diagnostic
    from cnnplan.render.styled import Styled
    from cnnplan.weights import Weights


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    concise = "concise"
    json = "json"
    json_lines = "json-lines"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"
    junit = "junit"
    markdown = "markdown"


class Draw(StrEnum):
    """What is drawn."""

    field = "field"


class View(NamedTuple):
    """How results are shown: the options of those names."""

    format: Format
    depth: int | None
    columns: Sequence[str] | None
    draw: Draw | None
    quiet: bool
    verbose: bool
    color: common.Color


def rendered(
    found: Sequence[common.Loaded], view: View, sight: Sight | None, weights: Weights | None, *, to_file: bool
) -> str:
    """The results as text."""
    if view.format is Format.json:
        from cnnplan.render import json

        specs = [json.spec(x.path, x.name, x.plan, x.diagnostics, sight) for x in found]
        if weights:
            from cnnplan.render.weights import as_dict

            specs[0]["weights"] = as_dict(weights)
        return json.document(specs)
    if view.format in FOR_PROGRAMS:
        from importlib import import_module

        from cnnplan.render.checked import Checked

        # what people do not see unless they ask for it, CI does not count either
        checked = [Checked(x.path, x.text, _shown(x, view)) for x in found]
        text: str = import_module(f"cnnplan.render.{view.format.name}").render(checked)
        return text
    shown = {x.path: _shown(x, view) for x in found}
    if view.format is Format.concise:
        from cnnplan.render.findings import concise

        lines = "" if view.quiet else "".join(map(_concise, found))
        ends = _sight_line(found[0], sight) + _weights(found[0], weights).plain
        return concise([d for x in found for d in shown[x.path]]) + lines + ends
    if view.format is Format.markdown:
        return _markdown(found, shown, view, sight, weights)
    return common.printed(_table(found, shown, view, sight, weights), view.color, to_file)


FOR_PROGRAMS = (Format.json_lines, Format.github, Format.gitlab, Format.sarif, Format.junit)


def _shown(loaded: common.Loaded, view: View) -> list[Diagnostic]:
    """The findings that are shown: those of level info only where that is asked for."""
    return [d for d in loaded.diagnostics if view.verbose or d.severity != "info"]


def _sight_line(loaded: common.Loaded, sight: Sight | None) -> str:
    if sight is None or loaded.plan is None:
        return ""
    from cnnplan.render import sight as renderer

    return f"{loaded.path}: {renderer.line(sight, loaded.plan)}\n"


def _weights(loaded: common.Loaded, weights: Weights | None) -> Styled:
    """How a checkpoint fits."""
    from cnnplan.render.styled import Styled

    if weights is None or loaded.plan is None:
        return Styled()
    from cnnplan.render.weights import lines

    return lines(weights, loaded.plan)


def _concise(loaded: common.Loaded) -> str:
    plan = loaded.plan
    if plan is None:
        return ""
    return (
        f"{loaded.path}: {len(plan.layers):,} layers, {plan.parameters:,} parameters, "
        f"{plan.macs:,} MACs, {plan.flops:,} FLOPs\n"
    )


def _markdown(
    found: Sequence[common.Loaded],
    shown: dict[str, list[Diagnostic]],
    view: View,
    sight: Sight | None,
    weights: Weights | None,
) -> str:
    from cnnplan.render import markdown

    parts = []
    if sight and found[0].plan:
        parts.append(f"{markdown.escaped(_sight_line(found[0], sight).strip())}\n")
    elif len(found) == 1 and found[0].plan and not view.quiet:
        parts.append(markdown.plan_table(found[0].plan, view.depth, view.columns))
    elif len(found) > 1 and not view.quiet:
        parts.append(markdown.summary_table([(x.path, x.plan, shown[x.path]) for x in found]))
    if compared := _weights(found[0], weights).plain:
        parts.append(f"```text\n{compared.strip()}\n```\n")
    parts.append(markdown.findings([d for x in found for d in shown[x.path]]))
    return "\n".join(part for part in parts if part)


def _table(
    found: Sequence[common.Loaded],
    shown: dict[str, list[Diagnostic]],
    view: View,
    sight: Sight | None,
    weights: Weights | None,
) -> Styled:
    from cnnplan.render import findings, table
    from cnnplan.render.styled import Styled

    out = Styled()
    if len(found) > 1 and not view.quiet:
        width = max(len(x.path) for x in found)
        for loaded in found:
            said = findings.summary(shown[loaded.path])
            worst = next((s for s in SEVERITIES if any(d.severity == s for d in loaded.diagnostics)), "")
            out.extend(
                table.line(loaded.plan, loaded.path, width, worst)
                if loaded.plan
                else table.failed(loaded.path, said, width)
            )
        out.add("\n")
    elif sight and (plan := found[0].plan):
        from cnnplan.render import sight as renderer

        out.extend(renderer.lines(sight, plan))
    elif not view.quiet and (plan := found[0].plan):
        out.extend(table.heading(plan, common.columns()))
        out.extend(table.table(plan, view.depth, common.columns(), view.columns))
        out.extend(table.totals(plan, common.columns()))
        if view.draw is Draw.field:
            from cnnplan.render.chart import growth

            out.extend(growth(plan, common.columns()))
    out.extend(_weights(found[0], weights))
    for loaded in found:
        if shown[loaded.path]:
            lines = findings.split(loaded.text)
            for diagnostic in shown[loaded.path]:
                out.extend(findings.finding(diagnostic, lines))
    everything = [d for loaded in found for d in loaded.diagnostics]
    count = sum(map(len, shown.values()))
    if count or (everything and not view.quiet):
        hidden = count < len(everything)
        out.add(f"{findings.tally(everything, hidden)}\n")
    return out
