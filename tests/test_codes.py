"""Every code of a finding has a spec that is given it, at the marked place, and none that it shares."""

import pytest

from cnnplan.codes import CODES
from cnnplan.lint.engine import rules
from tests.language.helpers import MARK, blames, blocked, net, plan

VECTOR = "cnnplan: 1\nname: net\ninput: [3]\n"
SPECS = {
    "S001": net("- conv: {out_channels: 4, kernel_size: «9}"),
    "S003": net("- «linear: 4"),
    "S004": net("- «concat: [[maxpool: 2], []]"),
    "S005": net("- «add: [[maxpool: 2], []]"),
    "S006": net("- conv: {out_channels: 4, kernel_size: 3, groups: «2}"),
    "S007": net("- groupnorm: {num_groups: «2}"),
    "S008": net("- maxpool: {kernel_size: 2, padding: «2}"),
    "S009": net("- conv_transpose: {out_channels: 4, kernel_size: 2, stride: 2, output_padding: «2}"),
    "S012": net("- «conv: {out_channels: 4, kernel_size: 3}", head=VECTOR),
    "S013": net("- conv: {out_channels: «=in_channels // 16, kernel_size: 3}"),
    "S015": net("- pixel_shuffle: «2"),
    "S016": net("- relu:\n  from: «nowhere"),
    "S019": net("- split: 3\n- «relu"),
    "S020": net("- reshape: «[5, -1]"),
    "S021": net(
        "- conv: {out_channels: 4, kernel_size: 3}\n  name: a\n- «share: a",
    ),
    "S022": net("- «upsample: 4611686018427387904"),
    "S023": net("- «relu", head="cnnplan: 1\nname: net\ninput: {shape: [3], dtype: int64}\n"),
    "Y901": net("- maxpool: {kernel_size: 2, «kernel: 2}"),
    "Y902": net("- maxpool: {kernel_size: 2, «kernel_size: 2}"),
    "Y907": net("- relu").replace("cnnplan: 1", "cnnplan: «2"),
    "Y908": net("- relu") + "«---\n",
    "Y909": net("- relu: «*a"),
    "Y910": net("- «relu:\n  repeat: 1000000000"),
    "Y911": net("- conv: {out_channels: «true, kernel_size: 3}"),
    "Y912": net("- «conv: {out_channels: 4}"),
    "Y913": net("- «rleu"),
    "Y914": net("- relu:\n  name: «class"),
    "Y915": net("- relu:\n  repeat: =«9**9**9"),
    "Y916": blocked("c: {layers: [«c]}", "- c"),
    "Y917": net("- relu:\n  «tanh:"),
}
FINDINGS = {
    "R401": net("- «relu\n- tanh:\n  from: input"),
    "R409": net("- relu\n- add:\n    a: []\n    «b: {layers: [relu], if: false}"),
    "P709": net("- conv: {out_channels: 4, kernel_size: 3}", more="budget: {parameters: «10}"),
}


def test_every_code_has_a_spec() -> None:
    with_specs_of_their_own = {rule.code for rule in rules()}
    assert SPECS.keys() | FINDINGS.keys() | with_specs_of_their_own == CODES.keys()


@pytest.mark.parametrize("code", SPECS)
def test_a_code_for_an_error(code: str) -> None:
    (found,) = blames(SPECS[code], code)
    assert found.message
    assert found.end
    assert found.end >= found.start


@pytest.mark.parametrize("code", FINDINGS)
def test_a_code_for_a_finding(code: str) -> None:
    text = FINDINGS[code]
    before = text[: text.index(MARK)]
    (found,) = plan(text.replace(MARK, "")).diagnostics
    assert found.code == code
    assert found.start == (before.count("\n") + 1, len(before) - before.rfind("\n"))
