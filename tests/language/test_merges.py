"""Merges and their branches."""

import pytest
import torch

import cnnplan
from tests.language.helpers import blames, blocked, last, listed, names, net, plan, refused
from tests.language.oracle import agrees

C = "conv: {out_channels: 4, kernel_size: 1}"


def inputs(text: str) -> dict[str, tuple[str, ...]]:
    return {layer.name: layer.inputs for layer in plan(text).layers}


@pytest.mark.parametrize("merge", ["add", "multiply", "concat", "subtract", "maximum", "mean"])
@pytest.mark.parametrize("several", [2, 3])
def test_merges_compute_what_they_say(merge: str, several: int) -> None:
    """Of branches and of what `from` lists alike."""
    branches = net(f"- {merge}: [{', '.join(['[relu]', '[tanh]', '[]'][:several])}]")
    listed_ = net(
        "- relu:\n  name: a\n- tanh:\n  from: input\n  name: b\n"
        f"- {merge}:\n  from: [{', '.join(['a', 'b', 'input'][:several])}]"
    )
    x = torch.randn(2, 3, 8, 8)
    values = [x.relu(), x.tanh(), x][:several]
    wanted = {
        "add": sum,
        "multiply": lambda v: torch.stack(v).prod(0),
        "concat": lambda v: torch.cat(v, 1),
        "subtract": lambda v: v[0] - sum(v[1:]),
        "maximum": lambda v: torch.stack(v).amax(0),
        "mean": lambda v: sum(v) / len(v),
    }[merge](values)
    for spec in (branches, listed_):
        torch.testing.assert_close(cnnplan.build(spec)(x), wanted)


def test_branches_are_a_mapping_or_a_list_in_the_order_written() -> None:
    mapping = net(f"- concat:\n    z: [{C}]\n    a: []\n    m:\n      layers: [relu, tanh]")
    assert names(mapping) == ["concat1.z.conv1", "concat1.m.relu1", "concat1.m.tanh1", "concat1"]
    assert inputs(mapping)["concat1"] == ("concat1.z.conv1", "input", "concat1.m.tanh1")
    sequence = net(f"- concat:\n    - - {C}\n    - []\n    - layers: [relu]")
    assert names(sequence) == ["concat1.0.conv1", "concat1.2.relu1", "concat1"]
    two = net(f"- add:\n    second: [{C}]\n    first: [{C}]")
    assert [n for n, _ in cnnplan.build(two).named_parameters()][::2] == [
        "add1.second.conv1.weight",
        "add1.first.conv1.weight",
    ]


def test_a_scalar_is_an_argument() -> None:
    head = "cnnplan: 1\nname: n\ninput: [3, 8, 6]\n"
    assert last(net("- concat: {a: [], b: [relu]}", head=head)) == (6, 8, 6)
    for axis, wanted in ((0, (6, 8, 6)), (1, (3, 16, 6)), (2, (3, 8, 12)), ("=1 + 1", (3, 8, 12))):
        assert last(net(f"- concat: {{axis: {axis}, a: [], b: [relu]}}", head=head)) == wanted
        assert last(net(f"- concat: {{axis: {axis}}}\n  from: [input, previous]", head=head)) == wanted
    assert last(net("- concat: 1\n  from: [input, previous]", head=head)) == (3, 16, 6)


def test_if_on_an_item_leaves_an_identity_and_on_a_branch_removes_it() -> None:
    item = net("- concat:\n    a:\n      - relu:\n        if: false\n    b: [tanh]")
    assert inputs(item)["concat1"] == ("input", "concat1.b.tanh1")
    branch = net("- concat:\n    a: {layers: [relu], if: false}\n    b: [tanh]\n    c: []")
    assert inputs(branch)["concat1"] == ("concat1.b.tanh1", "input")
    assert [(d.code, d.severity) for d in plan(branch).diagnostics] == [("R409", "info")]


def test_removing_an_identity_is_no_finding() -> None:
    spec = net("- concat: [{layers: [], if: false}, [relu], []]")
    assert not plan(spec).diagnostics
    assert last(spec) == (6, 8, 8)


def test_a_merge_left_with_one_branch_is_that_branch() -> None:
    spec = net(
        f"- add:\n    body: [{C}]\n"
        f"    shortcut: {{layers: [relu], if: =in_channels == 4}}\n  name: m\n- tanh:\n  from: m"
    )
    assert names(spec) == ["m.body.conv1", "tanh1"]
    assert inputs(spec)["tanh1"] == ("m.body.conv1",)
    agrees(spec)
    identity = net("- relu\n- add: [[], {layers: [tanh], if: false}]\n- abs")
    assert inputs(identity) == {"relu1": ("input",), "abs1": ("relu1",)}


@pytest.mark.parametrize(
    "branches",
    [
        "{a: {layers: [relu], if: false}, b: {layers: [tanh], if: =1 > 2}}",
        "[{layers: [], if: false}, {layers: [], if: false}]",
    ],
)
def test_a_merge_left_with_none(branches: str) -> None:
    blames(net(f"- «add: {branches}"), "S019")


FEW = """
«add: {x: [relu]}   «add   «add: {}   «add: []   «add: [[relu]]   «concat: {axis: 1, x: []}   «add:@  from: input
«add:@  from: [input]   «concat: {axis: 1}   «multiply:@  from: previous   «concat: 1   «add: {x: {layers: [relu]}}
"""


@pytest.mark.parametrize("merge", listed(FEW))
def test_fewer_than_two_values(merge: str) -> None:
    blames(net(f"- {merge}".replace("@", "\n")), "S019")


FORMS = """
add: [[], «relu]   add: [[], «3]   add: {a: [], b: «relu}   add: {a: [], «b: relu}   add: {a: [], «b: }   add: «3
add: {a: [], b: {layers: [relu], «name: x}}   add: {a: [], b: {layers: [relu], «repeat: 2}}
add: {a: [], «axis: 1, b: []}   add: {a: [], b: {layers: [relu], «from: input}}
add: {a: [], b: {layers: [relu], if: «1}}   concat: {a: [], b: [], axis: «'x'}   add: {a: [], «b: {}}
add: {a: [], «b: {if: true}}   add: {a: [], «'1b': []}   add: {a: [], «else: []}   concat: {a: [], b: [], «axes: 1}
add: {a: [], b: {layers: «relu}}   add: {a: [], b: {layers: «3}}   add: {a: [], b: [«rel]}
add: {a: [], b: {layers: [«[]]}}   add: {a: [], b: {layers: [relu], if: =«x}}
add: {a: [], b: {layers: [relu], «trainable: false}}   add: {a: [], «a b: []}
"""


@pytest.mark.parametrize("merge", [m for m in listed(FORMS) if m != "add: {a: [], b: «relu}"])
def test_malformed_branches(merge: str) -> None:
    blames(net(f"- {merge}"))


@pytest.mark.parametrize("merge", ["add: {a: [], «b: {conv: 3}}", "add: {a: [], «b: {relu: }}"])
def test_a_branch_without_its_dash_is_one_error(merge: str) -> None:
    blames(net(f"- {merge}".replace("«b: {", "b: {«")))


def test_every_branch_takes_the_items_input() -> None:
    spec = net("- relu:\n  name: a\n- tanh\n- concat: [[abs], [], [mish]]\n  from: a")
    assert inputs(spec)["concat1.0.abs1"] == inputs(spec)["concat1.2.mish1"] == ("a",)
    assert inputs(spec)["concat1"] == ("concat1.0.abs1", "a", "concat1.2.mish1")
    assert inputs(spec.replace("from: a", "from: [a]"))["concat1.0.abs1"] == ("a",)


def test_each_branch_takes_its_own() -> None:
    two = "- relu:\n  name: a\n- tanh:\n  name: b\n"
    spec = net(f"{two}- concat:\n    x: [abs]\n    y: [mish]\n  from: [a, b]")
    assert inputs(spec)["concat1.x.abs1"] == ("a",)
    assert inputs(spec)["concat1.y.mish1"] == ("b",)
    dropped = net(
        f"{two}- concat:\n    x: {{layers: [abs], if: false}}\n    y: [mish]\n    z: []\n  from: [a, b, input]"
    )
    assert inputs(dropped)["concat1.y.mish1"] == ("b",)
    assert inputs(dropped)["concat1"] == ("concat1.y.mish1", "input")
    blames(net(f"{two}- «concat: [[], [], []]\n  from: [a, b]"), "S019")
    blames(net(f"{two}- «concat: [[], []]\n  from: [a, b, input]"), "S019")


def test_a_branchs_condition_sees_what_enters_the_branch() -> None:
    four = "- conv: {out_channels: 4, kernel_size: 1}\n  name: a\n"
    spec = net(
        f"{four}- concat:\n    x: {{layers: [abs], if: =in_channels == 4}}\n"
        "    y: {layers: [mish], if: =in_channels == 3}\n  from: [a, input]"
    )
    assert names(spec)[1:] == ["concat1.x.abs1", "concat1.y.mish1", "concat1"]


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        ("[global_avgpool: {keepdim: true}]", "[]", (3, 8, 8)),
        ("[]", "[global_avgpool: {keepdim: true}]", (3, 8, 8)),
        ("[conv: {out_channels: 1, kernel_size: 1}]", "[]", (3, 8, 8)),
        ("[conv: {out_channels: 1, kernel_size: [8, 1]}]", "[conv: {out_channels: 5, kernel_size: [1, 8]}]", (5, 8, 8)),
    ],
)
def test_sizes_of_one_broadcast(x: str, y: str, wanted: tuple[int, ...]) -> None:
    for merge in ("add", "multiply", "maximum", "mean", "subtract"):
        spec = net(f"- {merge}: {{x: {x}, y: {y}}}")
        assert last(spec) == wanted
        agrees(spec)


@pytest.mark.parametrize(
    ("merge", "x"),
    [
        ("add", "[conv: {out_channels: 4, kernel_size: 1}]"),
        ("add", "[maxpool: 2]"),
        ("multiply", "[global_avgpool]"),
        ("add", "[flatten]"),
        ("concat", "[maxpool: 2]"),
        ("concat", "[global_avgpool: {keepdim: true}]"),
        ("concat", "[flatten]"),
    ],
)
def test_a_mismatch_names_both_branches_both_shapes_and_their_lines(merge: str, x: str) -> None:
    text = f"- tanh\n- «{merge}:\n    first:\n      - relu\n      - {x[1:-1]}\n    second:\n      - abs"
    (found,) = blames(net(text))
    shape = "x".join(map(str, last(net(f"- {x[1:-1]}"))))
    for word in ("first", "second", shape, "3x8x8"):
        assert word in found.message
    assert [r.start and r.start.line for r in found.related] == [9, 11]
    for word in ("first", "second"):
        assert any(word in r.message for r in found.related)


def test_a_mismatch_of_references_names_both() -> None:
    (found,) = blames(net("- relu:\n  name: a\n- maxpool: 2\n- «add:\n  from: [a, previous]"), "S005")
    assert [r.start and r.start.line for r in found.related] == [5, 7]
    assert "3x8x8" in found.message
    assert "3x4x4" in found.message


def test_a_merge_after_a_failed_branch_is_not_blamed() -> None:
    blames(net("- add:\n    x: [conv: {out_channels: 4, kernel_size: «9}]\n    y: []\n- linear: 3"), "S001")
    blames(net("- add:\n    x: [«zzz]\n    y: [maxpool: 2]\n- add:\n    x: [«tanhh]\n    y: []"), "Y913")


def test_a_branch_gives_one_value() -> None:
    refused(net("- add: [[split: 3], []]"))
    assert last(blocked("b: {layers: [split: 3]}", "- add: [[b, concat], []]")) == (3, 8, 8)


def test_names_in_one_branch_are_not_visible_in_another() -> None:
    blames(net("- add:\n    x:\n      - relu:\n        name: a\n    y:\n      - tanh:\n        from: «a"), "S016")
