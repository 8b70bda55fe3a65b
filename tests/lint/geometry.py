"""What the tests of rules about geometry share: tables of networks, and what is found in each."""

from __future__ import annotations

from typing import TypeAlias

import cnnplan
from cnnplan.lint.fix import State, mended
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import net

Table: TypeAlias = dict[str, tuple[str, ...]]
"""Name → the input's shape, the layers, and for each finding what is in it, with `|` between its parts."""


def spec(shape: str, layers: str) -> str:
    """A whole spec; several inputs are a mapping that begins with x."""
    return net(layers, head=f"cnnplan: 1\nname: net\n{'inputs' if shape.startswith('{x') else 'input'}: {shape}\n")


def only(code: str) -> Selection:
    """One rule and no other."""
    return Selection(asked=Choice(select=(code,)))


def found(code: str, shape: str, layers: str) -> list[str]:
    """What a rule finds in a network: level, layer, message, help, further places, fix."""
    plan = cnnplan.plan(spec(shape, layers), selection=only(code))
    fixes = [f"{'safe' if d.fix.safe else 'unsafe'}: {d.fix.message}" if d.fix else "no fix" for d in plan.diagnostics]
    return [
        f"{d.severity} {d.layer}: {d.message} = {d.help} {[r.message for r in d.related]} {fix}"
        for d, fix in zip(plan.diagnostics, fixes, strict=True)
    ]


def judge(code: str, case: tuple[str, ...]) -> None:
    """Hold what a rule finds against what is expected."""
    shape, layers, *expected = case
    findings = found(code, shape, layers)
    assert len(findings) == len(expected), findings
    for finding, parts in zip(findings, expected, strict=True):
        for part in parts.split("|"):
            assert part.strip() in finding


def mend(code: str, shape: str, layers: str) -> str:
    """The layers after the fixes of a rule, unsafe ones too; the text must be valid, and the rule silent on it."""

    def load(text: str) -> State:
        plan = cnnplan.plan(text, selection=only(code))
        return State(text, plan, plan.diagnostics)

    end, done = mended(load(spec(shape, layers)), load, unsafe=True)
    assert [d.code for d in done] == [code]
    assert not end.diagnostics
    return end.text.partition("layers:\n")[2].strip()


def conv(arguments: str, channels: int = 4) -> str:
    """A convolution as an item."""
    return f"- conv: {{out_channels: {channels}, {arguments}}}"


def each(*items: str) -> str:
    """Items below each other."""
    return "\n".join(items)
