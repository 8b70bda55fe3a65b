"""The rules: each finds its `bad` spec and is silent on its `good` one, which are its docs too."""

from collections import Counter
from collections.abc import Callable

import pytest

import cnnplan
from cnnplan import zoo
from cnnplan.codes import CODES, COMMENTS, INFO, READING
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.base import Rule
from cnnplan.lint.engine import rules
from cnnplan.lint.fix import State, mended
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import dedent, net, plan
from tests.lint.justified import JUSTIFIED

checking = [rule for rule in rules() if CODES[rule.code].when not in (READING, COMMENTS)]
every_rule = pytest.mark.parametrize("rule", checking, ids=lambda rule: rule.code)


def found(text: str, code: str = "") -> list[Diagnostic]:
    """The findings of a spec; with a code, those of a rule that may be off by default."""
    if not code:
        return list(plan(text).diagnostics)
    selection = Selection(asked=Choice(extend=(code,)))
    return [d for d in cnnplan.plan(text, selection=selection).diagnostics if d.code == code]


def test_each_rule_has_the_code_of_its_file() -> None:
    codes = Counter(rule.code for rule in rules())
    assert codes.keys() <= CODES.keys()
    assert set(codes.values()) == {1}
    for rule in rules():
        assert rule.__module__.rpartition(".")[2] == CODES[rule.code].module
        assert rule.__name__.lower() == CODES[rule.code].name.replace("-", "")
        assert rule.__doc__
        assert "Source: " in rule.__doc__


@every_rule
def test_a_rule_finds_its_bad_spec(rule: type[Rule]) -> None:
    (finding,) = found(dedent(rule.bad), rule.code)
    assert finding.start
    assert finding.help
    assert finding.name == CODES[rule.code].name


@every_rule
def test_its_bad_spec_has_no_other_fault(rule: type[Rule]) -> None:
    others = [d for d in found(dedent(rule.bad)) if d.code != rule.code and d.severity != INFO]
    assert not others, [str(d) for d in others]


@every_rule
def test_a_rule_is_silent_on_its_good_spec(rule: type[Rule]) -> None:
    assert not found(dedent(rule.good), rule.code)
    assert not [str(d) for d in found(dedent(rule.good)) if d.severity != INFO]


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo_is_silent(name: str) -> None:
    hits = Counter(d.code for d in cnnplan.plan(zoo.find(name)).diagnostics if d.severity != INFO)
    assert hits == {code: count for (spec, code), (count, _) in JUSTIFIED.items() if spec == name}


def test_justifications_are_given() -> None:
    for (spec, code), (count, why) in JUSTIFIED.items():
        assert spec in zoo.names()
        assert CODES[code].severity != INFO
        assert count >= 1
        assert len(why) > 20


# ------------------------------------------------------------------------ fixes


def loader(selection: Selection) -> Callable[[str], State]:
    """Reads and plans a text."""

    def load(text: str) -> State:
        try:
            plan = cnnplan.plan(text, selection=selection)
        except cnnplan.SpecError as error:
            return State(text, None, error.diagnostics)
        return State(text, plan, plan.diagnostics)

    return load


@every_rule
def test_a_fix_mends_the_bad_spec(rule: type[Rule]) -> None:
    load = loader(Selection(asked=Choice(select=(rule.code,))))
    start = load(dedent(rule.bad))
    fixes = [d.fix for d in start.diagnostics if d.fix]
    if not fixes:
        pytest.skip("it has no fix")
    end, done = mended(start, load, unsafe=True)
    assert [d.code for d in done] == [rule.code]
    assert not end.diagnostics, end.text
    assert end.plan


DEAD = {
    "nothing dead": ("- relu\n- tanh", []),
    "a layer beside the way": ("- relu:\n  name: a\n- tanh:\n  from: input", ["a"]),
    "only the end of a row is named": ("- relu\n- tanh:\n  name: b\n- abs:\n  from: input", ["b"]),
    "a branch whose name nobody uses": ("- layers: [relu, tanh]\n  name: g\n- abs:\n  from: input", ["g.tanh1"]),
    "an output of a split": ("- split: 3\n  name: s\n- relu:\n  from: s.0", ["s"]),
    "used by `like` alone": ("- maxpool: 2\n  name: m\n- upsample: 3\n  from: input\n- crop: {like: m}", []),
    "shared layers are judged by themselves": ("- tanh:\n  name: t\n- share: t\n- abs:\n  from: input", ["share1"]),
}


@pytest.mark.parametrize(("layers", "dead"), DEAD.values(), ids=DEAD)
def test_dead_layers(layers: str, dead: list[str]) -> None:
    assert [d.layer for d in plan(net(layers)).diagnostics if d.code == "R401"] == dead


def test_a_dead_input_is_found() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 4, 4], b: [3, 4, 4]}\n"
    (finding,) = plan(net("- relu:\n  from: a", head=head)).diagnostics
    assert (finding.code, finding.start) == ("R401", (3, 27))
    assert "'b'" in finding.message


# 3·4·9 + 4 = 112 parameters, 3·4·9·36 = 3,888 MACs
CONV = "- conv: {out_channels: 4, kernel_size: 3}"
BUDGETS = {
    "{parameters: 112}": [],
    "{parameters: 111}": ["112 parameters exceed the budget of 111"],
    "{macs: 3888}": [],
    "{macs: 3.8K}": ["3,888 MACs exceed the budget of 3,800"],
    "{macs: 3.9K, parameters: 0.1K}": ["112 parameters exceed the budget of 100"],
    "{parameters: {at_least: 112}}": [],
    "{parameters: {at_least: 113}}": ["112 parameters are below the budget's 113"],
    "{macs: {at_least: 1K, at_most: 3K}, parameters: {at_most: 1}}": [
        "3,888 MACs exceed the budget of 3,000",
        "112 parameters exceed the budget of 1",
    ],
    "{receptive_field: {at_least: 3}}": [],
    "{receptive_field: {at_least: 4}}": ["a receptive field of 3 is below the budget's 4"],
    "{receptive_field: 3}": [],
    "{receptive_field: 2}": ["a receptive field of 3 exceeds the budget of 2"],
    "{parameters: =2 * 50}": ["112 parameters exceed the budget of 100"],
}


@pytest.mark.parametrize(("budget", "messages"), BUDGETS.items())
def test_budgets(budget: str, messages: list[str]) -> None:
    diagnostics = plan(net(CONV, more=f"budget: {budget}")).diagnostics
    assert [d.message for d in diagnostics] == messages
    assert {d.severity for d in diagnostics} <= {"error"}


@pytest.mark.parametrize(
    ("lint", "codes"),
    [
        ("{}", ["R401", "P709"]),
        ("{ignore: [R401]}", ["P709"]),
        ("{ignore: [P709]}", ["R401"]),
        ("{ignore: [P, R]}", []),
        ("{ignore: [R4]}", ["P709"]),
        ("{select: [R]}", ["R401"]),
        ("{select: [R, P], ignore: [R401]}", ["P709"]),
        ("{select: [G]}", []),
    ],
)
def test_a_spec_chooses_its_rules(lint: str, codes: list[str]) -> None:
    spec = net("- relu:\n  name: a\n- conv: {out_channels: 4, kernel_size: 3}\n  from: input", more=f"lint: {lint}")
    shown = found(spec.replace("layers:", "budget: {parameters: 1}\nlayers:"))
    assert sorted(d.code for d in shown) == sorted(codes)


def test_errors_of_the_language_cannot_be_ignored() -> None:
    with pytest.raises(cnnplan.SpecError):
        plan(net("- rel", more="lint: {ignore: [Y913]}"))
