"""Which layer is which: what an edit of a spec shows as."""

import copy
import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import cnnplan
from cnnplan.analyses import subsequence
from cnnplan.analyses.alignment import Aligned, align
from cnnplan.analyses.pairing import together
from cnnplan.analyses.pieces import Numbers, pieces
from cnnplan.analyses.subsequence import common, gaps
from cnnplan.errors import SpecError
from cnnplan.planning import Plan
from tests.language.helpers import net
from tests.networks import Spec, networks

NEW = "hardsigmoid"
"""An operation that no random network has."""


def aligned(old: Any, new: Any) -> list[Aligned]:
    """The alignment of two specs, or plans; every layer of both is in it once, in order."""
    a, b = (spec if isinstance(spec, Plan) else cnnplan.plan(spec) for spec in (old, new))
    found = align(a.graph, b.graph)
    assert Counter(x.old for x in found if x.old) == Counter(a.graph.nodes)
    assert [x.new for x in found if x.new] == list(b.graph.nodes)
    return found


def told(old: Any, new: Any) -> list[str]:
    """What differs, a line each: `+ relu1`, `~ conv1`, `→ a > b`."""
    marks = {"added": "+", "removed": "-", "changed": "~", "renamed": "→", "moved": "↕"}
    lines = []
    for x in aligned(old, new):
        if x.status != "same":
            names = list(dict.fromkeys(node.name for node in (x.old, x.new) if node))
            lines.append(f"{marks[x.status]} {' > '.join(names)}{' *' if x.rewired else ''}")
    return lines


def items(layers: list[Any]) -> Iterator[tuple[list[Any], int]]:
    """Every place in a list of items, and in the lists inside it: groups and branches."""
    for index, item in enumerate(layers):
        yield layers, index
        for value in item.values() if isinstance(item, dict) else ():
            branches = list(value.values()) if isinstance(value, dict) else [value]
            if branches and all(isinstance(x, list) for x in branches) and "from" not in item:
                for branch in branches:
                    if all(isinstance(x, str | dict) for x in branch):
                        yield from items(branch)


def edited(spec: Spec, data: st.DataObject, edit: Any) -> Plan:
    """The plan of a spec after an edit at one place, or nothing where that is not valid."""
    other = copy.deepcopy(spec)
    places = [*items(other["layers"]), *(p for block in other["blocks"].values() for p in items(block["layers"]))]
    layers, index = places[data.draw(st.integers(0, len(places) - 1))]
    edit(layers, index)
    try:
        return cnnplan.plan(other)
    except SpecError:
        assume(False)
        raise


@given(networks())
def test_a_network_beside_itself_is_the_same(spec: Spec) -> None:
    assert told(spec, spec) == []
    assert not any(x.rewired for x in aligned(spec, spec))


@given(networks(), st.data())
def test_an_inserted_layer_is_one_addition(spec: Spec, data: st.DataObject) -> None:
    new = edited(spec, data, lambda layers, index: layers.insert(index, NEW))
    old = cnnplan.plan(spec)
    found = [x for x in aligned(old, new) if x.status != "same"]
    assert {(x.status, x.new.op.kind) for x in found if x.new} <= {("added", NEW)}
    assert len(found) == len(new.layers) - len(old.layers)
    gone = [x for x in aligned(new, old) if x.status != "same"]
    assert [(x.status, x.old) for x in gone] == [("removed", x.new) for x in found]


@given(networks(), st.data())
def test_a_changed_argument_is_a_change_of_the_same_layer(spec: Spec, data: st.DataObject) -> None:
    def toggle(layers: list[Any], index: int) -> None:
        item = layers[index]
        assume(isinstance(item, dict) and isinstance(item.get("conv"), dict))
        item["conv"]["bias"] = item["conv"].get("bias") is False

    old, new = cnnplan.plan(spec), edited(spec, data, toggle)
    found = [x for x in aligned(old, new) if x.status != "same"]
    for x in found:
        assert x.status == "changed"
        assert not x.rewired
        assert x.old
        assert x.new
        assert x.old.name == x.new.name
        assert x.old.op.model_copy(update={"bias": x.new.op.bias}) == x.new.op  # type: ignore[attr-defined]
    assert len(found) == sum(a.node.op != b.node.op for a, b in zip(old.layers, new.layers, strict=True))


@given(networks(), networks())
def test_both_directions_tell_the_same(one: Spec, other: Spec) -> None:
    turned = {"added": "removed", "removed": "added"}
    a, b = cnnplan.plan(one), cnnplan.plan(other)
    back = {(x.new, x.old, turned.get(x.status, x.status), x.rewired) for x in align(b.graph, a.graph)}
    assert {tuple(x) for x in align(a.graph, b.graph)} == back


CHAIN = """
    - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    - relu
    - conv: {out_channels: 8, kernel_size: 3, padding: 1}
    - relu
    - maxpool: 2
    - conv: {out_channels: 16, kernel_size: 3, padding: 1}
    - batchnorm
    - relu
"""


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("- maxpool: 2", "- batchnorm\n    - maxpool: 2", ["+ batchnorm1"]),
        ("    - maxpool: 2\n", "", ["- maxpool1"]),
        ("out_channels: 16", "out_channels: 24", ["~ conv3"]),
        ("out_channels: 16, kernel_size: 3, padding: 1", "out_channels: 32, kernel_size: 1", ["~ conv3"]),
        ("- maxpool: 2", "- avgpool: 2", ["~ maxpool1 > avgpool1"]),
        ("- maxpool: 2", "- dropout: 0.1", ["- maxpool1", "+ dropout1"]),
        ("- maxpool: 2", "- maxpool: {kernel_size: 2, stride: 2}", []),  # in other words the same
        ("- maxpool: 2", "- maxpool: 2\n      name: down", ["→ maxpool1 > down"]),
        ("- maxpool: 2", "- maxpool: 2\n      checkpoint: true", ["~ maxpool1"]),
        ("- batchnorm\n    - relu", "- relu\n    - batchnorm", ["↕ relu3"]),
        ("16, kernel_size: 3, padding: 1}\n", "16, kernel_size: 3, padding: 1}\n    - relu\n"
         "    - conv: {out_channels: 16, kernel_size: 1}\n", ["+ relu3", "+ conv4"]),  # batchnorm, relu follow
        ("    - maxpool: 2", "    - conv: {out_channels: 8, kernel_size: 1}\n    - relu\n    - maxpool: 2",
         ["+ conv3", "+ relu3"]),
        ("- maxpool: 2", "- conv: {out_channels: 8, kernel_size: 3, padding: 1}\n    - relu\n    - maxpool: 2",
         ["+ conv3", "+ relu3"]),
    ],
)  # fmt: skip
def test_edits_of_a_chain(before: str, after: str, lines: list[str]) -> None:
    assert before in CHAIN
    assert told(net(CHAIN), net(CHAIN.replace(before, after))) == lines


def test_what_is_added_or_removed_begins_as_blocks_begin() -> None:
    """Of a convolution and a ReLU behind each other, not a ReLU and the next convolution, in either direction."""
    unit = "- conv: {out_channels: 8, kernel_size: 1}\n    - relu\n    "
    one = CHAIN.replace("- maxpool: 2", f"{unit}- maxpool: 2").replace("kernel_size: 3", "kernel_size: 5", 1)
    other = CHAIN.replace("- batchnorm", "- batchnorm\n    - gelu\n    - gelu\n    - gelu")
    assert told(net(one), net(other)) == ["~ conv1", "- conv3", "- relu3", "+ gelu1", "+ gelu2", "+ gelu3"]
    assert told(net(other), net(one)) == ["~ conv1", "+ conv3", "+ relu3", "- gelu1", "- gelu2", "- gelu3"]


few = st.lists(st.sampled_from(["relu", "batchnorm", "tanh", "conv"]), min_size=1, max_size=4)


@given(few, few, few)
def test_what_is_added_one_way_is_removed_the_other_way(before: list[str], added: list[str], behind: list[str]) -> None:
    conv = {"conv": {"out_channels": 3, "kernel_size": 1}}
    sides = []
    numbers = Numbers()
    for words in (before + behind, before + added + behind):
        layers = [conv if word == "conv" else word for word in words]
        plan = cnnplan.plan({"cnnplan": 1, "name": "n", "input": [3, 4, 4], "layers": layers})
        sides.append(pieces(plan.graph, numbers))
    found = together(*sides)
    assert len(found) == len(sides[0])
    assert found == [(i, j) for j, i in together(*sides[::-1])]


BLOCKS = """
    blocks:
      unit:
        params: {width: int}
        layers:
          - conv: {out_channels: =width, kernel_size: 3, padding: 1}
          - batchnorm
          - relu
"""
UNITS = """
    - unit: 8
      repeat: 2
    - unit: 16
      name: neck
    - unit: 16
      repeat: 2
    - global_avgpool
    - linear: 10
"""


@pytest.mark.parametrize(
    ("layers", "lines"),
    [
        (UNITS.replace("repeat: 2", "repeat: 3", 1), ["+ unit3.conv1", "+ unit3.batchnorm1", "+ unit3.relu1"]),
        (UNITS.replace("- unit: 8\n      repeat: 2", "- unit: 8"),
         ["- unit2.conv1", "- unit2.batchnorm1", "- unit2.relu1"]),
        (UNITS.replace("name: neck", "name: throat"),
         ["→ neck.conv1 > throat.conv1", "→ neck.batchnorm1 > throat.batchnorm1", "→ neck.relu1 > throat.relu1"]),
        (UNITS.replace("16\n      name: neck", "24\n      name: neck"), ["~ neck.conv1"]),
        (UNITS.replace("unit: 8", "unit: 4"), ["~ unit1.conv1", "~ unit2.conv1"]),
        (UNITS.replace("- linear: 10", "- linear: 12"), ["~ linear1"]),
        (UNITS.replace("- global_avgpool", "- dropout: 0.2\n    - global_avgpool"), ["+ dropout1"]),
        (UNITS.replace("- unit: 16\n      name: neck\n",
                       "- conv: {out_channels: 16, kernel_size: 3, padding: 1}\n    - batchnorm\n    - relu\n"),
         ["→ neck.conv1 > conv1", "→ neck.batchnorm1 > batchnorm1", "→ neck.relu1 > relu1"]),
    ],
)  # fmt: skip
def test_edits_of_blocks(layers: str, lines: list[str]) -> None:
    assert told(net(UNITS, more=BLOCKS), net(layers, more=BLOCKS)) == lines


def test_a_changed_block_is_a_change_of_each_use() -> None:
    wider = BLOCKS.replace("- relu", "- relu6").replace("kernel_size: 3, padding: 1", "kernel_size: 5, padding: 2")
    found = aligned(net(UNITS, more=BLOCKS), net(UNITS, more=wider))
    assert Counter((x.status, x.old.op.kind) for x in found if x.old) == {
        ("changed", "conv"): 5,
        ("changed", "relu"): 5,
        ("same", "batchnorm"): 5,
        ("same", "global_avgpool"): 1,
        ("same", "linear"): 1,
    }


WIRED = """
    - conv: {out_channels: 8, kernel_size: 3, padding: 1}
      name: a
    - conv: {out_channels: 8, kernel_size: 1}
      name: b
    - relu:
      name: c
    - add:
      from: [a, c]
    - tanh
"""


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("from: [a, c]", "from: [b, c]", ["~ add1 *"]),
        ("from: [a, c]", "from: [a, b, c]", ["~ add1 *"]),
        ("from: [a, c]", "from: [a, c, b]", ["~ add1 *"]),
        ("- relu:\n      name: c", "- gelu\n    - relu:\n      name: c", ["+ gelu1"]),
        ("- tanh", "- relu\n    - tanh", ["+ relu1"]),
        ("name: c\n    - add:\n      from: [a, c]", "name: d\n    - add:\n      from: [a, d]", ["→ c > d"]),
        ("- tanh", "- tanh:\n      from: b", ["~ tanh1 *"]),
        ("- add:\n      from: [a, c]", "- abs:\n      from: a\n    - add:\n      from: [previous, c]", ["+ abs1"]),
    ],
)
def test_what_a_layer_takes(before: str, after: str, lines: list[str]) -> None:
    assert before in WIRED
    assert told(net(WIRED), net(WIRED.replace(before, after))) == lines


def test_the_zoo_beside_its_relatives() -> None:
    """Networks that are written with other blocks are still those of the paper's table."""
    counts = Counter(x.status for x in aligned("specs/vgg16.yaml", "specs/vgg19.yaml"))
    assert counts == {"same": 39, "added": 6}
    found = aligned("specs/vgg16.yaml", "specs/vgg16_bn.yaml")
    assert Counter(x.status for x in found) == {"same": 39, "added": 13}
    counts = Counter(x.status for x in aligned("specs/resnet50.yaml", "specs/resnet101.yaml"))
    assert counts["removed"] == counts["changed"] == 0
    assert counts["added"] == 17 * 10  # bottlenecks without a shortcut: three convolutions, norms, ReLUs, a sum
    counts = Counter(x.status for x in aligned("specs/resnet50.yaml", "specs/resnext50.yaml"))
    assert counts["changed"] == 2 * 16  # of each bottleneck, all but the last convolution
    assert counts["added"] == counts["removed"] == 0


def flat(length: int, seed: int) -> Plan:
    chance = random.Random(seed)
    kinds: list[Any] = ["relu", "tanh", "batchnorm", "sigmoid"]
    kinds += [{"conv": {"out_channels": n, "kernel_size": k, "padding": "half"}} for n in (2, 3) for k in (1, 3)]
    layers = [chance.choice(kinds) for _ in range(length)]
    return cnnplan.plan({"cnnplan": 1, "name": "flat", "input": [3, 4, 4], "layers": layers})


def test_ten_thousand_layers_take_no_time() -> None:
    one, other = flat(10_000, 1), flat(10_000, 2)
    for a, b in ((one, one), (one, other)):
        start = time.perf_counter()
        align(a.graph, b.graph)
        assert time.perf_counter() - start < 5


short_lists = st.lists(st.integers(0, 3), max_size=14)


@given(short_lists, short_lists, st.booleans())
def test_a_common_subsequence(a: list[int], b: list[int], limited: bool) -> None:
    """The longest one, by the textbook's table; some common one where the shortest edit is not looked for."""
    with pytest.MonkeyPatch.context() as patch:
        if limited:
            patch.setattr(subsequence, "MOST_EDITS", 1)
        found = common(a, b)
    assert all(a[i] == b[j] for i, j in found)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(found))
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert len(found) == table[-1][-1] if not limited else len(found) <= table[-1][-1]
    covered = sum(end[0] - start[0] for start, end in gaps(found, len(a), len(b)))
    assert covered + len(found) == len(a)
