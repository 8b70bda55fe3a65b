"""What `cnnplan rule` says of a rule, as data, in Markdown and on a terminal; and the list of them."""

from __future__ import annotations

import inspect
from textwrap import dedent, wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.codes import CODES, COMMENTS
from cnnplan.diagnostics import Report, nearest
from cnnplan.errors import UsageError
from cnnplan.lint.engine import rules
from cnnplan.lint.selection import Choice, Selection, unknown
from cnnplan.render import findings
from cnnplan.render.styled import Styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnnplan.diagnostics import Diagnostic
    from cnnplan.lint.base import Rule

GROUPS = {
    "S": "shapes",
    "G": "geometry of windows and maps",
    "N": "normalization and activations",
    "H": "heads and losses",
    "R": "the graph",
    "U": "up-sampling",
    "F": "receptive fields",
    "P": "performance and budgets",
    "Y": "the spec file",
}
"""What the rules are about whose codes begin with a letter."""

FOREIGN = "of other packages"

FIXES = {
    None: ("no fix", "none"),
    "safe": ("safe fix", "safe: `cnnplan check --fix`"),
    "unsafe": ("unsafe fix", "unsafe: `cnnplan check --unsafe-fixes`"),
}
"""In a list, and in a table of Markdown."""


class About(NamedTuple):
    """A rule as it is explained.

    Attributes:
        code, name, severity: as the catalogue has them.
        default: whether it is looked for unless somebody asks.
        fix: what its fix is, if it has one: safe or unsafe.
        summary: the first paragraph of its documentation.
        explanation: the others.
        source: where its knowledge comes from.
        bad, good: a spec that has the finding, and the mended one.
        found: the finding in `bad`.
        valid: whether `bad` can be planned.
    """

    code: str
    name: str
    severity: str
    default: bool
    fix: str | None
    summary: str
    explanation: tuple[str, ...]
    source: str
    bad: str
    good: str
    found: Diagnostic
    valid: bool


def about(rule: type[Rule]) -> About:
    """What there is to say of a rule; its `bad` spec is checked to see what it finds."""
    kind = CODES[rule.code]
    body, _, source = (inspect.getdoc(rule) or "").partition("Source: ")
    summary, *explanation = body.strip().split("\n\n")
    bad, good = (dedent(text).strip("\n ") + "\n" for text in (rule.bad, rule.good))
    found, valid = _finding(rule.code, bad)
    return About(
        rule.code,
        kind.name,
        kind.severity,
        kind.default,
        None if found.fix is None else "safe" if found.fix.safe else "unsafe",
        _flowing(summary),
        tuple(explanation),
        _flowing(source.strip()),
        bad,
        good,
        found,
        valid,
    )


def _finding(code: str, text: str) -> tuple[Diagnostic, bool]:
    """What is found of a code in a spec, and whether the spec is valid."""
    from cnnplan.conditions import conditions
    from cnnplan.lint.repairs import repaired
    from cnnplan.planning import Plan, load

    report = Report("bad.yaml")
    graph = load(text, report)
    if graph:
        selection = Selection(asked=Choice(extend=(code,)))
        said = Plan(graph, report, report.path, conditions(graph), selection).diagnostics
    else:
        said = repaired(report.diagnostics, text)
    found = [d for d in said if d.code == code]
    assert found, f"rule {code} does not find its bad spec"
    return found[0], graph is not None


def _flowing(paragraph: str) -> str:
    """A paragraph as one line, unless its lines are meant as they stand: a list, or indented text."""
    lines = paragraph.split("\n")
    return paragraph if any(line.startswith((" ", "- ", "|")) for line in lines) else " ".join(lines)


def chosen(words: Sequence[str]) -> list[type[Rule]]:
    """The rules that these codes, beginnings of codes or names mean, each once; all where there are none.

    Raises:
        UsageError: there is no such rule; the nearest is named.
    """
    known = {rule.code: rule for rule in rules()}
    if not words:
        return list(known.values())
    found: dict[str, type[Rule]] = {}
    for word in words:
        meant = [code for code in known if word and (code.startswith(word.upper()) or CODES[code].name == word.lower())]
        if not meant:
            match = nearest(word, (CODES[code].name for code in known))
            why = f"there is no rule '{word:.40}'; did you mean {match}?" if match else unknown([word])
            raise UsageError(why or f"there is no rule '{word:.40}'")
        found.update((code, known[code]) for code in meant)
    return list(found.values())


def as_dict(rule: About) -> dict[str, Any]:
    """A rule as JSON holds it."""
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "default": rule.default,
        "fix": rule.fix,
        "summary": rule.summary,
        "explanation": "\n\n".join(map(_flowing, rule.explanation)),
        "source": rule.source,
        "bad": rule.bad,
        "good": rule.good,
        "url": rule.found.url,
    }


def document(found: Iterable[About]) -> str:
    """Rules as a JSON text."""
    from cnnplan.render.json import text

    return text({"rules": [as_dict(rule) for rule in found]})


def grouped(found: Iterable[About]) -> dict[str, list[About]]:
    """Rules by what they are about, in the order of the groups; groups without any are left out."""
    groups: dict[str, list[About]] = {title: [] for title in (*GROUPS.values(), FOREIGN)}
    for rule in found:
        groups[FOREIGN if CODES[rule.code].foreign else GROUPS[rule.code[0]]].append(rule)
    return {title: sorted(several, key=lambda rule: rule.code) for title, several in groups.items() if several}


# ------------------------------------------------------------------------ on a terminal


def listing(found: Iterable[About], width: int) -> Styled:
    """Rules in groups: two lines each, so that nothing is cut where the terminal is narrow."""
    out = Styled()
    for title, several in grouped(found).items():
        out.add(f"{title}\n", "bold")
        for rule in several:
            out.add(f"  {rule.code}", findings.STYLES[rule.severity])
            out.add(f" {rule.name}", "bold")
            out.add(f"  {', '.join(_marks(rule))}\n")
            _wrapped(out, rule.summary, width, " " * 7)
        out.add("\n")
    out.add("`cnnplan rule CODE` explains one.\n")
    return out


def _marks(rule: About) -> Iterator[str]:
    yield rule.severity
    if not rule.default:
        yield "off by default"
    if rule.fix:
        yield FIXES[rule.fix][0]


def page(rule: About, width: int) -> Styled:
    """What a rule finds, why, its specs, and the finding as `check` prints it."""
    out = Styled((f"{rule.code} {rule.name}\n", "bold"))
    out.add(rule.severity, findings.STYLES[rule.severity])
    out.add(f", {'on' if rule.default else 'off'} by default, {FIXES[rule.fix][0]}\n\n")
    for paragraph in (rule.summary, *rule.explanation):
        _wrapped(out, _flowing(paragraph), width)
        out.add("\n")
    out.add("bad\n", "bold")
    _indented(out, rule.bad)
    out.add("\n")
    out.extend(findings.finding(rule.found, findings.split(rule.bad)))
    out.add("good\n", "bold")
    _indented(out, rule.good)
    out.add("\n")
    _wrapped(out, _ignoring(rule), width)
    if rule.source:
        _wrapped(out, f"Source: {rule.source}", width)
    return out


def _wrapped(out: Styled, text: str, width: int, indent: str = "") -> None:
    for line in text.split("\n"):
        deeper = indent + " " * (len(line) - len(line.lstrip(" -")))
        several = wrap(
            line,
            min(width, 100),
            initial_indent=indent,
            subsequent_indent=deeper,
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.add("".join(f"{part}\n" for part in several))


def _indented(out: Styled, text: str) -> None:
    out.add("".join(f"    {line}\n" for line in text.splitlines()))


def _ignoring(rule: About) -> str:
    if not rule.valid:
        return "It cannot be ignored: there is no network to plan."
    whole = f"`lint: {{ignore: [{rule.code}]}}`"
    if CODES[rule.code].when == COMMENTS:
        return f"To ignore it in a spec: {whole}."
    said = f"To ignore it in a line: `# cnnplan: ignore[{rule.code}] reason`; in a spec: {whole}."
    return said if rule.default else f"To look for it: `cnnplan check --extend-select {rule.code}`. {said}"


# ------------------------------------------------------------------------ in Markdown


def markdown(rule: About, heading: str = "#") -> str:
    """The page of a rule as Markdown."""
    return "\n".join(_markdown(rule, heading)) + "\n"


def _markdown(rule: About, heading: str) -> Iterator[str]:
    yield f"{heading} {rule.code} {rule.name}"
    yield ""
    yield "| level | default | fix |"
    yield "| :-- | :-- | :-- |"
    yield f"| {rule.severity} | {'on' if rule.default else 'off'} | {FIXES[rule.fix][1]} |"
    yield ""
    for paragraph in (rule.summary, *rule.explanation):
        yield paragraph
        yield ""
    yield f"{heading}# Bad"
    yield ""
    yield from _fenced("yaml" if rule.valid else "text", rule.bad)
    yield from _fenced("text", findings.finding(rule.found, findings.split(rule.bad)).plain)
    yield f"{heading}# Good"
    yield ""
    yield from _fenced("yaml", rule.good)
    yield _ignoring(rule)
    if rule.source:
        yield ""
        yield f"Source: {rule.source}"


def _fenced(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip("\n")
    yield "```"
    yield ""


def index(found: Iterable[About], heading: str = "#", link: bool = False) -> str:
    """Rules in groups as tables of Markdown.

    Args:
        heading: that of the groups.
        link: whether there is a page for each rule beside this one.
    """
    return "\n".join(_index(found, heading, link)) + "\n"


def _index(found: Iterable[About], heading: str, link: bool) -> Iterator[str]:
    for number, (title, several) in enumerate(grouped(found).items()):
        if number:
            yield ""
        yield f"{heading} {title.capitalize()}"
        yield ""
        yield "| code | name | level | fix | |"
        yield "| :-- | :-- | :-- | :-- | :-- |"
        for rule in several:
            code = f"[{rule.code}]({rule.code}.md)" if link else rule.code
            level = rule.severity if rule.default else f"{rule.severity}, off by default"
            summary = rule.summary.replace("|", "&#124;").rstrip(".")
            yield f"| {code} | {rule.name} | {level} | {rule.fix or ''} | {summary} |"
