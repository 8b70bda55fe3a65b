"""Applying fixes: all that help, none that makes a spec worse, and the weights still load."""

import pytest
import torch

import cnnplan
from cnnplan.diagnostics import Diagnostic, Edit, Fix, Position
from cnnplan.lint.fix import State, mended
from cnnplan.lint.repairs import one_letter
from cnnplan.lint.selection import Choice, Selection
from tests.language.helpers import net

CONV = "- conv: {out_channels: 8, kernel_size: 3}"


def load(text: str, selection: Selection | None = None) -> State:
    try:
        plan = cnnplan.plan(text, selection=selection)
    except cnnplan.SpecError as error:
        return State(text, None, error.diagnostics)
    return State(text, plan, plan.diagnostics)


def fixed(text: str, *, unsafe: bool = False) -> tuple[str, list[str]]:
    """The text after its fixes, and their codes."""
    state, done = mended(load(text), load, unsafe=unsafe)
    return state.text, [d.code for d in done]


def test_several_are_mended_at_once() -> None:
    text = net(f"{CONV}\n- batchnorm\n- relu\n{CONV}\n- batchnorm\n- relu")
    new, done = fixed(text)
    assert done == ["N201", "N201"]
    assert new == text.replace("3}", "3, bias: false}")


def test_the_function_stays() -> None:
    text = net(f"{CONV}\n- batchnorm\n- relu")
    new, _ = fixed(text)
    before, after = cnnplan.build(text), cnnplan.build(new)
    weights = before.state_dict()
    missing = after.load_state_dict(weights, strict=False)
    assert missing.missing_keys == []
    assert [key.rpartition(".")[2] for key in missing.unexpected_keys] == ["bias"]
    x = torch.randn(4, 3, 8, 8)
    assert torch.allclose(before(x), after(x), atol=1e-5)  # in training, by the batch's own statistics


def test_a_mistake_of_a_letter_makes_a_spec_valid() -> None:
    text = net("- conv: {out_channels: 8, kernel_size: 3, paddding: 1}\n- rleu\n- linear: 3")
    new, done = fixed(text)
    assert sorted(done) == ["S003", "Y901", "Y913"]
    assert new == net("- conv: {out_channels: 8, kernel_size: 3, padding: 1}\n- relu\n- flatten\n- linear: 3")
    assert cnnplan.plan(new)


def test_what_is_mended_may_show_what_was_hidden() -> None:
    text = net(
        "- conv: {out_channels: =in_channels // 16, kernel_size: 3}\n- relu\n"
        "- conv:\n    out_channels: =in_channels // 16  # c\n    kernel_size: 3"
    )
    new, done = fixed(text, unsafe=True)
    assert done == ["S013", "S013"]
    assert new.count('"=max(8, in_channels // 16)"') == 1
    assert "    out_channels: =max(8, in_channels // 16)  # c\n" in new
    assert cnnplan.plan(new)


def test_what_changes_the_function_is_left_unless_it_is_asked_for() -> None:
    text = net("- conv: {out_channels: 8, kernel_size: 3, groups: 2}")
    assert fixed(text) == (text, [])
    new, done = fixed(text, unsafe=True)
    assert (new, done) == (text.replace("groups: 2", "groups: 1"), ["S006"])


def test_a_fix_of_a_block_holds_for_all_its_uses() -> None:
    block = "blocks:\n  unit:\n    params: {norm: bool}\n    layers:\n      - conv: {out_channels: 8, kernel_size: 3}\n"
    block += "      - batchnorm:\n        if: =norm\n      - relu\n"
    both = net("- unit: true\n- unit: true", more=block)
    one = net("- unit: true\n- unit: false", more=block)
    assert fixed(both)[1] == ["N201"]
    assert [d.code for d in load(one).diagnostics if d.code == "N201"] == ["N201"]
    assert "N201" not in fixed(one)[1]


def faulty(text: str, *edits: tuple[str, str, bool]) -> State:
    """The state of a text whose findings are fixes: (old, new, safe)."""
    found = []
    for index, (old, new, safe) in enumerate(edits):
        at = text.index(old)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        edit = Edit(Position(line, column), Position(line, column + len(old)), new)
        found.append(
            Diagnostic("N201", "x", "warning", f"{index}", "", Position(line, column), None, fix=Fix(safe, "", (edit,)))
        )
    return load(text)._replace(diagnostics=tuple(found))


TEXT = net("- conv: {out_channels: 8, kernel_size: 3}\n- relu\n- flatten\n- linear: 10")


def test_weights_are_not_loaded_for_those_of_another_layer() -> None:
    conv = "- conv: {out_channels: 3, kernel_size: 1}\n"
    text = net(f"{conv}- relu\n{conv}- relu\n{conv}- relu")
    for line, gone in ((2, None), (4, "conv3")):
        start = Position(5 + line, 1)
        fix = Fix(True, "", (Edit(start, Position(start.line + 1, 1), ""),))
        layer = f"conv{line // 2 + 1}"
        one = Diagnostic("R401", "x", "warning", "", "", start, None, layer, fix=fix)
        state, done = mended(load(text)._replace(diagnostics=(one,)), load, unsafe=False)
        assert bool(done) is bool(gone)
        assert state.plan
        assert {layer.name for layer in state.plan.layers if layer.op == "conv"} == {"conv1", "conv2", "conv3"} - {gone}


WORSE = {
    "not YAML": ("relu", "[", True),
    "not valid": ("flatten", "identity", True),
    "an error more": ("8, kernel", "8, kernel_size: 3, groups: 2, kernel", True),
    "another shape, said to be safe": ("linear: 10", "linear: 9", True),
    "another parameter, said to be safe": ("kernel_size: 3", "kernel_size: 1", True),
    "another name of a parameter, said to be safe": ("- relu", "- conv: {out_channels: 8, kernel_size: 1}", True),
}


@pytest.mark.parametrize("edit", WORSE.values(), ids=WORSE)
def test_what_would_be_worse_is_left_out(edit: tuple[str, str, bool]) -> None:
    state, done = mended(faulty(TEXT, edit), load, unsafe=False)
    assert (state.text, done) == (TEXT, [])


@pytest.mark.parametrize("name", ["not YAML", "not valid", "an error more"])
def test_no_less_where_unsafe_ones_are_asked_for(name: str) -> None:
    state, done = mended(faulty(TEXT, WORSE[name]), load, unsafe=True)
    assert (state.text, done) == (TEXT, [])


def test_what_helps_is_done_beside_what_does_not() -> None:
    start = faulty(
        TEXT, ("conv:", "conv :", True), ("relu", "[", True), ("flatten", "{flatten: }", True), ("10", "x", True)
    )
    state, done = mended(start, load, unsafe=False)
    assert [d.message for d in done] == ["0", "2"]
    assert state.text == TEXT.replace("conv:", "conv :").replace("flatten", "{flatten: }")


def test_edits_that_touch_wait_for_the_next_round() -> None:
    start = faulty(TEXT, ("relu", "tanh", False), ("relu", "abs", False))
    state, done = mended(start, load, unsafe=True)
    assert len(done) == 1
    assert state.text == TEXT.replace("relu", "tanh")


def test_an_unsafe_one_may_change_shapes_and_names() -> None:
    state, done = mended(faulty(TEXT, ("linear: 10", "linear: 9", False)), load, unsafe=True)
    assert len(done) == 1
    assert state.text == TEXT.replace("10", "9")


def test_fixes_that_undo_each_other_end() -> None:
    def flip(text: str) -> State:
        new, old = ("tanh", "relu") if "relu" in text else ("relu", "tanh")
        return faulty(text, (old, new, True))

    state, done = mended(flip(TEXT), flip, unsafe=False)
    assert 1 <= len(done) <= 25
    assert state.plan


@pytest.mark.parametrize(
    ("word", "other", "near"),
    [
        ("padding", "paddding", True),
        ("padding", "pading", True),
        ("padding", "paddnig", True),
        ("padding", "poddin", False),
        ("relu", "rely", True),
        ("relu", "relu", False),
        ("relu", "reul", True),
        ("relu", "urel", False),
        ("relu", "relu6", True),
        ("relu", "elu", True),
        ("ab", "ba", True),
        ("abcd", "badc", False),
        ("", "a", True),
        ("", "ab", False),
    ],
)
def test_one_letter(word: str, other: str, near: bool) -> None:
    assert one_letter(word, other) is near
    assert one_letter(other, word) is near


def test_many_in_a_long_text() -> None:
    text = net(f"{CONV.replace('3}', '1}')}\n- batchnorm\n- relu\n" * 300)
    selection = Selection(asked=Choice(select=("N201",)))
    state, done = mended(load(text, selection), lambda new: load(new, selection), unsafe=False)
    assert len(done) == 300
    assert state.text.count("bias: false") == 300
