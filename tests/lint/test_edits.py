"""Changes of items in every way an item may be written: what is not meant stays as it is."""

import pytest

import cnnplan
from cnnplan.diagnostics import Edit, Position
from cnnplan.lint.base import Change
from cnnplan.lint.edits import Sheet, applied
from cnnplan.lint.net import Net

HEAD = "cnnplan: 1\nname: net\ninput: [3, 32, 32]\n"


def changed(text: str, layer: str, *step: str, other: str = "") -> str | None:
    """The text after one step at the item of a layer; None where it cannot be written."""
    plan = cnnplan.plan(text)
    node = plan.layer(layer).node
    words = (*step, plan.layer(other).node) if other else step
    edits = Sheet(text).write(Change(True, "", ((node, words),)))
    if edits is None:
        return None
    new = applied(text, list(edits))
    cnnplan.plan(new)  # it is still a spec
    return new


def layers(text: str) -> str:
    return f"{HEAD}layers:\n{text}"


C = "conv: {out_channels: 8, kernel_size: 3}"

SET = {
    "flow": (f"  - {C}  # c\n", "conv1", "  - conv: {out_channels: 8, kernel_size: 3, bias: false}  # c\n"),
    "flow, there already": (
        "  - conv: {bias: true, out_channels: 8, kernel_size: 3}\n",
        "conv1",
        "  - conv: {bias: false, out_channels: 8, kernel_size: 3}\n",
    ),
    "flow over lines": (
        "  - conv: {out_channels: 8,\n           kernel_size: [3, 3]}  # c\n",
        "conv1",
        "  - conv: {out_channels: 8,\n           kernel_size: [3, 3], bias: false}  # c\n",
    ),
    "below each other": (
        "  - conv:\n      out_channels: 8  # a\n      kernel_size: 3  # b\n  - relu\n",
        "conv1",
        "  - conv:\n      out_channels: 8  # a\n      kernel_size: 3  # b\n      bias: false\n  - relu\n",
    ),
    "the first argument": (
        "  - flatten\n  - linear: 10  # c\n",
        "linear1",
        "  - flatten\n  - linear: {out_features: 10, bias: false}  # c\n",
    ),
    "the first argument as an expression": (
        "  - flatten\n  - linear: =max(1, 2)\n",
        "linear1",
        '  - flatten\n  - linear: {out_features: "=max(1, 2)", bias: false}\n',
    ),
    "the first argument in quotes": (
        "  - flatten\n  - linear: '=max(1, 2)'\n",
        "linear1",
        "  - flatten\n  - linear: {out_features: '=max(1, 2)', bias: false}\n",
    ),
    "a list in brackets": (
        "  [flatten, linear: 10, relu]\n",
        "linear1",
        "  [flatten, linear: {out_features: 10, bias: false}, relu]\n",
    ),
    "braces in brackets": (
        "  [flatten, {linear: 10, name: a}, relu]\n",
        "a",
        "  [flatten, {linear: {out_features: 10, bias: false}, name: a}, relu]\n",
    ),
    "with modifiers": (
        f"  - name: first\n    {C}\n    from: input\n",
        "first",
        "  - name: first\n    conv: {out_channels: 8, kernel_size: 3, bias: false}\n    from: input\n",
    ),
    "an umlaut before it": (
        '  - {name: a, "conv": {out_channels: 8, kernel_size: 3}}  # ü\n',
        "a",
        '  - {name: a, "conv": {out_channels: 8, kernel_size: 3, bias: false}}  # ü\n',
    ),
}


@pytest.mark.parametrize(("before", "layer", "after"), SET.values(), ids=SET)
def test_an_argument_is_set(before: str, layer: str, after: str) -> None:
    assert changed(layers(before), layer, "set", "bias", "false") == layers(after)


WORDS = {
    "alone": ("  - batchnorm  # c\n", "  - batchnorm: {affine: false}  # c\n"),
    "with a colon": ("  - batchnorm:\n", "  - batchnorm: {affine: false}\n"),
    "with a colon and a name": (
        "  - batchnorm:  # c\n    name: batchnorm1_\n",
        "  - batchnorm: {affine: false}  # c\n    name: batchnorm1_\n",
    ),
    "in brackets": ("  [relu, batchnorm]\n", "  [relu, {batchnorm: {affine: false}}]\n"),
    "empty braces": ("  - batchnorm: {}\n", "  - batchnorm: {affine: false}\n"),
}


@pytest.mark.parametrize(("before", "after"), WORDS.values(), ids=WORDS)
def test_a_word_without_arguments_gets_one(before: str, after: str) -> None:
    layer = "batchnorm1_" if "batchnorm1_" in before else "batchnorm1"
    assert changed(layers(before), layer, "set", "affine", "false") == layers(after)


DROP = {
    "the last": ("  - maxpool: {kernel_size: 2, padding: 0}\n", "  - maxpool: {kernel_size: 2}\n"),
    "the first": ("  - maxpool: {padding: 0, kernel_size: 2}\n", "  - maxpool: {kernel_size: 2}\n"),
    "a line": (
        "  - maxpool:\n      padding: 0  # c\n      kernel_size: 2\n  - relu\n",
        "  - maxpool:\n      kernel_size: 2\n  - relu\n",
    ),
    "not there": ("  - maxpool: {kernel_size: 2}\n", None),
    "no mapping": ("  - maxpool: 2\n", None),
}


@pytest.mark.parametrize(("before", "after"), DROP.values(), ids=DROP)
def test_an_argument_is_dropped(before: str, after: str | None) -> None:
    assert changed(layers(before), "maxpool1", "drop", "padding") == (after and layers(after))


REMOVE = {
    "a line": ("  - relu\n  - tanh  # c\n  - abs\n", "  - relu\n  - abs\n"),
    "the last line": ("  - relu\n  - tanh\n", "  - relu\n"),
    "the last line without its end": ("  - relu\n  - tanh", "  - relu"),
    "several lines": (
        "  - relu\n  - tanh:\n    name: tanh1_\n  # about abs\n  - abs\n",
        "  - relu\n  # about abs\n  - abs\n",
    ),
    "in brackets": ("  [relu, tanh, abs]\n", "  [relu, abs]\n"),
    "the last in brackets": ("  [relu, tanh]\n", "  [relu]\n"),
    "the first in brackets": ("  [tanh, relu]\n", "  [relu]\n"),
    "the only one": ("  - tanh\n", None),
    "with `from`": ("  - relu\n  - tanh:\n    from: input\n", None),
    "with `repeat`": ("  - relu\n  - tanh:\n    repeat: 1\n", None),
    "behind another dash": ("  - layers:\n    - relu\n    - tanh\n    - abs\n", "  - layers:\n    - relu\n    - abs\n"),
    "before another item": ("  -\n    tanh\n  - relu\n", None),
}


@pytest.mark.parametrize(("before", "after"), REMOVE.values(), ids=REMOVE)
def test_an_item_is_removed(before: str, after: str | None) -> None:
    layer = next(x.name for x in cnnplan.plan(layers(before)).layers if x.op == "tanh")
    assert changed(layers(before), layer, "remove") == (after and layers(after))


REPLACE = {
    "a word": ("  - tanh  # c\n", "relu", "  - relu  # c\n"),
    "a word by arguments": ("  - tanh\n", "dropout: 0.1", "  - dropout: 0.1\n"),
    "a word in brackets": ("  [abs, tanh]\n", "dropout: 0.1", "  [abs, {dropout: 0.1}]\n"),
    "with a colon": ("  - tanh:\n", "relu", "  - relu\n"),
    "with modifiers": ("  - tanh:\n    name: tanh1_\n", "relu", "  - relu:\n    name: tanh1_\n"),
    "in braces": ("  - {tanh: , name: tanh1_}\n", "relu", "  - {relu: , name: tanh1_}\n"),
}


@pytest.mark.parametrize(("before", "text", "after"), REPLACE.values(), ids=REPLACE)
def test_an_operation_is_replaced(before: str, text: str, after: str) -> None:
    layer = "tanh1_" if "tanh1_" in before else "tanh1"
    assert changed(layers(before), layer, "replace", text) == layers(after)


def test_arguments_are_replaced_with_their_operation() -> None:
    before = layers("  - dropout:  # c\n      p: 0.1  # d\n    name: a\n  - abs\n")
    assert changed(before, "a", "replace", "tanh") == layers("  - tanh:  # d\n    name: a\n  - abs\n")


SWAP = {
    "lines": ("  - tanh  # t\n  - maxpool: 2  # m\n", "  - maxpool: 2  # m\n  - tanh  # t\n"),
    "brackets": ("  [tanh, maxpool: 2, abs]\n", "  [maxpool: 2, tanh, abs]\n"),
    "several lines": (
        "  - tanh\n  # about the pool\n  - maxpool:\n      kernel_size: 2\n      stride: 2\n  - abs\n",
        "  - maxpool:\n      kernel_size: 2\n      stride: 2\n  # about the pool\n  - tanh\n  - abs\n",
    ),
    "not beside each other": ("  - tanh\n  - abs\n  - maxpool: 2\n", None),
    "with a name": ("  - tanh:\n    name: tanh1_\n  - maxpool: 2\n", None),
    "in different lists": ("  - layers: [tanh]\n  - maxpool: 2\n", None),
}


@pytest.mark.parametrize(("before", "after"), SWAP.values(), ids=SWAP)
def test_two_items_change_places(before: str, after: str | None) -> None:
    layer = next(x.name for x in cnnplan.plan(layers(before)).layers if x.op == "tanh")
    assert changed(layers(before), layer, "swap", other="maxpool1") == (after and layers(after))


INSERT = {
    "lines": ("  - tanh  # c\n  - abs\n", "  - relu\n  - tanh  # c\n  - abs\n", "  - tanh  # c\n  - relu\n  - abs\n"),
    "several lines": (
        "  - tanh:\n\n  # a\n  - abs\n",
        "  - relu\n  - tanh:\n\n  # a\n  - abs\n",
        None,
    ),
    "brackets": ("  [tanh, abs]\n", "  [relu, tanh, abs]\n", "  [tanh, relu, abs]\n"),
    "with `from`": ("  - abs\n  - tanh:\n    from: input\n", None, None),
    "deeper": (
        "  - layers:\n      - tanh\n      - abs\n",
        "  - layers:\n      - relu\n      - tanh\n      - abs\n",
        "  - layers:\n      - tanh\n      - relu\n      - abs\n",
    ),
    "the end of the text": ("  - tanh", "  - relu\n  - tanh", "  - tanh\n  - relu"),
}


@pytest.mark.parametrize(("text", "before", "after"), INSERT.values(), ids=INSERT)
def test_items_are_inserted(text: str, before: str | None, after: str | None) -> None:
    layer = next(x.name for x in cnnplan.plan(layers(text)).layers if x.op == "tanh")
    assert changed(layers(text), layer, "before", "relu") == (before and layers(before))
    found = changed(layers(text), layer, "after", "relu")
    if after is None and found is not None:
        assert [x.op for x in cnnplan.plan(found).layers][:2] == ["tanh", "relu"]
    else:
        assert found == (after and layers(after))


def test_what_the_user_did_not_write_has_no_edits() -> None:
    text = layers("  - separable_conv: {out_channels: 8, kernel_size: 3}\n  - relu:\n    name: a\n  - share: a\n")
    plan = cnnplan.plan(text)
    sheet = Sheet(text)
    for name in ("separable_conv1.conv1", "share1"):
        assert sheet.entry(plan.layer(name).node) is None
    assert sheet.entry(plan.layer("a").node)


def test_edits_that_overlap_are_no_change() -> None:
    text = layers("  - tanh\n  - abs\n")
    plan = cnnplan.plan(text)
    node = plan.layer("tanh1").node
    steps = ((node, ("replace", "relu")), (node, ("remove",)))
    assert Net(plan).sheet.write(Change(True, "", steps)) is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_edits_of_a_text_whatever_ends_its_lines(end: str) -> None:
    text = end.join(("one", "two", "three", ""))
    edits = [
        Edit(Position(3, 1), Position(3, 6), "3"),
        Edit(Position(1, 4), Position(1, 4), "!"),
        Edit(Position(2, 1), Position(3, 1), ""),
    ]
    assert applied(text, edits) == end.join(("one!", "3", ""))
