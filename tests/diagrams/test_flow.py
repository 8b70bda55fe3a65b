"""What flows in the diagram is what flows in the graph: counted by brute force over the layers."""

import pytest
from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan import zoo
from cnnplan.diagrams.building import diagram
from cnnplan.diagrams.model import Box, Diagram, Group
from cnnplan.graph import Copy, Node, Scope, Step
from cnnplan.planning import Plan
from tests.language.helpers import blocked, net, plan
from tests.networks import Spec, networks

DEPTHS = (None, 1, 2, 3, 4)
Place = dict[int, int]


def places(plan: Plan) -> dict[Node, Place]:
    """Of each layer, in which copy of each item around it it is."""
    found: dict[Node, Place] = {}

    def of_steps(steps: tuple[Step, ...], around: Place) -> None:
        for step in steps:
            for index, copy in enumerate(step.copies):
                of_copy(copy, {**around, id(step): index})

    def of_copy(copy: Copy, around: Place) -> None:
        if copy.node:
            found[copy.node] = around
        if copy.scope:
            of_scope(copy.scope, around)
        of_steps(copy.steps, around)

    def of_scope(scope: Scope, around: Place) -> None:
        of_steps(scope.steps, around)
        for _, branch in scope.branches:
            if branch:
                of_scope(branch, around)
        if scope.node:
            found[scope.node] = around

    of_steps(plan.graph.root.steps, {})
    return found


def wanted(plan: Plan, shown: Diagram) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """The edges that there must be, of values and of sizes.

    There is none from one copy to the next where the box at its end stands for both.
    """
    boxes = list(shown.root.boxes())
    box_of = {node: box for box in boxes for node in box.nodes}
    ends = {"input": iter(plan.graph.inputs), "output": iter(plan.graph.outputs.values())}
    inputs = {next(ends["input"]): box.key for box in boxes if box.shape == "input"}
    outputs = [(next(ends["output"]), box.key) for box in boxes if box.shape == "output"]
    place = places(plan)
    copies = {box.key: [place[node] for node in box.nodes] for box in boxes}

    def folded(a: Node, b: Node) -> bool:
        for step, index in place[a].items():
            other = place[b].get(step, index)
            if other != index:
                in_a = {around.get(step) for around in copies[box_of[a].key]}
                in_b = {around.get(step) for around in copies[box_of[b].key]}
                return other in in_a and index in in_b
        return False

    values: set[tuple[int, int]] = set()
    sizes: set[tuple[int, int]] = set()
    for node in plan.graph.nodes:
        target = box_of[node].key
        taken = [(value, values) for value in node.inputs]
        if node.like and node.op.refers == "like":
            taken.append((node.like, sizes))
        for value, kind in taken:
            if value.node is None:
                kind.add((inputs[value], target))
            elif box_of[value.node].key != target and not folded(value.node, node):
                kind.add((box_of[value.node].key, target))
    for value, key in outputs:
        values.add((box_of[value.node].key if value.node else inputs[value], key))
    return values, sizes - values


def check(plan: Plan, depth: int | None) -> Diagram:
    shown = diagram(plan, depth)
    boxes = list(shown.root.boxes())
    inside = [node for box in boxes for node in box.nodes]
    assert len(inside) == len(set(inside))
    assert set(inside) == set(plan.graph.nodes)
    values, sizes = wanted(plan, shown)
    drawn = [(edge.source, edge.target, edge.sized) for edge in shown.edges]
    assert len(drawn) == len(set(drawn))
    assert {(a, b) for a, b, sized in drawn if not sized} == values
    assert {(a, b) for a, b, sized in drawn if sized} == sizes
    assert all(a < b for a, b, _ in drawn), "edges lead forward"
    return shown


def closure(edges: set[tuple[int, int]], count: int) -> list[int]:
    """For each of 0 … count - 1, those that it reaches, as bits; edges lead to higher numbers."""
    reached = [1 << i for i in range(count)]
    for a, b in sorted(edges, reverse=True):
        reached[a] |= reached[b]
    return reached


@pytest.mark.parametrize("name", zoo.names())
def test_every_flow_of_the_zoo_is_drawn_and_no_other(name: str) -> None:
    found = cnnplan.plan(zoo.find(name))
    for depth in DEPTHS:
        check(found, depth)


def reach_of_layers(plan: Plan) -> list[int]:
    nodes = plan.graph.nodes
    return closure({(v.node.index, n.index) for n in nodes for v in n.inputs if v.node}, len(nodes))


def reach_of_boxes(shown: Diagram) -> list[int]:
    boxes = max(box.key for box in shown.root.boxes()) + 1
    return closure({(edge.source, edge.target) for edge in shown.edges if not edge.sized}, boxes)


@pytest.mark.parametrize("name", ["unet", "fpn", "siamese", "densenet", "segnet", "resnet18", "recurrent_conv"])
def test_what_a_layer_reaches_in_the_graph_its_box_reaches(name: str) -> None:
    found = cnnplan.plan(zoo.find(name))
    layers, place = reach_of_layers(found), places(found)
    for depth in DEPTHS:
        shown = diagram(found, depth)
        box_of = {node: box.key for box in shown.root.boxes() for node in box.nodes}
        boxes = reach_of_boxes(shown)
        for a in found.graph.nodes:
            for b in found.graph.nodes:
                copies = any(place[b].get(step, index) != index for step, index in place[a].items())
                if layers[a.index] >> b.index & 1 and not copies:  # what copies give to the next is counted above
                    assert boxes[box_of[a]] >> box_of[b] & 1, f"{a.name} reaches {b.name} at depth {depth}"


@pytest.mark.parametrize("name", ["unet", "googlenet", "inception_v3", "squeezenet1_0"])
def test_where_nothing_is_closed_boxes_reach_no_more_than_layers(name: str) -> None:
    found = cnnplan.plan(zoo.find(name))
    layers = reach_of_layers(found)
    shown = diagram(found, 9)
    boxes = [box for box in shown.root.boxes() if box.nodes]
    assert not any(box.times > 1 or box.shape == "block" for box in boxes)
    reached = reach_of_boxes(shown)
    for a in boxes:
        for b in boxes:
            assert reached[a.key] >> b.key & 1 == layers[a.nodes[-1].index] >> b.nodes[-1].index & 1


@given(networks(most=8))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_every_flow_of_any_network_is_drawn(spec: Spec) -> None:
    found = cnnplan.plan(spec)
    for depth in (None, 1, 2, 5):
        check(found, depth)


def outline(text: str, depth: int | None = None) -> list[str]:
    """Boxes by the first line of their text, frames by their title, indented."""
    found = []

    def of(group: Group, indent: str) -> None:
        for part in group.parts:
            if isinstance(part, Group):
                found.append(f"{indent}[{part.title}]")
                of(part, f"{indent}  ")
            elif part.nodes:
                found.append(f"{indent}{part.lines[0].text}")

    of(check(plan(text), depth).root, "")
    return found


def words(text: str, depth: int | None = None) -> list[list[str]]:
    """The operations that each box says."""
    boxes: list[Box] = list(check(plan(text), depth).root.boxes())
    return [[line.text for line in box.lines if line.style != "number"] for box in boxes if box.nodes]


CONV = "conv: {out_channels: 3, kernel_size: 3, padding: 1}"


def test_copies_that_are_alike_are_one_box() -> None:
    assert outline(net(f"- {CONV}\n  repeat: 4")) == ["conv1–4 × 4"]
    assert outline(net(f"- {CONV}\n  repeat: 4\n  name: s"), 1) == ["s.0–3 × 4"]


def test_copies_that_differ_are_one_box_by_default_alone() -> None:
    text = net("- conv: {out_channels: =4 + index, kernel_size: 1}\n  repeat: 3")
    assert outline(text) == ["conv1–3 × 3"]
    assert words(text) == [["conv1–3 × 3"]]  # no kernel size nor channels: they differ
    assert outline(text, 1) == ["conv1", "conv2", "conv3"]


def test_copies_that_are_empty_are_not_drawn() -> None:
    block = f"""
    some:
      params: {{full: bool}}
      layers:
        - {CONV}
          if: =full
        - maxpool: {{kernel_size: 3, stride: 1, padding: 1}}
          if: =full
    """
    text = blocked(block, "- relu\n- some: =index < 2\n  repeat: 4\n  name: s")
    assert outline(text) == ["relu1", "s.0–1 × 2"]
    group = blocked(block, "- layers:\n    - relu\n    - tanh\n    - some: =index < 2\n      repeat: 4\n  name: g")
    assert words(group) == [["g", "relu + tanh", "some full × 2"]]


def test_copies_of_a_list_without_a_name_keep_their_order() -> None:
    text = net(f"- layers:\n    - {CONV}\n    - maxpool: {{kernel_size: 3, stride: 1, padding: 1}}\n  repeat: 3")
    for depth in (None, 1):
        assert outline(text, depth) == ["[× 3]", "  conv3", "  maxpool3"]


def test_copies_are_folded_where_they_are_wired_alike() -> None:
    item = f"- layers:\n    - {CONV}\n    - add:\n      from: [a, previous]\n  repeat: 2"
    assert outline(net(f"- {CONV}\n  name: a\n- relu\n{item}"), 1) == ["a", "relu1", "[× 2]", "  conv2", "  add"]
    # the first copy adds what enters it, the second what entered the first
    assert outline(net(f"- {CONV}\n  name: a\n{item}"), 1) == ["a", "conv1", "add", "conv2", "add"]


BLOCKS = f"""
pair:
  layers:
    - {CONV}
    - batchnorm
    - {CONV}
twice:
  layers:
    - pair
    - pair
"""


def test_depth_means_what_it_means_for_the_table() -> None:
    text = blocked(BLOCKS, "- twice\n- relu")
    assert outline(text) == outline(text, 1) == ["twice1", "relu1"]
    assert outline(text, 2) == ["[twice1]", "  pair1", "  pair2", "relu1"]
    assert outline(text, 3) == [
        "[twice1]",
        "  [pair1]",
        "    conv1",
        "    conv2",
        "  [pair2]",
        "    conv1",
        "    conv2",
        "relu1",
    ]


def test_a_scope_that_is_a_short_chain_is_one_box_that_says_so() -> None:
    text = net(f"- layers:\n    - {CONV}\n    - batchnorm\n    - relu\n  name: stem")
    for depth in (None, 1, 5):
        assert words(text, depth) == [["stem", "conv 3x3, 3", "batchnorm", "relu"]]


def test_small_layers_share_a_box_where_nothing_else_reads_what_is_between() -> None:
    assert words(net(f"- {CONV}\n- batchnorm\n- relu")) == [["conv1", "conv 3x3, 3", "batchnorm", "relu"]]
    read = net(f"- {CONV}\n  name: c\n- relu\n- add:\n  from: [c, previous]")
    assert words(read) == [["c", "conv 3x3, 3"], ["relu1"], ["add"]]
    named = net(f"- {CONV}\n- relu:\n  name: act")
    assert words(named) == [["conv1", "conv 3x3, 3"], ["act", "relu"]]
    leaves = net(f"- {CONV}\n  name: c\n- relu:\n", more="outputs: [c]")
    assert words(leaves) == [["c", "conv 3x3, 3"], ["relu1"]]


def test_branches_are_side_by_side_and_an_identity_is_an_edge() -> None:
    text = net(f"- layers:\n    - add:\n        body: [{{{CONV}}}, relu, {{{CONV}}}]\n        skip: []\n  name: g")
    assert outline(text, 1) == ["g"]
    assert outline(text, 2) == ["[g]", "  body", "  add"]
    assert outline(text, 3) == ["[g]", "  [body]", "    conv1", "    conv2", "  add"]


def test_each_and_share_and_several_ends_are_drawn() -> None:
    head = "cnnplan: 1\nname: net\ninputs: {a: [3, 8, 8], b: [3, 8, 8]}\n"
    shares = f"- {CONV}\n  from: a\n  name: c\n- share: c\n  from: b\n  name: d\n"
    slices = "- layers: [flatten, {linear: 4}]\n  each: 1\n  name: e\n  from: c"
    text = net(shares + slices, head=head, more="outputs: [c, d, e]")
    shown = check(plan(text), None)
    assert [box.lines[0].text for box in shown.root.boxes() if not box.nodes] == ["a", "b", "c", "d", "e"]
    shared = [box for box in shown.root.boxes() if box.shared]
    assert [box.lines[-1].text for box in shared] == ["weights of c"]
