"""Names of layers: given and automatic ones, what they may be, and that the source survives them."""

import ast
import keyword
from collections.abc import Sequence

import pytest
import torch
from torch import nn

import cnnplan
from cnnplan.runtime.interpreter import interpret
from tests.language.helpers import HEAD, blames, blocked, complaint, listed, names, net, plan
from tests.language.oracle import agrees, source

C = "conv: {out_channels: 3, kernel_size: 1}"


def same(text: str) -> None:
    """The source compiles, the built module has the plan's names, and computes what the plan says."""
    source(text)
    found = agrees(text)
    model = cnnplan.build(text).eval()
    modules = {name for name, _ in model.named_modules()}
    assert {node.path for node in found.graph.nodes if node.op.parameters(*node.shapes)} <= modules
    x = [torch.randn(2, *value.shape) for value in found.graph.inputs]
    with torch.no_grad():
        given = model(*x)
    given = [given] if isinstance(given, torch.Tensor) else list(given.values() if isinstance(given, dict) else given)
    for a, b in zip(given, interpret(found.graph, model, x), strict=True):
        torch.testing.assert_close(a, b)


# -------------------------------------------------------------------- automatic names


def test_kind_and_ordinal() -> None:
    assert names(net(f"- {C}\n- relu\n- {C}\n- tanh\n- relu\n- add: [[], []]")) == [
        "conv1", "relu1", "conv2", "tanh1", "relu2", "add1",
    ]  # fmt: skip


def test_what_is_left_out_does_not_count() -> None:
    assert names(net("- relu:\n  if: false\n- relu\n- relu:\n  repeat: 0\n- relu")) == ["relu1", "relu2"]


def test_named_items_do_not_count() -> None:
    assert names(net("- relu\n- relu:\n  name: a\n- relu")) == ["relu1", "a", "relu2"]


def test_a_group_without_a_name_adds_no_part() -> None:
    spec = net("- relu\n- layers: [relu, tanh, layers: [relu, tanh]]\n- relu")
    assert names(spec) == ["relu1", "relu2", "tanh1", "relu3", "tanh2", "relu4"]


def test_a_named_group_counts_for_itself() -> None:
    assert names(net("- relu\n- layers: [relu, layers: [relu]]\n  name: g\n- relu")) == [
        "relu1", "g.relu1", "g.relu2", "relu2",
    ]  # fmt: skip


def test_a_branch_adds_its_name() -> None:
    assert names(net("- add:\n    body: [relu, relu]\n    skip: [relu]\n- add: [[], [relu], [relu]]")) == [
        "add1.body.relu1", "add1.body.relu2", "add1.skip.relu1", "add1", "add2.1.relu1", "add2.2.relu1", "add2",
    ]  # fmt: skip


def test_copies_without_a_name_are_ordinals() -> None:
    assert names(net("- relu\n- relu:\n  repeat: 2\n- relu")) == ["relu1", "relu2", "relu3", "relu4"]
    assert names(net("- layers: [relu, tanh]\n  repeat: 2\n- relu")) == ["relu1", "tanh1", "relu2", "tanh2", "relu3"]


def test_copies_of_a_named_item_are_numbered() -> None:
    assert names(net("- relu:\n  name: a\n  repeat: 2")) == ["a.0", "a.1"]
    assert names(net("- relu:\n  name: a\n  repeat: 1")) == ["a.0"]
    assert names(net("- layers: [relu, tanh]\n  name: g\n  repeat: 2")) == [
        "g.0.relu1", "g.0.tanh1", "g.1.relu1", "g.1.tanh1",
    ]  # fmt: skip
    assert names(net("- add: [[], [relu]]\n  name: m\n  repeat: 2")) == ["m.0.1.relu1", "m.0", "m.1.1.relu1", "m.1"]


def test_copies_that_are_left_out_are_not_numbered() -> None:
    assert names(net("- relu:\n  name: a\n  repeat: 4\n  if: =index % 2 == 1")) == ["a.0", "a.1"]


def test_a_named_item_in_the_copies_of_a_group() -> None:
    spec = net(f"- layers:\n    - {C}\n      name: a\n    - relu\n  repeat: 2")
    assert names(spec) == ["a.0", "relu1", "a.1", "relu2"]
    same(spec)
    named = net(f"- layers:\n    - {C}\n      name: a\n    - relu\n  repeat: 2\n  name: g")
    assert names(named) == ["g.0.a", "g.0.relu1", "g.1.a", "g.1.relu1"]
    same(named)
    once = net(f"- layers:\n    - {C}\n      name: a\n  repeat: 1")
    assert names(once) == ["a.0"]
    same(once)


def test_a_repeat_in_a_repeat() -> None:
    spec = net(f"- layers:\n    - {C}\n      name: a\n      repeat: 2\n    - relu\n  repeat: 2")
    assert names(spec) == ["a.0", "a.1", "relu1", "a.2", "a.3", "relu2"]
    same(spec)


def test_blocks_in_blocks() -> None:
    spec = blocked(
        f"a: {{layers: [{C}, relu, {C}]}}\nb:\n  layers:\n    - a\n    - a:\n      name: z\n    - a",
        "- b\n- b:\n  name: q\n  repeat: 2\n- a",
    )
    found = names(spec)
    assert found[:9] == [f"b1.{part}.{layer}" for part in ("a1", "z", "a2") for layer in ("conv1", "relu1", "conv2")]
    assert found[9] == "q.0.a1.conv1"
    assert found[-1] == "a1.conv2"
    same(spec)


def test_names_do_not_change_when_layers_are_added_elsewhere() -> None:
    block = f"b: {{layers: [{C}, relu]}}"
    few = blocked(block, "- b\n- relu\n- add:\n    x: [b, relu]\n    y: []")
    many = blocked(block, "- tanh\n- b\n- relu\n- softplus\n- add:\n    x: [b, tanh, relu]\n    y: [relu]\n- b")
    assert set(names(few)) <= set(names(many))


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ("- relu:\n  name: relu1\n- relu", ["relu1", "relu1_2"]),
        ("- relu\n- tanh:\n  name: relu1", ["relu1_2", "relu1"]),
        ("- relu\n- relu\n- tanh:\n  name: relu2", ["relu1", "relu2_2", "relu2"]),
        ("- relu:\n  name: relu1\n- relu:\n  name: relu1_2\n- relu", ["relu1", "relu1_2", "relu1_3"]),
        ("- layers: [relu]\n  name: relu1\n- relu", ["relu1.relu1", "relu1_2"]),
        ("- layers:\n    - tanh:\n      name: relu1\n- relu", ["relu1", "relu1_2"]),
        ("- tanh:\n  name: relu1\n  repeat: 2\n- relu", ["relu1.0", "relu1.1", "relu1_2"]),
        ("- tanh:\n  name: relu1\n  if: false\n- relu", ["relu1_2"]),
    ],
)
def test_where_names_clash(layers: str, wanted: list[str]) -> None:
    assert names(net(layers)) == wanted
    same(net(layers))


def test_all_names_are_different() -> None:
    spec = net(
        f"""
        - layers:
            - {C}
              name: conv1
            - {C}
            - layers:
                - {C}
                  name: conv1
                - {C}
                  name: conv2
              repeat: 2
          repeat: 2
        - {C}
          name: conv3
        - layers:
            - {C}
              name: conv3
        """
    )
    assert len(set(names(spec))) == len(names(spec)) == 14
    same(spec)


@pytest.mark.parametrize("word", ["unit0", "stage_0", "x00"])
def test_a_block_whose_name_ends_in_zero(word: str) -> None:
    same(blocked(f"{word}: {{layers: [{C}, relu]}}", f"- {word}:\n  repeat: 3"))


@pytest.mark.parametrize("word", ["unit1", "stage_2", "x10", "v2_", "relu1"])
def test_a_block_whose_name_ends_in_a_digit(word: str) -> None:
    same(blocked(f"{word}: {{layers: [{C}, relu]}}", f"- {word}:\n  repeat: 3\n- relu\n- relu"))


# -------------------------------------------------------------------- what a name may be


REFUSED = listed(
    """
    class   None   True   lambda   async   import   else   when   over   1a   ''   a-b   a b   a.b   é   __init__
    __class__   __x   forward   train   eval   half   type   to   parameters   training   append   keys   _modules
    _parameters   extra_repr   T_destination   input   previous   'a"b'   "a'b"   a(b)   "a\\nb"   'import os'   a;b
    '{a}'   '#'   'a[0]'   x=1   'self.a'   日本   𝐚   ªb   ²"""
)
PLACES = {
    "an operation": "- tanh\n- relu:\n  name: «@",
    "a group": "- layers: [relu]\n  name: «@",
    "a merge": "- add: [[], [relu]]\n  name: «@",
    "a repeat": "- relu:\n  name: «@\n  repeat: 2",
    "a branch": "- add: {«@: [relu], zz: []}",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_is_called(name: str, place: str) -> None:
    blames(net(PLACES[place].replace("@", name)), "Y914")


def test_all_keywords_and_members_of_modules() -> None:
    members = [m for m in dir(nn.Sequential()) if not m.startswith("__")]
    for words in batched((*keyword.kwlist, *members), 50):
        blames(net("".join(f"- relu:\n  name: «'{name}'\n" for name in words)), "Y914")


def batched(words: Sequence[str], size: int) -> list[Sequence[str]]:
    return [words[start : start + size] for start in range(0, len(words), size)]


def test_what_has_no_module_may_be_called_like_a_member() -> None:
    items = "- split: 3\n  name: half\n- add:\n  from: [half.0, half.2]\n  name: train\n- relu\n- add:\n"
    spec = net(f"{items}  from: [train, previous]")
    same(spec)
    assert names(spec) == ["half", "train", "relu1", "add1"]


def test_sixty_characters_and_one_more() -> None:
    for text in (
        "cnnplan: 1\nname: «@\ninput: [3]\nlayers: [relu]\n",
        net("- relu:\n  name: «@"),
        net("- layers: [relu]\n  name: «@"),
        net("- add: {«@: [relu], b: []}"),
        net("- relu:\n  repeat: {«@: 2}"),
        net("- relu", more="variables: {«@: 2}"),
        blocked("«@: {layers: [relu]}", "- relu"),
        blocked("b: {params: {«@: 2}, layers: [relu]}", "- b"),
        "cnnplan: 1\nname: n\ninputs: {«@: [3], b: [3]}\nlayers: [{relu: , from: b}]\n",
    ):
        assert "60 characters" in complaint(text.replace("@", "a" * 61), "Y914")
        assert plan(text.replace("«", "").replace("@", "a" * 60)).layers


@pytest.mark.parametrize(
    "text",
    [
        net("- relu:\n  name: «class\n- tanh\n- add:\n  from: [class, previous]"),
        net("- relu:\n  repeat: {«class: 2}\n  if: =class > 0"),
        net("- relu:\n  if: =class > 0", more="variables: {«class: 2}"),
        "cnnplan: 1\nname: n\ninputs: {«class: [3], b: [3]}\nlayers: [{add: , from: [class, b]}]\n",
        net("- relu:\n  name: «class", more="outputs: [class]"),
    ],
    ids=["name", "counter", "variable", "input", "output"],
)
def test_a_refused_name_is_one_error(text: str) -> None:
    blames(text, "Y914")


# -------------------------------------------------------------------- names that the source uses itself


INNER = listed(
    """
    torch   nn   F   Tensor   checkpoint   initialize   x   _   y   i   j   k   n   Net   Add   Concat   self   super
    range   getattr   print   exec   open   module   weight   bias   forward_   match   case   object   int   tuple   x0
    s_0   run_a   a_   conv1_pad   linear1_flatten   in_channels   get   core"""
)
CARRIERS = {
    "an operation": f"- {C}\n  name: @\n- relu\n- add:\n  from: [@, previous]",
    "an expression": "- tanh\n- add:\n  from: [previous, input]\n  name: @\n- relu\n- add:\n  from: [@, previous]",
    "several values": "- split: 3\n  name: @\n- concat:\n  from: [@.0, @.2]\n- permute: [0, 2, 1]",
    "a group": f"- layers:\n    - {C}\n      name: b\n    - relu\n    - add:\n      from: [previous, b]\n  name: @\n"
    "- relu\n- add:\n  from: [@, previous]",
    "copies": f"- {C}\n  name: @\n  repeat: 3\n- relu\n- add:\n  from: [@, previous]",
    "in copies": f"- layers:\n    - {C}\n      name: @\n    - relu\n    - add:\n      from: [@, previous]\n  repeat: 3",
    "a branch": f"- relu:\n  name: b\n- add:\n    @: [{C}, relu]\n    zz: [{{add: , from: [b, previous]}}]",
    "a merge": f"- add: [[{C}], [tanh]]\n  name: @\n- relu\n- add:\n  from: [@, previous]",
    "recomputed": f"- {C}\n  name: @\n- layers: [relu, {{add: , from: [@, previous]}}]\n  checkpoint: true\n  name: zz",
    "of its own": f"- layers: [{C}, relu]\n  name: @\n  checkpoint: true\n- relu\n- add:\n  from: [@, previous]",
}


@pytest.mark.parametrize("where", CARRIERS)
def test_names_that_the_source_uses_itself(where: str) -> None:
    for name in INNER:
        spec = net(CARRIERS[where].replace("@", name))
        try:
            same(spec)
        except Exception as error:
            raise AssertionError(f"{error}\n{spec}") from error


@pytest.mark.parametrize("name", [n for n in INNER if n not in ("x0", "s_0", "checkpoint")])
def test_names_of_blocks_inputs_and_networks_that_the_source_uses(name: str) -> None:
    block = f"""
        {name}:
          inputs: [{name}, bb]
          params: {{p: 3}}
          outputs: [out, {name}]
          layers:
            - conv: {{out_channels: =p, kernel_size: 1}}
              from: {name}
              name: out
            - add:
              from: [bb, out]
        """
    head = f"cnnplan: 1\nname: {name}\ninputs: {{{name}: [3, 8, 8], cc: [3, 8, 8]}}\n"
    use = f"- {name}:\n  from: [{name}, cc]\n- {name}: {{p: 3}}\n  name: zz\n- subtract:\n  from: [{name}, cc]"
    same(blocked(block, use, head=head))


@pytest.mark.parametrize("where", [w for w in CARRIERS if w not in ("in copies", "of its own")])
def test_names_of_sixty_characters(where: str) -> None:
    for letter in ("a", "Z", "_"):
        same(net(CARRIERS[where].replace("@", "a" + letter * 59)))


@pytest.mark.parametrize(("where", "length"), [("in copies", 22), ("in copies", 30), ("of its own", 60)])
def test_long_names_in_long_statements(where: str, length: int) -> None:
    same(net(CARRIERS[where].replace("@", "a" * length)))


def test_long_names_everywhere_at_once() -> None:
    long = ["a" * 59 + c for c in "abcdefgh"]
    block = f"""
        {long[0]}:
          params: {{{long[1]}: int, {long[2]}: =2 * {long[1]}}}
          layers:
            - add:
                {long[3]}:
                  - conv: {{out_channels: ={long[2]}, kernel_size: 1}}
                    name: {long[4]}
                  - conv: {{out_channels: ={long[1]}, kernel_size: 1}}
                {long[5]}: []
              name: {long[6]}
        """
    same(blocked(block, f"- {long[0]}: 3\n  name: {long[7]}\n  repeat: 3", head=HEAD.replace("net", long[7])))


# -------------------------------------------------------------------- nothing of a spec runs


def test_the_source_holds_nothing_but_a_model() -> None:
    """Whatever the names: imports of torch, functions, classes, and no call outside of them."""
    for name in INNER:
        spec = net(f"- {C}\n  name: {name}\n- relu", head=HEAD.replace("net", name))
        tree = ast.parse(source(spec))
        kinds = [type(statement).__name__ for statement in tree.body]
        assert kinds[0] == "Expr"
        assert set(kinds[1:]) <= {"Import", "ImportFrom", "FunctionDef", "ClassDef"}
        assert isinstance(tree.body[0].value, ast.Constant)


@pytest.mark.parametrize("code", ['\'a"""\\nimport os\'', "'a b'", "a.b", "'a(1)'", "'a:pass'", "é", "class", "''"])
def test_code_as_a_name_of_the_network(code: str) -> None:
    blames(f"cnnplan: 1\nname: «{code}\ninput: [3]\nlayers: [relu]\n", "Y914")
