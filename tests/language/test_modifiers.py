"""Modifiers: their order, counters, and what `in_channels` and `in_size` mean in each."""

import pytest

from tests.language.helpers import blames, blocked, complaint, last, listed, names, net, plan, refused, shapes
from tests.language.oracle import agrees

ONE = "kernel_size: 1"


def channels(text: str) -> list[int]:
    return [shape[0] for shape in shapes(text)]


def test_from_replaces_the_value_before() -> None:
    spec = net(f"- conv: {{out_channels: 4, {ONE}}}\n  name: a\n- conv: {{out_channels: 5, {ONE}}}\n- tanh:\n  from: a")
    assert channels(spec) == [4, 5, 4]
    assert plan(spec).layers[2].inputs == ("a",)


def test_from_decides_what_enters_the_first_copy_only() -> None:
    spec = net(f"- relu:\n  name: a\n- tanh\n- conv: {{out_channels: =in_channels + 1, {ONE}}}\n  from: a\n  repeat: 3")
    assert [layer.inputs for layer in plan(spec).layers[2:]] == [("a",), ("conv1",), ("conv2",)]
    assert channels(spec)[2:] == [4, 5, 6]


def test_a_copy_left_out_hands_on_what_entered_it() -> None:
    spec = net("- relu:\n  name: a\n- tanh\n- sigmoid:\n  from: a\n  repeat: 4\n  if: =index % 2 == 1")
    assert [layer.inputs for layer in plan(spec).layers[2:]] == [("a",), ("sigmoid1",)]


def test_repeat_sees_the_outer_counter_and_the_rest_this_ones() -> None:
    spec = net(
        f"""
        - layers:
            - conv: {{out_channels: =index + 1, {ONE}}}
              repeat: =index + 1
              if: =index != 1
          repeat: 3
        """
    )
    # outer 0: [0]; outer 1: [0, (1)]; outer 2: [0, (1), 2]
    assert channels(spec) == [1, 1, 1, 3]


def test_a_named_counter_leaves_the_outer_index() -> None:
    spec = net(
        f"""
        - layers:
            - conv: {{out_channels: =10 * index + step + 1, {ONE}}}
              repeat: {{step: 2}}
          repeat: 2
        """
    )
    assert channels(spec) == [1, 2, 11, 12]


def test_from_is_read_before_repeat() -> None:
    """`repeat` sees the value that enters the first copy."""
    two = f"- conv: {{out_channels: 2, {ONE}}}\n  name: a\n- conv: {{out_channels: 5, {ONE}}}\n"
    spec = net(f"{two}- relu:\n  from: a\n  repeat: =in_channels")
    assert len(names(spec)) == 4


def test_in_channels_and_in_size_are_those_that_enter_the_copy() -> None:
    spec = net(
        """
        - layers:
            - conv: {out_channels: =2 * in_channels, kernel_size: 1}
            - maxpool: 2
          repeat: 9
          if: "=in_size[0] > 1 and in_channels < 24"
        """
    )
    assert last(spec) == (24, 1, 1)
    assert last(net("- add: [[conv: {out_channels: =in_channels, kernel_size: 1}], []]\n  repeat: 2")) == (3, 8, 8)


def test_in_channels_of_several_values_is_the_first_ones() -> None:
    spec = net(
        f"""
        - conv: {{out_channels: 4, {ONE}}}
          name: a
        - conv: {{out_channels: 5, {ONE}}}
        - concat:
          from: [a, previous]
          if: =in_channels == 4
        """
    )
    assert last(spec) == (9, 8, 8)


def test_a_list_in_from_with_repeat() -> None:
    two = "- relu:\n  name: a\n- tanh\n"
    for times in (1, 2):
        blames(net(f"{two}- «add:\n  from: [a, previous]\n  repeat: {times}"), "S019")
        blames(net(f"{two}- «add: [[], []]\n  from: [a, previous]\n  repeat: {times}"), "S019")
    spec = blocked(
        "b:\n  inputs: [x, y]\n  outputs: [y2, x2]\n  layers:\n    - tanh: {}\n      from: y\n      name: y2\n"
        "    - relu:\n      from: x\n      name: x2",
        "- relu:\n  name: a\n- tanh\n- b:\n  from: [a, previous]\n  repeat: 3\n- add",
    )
    assert [layer.inputs for layer in plan(spec).layers[2:]] == [
        ("tanh1",), ("a",), ("b1.x2",), ("b1.y2",), ("b2.x2",), ("b2.y2",), ("b3.y2", "b3.x2"),
    ]  # fmt: skip


@pytest.mark.parametrize("times", ["0", "=1 - 1", "=in_channels - 3"])
def test_repeat_of_nothing_leaves_the_item_out(times: str) -> None:
    assert names(net(f"- tanh\n- relu:\n  repeat: {times}")) == ["tanh1"]


BAD = """
repeat: «-1   repeat: «2.0   repeat: «true   repeat: «'2'   repeat: «~   repeat: «[2]   repeat: «two   repeat: «=-1
repeat: «=4 / 2   repeat: «=true   repeat: «='2'   repeat: «=[1]   repeat: {«else: 2}   repeat: {«index2-: 2}
repeat: {a: «-1}   repeat: {«in_channels: 2}   repeat: {«1: 2}   repeat: {a: «true}   if: «1   if: «0   if: «'true'
if: «yes   if: «~   if: «[]   if: «=1   if: «='a'   if: «=in_size   if: «={}   trainable: «1   trainable: «no
trainable: «~   checkpoint: «yes   from: «3   from: «~   from: «{}   from: [«3]   from: «a b   from: «a.b.c
from: «.0   from: «input.   from: [[«input]]   name: «3   name: «~   name: «[a]   name: «a b   name: «a.b
name: «1a   name: «é   name: «a-b   name: «else   name: «when   name: «over   name: «input   name: «previous
name: «''   name: «true   name: «=a   from: «nothing   from: «relu1   from: «input.0   from: «previous.1
"""
ODD = {"from: [[«input]]": "from: [«[input]]", "if: «={}": "if: «='x'"}


@pytest.mark.parametrize("modifier", listed(BAD))
def test_wrong_modifiers(modifier: str) -> None:
    blames(net(f"- tanh\n- relu:\n  {ODD.get(modifier, modifier)}"))


@pytest.mark.parametrize("modifier", ["«repeat: {}", "«repeat: {a: 1, b: 2}", "from: «[]"])
def test_modifiers_without_a_value(modifier: str) -> None:
    blames(net(f"- tanh\n- relu:\n  {modifier}"))


@pytest.mark.parametrize(
    "counter",
    [
        "self",
        "values",
        "names",
        "cls",
        "budget",
    ],
)
def test_a_counter_may_have_any_name(counter: str) -> None:
    assert channels(net(f"- conv: {{out_channels: ={counter} + 1, {ONE}}}\n  repeat: {{{counter}: 2}}")) == [1, 2]


def test_if_leaves_out_and_the_next_takes_the_value_before() -> None:
    spec = net("- relu:\n  name: a\n- tanh\n- sigmoid:\n  from: a\n  if: false\n- abs")
    assert plan(spec).layers[-1].inputs == ("tanh1",)
    assert names(net("- relu:\n  if: =1 > 2\n- tanh\n- relu")) == ["tanh1", "relu1"]


@pytest.mark.parametrize(
    ("modifier", "word"),
    [
        ("if: false", "`if`"),
        ("if: =in_channels > 3", "`if`"),
        ("repeat: 0", "`repeat`"),
        ("repeat: 2\n  if: false", "`if`"),
    ],
)
def test_from_an_item_left_out_names_why(modifier: str, word: str) -> None:
    said = complaint(net(f"- relu:\n  name: a\n  {modifier}\n- tanh\n- relu:\n  from: «a"), "S016")
    assert word in said
    assert word in complaint(net(f"- relu:\n  name: a\n  {modifier}\n- tanh\n- share: «a"), "S016")


def test_name_is_the_last_copys_output() -> None:
    spec = net(f"- conv: {{out_channels: =index + 1, {ONE}}}\n  repeat: 3\n  name: a\n- tanh\n- relu:\n  from: a")
    assert plan(spec).layers[-1].inputs == ("a.2",)


def test_trainable_false_freezes_all_below() -> None:
    blocks = f"b: {{layers: [conv: {{out_channels: 4, {ONE}}}, batchnorm]}}"
    spec = blocked(
        blocks, f"- b:\n  trainable: false\n- conv: {{out_channels: 2, {ONE}}}\n- layers: [b]\n  trainable: true"
    )
    found = agrees(spec)
    assert found.parameters == 16 + 8 + 10 + 12 + 8
    assert found.trainable_parameters == 10 + 12 + 8
    inner = net(f"- layers:\n    - conv: {{out_channels: 4, {ONE}}}\n      trainable: true\n  trainable: false")
    assert agrees(inner).trainable_parameters == 0


def test_checkpoint_changes_no_number() -> None:
    layers = f"- layers: [conv: {{out_channels: 4, {ONE}}}, batchnorm, relu]\n  name: g"
    plain, saved = agrees(net(layers)), agrees(net(f"{layers}\n  checkpoint: true"))
    assert [(x.name, x.parameters, x.macs) for x in plain.layers] == [
        (x.name, x.parameters, x.macs) for x in saved.layers
    ]


def test_each_copy_has_its_own_names() -> None:
    spec = net(
        """
        - layers:
            - conv: {out_channels: =in_channels + 1, kernel_size: 1}
              name: a
            - tanh
            - relu:
              from: a
          repeat: 2
        """
    )
    assert [layer.inputs for layer in plan(spec).layers] == [
        ("input",), ("a.0",), ("a.0",), ("relu1",), ("a.1",), ("a.1",),
    ]  # fmt: skip
    refused(net("- layers: [relu: {}]\n  repeat: 2\n- tanh:\n  from: a"))
