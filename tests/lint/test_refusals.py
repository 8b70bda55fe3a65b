"""What is found while a spec is read is documented as rules are: a spec that is refused, and the mended one."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

import cnnplan
from cnnplan.codes import CODES, COMMENTS, ERROR, INFO, READING
from cnnplan.diagnostics import Diagnostic
from cnnplan.lint.base import Refusal, Rule
from cnnplan.lint.engine import rules
from tests.language.helpers import dedent, plan

REFUSALS = {rule.code: rule for rule in rules() if issubclass(rule, Refusal)}
VALID = {"R409", "Y918", "Y919"}
"""Those that leave a spec valid."""

every_refusal = pytest.mark.parametrize("rule", REFUSALS.values(), ids=REFUSALS)


def found(text: str) -> tuple[bool, list[Diagnostic]]:
    """Whether a spec is valid, and what is found in it."""
    try:
        return True, list(plan(text).diagnostics)
    except cnnplan.SpecError as error:
        return False, list(error.diagnostics)


def test_each_code_that_no_rule_looks_for_has_one() -> None:
    assert REFUSALS.keys() == {code for code, kind in CODES.items() if kind.when in (READING, COMMENTS)}
    levels = {code for code in REFUSALS if CODES[code].severity != ERROR}
    assert levels == VALID


@every_refusal
def test_its_bad_spec_has_this_finding_and_no_other(rule: type[Rule]) -> None:
    valid, diagnostics = found(dedent(rule.bad))
    assert [d.code for d in diagnostics] == [rule.code]
    assert valid is (rule.code in VALID)
    assert diagnostics[0].start
    assert diagnostics[0].severity == CODES[rule.code].severity


@every_refusal
def test_its_good_spec_has_no_fault(rule: type[Rule]) -> None:
    valid, diagnostics = found(dedent(rule.good))
    assert valid
    assert [str(d) for d in diagnostics if d.code == rule.code or d.severity != INFO] == []


@every_refusal
def test_its_good_spec_is_the_bad_one_mended(rule: type[Rule]) -> None:
    bad, good = (dedent(text).splitlines() for text in (rule.bad, rule.good))
    same = [line for line in bad if line in good]
    assert len(same) >= len(bad) // 2
    assert len(good) <= len(bad) + 5


@every_refusal
def test_its_documentation_says_what_and_why_and_how_to_mend_it(rule: type[Rule]) -> None:
    assert rule.__doc__
    what, *paragraphs, source = rule.__doc__.strip().split("\n\n")
    assert "\n" not in what
    assert what.endswith(".")
    assert len(paragraphs) >= 2
    assert source.strip().startswith("Source: ")


def test_a_spec_that_has_a_plan_has_nothing_to_refuse() -> None:
    for rule in REFUSALS.values():
        assert not list(rule().check(None))  # type: ignore[arg-type]


# -------------------------------------------------------------------- what torch says

X = torch.zeros(1, 3, 8, 8)
TORCH: dict[str, list[Callable[[], object]]] = {
    "S001": [lambda: nn.Conv2d(3, 8, 9)(X), lambda: nn.MaxPool2d(9)(X)],
    "S003": [lambda: nn.Linear(192, 10)(X)],
    "S004": [lambda: torch.cat([X, X[:, :, ::2]], 1)],
    "S005": [lambda: torch.zeros(1, 16, 16, 16) + torch.zeros(1, 8, 32, 32)],
    "S006": [lambda: nn.Conv2d(30, 32, 3, groups=4)],
    "S007": [lambda: nn.GroupNorm(32, 48)],
    "S008": [lambda: nn.MaxPool2d(3, padding=2)(X)],
    "S009": [lambda: nn.ConvTranspose2d(3, 8, 4, stride=2, padding=2, output_padding=2)(X)],
    "S012": [lambda: nn.Conv2d(3, 8, 3)(X[:, :, 0, 0])],
    "S015": [lambda: nn.PixelShuffle(2)(X)],
    "S020": [lambda: X.reshape(1, 5, -1), lambda: X.split([2, 2], 1)],
    "S021": [lambda: nn.Conv2d(3, 8, 3)(X.repeat(1, 3, 1, 1)[:, :8])],
    "S022": [lambda: torch.empty(2**62, 4)],
    "S023": [lambda: nn.Conv2d(3, 8, 3)(X.long())],
}


def quotes(rule: type[Rule]) -> list[str]:
    """What its documentation quotes of torch."""
    text = " ".join((rule.__doc__ or "").partition("Source: ")[0].split())
    return re.findall(r'"([^"]+)"', text)


@pytest.mark.parametrize("code", TORCH)
def test_torch_says_what_the_documentation_quotes(code: str) -> None:
    quoted = quotes(REFUSALS[code])
    assert len(quoted) == len(TORCH[code])
    for text, call in zip(quoted, TORCH[code], strict=True):
        with pytest.raises((RuntimeError, ValueError), match=re.escape(text)):
            call()


def test_nothing_else_is_quoted() -> None:
    assert {code for code, rule in REFUSALS.items() if code.startswith("S") and quotes(rule)} == TORCH.keys()


def test_the_numbers_of_the_documentation() -> None:
    """A dense layer runs along the rows of a map whose width fits; 31 and 32 units become 16 with stride 2."""
    assert nn.Linear(8, 10)(X).shape == (1, 3, 8, 10)
    for size in (31, 32):
        assert nn.Conv2d(1, 1, 3, stride=2, padding=1)(torch.zeros(1, 1, size, size)).shape[-1] == 16
    for options in ({"kernel_size": 4, "padding": 1}, {"kernel_size": 3, "padding": 1, "output_padding": 1}):
        assert nn.ConvTranspose2d(3, 3, stride=2, **options)(X).shape == (1, 3, 16, 16)
    assert 2**63 * 4 == 32 * 2**60
