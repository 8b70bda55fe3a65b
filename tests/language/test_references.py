"""References: what is visible where, `previous`, `input`, several outputs, and `outputs`."""

import pytest

from tests.language.helpers import blames, blocked, complaint, last, listed, names, net, plan, refused

TWO = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: [2, 8, 8]}\n"


def inputs(text: str) -> list[tuple[str, ...]]:
    return [layer.inputs for layer in plan(text).layers]


def test_a_name_is_visible_after_its_item_and_in_lists_inside_later_ones() -> None:
    spec = net(
        """
        - relu:
          name: a
        - layers:
            - tanh:
              from: a
            - layers:
                - sigmoid:
                  from: a
              name: inner
          name: outer
        - add:
            x:
              - abs:
                from: a
            y: []
        """
    )
    assert inputs(spec)[:4] == [("input",), ("a",), ("a",), ("a",)]


def test_a_name_is_not_visible_before_its_item_nor_within_it() -> None:
    assert "before it is defined" in complaint(net("- tanh:\n  from: «a\n- relu:\n  name: a"), "S016")
    blames(net("- layers:\n    - tanh:\n      from: «g\n  name: g"), "S016")
    blames(net("- add:\n    x:\n      - tanh:\n        from: «m\n    y: []\n  name: m"), "S016")


@pytest.mark.parametrize(
    "item",
    [
        "layers:\n    - relu:\n      name: a",
        "layers:\n    - relu:\n      name: a\n  name: g",
        "layers:\n    - relu:\n      name: a\n  repeat: 2",
        "add:\n    x:\n      - relu:\n        name: a\n    y: []",
        "add:\n    a: [relu]\n    y: []",
        "b:",
    ],
)
def test_names_inside_are_not_visible_outside(item: str) -> None:
    spec = blocked("b:\n  layers:\n    - relu:\n      name: a", f"- {item}\n- tanh:\n  from: «a")
    blames(spec, "S016")


def test_blocks_see_no_names_of_their_caller() -> None:
    blames(blocked("b:\n  layers:\n    - relu:\n      from: «a", "- tanh:\n  name: a\n- b"), "S016")


def test_an_inner_name_hides_an_outer_one() -> None:
    spec = net(
        """
        - relu:
          name: a
        - layers:
            - tanh:
              name: a
            - sigmoid
            - abs:
              from: a
        - mish:
          from: a
        """
    )
    assert [plan(spec).layers[i].op for i in (0, 1, 3, 4)] == ["relu", "tanh", "abs", "mish"]
    found = plan(spec).layers
    assert found[3].inputs == (found[1].name,)
    assert found[4].inputs == (found[0].name,)


def test_a_name_given_twice_in_one_list() -> None:
    (found,) = blames(net("- relu:\n  name: a\n- tanh\n- relu:\n  name: «a"), "S016")
    assert found.related[0].start == (6, 9)
    refused(net("- layers:\n    - relu:\n      name: a\n    - tanh:\n      name: a\n  name: a"))
    assert len(names(net("- relu:\n  name: a\n- layers:\n    - relu:\n      name: a"))) == 2


def test_previous_at_the_start_of_a_list_is_what_entered_it() -> None:
    spec = net(
        """
        - relu
        - layers:
            - tanh:
              from: previous
        - add:
            x:
              - abs:
                from: previous
            y: []
        - sigmoid:
          from: previous
        """
    )
    assert inputs(spec) == [("input",), ("relu1",), ("tanh1",), ("add1.x.abs1", "tanh1"), ("add1",)]
    assert inputs(net("- relu:\n  from: previous")) == [("input",)]


def test_input_is_what_entered_the_enclosing_block() -> None:
    spec = blocked(
        "b:\n  layers:\n    - relu\n"
        "    - add:\n        x:\n          - tanh\n          - abs:\n            from: input\n        y: []\n"
        "    - layers:\n        - sigmoid:\n          from: input\n",
        "- mish\n- b\n- elu:\n  from: input",
    )
    assert dict(zip(names(spec), inputs(spec), strict=True)) == {
        "mish1": ("input",),
        "b1.relu1": ("mish1",),
        "b1.add1.x.tanh1": ("b1.relu1",),
        "b1.add1.x.abs1": ("mish1",),
        "b1.add1": ("b1.add1.x.abs1", "b1.relu1"),
        "b1.sigmoid1": ("mish1",),
        "elu1": ("input",),
    }


def test_in_each_copy_of_a_block_input_is_what_entered_that_copy() -> None:
    spec = blocked("b:\n  layers:\n    - relu\n    - add:\n      from: [input, previous]", "- b:\n  repeat: 2")
    assert inputs(spec) == [("input",), ("input", "b1.relu1"), ("b1.add1",), ("b1.add1", "b2.relu1")]


def test_named_inputs_are_visible_in_groups_and_branches() -> None:
    spec = net(
        "- relu:\n  from: a\n- layers:\n    - tanh:\n      from: b\n"
        "- concat:\n    x:\n      - abs:\n        from: a\n    y: []",
        head=TWO,
    )
    assert inputs(spec) == [("a",), ("b",), ("a",), ("abs1" if False else "concat1.x.abs1", "tanh1")]


@pytest.mark.parametrize("name", ["input", "previous", "a", "b"])
def test_what_names_a_value_names_no_item(name: str) -> None:
    blames(net(f"- relu:\n  from: a\n  name: «{name}", head=TWO))
    blames(net(f"- layers:\n    - relu:\n      name: «{name}\n  from: a", head=TWO))


def test_several_outputs() -> None:
    split = "- split: 3\n  name: s\n"
    assert inputs(net(f"{split}- relu:\n  from: s.2"))[1] == ("s.2",)
    assert inputs(net(f"{split}- concat"))[1] == ("s.0", "s.1", "s.2")
    assert inputs(net(f"{split}- concat:\n  from: s"))[1] == ("s.0", "s.1", "s.2")
    assert inputs(net(f"{split}- add:\n  from: [s.2, input, s.0]".replace("input", "s.1")))[1] == ("s.2", "s.1", "s.0")
    assert inputs(net(f"{split}- layers: [concat]"))[1] == ("s.0", "s.1", "s.2")


WRONG = """
relu:@  from: «s.3   relu:@  from: «s.x   relu:@  from: «s.-1   relu:@  from: [«s]   add:@  from: [s.0, «s]   «relu
«relu:@  from: s   «conv: {out_channels: 1, kernel_size: 1}   «add:@  from: s.0   «add:@  from: [s.1]
relu:@  from: «t.0   «relu:@  from: [s.0, s.1]   «maxpool: 2   «flatten   «add: [[], [relu]]   relu:@  from: «s.0.0
«batchnorm   «split: 2   relu:@  from: «s.00000   crop: {like: «s}   crop: {like: «s.3}   crop: {like: «zz}
"""
LATE = {"crop: {like: «s}", "crop: {like: «s.3}", "crop: {like: «zz}"}


@pytest.mark.parametrize("item", [x for x in listed(WRONG) if x not in LATE and x != "relu:@  from: «s.00000"])
def test_wrong_uses_of_several_outputs(item: str) -> None:
    blames(net("- relu:\n  name: t\n- split: 3\n  name: s\n- " + item.replace("@", "\n")))


@pytest.mark.parametrize("item", sorted(LATE))
def test_like_takes_a_reference_as_from_does(item: str) -> None:
    blames(net(f"- split: 3\n  name: s\n- relu:\n  from: s.0\n- {item}"), "S016")
    assert last(net("- maxpool: 2\n  name: s\n- upsample: 2\n- crop: {like: s}")) == (3, 4, 4)
    assert last(net("- maxpool: 2\n- upsample: 3\n- crop: {like: input}")) == (3, 8, 8)
    assert last(net("- split: 3\n  name: s\n- maxpool: 2\n  from: s.1\n- upsample: {like: s.2}")) == (1, 8, 8)


def test_automatic_names_cannot_be_used() -> None:
    assert "name" in complaint(net("- relu\n- tanh:\n  from: «relu1"), "S016")


def test_an_output_that_nothing_uses_is_a_finding() -> None:
    assert [d.code for d in plan(net("- relu:\n  name: a\n- tanh:\n  from: input")).diagnostics] == ["R401"]
    assert [d.code for d in plan(net("- split: 3\n  name: s\n- relu:\n  from: s.1")).diagnostics] == ["R401"]
    assert not [d for d in plan(net("- relu:\n  name: a\n- tanh")).diagnostics if d.code == "R401"]


OUTPUTS = "- relu:\n  name: a\n- split: 3\n  name: s\n- concat\n- tanh:\n  name: b\n- abs:\n  name: gone\n  if: false\n"


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ("", ["b"]),
        ("outputs: [b]", ["b"]),
        ("outputs: [a, b]", ["a", "b"]),
        ("outputs: [b, a]", ["b", "a"]),
        ("outputs: [s.1, a]", ["s.1", "a"]),
        ("outputs: [s]", ["s.0", "s.1", "s.2"]),
        ("outputs: [gone, a]", ["a"]),
    ],
)
def test_outputs(outputs: str, wanted: list[str]) -> None:
    assert list(plan(net(OUTPUTS, more=outputs) if outputs else net(OUTPUTS)).graph.outputs) == wanted


@pytest.mark.parametrize(
    "outputs",
    listed(
        "«[gone]   [«zz]   [«relu1]   [«concat1]   [a, «a]   "
        "[«input]   [«previous]   [«a.0]   [«3]   [«=a]   «a   «{a: 1}   [s, «s]"
    ),
)
def test_wrong_outputs(outputs: str) -> None:
    blames(net(OUTPUTS, more=f"outputs: {outputs}").replace("«[gone]", "[«gone]"))


@pytest.mark.parametrize("outputs", ["[s.0, «s]", "[s, «s.2]"])
def test_an_output_named_twice(outputs: str) -> None:
    blames(net(OUTPUTS, more=f"outputs: {outputs}"), "S016")


def test_names_of_several_outputs_of_a_block() -> None:
    spec = blocked(
        "b:\n  outputs: [y, total]\n  layers:\n    - relu:\n      name: y\n    - tanh:\n      name: total",
        "- b:\n  name: q\n- add:\n  from: [q.y, q.1]\n- abs:\n  from: q.total",
    )
    assert inputs(spec)[2:] == [("q.y", "q.total"), ("q.total",)]
    assert list(plan(spec.replace("layers:\n- b", "outputs: [q]\nlayers:\n- b")).graph.outputs) == ["q.y", "q.total"]


def test_nothing_is_left() -> None:
    blames(net("- «relu:\n  if: false"))
    blames(net("- relu:\n  if: false\n- «tanh:\n  repeat: 0"))


def test_outputs_are_not_empty() -> None:
    blames(net("- relu", more="outputs: «[]"), "Y912")
    blames(blocked("b: {outputs: «[], layers: [relu]}", "- b"), "Y912")
