"""YAML: scalars of version 1.2, and what of YAML the language refuses."""

import math

import pytest

import cnnplan
from tests.language.helpers import HEAD, blames, complaint, net, plan, refused


def variable(text: str) -> str:
    """A message that shows what a scalar is taken for: it is no boolean, or no mapping."""
    (found,) = refused(net("- relu:\n  if: =x", more=f"variables: {{x: {text}}}"))
    return found.message.rpartition("not ")[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("+12", 12),
        ("-12", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("012", 12),
        ("9223372036854775807", 2**63 - 1),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("1e-6", 1e-6),
        ("1.5e+2", 150.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5", -0.5),
    ],
)
def test_numbers_of_yaml_1_2(text: str, value: float) -> None:
    assert variable(text) == str(value)


@pytest.mark.parametrize(
    "text",
    ["on", "off", "yes", "No", "y", "1_000", "0b11", "1:30", "2001-01-01", "1.2.3", "e5", "1e", "0x", "tRUE", "'12'"],
)
def test_texts_that_yaml_1_1_would_turn_into_something_else(text: str) -> None:
    assert variable(text) == f"'{text.strip(chr(39))}'"


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_booleans(text: str) -> None:
    assert plan(net("- relu:\n  if: =x", more=f"variables: {{x: {text}}}")).layers


@pytest.mark.parametrize("text", ["null", "Null", "NULL", "~", ""])
def test_a_variable_needs_a_value(text: str) -> None:
    refused(net("- relu", more=f"variables: {{x: {text}}}"))


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1e400", ".inf", "-.INF", ".nan"])
def test_numbers_beyond_64_bits(number: str) -> None:
    blames(net("- relu", more=f"variables: {{x: «{number}}}"), "Y911")


@pytest.mark.parametrize("number", ["9223372036854775808", "1" + "0" * 5000])
def test_a_number_beyond_64_bits_is_one_error_where_it_is_used(number: str) -> None:
    blames(net(f"- conv: {{out_channels: «{number}, kernel_size: 1}}"), "Y911")


def test_the_least_number_of_64_bits() -> None:
    assert variable("-9223372036854775808") == str(-(2**63))


@pytest.mark.parametrize(
    "text",
    [
        "variables: {x: «&a 1}",
        "variables: {x: «!!int 1}",
        "variables: {x: «!!python/object/apply:os.system [id]}",
        "variables: {x: «!mine 1}",
        "variables: {x: [«!!str 1, «&b [2]]}",
        "blocks: {b: «&b {layers: [relu]}}",
        "blocks: {«&key b: {layers: [relu]}}",
    ],
)
def test_anchors_and_tags(text: str) -> None:
    found = blames(net("- relu", more=text), "Y909")
    assert all(d.help for d in found)


@pytest.mark.parametrize(
    "layers",
    [
        "- relu: «*x",
        "- «*x",
        "- linear: «*x",
        "- relu:\n  name: «*x",
    ],
)
def test_an_alias_is_one_error(layers: str) -> None:
    blames(net(layers), "Y909")


def test_a_merge_key_inside() -> None:
    refused(net("- conv: {<<: {kernel_size: 3}, out_channels: 3}"))
    refused(net("- relu", more="'<<': {a: 1}"))


@pytest.mark.parametrize("text", ["«<<: {name: b}", "variables: {«<<: {a: 1}}", "blocks: {«<<: {a: 1}}"])
def test_a_merge_key_is_one_error(text: str) -> None:
    blames(net("- relu", more=text), "Y909")


@pytest.mark.parametrize(
    "text",
    [
        "name: a\n«name: b\n",
        "variables: {a: 1, «a: 2}\n",
        "variables: {t: {1: 2, «1: 3}}\n",
        "variables: {t: {1: 2, «0x1: 3}}\n",
        "variables: {t: {true: 2, «True: 3}}\n",
        "blocks:\n  b: {layers: [relu]}\n  «b: {layers: [tanh]}\n",
        "blocks: {b: {layers: [relu], «layers: [tanh]}}\n",
    ],
)
def test_duplicate_keys(text: str) -> None:
    spec = f"cnnplan: 1\ninput: [3]\nlayers: [relu]\n{'' if 'name' in text else 'name: net'}\n{text}"
    (found,) = blames(spec, "Y902")
    assert found.related[0].start


def test_a_quoted_number_is_another_key() -> None:
    spec = net("- conv: {out_channels: '=t[1] + t[\"1\"]', kernel_size: 1}", more="variables: {t: {1: 2, '1': 3}}")
    assert plan(spec).layers[0].output.channels == 5


@pytest.mark.parametrize("table", ["{1: 2, «1.0: 3}", "{1: 2, «true: 3}", "{false: 2, «0x0: 3}", "{a: 1, «'a': 3}"])
def test_keys_that_are_equal_are_one_key(table: str) -> None:
    assert "is first given" in complaint(net("- relu", more=f"variables: {{t: {table}}}"), "Y902")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "Y908"),
        ("\n", "Y908"),
        ("# nothing\n", "Y908"),
        ("---\n", "Y908"),
        ("~\n", "Y908"),
        ("- a\n- b\n", "Y908"),
        ("just text\n", "Y908"),
        ("42\n", "Y908"),
        (net("- relu") + "---\n" + net("- relu"), "Y908"),
        (net("- relu") + "--- 3\n", "Y908"),
        (HEAD + "layers:\n\t- relu\n", "Y908"),
        (HEAD + "layers:\n  - conv:\n\t\tout_channels: 3\n", "Y908"),
        (HEAD + "layers: [relu\n", "Y908"),
        (HEAD + "layers: {relu\n", "Y908"),
        (HEAD + "layers: relu: conv\n", "Y908"),
        (HEAD + 'layers: ["relu]\n', "Y908"),
        (HEAD + "layers: [re\x00lu]\n", "Y908"),
        (HEAD + "layers: [re\x1blu]\n", "Y908"),
        (HEAD + "layers: [re\ud800lu]\n", "Y908"),
        (HEAD + "? [a]\n: 3\nlayers: [relu]\n", "Y909"),
        (HEAD + "{a: 1}: 3\nlayers: [relu]\n", "Y909"),
        ("[" * 25_000, "Y910"),
        ("{a: " * 25_000, "Y910"),
        ("- " * 25_000 + "\n", "Y910"),
    ],
)
def test_not_one_document(text: str, code: str) -> None:
    (found,) = refused(text if "\n" in text else text + "\n")
    assert found.code == code


@pytest.mark.parametrize("text", ["\n", "# nothing\n"])
def test_an_empty_file_has_a_place(text: str) -> None:
    assert refused(text)[0].start


def test_a_tab_says_so() -> None:
    (found,) = refused(HEAD + "layers:\n\t- relu\n")
    assert "tab" in found.message
    assert found.start == (5, 1)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends(end: str) -> None:
    (found,) = refused(net("- relu\n- rel").replace("\n", end) + "\n")
    assert (found.code, found.start) == ("Y913", (6, 3))


def test_columns_count_characters() -> None:
    blames(HEAD + 'description: "日本 é 😀"\nlayers: [relu, "«é"]\n'.replace('"«', '«"'), "Y913")
    blames(HEAD + 'layers: [{relu: , name: «"日本"}, «"😀"]\n', "Y914", "Y913")


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_in_yaml_1_1_only_is_refused(mark: str) -> None:
    assert f"{ord(mark):04X}" in complaint(f'{HEAD}description: "a«{mark}b"\nlayers: [rel]\n', "Y908")


@pytest.mark.parametrize(
    "layers",
    [
        "- relu\n  name: a",
        "- conv: {out_channels: 3, kernel_size: 1}\n- relu\n  repeat: 2",
    ],
)
def test_a_modifier_below_a_bare_word_says_what_is_missing(layers: str) -> None:
    (found,) = refused(net(layers))
    assert "relu:" in found.help + found.message


FORGOTTEN = [
    "- conv: {out_channels: =max(1, 2), kernel_size: 1}",
    "- conv: {kernel_size: 1, out_channels: =max(1, 2)}",
    "- conv: {out_channels: =make_divisible(3, 8) + 1, kernel_size: 1}",
    "- conv: {out_channels: =[1, 2][0], kernel_size: 1}",
    "- conv: {out_channels: =in_size[0], kernel_size: 1}",
    "- conv: {out_channels: 3, kernel_size: [=max(1, 2), 3]}",
    "- conv: {out_channels: ='a, b', kernel_size: 1}",
    "- conv:\n    out_channels: =len('a #b')\n    kernel_size: 1",
    "- conv:\n    out_channels: =len('a: b')\n    kernel_size: 1",
]


@pytest.mark.parametrize("layers", FORGOTTEN)
def test_forgotten_quotes_say_so(layers: str) -> None:
    (found,) = refused(net(layers))
    assert "quotes" in found.help


@pytest.mark.parametrize(
    "text",
    [
        net("- relu", more="variables: {x: =max«(1, 2), y: 3}"),
        net("- {relu: , if: =min«(1, 2) == 1}"),
        net("- {relu: , repeat: =max«(1, 2)}"),
        net("- add: {a: {layers: [relu], if: =min«(1, 2) == 1}, b: []}"),
        net("- b", more="blocks: {b: {params: {x: =max«(1, 2)}, layers: [relu]}}"),
    ],
)
def test_forgotten_quotes_are_one_error(text: str) -> None:
    blames(text, "Y915")


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_numbers_of_a_dict_are_finite(number: float) -> None:
    data = {"cnnplan": 1, "name": "a", "input": [3], "layers": ["relu"], "variables": {"x": number}}
    with pytest.raises(cnnplan.CnnplanError):
        plan(data)


@pytest.mark.parametrize(
    "text", ["日本", "a\tb", 'say "x"', "a: b # c", "", " lead", "line\nline", "true", "=1", "\x85"]
)
def test_a_dict_says_what_its_yaml_says(text: str) -> None:
    data = {"cnnplan": 1, "name": "a", "input": [3], "layers": ["relu"], "description": text}
    assert plan(data).spec.description == text


@pytest.mark.parametrize("text", ["😀", "𝔸"])
def test_a_dict_may_hold_any_character(text: str) -> None:
    data = {"cnnplan": 1, "name": "a", "input": [3], "layers": ["relu"], "description": text}
    assert plan(data).spec.description == text


def test_the_message_names_the_place_of_an_expression() -> None:
    said = complaint(net("- conv: {out_channels: =1 + «width, kernel_size: 1}", more="variables: {widths: 3}"), "Y915")
    assert "'widths'" in said
