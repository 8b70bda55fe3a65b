"""Variables, what replaces them, inputs, and the keys of the file."""

import pytest

import cnnplan
from tests.language.helpers import HEAD, blames, complaint, last, listed, names, net, plan, refused, run

FAMILY = """\
cnnplan: 1
name: family
input: [3, 8, 8]
variables:
  depth: 50
  table: {18: [2, 2], 34: [3, 4], 50: [3, 4, 6]}
  depths: =table[depth]
  scale: 1.0
  wide: false
  label: plain
layers:
  - layers:
      - conv: {out_channels: =int(4 * scale) if wide else stage + 1, kernel_size: 1}
        repeat: =depths[stage]
    repeat: {stage: =len(depths)}
"""


def convs(text: str, **options: object) -> int:
    return len(plan(text, **options).layers)


def test_derived_variables_follow() -> None:
    assert convs(FAMILY) == 13
    assert convs(FAMILY, variables={"depth": 18}) == 4
    assert convs(FAMILY, variables={"depths": [1]}) == 1
    assert convs(FAMILY, variables={"table": {50: [5]}}) == 5


@pytest.mark.parametrize(
    "variables",
    [
        {"depth": 50.0},
        {"depth": "50"},
        {"depth": True},
        {"depth": [50]},
        {"depth": None},
        {"wide": 1},
        {"wide": "true"},
        {"label": 3},
        {"table": [1]},
        {"scale": True},
        {"scale": "1.0"},
        {"Depth": 18},
        {"": 1},
        {"depth": object()},
    ],
)
def test_a_value_of_another_kind_is_wrong_usage(variables: dict[str, object]) -> None:
    with pytest.raises(cnnplan.UsageError):
        plan(FAMILY, variables=variables)


def test_an_integer_sets_a_number() -> None:
    assert last(FAMILY, variables={"scale": 2, "wide": True}) == (8, 8, 8)


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(cnnplan.UsageError, match="'depth'"):
        plan(FAMILY, variables={"dept": 18})


@pytest.mark.parametrize(
    ("text", "layers"),
    [("depth=18", 4), ("depth==2 * 9", 4), ("depths=[1, 2]", 3), ("depth= 34 ", 7), ("depth=0x12", 4)],
)
def test_set_is_read_as_yaml(text: str, layers: int) -> None:
    ran = run("check", "-", "--set", text, "--format", "concise", stdin=FAMILY)
    assert (ran.code, ran.err) == (0, "")
    assert f"{layers} layers" in ran.out


@pytest.mark.parametrize(
    "text",
    [
        "depth",
        "=18",
        "depth=",
        "depth=~",
        "depth=[",
        "depth=&a 18",
        "depth=!!int 18",
        "depth=18.0",
        "depth='18'",
        "depth=on",
        "depth==1/0",
        "depth==in_channels",
        "depth=1e400",
        "depth={a: 1, a: 2}",
        "deep=1",
    ],
)
def test_what_cannot_be_set(text: str) -> None:
    ran = run("check", "-", "--set", text, stdin=FAMILY)
    assert ran.code == 2
    assert ran.out == ""
    assert "error" in ran.err


@pytest.mark.parametrize("text", ["depth=", "depth=~"])
def test_an_empty_value_says_so(text: str) -> None:
    assert "UNKNOWN" not in run("check", "-", "--set", text, stdin=FAMILY).err


def test_an_override_that_uses_a_broken_variable_is_not_to_blame() -> None:
    spec = net("- relu", more="variables: {a: «=1/0, b: 3}".replace("«", ""))
    assert refused(spec, variables={"b": "=a"})


def test_a_missing_key_lists_those_there_are() -> None:
    ran = run("check", "-", "--set", "depth=19", "--format", "concise", stdin=FAMILY)
    assert ran.code == 1
    assert "18, 34, 50" in ran.out
    assert ":7:18:" in ran.out


BROKEN = """
a: «=1 / 0   a: «=b   a: «=in_channels   a: «=index   a: «=9**9**9   a: «='a' * 10**10   a: =len«.x   a: «=open('x')
a: "=[1]«[2]"   a: {b: [1, «=x]}   a: [«=1/0]   a: =x«.__class__   a: «=a   a: «~   a:«
"""


@pytest.mark.parametrize("text", listed(BROKEN))
def test_all_variables_are_evaluated_used_or_not(text: str) -> None:
    text = text.replace("«=", "=«").replace("]«[", "][«")
    blames(net("- relu", more=f"variables:\n  {text}"))


def test_variables_are_evaluated_in_order() -> None:
    said = complaint(net("- relu", more="variables: {a: =«b, b: 1}"), "Y915")
    assert "'b'" in said


@pytest.mark.parametrize(
    "name", ["index", "in_channels", "in_size", "true", "True", "'false'", "a-b", "1a", "é", "a.b"]
)
def test_names_that_no_variable_can_have(name: str) -> None:
    blames(net("- relu", more=f"variables: {{«{name}: 1}}"), "Y914")


@pytest.mark.parametrize(
    "name", ["_", "A", "x1", "min", "len", "conv", "relu", "layers", "input", "previous", "on", "a_B"]
)
def test_names_that_a_variable_can_have(name: str) -> None:
    assert last(net(f"- conv: {{out_channels: ={name}, kernel_size: 1}}", more=f"variables: {{{name}: 5}}"))[0] == 5


def test_a_function_may_share_its_name_with_a_variable() -> None:
    assert last(
        net("- linear: =min\n  if: false\n- flatten\n- linear: '=min(min, 9)'", more="variables: {min: 5}")
    ) == (5,)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ("[3]", (3,)),
        ("[3, 7]", (3, 7)),
        ("[3, 4, 5]", (3, 4, 5)),
        ("[3, 4, 5, 6]", (3, 4, 5, 6)),
        ("[=c, =2 * c, '=[7, 8][1]']", (3, 6, 8)),
        ("{shape: [=c, 4]}", (3, 4)),
        ("{shape: =dims}", (3, 9, 9)),
    ],
)
def test_inputs(shape: str, wanted: tuple[int, ...]) -> None:
    head = f"cnnplan: 1\nname: net\nvariables: {{c: 3, dims: [3, 9, 9]}}\ninput: {shape}\n"
    assert last(net("- relu", head=head)) == wanted


def test_a_whole_shape_is_an_expression() -> None:
    assert last(net("- relu", head="cnnplan: 1\nname: net\nvariables: {dims: [3, 9]}\ninput: =dims\n")) == (3, 9)


SHAPES = """
«[]   «[3, 4, 4, 4, 4]   «3   «~   «'3'   [«[3]]   [«3.0]   [«true]   [«'3']   [«0]   [«-1]   [3, «0]   [«=1.5]
[«=-3]   {shape: «3}   «{dtype: float32}   {shape: [3], dtype: «float16}   {shape: [3], «size: [4]}
{shape: [3, 4], sizes: «4}   «{}   {shape: [3, 4], sizes: [«[4, 4]]}   {shape: [3, 4], sizes: [«0]}
"""


@pytest.mark.parametrize("shape", listed(SHAPES))
def test_what_is_no_input(shape: str) -> None:
    blames(net("- relu", head=f"cnnplan: 1\nname: net\ninput: {shape}\n"))


def test_each_wrong_size_is_told_at_its_place() -> None:
    blames(net("- relu", head="cnnplan: 1\nname: net\ninput: [3, «0, «-1]\n"), "Y911")


def test_named_inputs() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {rgb: [3, 4, 4], flow: {shape: [2, 4, 4]}}\n"
    assert last(net("- concat:\n  from: [rgb, flow]", head=head)) == (5, 4, 4)
    blames(net("- concat:\n  from: [rgb, flow]\n- relu:\n  from: «input", head=head), "S016")
    blames(net("- relu:\n  from: rgb\n  name: «flow", head=head), "S016")
    blames(net("- «relu\n- tanh", head=head.replace(", flow: {shape: [2, 4, 4]}", "")), "S016")


def test_where_inputs_have_names_an_item_left_out_leaves_the_next_the_first() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 4, 4], b: [2, 4, 4]}\n"
    spec = net("- relu:\n  from: a\n  if: false\n- concat", head=head)
    refused(spec)


@pytest.mark.parametrize(
    ("size", "shape", "wanted"),
    [
        (6, "[3, 8, 9]", (3, 6, 6)),
        ((6, 5), "[3, 8, 9]", (3, 6, 5)),
        (6, "[3, 8]", (3, 6)),
        ((4, 5, 6), "[3, 8, 8, 8]", (3, 4, 5, 6)),
        ([6], "[3, 8, 9]", (3, 6, 6)),
    ],
)
def test_another_input_size(size: object, shape: str, wanted: tuple[int, ...]) -> None:
    assert last(net("- relu", head=f"cnnplan: 1\nname: net\ninput: {shape}\n"), input_size=size) == wanted


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (6, "[3]"),
        (6, "[3, 8, 8, 8]"),
        ((6, 6), "[3, 8]"),
        ((6, 6, 6), "[3, 8, 8]"),
        (0, "[3, 8]"),
        (-1, "[3, 8, 8]"),
        ("ab", "[3, 8]"),
        (True, "[3, 8]"),
        ((6, 0), "[3, 8, 8]"),
        ((6.0,), "[3, 8]"),
    ],
)
def test_a_size_that_does_not_fit(size: object, shape: str) -> None:
    with pytest.raises(cnnplan.UsageError):
        plan(net("- relu", head=f"cnnplan: 1\nname: net\ninput: {shape}\n"), input_size=size)


@pytest.mark.parametrize("version", ["2", "0", "1.0", "'1'", "true", "~", "=1", "[1]", "-1"])
def test_any_other_version_is_an_error(version: str) -> None:
    blames(net("- relu", head=f"cnnplan: «{version}\nname: net\ninput: [3]\n"), "Y907")


@pytest.mark.parametrize(
    "key",
    [
        "cnnplan: 1\n",
        "name: net\n",
        "input: [3, 8, 8]\n",
        "layers:\n- relu\n",
    ],
)
def test_required_keys(key: str) -> None:
    (found,) = refused(net("- relu").replace(key, "") + "# end\n")
    assert key.partition(":")[0] in found.message


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("nmae", "name"), ("layer", "layers"), ("variable", "variables"), ("Inputs", "inputs"), ("output", "outputs")],
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    assert f"'{nearest}'" in complaint(HEAD + f"«{key}: 3\nlayers: [relu]\n", "Y901")


def test_a_schema_key_is_for_editors() -> None:
    assert names(HEAD + '$schema: "x.json"\nlayers: [relu]\n') == ["relu1"]


@pytest.mark.parametrize(
    "layers", ["«layers: []", "«layers:", pytest.param("layers: «relu"), "layers: «{relu: }", "layers: «3"]
)
def test_empty_layers_are_one_error(layers: str) -> None:
    blames(f"{HEAD}{layers}\n")


@pytest.mark.parametrize(
    "text", ["description: «3", "description: «[a]", "reference: «2014", "name: «a b", "name: «1a"]
)
def test_texts_of_the_file(text: str) -> None:
    head = HEAD if "name" not in text else "cnnplan: 1\ninput: [3]\n"
    blames(f"{head}{text}\nlayers: [relu]\n")
