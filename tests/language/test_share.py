"""`share`: an item run again, with the same parameters, on another value."""

import pytest
import torch
from torch import nn

import cnnplan
from cnnplan.planning import Plan
from cnnplan.runtime.interpreter import interpret
from tests.language.helpers import blames, blocked, complaint, last, listed, names, net, plan, refused, shapes
from tests.language.oracle import agrees

C = "conv: {out_channels: 3, kernel_size: 1}"
TWO = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: [3, 8, 8]}\n"
CROSS = """\
cross:
  inputs: [x, y]
  outputs: [p, q]
  layers:
    - conv: {out_channels: 3, kernel_size: 1}
      from: x
      name: p
    - subtract:
      from: [p, y]
      name: q
"""


def inputs(text: str) -> dict[str, tuple[str, ...]]:
    return {layer.name: layer.inputs for layer in plan(text).layers}


def run(model: nn.Module, *values: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        given = model.eval()(*values)
    return [given] if isinstance(given, torch.Tensor) else list(given.values() if isinstance(given, dict) else given)


def same(text: str) -> Plan:
    """The built module computes what the plan says, layer by layer."""
    found = agrees(text)
    model = cnnplan.build(text).eval()
    x = [torch.randn(2, *value.shape) for value in found.graph.inputs]
    for a, b in zip(run(model, *x), interpret(found.graph, model, x), strict=True):
        torch.testing.assert_close(a, b)
    return found


# -------------------------------------------------------------------- the same weights


def test_the_weights_are_tied() -> None:
    """Twins give the same for the same value, and a step on one tower is a step on the other."""
    spec = net(
        "- layers: [conv: {out_channels: 4, kernel_size: 3}, relu, conv: {out_channels: 2, kernel_size: 1}]\n"
        "  from: a\n  name: tower\n- share: tower\n  from: b\n  name: again",
        head=TWO,
        more="outputs: [tower, again]",
    )
    model = cnnplan.build(spec)
    x, y = torch.randn(2, 2, 3, 8, 8)
    one, two = run(model, x, x)
    assert torch.equal(one, two)
    assert not torch.equal(*run(model, x, y))
    found = model(x, y)
    (list(found.values()) if isinstance(found, dict) else found)[1].sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter -= parameter.grad
    assert torch.equal(*run(model, y, y))
    assert not torch.equal(run(model, x, x)[0], one)
    assert len(list(model.parameters())) == 4


def test_gradients_of_all_runs_add_up() -> None:
    model = cnnplan.build(
        net("- linear: 3\n  name: a\n- share: a\n- share: a", head="cnnplan: 1\nname: n\ninput: [3]\n")
    )
    x = torch.randn(5, 3)
    model(x).sum().backward()
    weight, bias = (p.detach().clone().requires_grad_() for p in model.parameters())
    y = x
    for _ in range(3):
        y = nn.functional.linear(y, weight, bias)
    y.sum().backward()
    for shared, alone in zip(model.parameters(), (weight, bias), strict=True):
        torch.testing.assert_close(shared.grad, alone.grad)


def test_parameters_count_once_and_work_each_time() -> None:
    found = plan(net(f"- {C}\n  name: a\n- share: a\n- share: a"))
    assert found.parameters == 12
    assert found.macs == 3 * 9 * 64
    assert [layer.parameters for layer in found.layers] == [12, 0, 0]
    assert [layer.macs for layer in found.layers] == [9 * 64] * 3


def test_running_statistics_are_one() -> None:
    found = same(net("- batchnorm:\n  name: a\n- relu\n- share: a"))
    assert found.buffers == 7
    assert found.parameters == 6


SHARED = {
    "an operation": f"{C}\n  name: a",
    "one without parameters": "relu:\n  name: a",
    "one written inline": "permute: [0, 2, 1]\n  name: a",
    "a group": f"layers: [{C}, batchnorm, relu]\n  name: a",
    "a group of nothing": "layers: [{relu: , if: false}]\n  name: a",
    "a merge": f"add: {{x: [{C}], y: []}}\n  name: a",
    "a merge of a list": f"add: [[{C}], [relu, {C}]]\n  name: a",
    "a merge left with one branch": f"add: {{x: [{C}], y: {{layers: [relu], if: false}}}}\n  name: a",
    "a merge left with the identity": "add: {x: [], y: {layers: [relu], if: false}}\n  name: a",
    "a block": "unit: 5\n  name: a",
    "a built-in block": "bottleneck: {width: 1, out_channels: 3}\n  name: a",
    "a repeat": f"{C}\n  name: a\n  repeat: 3",
    "a repeat of one": f"{C}\n  name: a\n  repeat: 1",
    "a repeated group": f"layers: [{C}, relu]\n  name: a\n  repeat: 3",
    "a repeated block": "unit: =index + 4\n  name: a\n  repeat: 3",
    "a frozen item": f"{C}\n  name: a\n  trainable: false",
    "a recomputed group": f"layers: [{C}, relu]\n  name: a\n  checkpoint: true",
    "a recomputed repeat": f"layers: [{C}, relu]\n  name: a\n  repeat: 2\n  checkpoint: true",
    "what has names inside": f"layers:\n    - {C}\n      name: i\n    - relu\n    - add:\n"
    "      from: [i, previous]\n  name: a",
}
UNIT = """\
unit:
  params: {n: int}
  layers:
    - conv: {out_channels: =n, kernel_size: 1}
    - relu
    - conv: {out_channels: 3, kernel_size: 1}
"""


@pytest.mark.parametrize("what", SHARED)
def test_what_can_be_shared(what: str) -> None:
    text = blocked(UNIT, f"- tanh\n- {SHARED[what]}\n- softplus\n- share: a\n- tanh\n- share: a\n- tanh")
    once = blocked(UNIT, f"- tanh\n- {SHARED[what]}\n- softplus")
    found = same(text)
    assert found.parameters == plan(once).parameters
    assert found.trainable_parameters == plan(once).trainable_parameters
    inside = len(found.layers) - len(plan(once).layers)
    assert inside == 2 * (len(plan(once).layers) - 2) + 2


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_share_may_repeat(times: int) -> None:
    found = same(net(f"- {C}\n  name: a\n- share: a\n  repeat: {times}\n- relu"))
    assert [layer.name for layer in found.layers] == ["a", *(f"share{i + 1}" for i in range(times)), "relu1"]
    assert found.parameters == 12


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_share_with_a_name_may_repeat(times: int) -> None:
    found = same(
        net(f"- {C}\n  name: a\n- share: a\n  repeat: {times}\n  name: z\n- relu\n- add:\n  from: [z, previous]")
    )
    assert [layer.name for layer in found.layers][1 : times + 1] == [f"z.{i}" for i in range(times)]


def test_a_share_may_be_shared() -> None:
    spec = net(f"- {C}\n  name: a\n- share: a\n  name: b\n- relu\n- share: b\n  name: c\n- concat:\n  from: [a, b, c]")
    assert same(spec).parameters == 12


def test_the_arguments_are_those_of_the_first_run() -> None:
    spec = net(
        "- conv: {out_channels: =in_channels + 1, kernel_size: 1}\n  name: a\n"
        "- layers:\n    - conv: {out_channels: 3, kernel_size: 1}\n    - share: a\n      repeat: 1\n  repeat: {k: 2}"
    )
    assert [shape[0] for shape in shapes(spec)] == [4, 3, 4, 3, 4]
    assert same(spec).parameters == 16 + 15 + 15


def test_conditions_are_those_of_the_first_run() -> None:
    group = "- layers:\n    - maxpool: 2\n      if: '=in_size[0] == 8'\n    - relu\n  name: g\n"
    assert [shape[1] for shape in shapes(net(f"{group}- share: g\n- share: g"))] == [4, 4, 2, 2, 1, 1]


def test_names_of_shared_layers() -> None:
    spec = net(f"- layers: [{C}, relu]\n  name: a\n- share: a\n- share: a\n  name: z\n- share: z")
    assert names(spec) == [
        "a.conv1", "a.relu1", "share1.conv1", "share1.relu1", "z.conv1", "z.relu1", "share2.conv1", "share2.relu1",
    ]  # fmt: skip


def test_a_shared_repeat_keeps_its_numbers() -> None:
    spec = net(f"- {C}\n  name: a\n  repeat: 2\n- share: a\n- share: a\n  name: z\n- abs:\n  from: z")
    assert names(spec) == ["a.0", "a.1", "share1.0", "share1.1", "z.0", "z.1", "abs1"]
    assert inputs(spec)["abs1"] == ("z.1",)
    same(spec)


def test_one_head_over_a_pyramid() -> None:
    spec = net(
        f"""
        - layers: [{C}, relu, conv: {{out_channels: 2, kernel_size: 1}}]
          name: head
        - maxpool: 2
          from: input
          name: half_size
        - share: head
          name: head2
        - maxpool: 2
          from: half_size
        - share: head
          name: head4
        """,
        more="outputs: [head, head2, head4]",
    )
    found = same(spec)
    assert [tuple(v.shape) for v in found.graph.outputs.values()] == [(2, 8, 8), (2, 4, 4), (2, 2, 2)]
    assert found.parameters == 12 + 8


# -------------------------------------------------------------------- where it may stand


def test_inside_groups_branches_and_repeats() -> None:
    spec = net(
        f"""
        - {C}
          name: a
        - layers:
            - share: a
            - add:
                x: [share: a, relu]
                y: [tanh, share: a]
          name: g
          repeat: 3
        - concat: [[share: a], [share: g], []]
        """
    )
    found = same(spec)
    assert found.parameters == 12
    assert names(spec)[-2].startswith("concat1.1.share1.2.")


def test_inside_a_block_each_use_has_its_own() -> None:
    block = f"b:\n  layers:\n    - {C}\n      name: a\n    - relu\n    - share: a\n      repeat: 2"
    spec = blocked(block, "- b:\n  name: q\n- b:\n  repeat: 3\n- share: q")
    assert same(spec).parameters == 4 * 12


def test_of_each_copy_its_own() -> None:
    spec = net(f"- layers:\n    - {C}\n      name: a\n    - relu\n    - share: a\n  repeat: 3")
    assert same(spec).parameters == 3 * 12
    assert inputs(spec)["share2"] == ("relu2",)


def test_in_a_recomputed_group() -> None:
    same(net(f"- {C}\n  name: a\n- layers: [share: a, relu, share: a]\n  checkpoint: true\n- share: a"))


def test_names_that_are_not_visible_cannot_be_shared() -> None:
    blames(net(f"- layers:\n    - {C}\n      name: a\n- share: «a"), "S016")
    blames(net(f"- add:\n    x:\n      - {C}\n        name: a\n    y:\n      - share: «a"), "S016")
    blames(blocked("b: {layers: [share: «a]}", f"- {C}\n  name: a\n- b"), "S016")
    blames(net("- layers:\n    - share: «g\n  name: g"), "S016")
    assert "before it is defined" in complaint(net("- share: «a\n- relu:\n  name: a"), "S016")
    assert "`name`" in complaint(net("- relu\n- share: «relu1"), "S016")
    assert "'alpha'" in complaint(net("- relu:\n  name: alpha\n- share: «alhpa"), "S016")


@pytest.mark.parametrize("value", ["input", "previous"])
def test_values_cannot_be_shared(value: str) -> None:
    assert "value" in complaint(net(f"- relu\n- share: «{value}"), "S016")
    assert "value" in complaint(blocked("b: {inputs: [x], layers: [{share: «x, from: x}]}", "- relu\n- b"), "S016")


FORMS = """
share: «s.0   share: «[s]   share: «{s: }   share: «~   share: «3   share: «=s   share: «'s t'   share: «s.x
share: s@  «kernel_size: 3   share: s@  trainable: «no   «share
"""


@pytest.mark.parametrize("item", listed(FORMS))
def test_malformed_shares(item: str) -> None:
    blames(net(f"- split: 3\n  name: s\n- concat\n- {item}".replace("@", "\n")))


@pytest.mark.parametrize("modifier", ["trainable: true", "trainable: false", "checkpoint: true", "checkpoint: false"])
def test_what_belongs_on_the_item_itself(modifier: str) -> None:
    assert "move it there" in complaint(net(f"- {C}\n  name: a\n- share: a\n  «{modifier}"), "Y911")


def test_frozen_around() -> None:
    """What freezes is on the item, or around it: a group around `share` freezes nothing of another's."""
    spec = net(f"- {C}\n  name: a\n- layers:\n    - share: a\n    - {C}\n  trainable: false")
    assert same(spec).trainable_parameters == 12
    assert same(net(f"- {C}\n  name: a\n  trainable: false\n- share: a\n- {C}")).trainable_parameters == 12
    block = f"b:\n  layers:\n    - {C}\n      name: a\n    - share: a"
    assert same(blocked(block, "- b:\n  trainable: false\n  name: z\n- share: z\n- b")).trainable_parameters == 12


def test_left_out() -> None:
    assert names(net(f"- {C}\n  name: a\n- share: a\n  if: false\n- share: a\n  if: =in_channels == 3\n- relu")) == [
        "a", "share1", "relu1",
    ]  # fmt: skip
    blames(net(f"- {C}\n  name: a\n- share: a\n  name: z\n  repeat: 0\n- relu:\n  from: «z"), "S016")


# -------------------------------------------------------------------- what is refused


def test_parameter_shapes_must_agree() -> None:
    four = "- conv: {out_channels: 4, kernel_size: 1}\n  name: a\n- relu\n"
    (found,) = blames(net(f"{four}- «share: a"), "S021")
    for word in ("'a'", "4x3x1x1", "4x4x1x1"):
        assert word in found.message
    assert "3 channels" in found.help
    assert [r.start and r.start.line for r in found.related] == [5]
    blames(net("- flatten\n- linear: 4\n  name: a\n- «share: a"), "S021")
    blames(net("- layernorm:\n  name: a\n- maxpool: 2\n- «share: a"), "S021")
    blames(net(f"- layers: [relu, {four.strip('- ').partition(chr(10))[0]}]\n  name: g\n- tanh\n- «share: g"), "S021")


def test_help_where_the_size_differs() -> None:
    assert "3 channels" not in complaint(net("- layernorm:\n  name: a\n- maxpool: 2\n- «share: a"), "S021")


def over_ranks(item: str) -> str:
    """An item that runs on a sequence, and is shared to run on an image."""
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 8], b: [3, 8, 8]}\n"
    return net(f"- {item}\n  from: a\n  name: n\n- «share: n\n  from: b\n  name: z", head=head, more="outputs: [n, z]")


@pytest.mark.parametrize("item", [C, "maxpool: 2", "batchnorm:", "dropout2d: 0.5", "global_avgpool:", "layernorm:"])
def test_one_module_runs_one_rank(item: str) -> None:
    blames(over_ranks(item), "S021")


@pytest.mark.parametrize("item", ["relu:", "softplus:", "dropout: 0.5", "flatten:", "prelu:", "groupnorm: 3", "lrn: 3"])
def test_what_takes_any_rank_may_be_shared_over_ranks(item: str) -> None:
    same(over_ranks(item).replace("«", ""))


@pytest.mark.parametrize(
    ("item", "between", "fits"),
    [
        ("conv: {out_channels: 3, kernel_size: 3, padding: same}", "maxpool: 2", True),
        ("conv: {out_channels: 3, kernel_size: 3, stride: 3, padding: same}", "maxpool: 2", False),
        ("conv: {out_channels: 3, kernel_size: 3, padding: half}", "maxpool: 2", True),
        ("adaptive_avgpool: 4", "identity", True),
        ("reshape: [12, 16]", "reshape: [3, 8, 8]", True),
        ("reshape: [-1, 8]", "reshape: [6, 4, 8]", True),
        ("upsample: {size: 6}", "maxpool: 2", True),
        ("maxpool: {kernel_size: 3, stride: 2, padding: same}", "pad: {padding: [[0, 1], [0, 1]]}", False),
    ],
)
def test_what_a_module_derives_from_the_size_must_be_the_same(item: str, between: str, fits: bool) -> None:
    spec = net(f"- {item}\n  name: a\n- {between}\n- «share: a")
    if fits:
        same(spec.replace("«", ""))
    else:
        assert "depends on the size" in complaint(spec, "S021")


def test_what_does_not_fit_is_reported_where_it_is_shared() -> None:
    blames(net("- conv: {out_channels: 3, kernel_size: 5}\n  name: a\n- «share: a"), "S001")


def test_a_rank_that_does_not_fit_is_reported_where_it_is_shared() -> None:
    blames(net("- flatten\n- linear: 3\n  name: a\n- relu\n- «share: a\n  from: input"), "S003")


def test_a_type_that_does_not_fit_is_reported_where_it_is_shared() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 8], b: {shape: [3, 8], dtype: int64}}\n"
    spec = net(f"- {C}\n  from: a\n  name: n\n- «share: n\n  from: b\n  name: z", head=head, more="outputs: [n, z]")
    blames(spec, "S023")


# -------------------------------------------------------------------- several values


def test_items_of_several_inputs() -> None:
    layers = "- tanh:\n  name: t\n- cross:\n  from: [t, input]\n  name: z\n- share: z\n  from: [z.q, z.p]\n- add"
    spec = blocked(CROSS, layers)
    assert inputs(spec)["share1.p"] == ("z.q",)
    assert inputs(spec)["share1.q"] == ("share1.p", "z.p")
    assert same(spec).parameters == 12


def test_a_share_passes_all_outputs_on_and_names_them() -> None:
    layers = "- tanh:\n  name: t\n- cross:\n  from: [t, input]\n  name: z\n- share: z\n  name: s\n- abs:\n  from: s.q"
    assert inputs(blocked(CROSS, layers))["abs1"] == ("s.q",)
    same(blocked(CROSS, layers))
    split = net("- split: 3\n  name: s\n- concat\n- share: s\n  name: t\n- add:\n  from: [s.0, t.1]")
    assert inputs(split)["add1"] == ("s.0", "t.1")


def test_as_many_values_as_the_first_run() -> None:
    layers = "- tanh:\n  name: t\n- cross:\n  from: [t, input]\n  name: z\n- «share: z\n  from: {}"
    for sources in ("z.p", "[z.p]", "[t, t, t]"):
        blames(blocked(CROSS, layers.format(sources)), "S019")
    blames(net("- relu:\n  name: r\n- add:\n  from: [r, input]\n  name: a\n- «share: a"), "S019")
    blames(net(f"- {C}\n  name: a\n- «share: a\n  from: [a, input]"), "S019")


def test_a_merge_of_references() -> None:
    spec = net("- relu:\n  name: r\n- subtract:\n  from: [r, input]\n  name: a\n- share: a\n  from: [a, r]")
    assert inputs(spec)["share1"] == ("a", "r")
    same(spec)
    spec = net(f"- relu:\n  name: r\n- add: [[{C}], []]\n  from: [r, input]\n  name: a\n- share: a\n  from: [a, r]")
    assert inputs(spec)["share1"] == ("share1.0.conv1", "r")
    same(spec)


@pytest.mark.parametrize("first", ["[r, r]", "[r, previous]"])
def test_a_first_run_on_one_value_twice(first: str) -> None:
    spec = net(f"- relu:\n  name: r\n- subtract:\n  from: {first}\n  name: a\n- share: a\n  from: [r, input]")
    assert inputs(spec)["share1"] == ("r", "input")


def test_a_second_run_on_one_value_twice() -> None:
    spec = net("- relu:\n  name: r\n- subtract:\n  from: [r, input]\n  name: a\n- share: a\n  from: [a, a]")
    assert inputs(spec)["share1"] == ("a", "a")
    same(spec)


# -------------------------------------------------------------------- references inside


AROUND = (
    f"- {C}\n  name: o\n@- layers:\n    - tanh\n    - subtract:\n      from: [o, previous]\n"
    "  name: g\n- relu\n- share: g"
)


def test_references_to_what_is_around_stay() -> None:
    spec = net(AROUND.replace("@", "- abs\n"))
    assert inputs(spec)["share1.subtract1"] == ("o", "share1.tanh1")
    same(spec)


def test_references_to_what_entered_stay_too() -> None:
    """A name stands for the same value whether or not that value is also what enters."""
    assert inputs(net(AROUND.replace("@", "")))["share1.subtract1"] == ("o", "share1.tanh1")


def test_previous_is_what_enters_each_run() -> None:
    spec = net(f"- tanh\n- layers:\n    - add: [[relu], [{C}]]\n      from: previous\n  name: g\n- abs\n- share: g")
    assert inputs(spec)["share1.add1.0.relu1"] == ("abs1",)


def test_sizes_taken_from_others() -> None:
    spec = net("- maxpool: 2\n  name: m\n- upsample: {like: input}\n  name: u\n- maxpool: 4\n- share: u")
    assert last(spec) == (3, 8, 8)
    same(spec)


# -------------------------------------------------------------------- limits


def test_shared_layers_count_as_layers() -> None:
    doubled = "".join(f"- layers: [share: a{i}, share: a{i}]\n  name: a{i + 1}\n" for i in range(20))
    assert [d.code for d in refused(net(f"- relu:\n  name: a0\n{doubled}"))] == ["Y910"]


def test_shared_items_without_layers_count_as_items() -> None:
    doubled = "".join(f"- layers: [share: a{i}, share: a{i}]\n  name: a{i + 1}\n" for i in range(16))
    spec = net(f"- relu\n- layers: [{{relu: , if: false}}]\n  name: a0\n{doubled}- tanh")
    assert [d.code for d in refused(spec)] == ["Y910"]
