"""Blocks: params, several inputs and outputs, nesting, recursion, and those that are built in."""

import pytest
import torch

import cnnplan
from cnnplan.blocks import builtin_names
from cnnplan.runtime.interpreter import interpret
from tests.language.helpers import blames, blocked, complaint, last, listed, names, net, plan, refused, shapes
from tests.language.oracle import agrees

WIDE = "w: {params: {out_channels: int}, layers: [conv: {out_channels: =out_channels, kernel_size: 1}]}"
CROSS = """\
cross:
  inputs: [x, skip]
  outputs: [y, total]
  layers:
    - conv: {out_channels: 3, kernel_size: 1}
      from: x
      name: y
    - add:
      from: [y, skip]
      name: total
"""


def width(params: str, item: str, out: str = "=n", more: str = "") -> int:
    """The channels that a block of one convolution gives."""
    blocks = f"b: {{params: {params}, layers: [conv: {{out_channels: {out}, kernel_size: 1}}]}}"
    text = blocked(blocks, f"- {item}")
    return last(text.replace("blocks:", f"{more}\nblocks:") if more else text)[0]


def inputs(text: str) -> dict[str, tuple[str, ...]]:
    return {layer.name: layer.inputs for layer in plan(text).layers}


def same(text: str) -> None:
    """The built module computes what the plan says, layer by layer."""
    found = agrees(text)
    model = cnnplan.build(text).eval()
    x = [torch.randn(2, *value.shape) for value in found.graph.inputs]
    with torch.no_grad():
        given = model(*x)
    wanted = interpret(found.graph, model, x)
    given = [given] if isinstance(given, torch.Tensor) else list(given.values() if isinstance(given, dict) else given)
    for a, b in zip(given, wanted, strict=True):
        torch.testing.assert_close(a, b)


# -------------------------------------------------------------------- params


@pytest.mark.parametrize(
    ("params", "item", "wanted"),
    [
        ("{n: int}", "b: 4", 4),
        ("{n: int}", "b: {n: 4}", 4),
        ("{n: int}", "b: =2 * 2", 4),
        ("{n: 4}", "b", 4),
        ("{n: 4}", "b: 5", 5),
        ("{n: 4}", "b: {}", 4),
        ("{n: 4}", "b:", 4),
        ("{m: 2, n: =2 * m}", "b", 4),
        ("{m: 2, n: =2 * m}", "b: 3", 6),
        ("{m: 2, n: =2 * m}", "b: {n: 3}", 3),
        ("{m: int, n: =2 * m, o: =m + n}", "b: 2", 4),
        ("{n: =in_channels + 2}", "b", 5),
        ("{n: '=in_size[1] // 2'}", "b", 4),
        ("{m: 3, n: int}", "b: {n: 4}", 4),
    ],
)
def test_params_and_defaults(params: str, item: str, wanted: int) -> None:
    assert width(params, item) == wanted


def test_an_argument_may_ask_about_what_enters() -> None:
    assert width("{n: int}", "b: =in_channels * 3") == 9


def test_defaults_see_the_variables_and_a_param_hides_one() -> None:
    variables = "variables: {n: 4, k: 2}"
    assert width("{m: =n * k}", "b", "=m", variables) == 8
    assert width("{n: =n + 1}", "b", "=n", variables) == 5
    assert width("{n: 9}", "b", "=n", variables) == 9
    assert width("{m: 1}", "b: =n", "=m + n", variables) == 8


def test_in_channels_of_a_default_is_that_where_the_block_begins() -> None:
    spec = blocked(
        "b:\n  params: {inputs: =in_channels}\n  layers:\n    - conv: {out_channels: 8, kernel_size: 1}\n"
        "    - conv: {out_channels: =inputs + in_channels, kernel_size: 1}",
        "- b:\n  repeat: 2",
    )
    assert [shape[0] for shape in shapes(spec)] == [8, 11, 8, 19]


def test_of_several_inputs_in_channels_is_the_first_ones() -> None:
    spec = blocked(
        "b:\n  inputs: [x, y]\n  params: {n: =in_channels}\n  layers:\n"
        "    - conv: {out_channels: =n, kernel_size: 1}\n      from: y",
        "- conv: {out_channels: 5, kernel_size: 1}\n  name: five\n- b:\n  from: [five, input]",
    )
    assert last(spec) == (5, 8, 8)


TYPED = """
int 3   int -3   float 3   float 0.5   bool true   bool false   str half   str ''   str '3'   list [1]   list []
float 1e-3   str true_   list [[1], two]   str on
"""
MISTYPED = """
int 3.0   int true   int '3'   int [3]   float true   float '1'   float x   bool 1   bool 0   bool 'true'   bool x
str 3   str true   str [a]   str 1.5   list 3   list x   int {a: 1}   list {a: 1}   bool {a: 1}
"""


@pytest.mark.parametrize("case", listed(TYPED))
def test_types(case: str) -> None:
    kind, value = case.split(" ", 1)
    assert names(blocked(f"b: {{params: {{p: {kind}}}, layers: [relu]}}", f"- b: {{p: {value}}}")) == ["b1.relu1"]


@pytest.mark.parametrize("case", listed(MISTYPED))
def test_values_of_another_type(case: str) -> None:
    kind, value = case.split(" ", 1)
    spec = blocked(f"b: {{params: {{p: {kind}}}, layers: [relu]}}", f"- b: {{p: «{value}}}")
    said = complaint(spec, "Y911")
    assert "'p'" in said
    assert f"type {kind}" in said


def test_a_default_does_not_fix_the_type() -> None:
    assert width("{p: 3}", "b: {p: same}", out="=4 if p == 'same' else 5") == 4
    assert width("{p: half}", "b: [1, 2]", out='"=p[1]"') == 2


@pytest.mark.parametrize("kind", ["int", "float", "bool", "str", "list"])
def test_a_type_in_quotes_is_a_text(kind: str) -> None:
    assert width(f"{{p: '{kind}'}}", "b", out="=len(p)") == len(kind)


@pytest.mark.parametrize(
    "params",
    listed(
        "{«p: }   {«p: ~}   {«3: int}   {«index: 1}   {«in_channels: 1}   {«in_size: 1}   {«true: 1}   {«'true': 1}   "
        "{«class: 1}   {«'a b': 1}   {«a.b: 1}   {«é: 1}   {«else: 1}   {«__p: 1}   «[p]   «3   «p"
    ),
)
def test_params_that_cannot_be(params: str) -> None:
    blames(blocked(f"b: {{params: {params}, layers: [relu]}}", "- b"))


@pytest.mark.parametrize(
    ("params", "item", "code"),
    [
        ("{n: int}", "«b", "Y912"),
        ("{n: int}", "«b: {}", "Y912"),
        ("{n: int}", "b: {«m: 3}", "Y901"),
        ("{n: 3}", "b: {n: 4, «kernel: 3}", "Y901"),
        ("{}", "b: «3", "Y901"),
        ("{}", "b: {«n: 3}", "Y901"),
        ("{}", "b: «[1]", "Y901"),
        ("{n: 3}", "b: {n: =«m}", "Y915"),
        ("{n: 3}", "b: =«1 / 0", "Y915"),
    ],
)
def test_arguments_that_do_not_fit(params: str, item: str, code: str) -> None:
    blames(blocked(f"b: {{params: {params}, layers: [relu]}}", f"- {item}"), code)


def test_a_wrong_param_and_the_missing_one_beside_it() -> None:
    """One slip of the keyboard: the help names what is missing, and nothing else is blamed."""
    assert "; known here: n;" in complaint(blocked("b: {params: {n: int}, layers: [relu]}", "- b: {«m: 3}"), "Y901")


def test_a_missing_param_is_named_with_its_type() -> None:
    said = complaint(blocked("b: {params: {depth: int, n: 3}, layers: [relu]}", "- «b: {n: 2}"), "Y912")
    assert "`depth` (int)" in said


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("{n: =«m, m: 2}", "Y915"),
        ("{n: =«n}", "Y915"),
        ("{n: =«index}", "Y915"),
        ("{n: =«1 // 0}", "Y915"),
        ("{n: =2 «+}", "Y915"),
        ("{n: =«in_size + 1}", "Y915"),
    ],
)
def test_defaults_that_fail(params: str, code: str) -> None:
    blames(blocked(f"b: {{params: {params}, layers: [relu]}}", "- b"), code)


def test_a_default_that_is_not_needed_may_fail() -> None:
    """It is evaluated where the block is used without it, and nowhere else."""
    assert width("{n: =12 // (in_channels - 3)}", "b: 5") == 5
    blames(blocked("b: {params: {n: =«12 // (in_channels - 3)}, layers: [relu]}", "- b: 5\n- b"), "Y915")


@pytest.mark.parametrize(
    "name", ["self", "x", "torch", "nn", "F", "range", "super", "module", "in_features", "forward"]
)
def test_a_param_may_have_any_name(name: str) -> None:
    """In blocks whose class keeps the param, and has a `forward`."""
    block = f"""
        b:
          params: {{{name}: int}}
          layers:
            - conv: {{out_channels: ={name}, kernel_size: 1}}
              name: a
            - conv: {{out_channels: =2 * {name}, kernel_size: 1}}
            - concat:
              from: [a, previous, input]
        """
    same(blocked(block, f"- b: 3\n- b: 4\n- b: {{{name}: 5}}"))


def test_one_param_is_a_number_in_one_use_and_a_list_in_another() -> None:
    conv = "conv: {out_channels: 3, kernel_size: =k, padding: half, stride: =s}"
    blocks = (
        f"b: {{params: {{k: 3, s: 1}}, layers: [{conv}]}}\nu: {{params: {{s: 1}}, layers: [b: {{k: [1, 2], s: =s}}]}}"
    )
    same(blocked(blocks, "- b\n- u\n- u: 2\n- b: {s: 2}"))


# -------------------------------------------------------------------- what a block sees


@pytest.mark.parametrize(
    ("layers", "item"),
    [
        ("conv: {out_channels: =«k, kernel_size: 1}", "b:\n  repeat: {k: 2}"),
        ("conv: {out_channels: =«index + 1, kernel_size: 1}", "b:\n  repeat: 2"),
        ("conv: {out_channels: =«p, kernel_size: 1}", "outer: 3"),
    ],
)
def test_a_block_sees_nothing_of_its_caller(layers: str, item: str) -> None:
    spec = blocked(f"b: {{layers: [{layers}]}}\nouter: {{params: {{p: int}}, layers: [b]}}", f"- {item}")
    blames(spec, "Y915")


def test_an_argument_sees_the_callers_counter() -> None:
    assert [s[0] for s in shapes(blocked(WIDE, "- w: =index + 1\n  repeat: 3"))] == [1, 2, 3]
    assert [s[0] for s in shapes(blocked(WIDE, "- w: {out_channels: =k + 2}\n  repeat: {k: 2}"))] == [2, 3]


def test_a_counter_inside_may_have_the_callers_counters_name() -> None:
    block = "b: {layers: [{conv: {out_channels: =k + 1, kernel_size: 1}, repeat: {k: 2}}]}"
    assert [s[0] for s in shapes(blocked(block, "- b:\n  repeat: {k: 2}"))] == [1, 2, 1, 2]


def test_a_counter_may_not_be_called_like_a_param() -> None:
    block = "b: {params: {k: 2}, layers: [{relu: , repeat: {«k: 2}}]}".replace("«k: 2", "k: «2")
    blames(blocked(block, "- b"), "Y914")


def test_names_inside_may_be_those_outside() -> None:
    block = "b:\n  layers:\n    - relu:\n      name: a\n    - tanh\n    - abs:\n      from: a"
    spec = blocked(block, "- mish:\n  name: a\n- b\n- elu:\n  from: a")
    assert inputs(spec)["b1.abs1"] == ("b1.a",)
    assert inputs(spec)["elu1"] == ("a",)


# -------------------------------------------------------------------- several values


def test_inputs_and_outputs_by_name() -> None:
    spec = blocked(
        CROSS, "- relu:\n  name: r\n- cross:\n  from: [input, r]\n  name: q\n- subtract:\n  from: [q.total, q.0]"
    )
    assert inputs(spec) == {
        "r": ("input",),
        "q.y": ("input",),
        "q.total": ("q.y", "r"),
        "subtract1": ("q.total", "q.y"),
    }
    same(spec)


def test_an_item_with_several_outputs_passes_all_on() -> None:
    spec = blocked(CROSS, "- relu:\n  name: r\n- cross:\n  from: [input, r]\n- cross\n- layers: [cross]\n- add")
    assert inputs(spec)["add1"] == ("cross3.y", "cross3.total")
    assert inputs(spec)["cross2.total"] == ("cross2.y", "cross1.total")
    same(spec)


def test_repeat_feeds_outputs_to_inputs() -> None:
    spec = blocked(CROSS, "- relu:\n  name: r\n- cross:\n  from: [input, r]\n  repeat: 3\n  name: q\n- add")
    assert inputs(spec)["q.2.y"] == ("q.1.y",)
    assert inputs(spec)["q.2.total"] == ("q.2.y", "q.1.total")
    same(spec)


@pytest.mark.parametrize(
    "item",
    listed(
        "«relu   «cross:@  from: r   «cross:@  from: [r]   «cross:@  from: [r, r, r]   relu:@  from: «q.z   "
        "relu:@  from: «q.2   relu:@  from: [«q]   «conv: {out_channels: 1, kernel_size: 1}   relu:@  from: «q.skip   "
        "relu:@  from: «q.y.0"
    ),
)
def test_wrong_counts_and_parts(item: str) -> None:
    layers = f"- relu:\n  name: r\n- cross:\n  from: [input, r]\n  name: q\n- {item}".replace("@", "\n")
    blames(blocked(CROSS, layers))


def test_a_part_that_is_not_there_lists_those_there_are() -> None:
    layers = "- relu:\n  name: r\n- cross:\n  from: [input, r]\n  name: q\n- relu:\n  from: «q.z"
    said = complaint(blocked(CROSS, layers), "S016")
    assert "q.y" in said
    assert "q.total" in said


def test_one_named_output_is_a_part_too() -> None:
    block = "b:\n  outputs: [y]\n  layers:\n    - relu:\n      name: y\n    - tanh"
    for reference in ("q", "q.y", "q.0"):
        assert inputs(blocked(block, f"- b:\n  name: q\n- mish:\n  from: {reference}"))["mish1"] == ("q.y",)


def test_outputs_of_a_block_are_items_in_it_or_its_inputs() -> None:
    block = "b:\n  inputs: [x, z]\n  outputs: [z, y]\n  layers:\n    - relu:\n      from: x\n      name: y"
    spec = blocked(block, "- tanh:\n  name: t\n- b:\n  from: [input, t]\n- subtract")
    assert inputs(spec)["subtract1"] == ("t", "b1.y")
    same(spec)


@pytest.mark.parametrize("outputs", listed("[«zz]   [«relu1]   [y, «y.0]   [«3]   [«=y]   «y   «{y: 1}   [y, «gone]"))
def test_wrong_outputs(outputs: str) -> None:
    block = f"b:\n  outputs: {outputs}\n  layers:\n    - relu:\n      name: y\n    - relu"
    blames(blocked(block, "- b"))


def test_an_output_named_twice() -> None:
    block = "b:\n  outputs: [y, «y]\n  layers:\n    - relu:\n      name: y"
    blames(blocked(block, "- b\n- add"), "S016")


def test_outputs_that_are_left_out() -> None:
    block = "b:\n  outputs: [y, z]\n  layers:\n    - relu:\n      name: y\n    - tanh:\n      name: z\n      if: false"
    assert inputs(blocked(block, "- b:\n  name: q\n- abs:\n  from: q.y"))["abs1"] == ("q.y",)
    blames(blocked(block, "- b:\n  name: q\n- abs:\n  from: «q.z"), "S016")
    blames(blocked(block.replace("[y, z]", "[«z]"), "- b"), "S016")


@pytest.mark.parametrize(
    "names_",
    listed("[«input, y]   [«previous, y]   [x, «x]   [«class, y]   [x, «'a b']   [«3, y]   [«~, y]   «x   «{x: [3]}"),
)
def test_names_of_inputs_that_cannot_be(names_: str) -> None:
    found = refused(blocked(f"b: {{inputs: {names_.replace('«', '')}, layers: [{{relu: , from: x}}]}}", "- tanh"))
    text = blocked(f"b: {{inputs: {names_}, layers: [{{relu: , from: x}}]}}", "- tanh")
    line, column = text[: text.index("«")].count("\n") + 1, text.index("«") - text.rfind("\n", 0, text.index("«"))
    assert found[0].start == (line, column)


def test_the_first_item_of_a_block_with_inputs_says_from() -> None:
    said = complaint(blocked("b: {inputs: [x, y], layers: [«relu]}", "- tanh"), "S016")
    assert "from: x" in said
    blames(blocked("b: {inputs: [x, y], layers: [{relu: , from: «input}]}", "- split: [1, 2]\n- b"), "S016")


def test_inputs_are_visible_in_groups_and_branches_of_the_block() -> None:
    block = """
        b:
          inputs: [x, y]
          layers:
            - layers:
                - relu:
                  from: y
              from: x
              name: g
            - add:
                p:
                  - tanh:
                    from: x
                q: []
        """
    spec = blocked(block, "- relu:\n  name: r\n- b:\n  from: [r, input]")
    assert inputs(spec)["b1.g.relu1"] == ("input",)
    assert inputs(spec)["b1.add1.p.tanh1"] == ("r",)
    same(spec)


def test_one_value_for_two_inputs() -> None:
    block = "b:\n  inputs: [x, y]\n  layers:\n    - subtract:\n      from: [x, y]"
    same(blocked(block, "- relu:\n  name: r\n- tanh:\n  name: t\n- b:\n  from: [r, r]\n- b:\n  from: [previous, t]"))


def test_one_value_for_two_inputs_after_two() -> None:
    block = "b:\n  inputs: [x, y]\n  layers:\n    - subtract:\n      from: [x, y]"
    same(
        blocked(
            block, "- relu:\n  name: r\n- tanh:\n  name: t\n- b:\n  from: [r, t]\n- b:\n  from: [previous, previous]"
        )
    )


# -------------------------------------------------------------------- nesting and recursion


def test_blocks_use_blocks_whatever_the_order() -> None:
    outer = "outer: {params: {n: int}, layers: [w: =n, w: {out_channels: =2 * n}]}"
    for blocks in (f"{WIDE}\n{outer}", f"{outer}\n{WIDE}"):
        spec = blocked(blocks, "- outer: 4\n- outer: 5\n  repeat: 2\n  name: z")
        assert names(spec)[:3] == ["outer1.w1.conv1", "outer1.w2.conv1", "z.0.w1.conv1"]
        assert [s[0] for s in shapes(spec)] == [4, 8, 5, 10, 5, 10]
        same(spec)


@pytest.mark.parametrize(
    "blocks",
    [
        "a: {layers: [«a]}",
        "a: {layers: [relu, {«a: , if: false}]}",
        "a: {layers: [relu, {«a: , repeat: 0}]}",
        "a: {layers: [add: [[«a], []]]}",
        "a: {layers: [add: [[], {layers: [«a], if: false}]]}",
        "a: {layers: [layers: [«a]]}",
        "a: {layers: [b]}\nb: {layers: [«a]}",
        "a: {layers: [b]}\nb: {layers: [c]}\nc: {layers: [relu, «a]}",
        "a: {layers: [b, b]}\nb: {layers: [«a]}",
        "separable_conv: {params: {n: int}, layers: [«separable_conv: =n]}",
        "conv: {params: {n: int}, layers: [«conv: =n]}",
    ],
)
@pytest.mark.parametrize("item", ["a", "relu"])
def test_recursion(blocks: str, item: str) -> None:
    if not blocks.startswith("a:"):
        item = "relu"
    said = complaint(blocked(blocks, f"- {item}"), "Y916")
    assert "repeat" in said
    assert "→" in said


@pytest.mark.parametrize(
    "blocks",
    [
        "a: {layers: [«a, b]}\nb: {layers: [a, b]}",
        "a: {layers: [b, c]}\nb: {layers: [c]}\nc: {layers: [«b, a]}",
    ],
)
def test_circles_that_share_a_block(blocks: str) -> None:
    found = refused(blocked(blocks, "- a").replace("«", ""))
    assert {d.code for d in found} == {"Y916"}


def test_lists_are_nested_sixty_deep_at_most() -> None:
    chain = ["b0: {layers: [relu]}", *(f"b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 71))]
    assert last(blocked("\n".join(chain), "- b58")) == (3, 8, 8)
    (found,) = refused(blocked("\n".join(chain), "- b70"))
    assert found.code == "Y910"
    assert found.start


def test_the_order_of_blocks_does_not_matter() -> None:
    chain = ["b0: {layers: [relu]}", *(f"b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 71))]
    for order in (chain, chain[::-1]):
        assert last(blocked("\n".join(order), "- b58")) == (3, 8, 8)


def test_a_long_chain_of_blocks() -> None:
    chain = ["b0: {layers: [relu]}", *(f"b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 900))]
    assert "Y910" in [d.code for d in refused(blocked("\n".join(chain), "- b899"))]


def test_a_long_chain_of_blocks_is_one_error() -> None:
    chain = [f"b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 300)][::-1]
    assert len(refused(blocked("\n".join([*chain, "b0: {layers: [relu]}"]), "- b299"))) == 1


# -------------------------------------------------------------------- names of blocks


def test_a_block_may_carry_an_operations_name() -> None:
    spec = blocked("conv: {params: {n: 4}, layers: [linear: =n]}", "- flatten\n- conv\n- conv: {n: 6}")
    assert names(spec)[1:] == ["conv1.linear1", "conv2.linear1"]
    same(spec)


def test_a_block_may_carry_a_built_in_blocks_name() -> None:
    spec = blocked("bottleneck: {layers: [tanh]}", "- bottleneck\n- separable_conv: 4")
    assert names(spec) == ["bottleneck1.tanh1", "separable_conv1.depthwise_conv1", "separable_conv1.conv1"]


def test_built_in_blocks_keep_the_operations() -> None:
    spec = blocked("conv: {layers: [relu]}\nbatchnorm: {layers: [relu]}", "- conv_bn_relu: 4\n- conv\n- batchnorm")
    assert [layer.op for layer in plan(spec).layers] == ["conv", "batchnorm", "relu", "relu", "relu"]
    same(spec)


@pytest.mark.parametrize(
    "name",
    listed(
        "add   multiply   concat   subtract   maximum   mean   layers   share   name   repeat   trainable   checkpoint"
    ),
)
def test_parts_of_the_language_are_no_names_of_blocks(name: str) -> None:
    assert "part of the language" in complaint(blocked(f"«{name}: {{layers: [relu]}}", "- relu"), "Y914")


@pytest.mark.parametrize(
    "name", ["from", "if", "else", "when", "over", "class", "3", "1a", "a-b", "a.b", "'a b'", "é", "''", "__a"]
)
def test_what_is_no_name_of_a_block(name: str) -> None:
    blames(blocked(f"«{name}: {{layers: [relu]}}", "- relu"), "Y914")


def test_a_refused_name_is_one_error() -> None:
    blames(blocked("«else: {layers: [relu]}", "- else"), "Y914")


def test_a_refused_param_is_one_error() -> None:
    spec = "b: {params: {«index: 2}, layers: [conv: {out_channels: =index, kernel_size: 1}]}"
    blames(blocked(spec, "- b"), "Y914")


FORMS = """
b: «3   b: «[relu]   b: «relu   b: «   b: «{}   b: {layers: «relu}   b: {«layers: []}   b: {«layers: }
b: {layers: «{relu: }}   b: {layers: [relu], «input: [x]}   b: {layers: [relu], «output: [x]}
b: {layers: [relu], «parameters: {}}   b: {layers: [relu], «name: x}   b: {«params: {n: 1}}   b: {layers: [«3]}
b: {layers: [relu], «repeat: 2}   b: {layers: [relu], «variables: {a: 1}}   b: {layers: [relu], «description: x}
"""


@pytest.mark.parametrize("form", listed(FORMS))
def test_malformed_blocks(form: str) -> None:
    text = blocked(form.replace("«", ""), "- relu")
    found = refused(text)
    assert len(found) == 1, found
    assert found[0].start is not None
    assert found[0].start.line == 5


def test_a_block_that_nothing_uses_is_read_all_the_same() -> None:
    blames(blocked("b: {layers: [«rel, conv: {out_channels: «true, kernel_size: 1}]}", "- relu"), "Y913", "Y911")


def test_a_block_left_empty_is_an_identity() -> None:
    spec = blocked("b: {layers: [{relu: , if: false}]}", "- relu\n- b\n- tanh")
    assert inputs(spec)["tanh1"] == ("relu1",)
    same(spec)


# -------------------------------------------------------------------- errors inside


def test_an_error_inside_is_reported_once_with_the_use() -> None:
    spec = blocked(
        "b: {params: {k: int}, layers: [conv: {out_channels: 3, kernel_size: «=k}]}".replace("«=k", "=k"),
        "- relu\n- b: 9",
    )
    (found,) = refused(spec)
    assert found.code == "S001"
    assert found.start is not None
    assert found.start.line == 5
    assert any(r.start and r.start.line == 8 for r in found.related), found.related


def test_an_error_inside_that_holds_for_every_use_is_reported_once() -> None:
    blames(blocked("b: {layers: [conv: {out_channels: «0, kernel_size: 1}]}", "- b\n- b\n- b:\n  repeat: 3"), "Y911")
    blames(blocked("b: {layers: [«linear: 3]}", "- b\n- b\n- b"), "S003")
    blames(blocked("b: {layers: [relu: {}, {tanh: , from: «zz}]}", "- b\n- b:\n  repeat: 5"), "S016")


def test_an_error_of_one_use_names_that_use() -> None:
    spec = blocked(WIDE, "- w: 3\n- w: 0\n- w: 4")
    (found,) = refused(spec)
    assert any(r.start and r.start.line == 8 for r in found.related), found
    assert not any(r.start and r.start.line in (7, 9) for r in found.related), found


def test_nested_uses_are_named_from_the_inside_out() -> None:
    spec = blocked(f"{WIDE}\nouter: {{params: {{n: int}}, layers: [relu, w: =n]}}", "- tanh\n- outer: 0")
    (found,) = refused(spec)
    lines = [r.start.line for r in found.related if r.start]
    assert [line for line in lines if line in (6, 9)] == [6, 9]


def test_an_error_inside_a_built_in_block_is_placed_at_its_use() -> None:
    for item in ("«bottleneck: 0", "«separable_conv: -1", "conv_bn_relu: «4.0"):
        blames(net(f"- {item}"), "Y911")
    blames(net("- maxpool: 4\n- «conv_bn_relu: {out_channels: 3, kernel_size: 5, padding: 0}"), "S001")
    (found,) = blames(net("- flatten\n- «squeeze_excite"))
    assert found.start == (6, 3)


def test_what_comes_from_a_built_in_block_comes_from_its_use() -> None:
    (found,) = blames(net("- conv_bn_relu: 4\n- «linear: 3"), "S003")
    assert [r.start and r.start.line for r in found.related] == [5]


def test_after_a_failed_block_nothing_is_blamed() -> None:
    spec = blocked("b: {layers: [conv: {out_channels: 3, kernel_size: «9}]}", "- b\n- linear: 3\n- maxpool: 99")
    blames(spec, "S001")


# -------------------------------------------------------------------- built-in blocks


BUILT_IN = """
separable_conv: 4   separable_conv: {out_channels: 4, kernel_size: 5, stride: 2, bias: false}
separable_conv: {out_channels: 4, padding: same, dilation: 2}   squeeze_excite   squeeze_excite: 2
squeeze_excite: {reduction: 2, hard: true}   squeeze_excite: {channels: 5}   conv_bn_relu: 4
conv_bn_relu: {out_channels: 6, kernel_size: 1, groups: 3}   basic_block: 4   basic_block: {out_channels: 3}
basic_block: {out_channels: 3, stride: 2}   bottleneck: 2   bottleneck: {width: 2, stride: 2, out_channels: 5}
bottleneck: {width: 4, groups: 2}
"""


@pytest.mark.parametrize("item", listed(BUILT_IN))
def test_built_in_blocks_build(item: str) -> None:
    same(net(f"- {item}\n- {item}"))


def test_every_built_in_block_is_tested() -> None:
    assert {item.partition(":")[0] for item in listed(BUILT_IN)} == set(builtin_names())


@pytest.mark.parametrize("size", ["[4, 9]", "[4, 9, 8]", "[4, 9, 8, 7]"])
@pytest.mark.parametrize("item", ["separable_conv: 4", "squeeze_excite", "basic_block: 8", "bottleneck: 2"])
def test_built_in_blocks_follow_the_rank(item: str, size: str) -> None:
    agrees(net(f"- {item}", head=f"cnnplan: 1\nname: n\ninput: {size}\n"))


@pytest.mark.parametrize("key", ["10", "true", "1.5"])
def test_a_param_whose_name_is_no_text(key: str) -> None:
    found = refused(blocked(f"b: {{params: {{{key}: int}}, layers: [relu]}}", "- b: {n: 3}"))
    assert found[0].code == "Y914"


def test_a_gate_that_is_unknown() -> None:
    refused(net("- squeeze_excite: {gate: sigmod}"))


def test_shortcuts_are_identities_where_they_can_be() -> None:
    assert not any(
        "shortcut" in name for name in names(net("- basic_block: 3\n- bottleneck: {width: 1, out_channels: 3}"))
    )
    assert any("shortcut" in name for name in names(net("- basic_block: {out_channels: 3, stride: 2}")))


def test_what_squeezes_and_excites() -> None:
    """The gate's convolutions, by hand: 32 → 2 → 32, with biases."""
    spec = net("- squeeze_excite", head="cnnplan: 1\nname: n\ninput: [32, 8, 8]\n")
    assert plan(spec).parameters == 32 * 2 + 2 + 2 * 32 + 32
    assert plan(spec.replace("squeeze_excite", "squeeze_excite: 64")).parameters == 32 + 1 + 32 + 32
