"""Y904 unused-var-or-block."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.diagnostics import Edit, Fix, Position, Report, some
from cnnplan.lint.base import Finding, Rule
from cnnplan.source import Mapping, parse
from cnnplan.spec import Given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cnnplan.lint.edits import Sheet
    from cnnplan.lint.net import Net
    from cnnplan.spec import Item, Spec


Key = tuple[str, str]
ROOT: Key = ("network", "")


class UnusedVarOrBlock(Rule):
    """A variable or a block of the spec that nothing uses.

    Why: it looks as if it had a say. `--set` of such a variable changes nothing, and a block that was meant to be used
    is often one of two that were mixed up. What items that an `if` leaves out would use counts as used.

    Source: pylint's unused-variable, W0612.
    """

    code: ClassVar[str] = "Y904"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 32, 32]
        variables: {classes: 10, width: 16}
        layers:
          - conv_bn_relu: 16
          - global_avgpool
          - linear: =classes
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 32, 32]
        variables: {classes: 10, width: 16}
        layers:
          - conv_bn_relu: =width
          - global_avgpool
          - linear: =classes
    """

    def check(self, net: Net) -> Iterator[Finding]:
        spec = net.plan.spec
        uses = dict(used(spec))
        reached = {ROOT}
        stack = [ROOT]
        while stack:
            new = uses[stack.pop()] - reached
            reached |= new
            stack += new
        idle = [key for key in uses if key not in reached]
        if not idle:
            return
        top = parse(spec.text, Report(""))
        assert top
        for kind, name in idle:
            section = top.get(f"{kind}s")
            assert isinstance(section, Mapping)
            users = [other for other in idle if (kind, name) in uses[other]]
            by = f"used by {some(user for _, user in users)} alone, which nothing uses" if users else "not used"
            help = f"use it, `={name}`, or remove it" if kind == "variable" else f"run it, `- {name}`, or remove it"
            fix = None if users else without(top, f"{kind}s", name, net.sheet)
            yield Finding(f"{kind} '{name}' is {by}", section.entries[name][0], help=help, fix=fix)


def used(spec: Spec) -> Iterator[tuple[Key, set[Key]]]:
    """What the network, each variable and each block of the text use."""
    known: set[Key] = {("variable", name) for name in spec.variables}
    known |= {("block", name) for name, block in spec.blocks.items() if not block.builtin}

    def of(words: Iterable[str], names: Iterable[str], hidden: Iterable[str] = ()) -> set[Key]:
        found = {("block", word) for word in words} | {("variable", name) for name in set(names).difference(hidden)}
        return found & known

    values = [value for given in spec.inputs for value in (given.shape, given.sizes)]
    values += [Given(node) for node in spec.settings.values()]
    yield ROOT, of(*parts(spec.items)) | of((), names_in(values))
    for name, (_, given) in spec.variables.items():
        yield ("variable", name), of((), names_in([given]))
    for name, block in spec.blocks.items():
        if block.builtin:
            continue
        found = of(*parts(block.items), block.params)
        for index, param in enumerate(block.params.values()):  # a default sees the params before it
            found |= of((), names_in([param.default]), list(block.params)[:index])
        yield ("block", name), found


def parts(items: Sequence[Item]) -> tuple[set[str], set[str]]:
    """The words of items, which may be blocks, and the names in their expressions, at any depth."""
    words, names, stack = set(), set(), list(items)
    while stack:
        item = stack.pop()
        words.add(item.word)
        names |= names_in([item.condition, item.repeat, *(value for _, value in item.arguments.values())])
        stack += item.items
        for branch in item.branches or ():
            names |= names_in([branch.condition])
            stack += branch.items
    return words, names


def names_in(values: Iterable[Given | None]) -> set[str]:
    """The names in the expressions of values."""
    return {name for value in values if value for name in value.names}


def without(top: Mapping, section: str, name: str, sheet: Sheet) -> Fix:
    """The text without an entry of a section; without the section, where it holds nothing else."""
    parent = top.entries[section][1]
    assert isinstance(parent, Mapping)
    word = name
    if len(parent.entries) == 1:
        parent, word = top, section
    pairs = list(parent)
    index = list(parent.entries).index(word)
    start, end = pairs[index][0].start, sheet.end(pairs[index][1])
    if sheet.text[sheet.offset(parent.start)] == "{":
        if index + 1 < len(pairs):
            end = pairs[index + 1][0].start
        else:
            start = sheet.end(pairs[index - 1][1])
    else:
        last = end.line if end.column > 1 else end.line - 1  # where a text of several lines ends
        start, end = Position(start.line, 1), Position(last + 1, 1)
        if last == len(sheet.lines):
            start = Position(start.line - 1, len(sheet.lines[start.line - 2]) + 1)
            end = Position(last, len(sheet.lines[last - 1]) + 1)
    return Fix(True, f"remove `{word}`", (Edit(start, end, ""),))
