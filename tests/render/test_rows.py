"""The table's rows: whatever is folded or left out, the numbers add up."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan import zoo
from cnnplan.planning import Plan
from cnnplan.render.rows import COMFORTABLE, Row, rows
from tests.language.helpers import blocked, net, plan
from tests.networks import Spec, networks

NUMBERS = ("parameters", "macs", "flops")


def below(found: list[Row], index: int) -> Iterator[Row]:
    """The rows one level below a row."""
    level = found[index].level
    for row in found[index + 1 :]:
        if row.level <= level:
            return
        if row.level == level + 1:
            yield row


def add_up(plan: Plan, depth: int | None) -> None:
    """Rows of the first level are the whole network; an opened row, what follows it (a merge's own work aside)."""
    found = rows(plan, depth)
    for number in NUMBERS:
        assert sum(getattr(row, number) for row in found if row.level == 0) == getattr(plan, number)
    for index, row in enumerate(found):
        inner = list(below(found, index))
        assert row.opened == bool(inner)
        if inner:
            assert sum(r.parameters for r in inner) == row.parameters
            assert sum(r.macs for r in inner) == row.macs
            assert sum(r.flops for r in inner) <= row.flops


@pytest.mark.parametrize("name", zoo.names())
def test_rows_add_up(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    for depth in (None, 1, 2, 3, 9):
        add_up(plan, depth)
    assert len(rows(plan)) <= max(COMFORTABLE, len(rows(plan, 1)))


@given(networks(most=8))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_rows_of_any_network_add_up(spec: Spec) -> None:
    plan = cnnplan.plan(spec)
    for depth in (None, 1, 2, 5):
        add_up(plan, depth)


def shown(spec: str, depth: int | None = None) -> list[str]:
    """Rows as `name`, or `name xN`, indented."""
    return ["  " * r.level + r.name + (f" x{r.times}" if r.times > 1 else "") for r in rows(plan(spec), depth)]


CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"


def test_copies_that_are_alike_are_one_row() -> None:
    assert shown(net(f"- {CONV}\n  repeat: 4")) == ["conv1", "conv2–4 x3"]
    assert shown(net(f"- {CONV}\n- relu:\n  repeat: 3")) == ["conv1", "relu1–3 x3"]
    assert shown(net(f"- {CONV}\n  repeat: 4\n  name: s")) == ["s.0", "s.1–3 x3"]


def test_items_that_are_alike_are_rows_of_their_own() -> None:
    assert shown(net("- relu\n- relu")) == ["relu1", "relu2"]


def test_what_differs_is_not_folded() -> None:
    assert shown(net("- conv: {out_channels: =4 + index, kernel_size: 1}\n  repeat: 2")) == ["conv1", "conv2"]
    assert shown(net("- maxpool: 2\n  repeat: 2")) == ["maxpool1", "maxpool2"]


def test_folded_blocks_show_what_is_in_one() -> None:
    spec = blocked("b: {layers: [relu, tanh]}", "- b:\n  repeat: 3")
    assert shown(spec, 1) == ["b1–3 x3"]
    assert shown(spec, 2) == ["b1–3 x3", "  relu1", "  tanh1"]


def test_a_group_that_repeats_folds_its_layers_by_column() -> None:
    spec = net("- layers: [relu, tanh]\n  repeat: 3")
    assert shown(spec) == ["relu1–3 x3", "tanh1–3 x3"]


def test_branches_are_rows() -> None:
    spec = net("- add:\n    body: [relu, tanh]\n    skip: []")
    assert shown(spec, 1) == ["add1"]
    assert shown(spec, 2) == ["add1", "  body", "    relu1", "    tanh1", "  skip"]


def test_ten_thousand_layers_are_a_few_rows() -> None:
    spec = net("- conv: {out_channels: =3 + index % 2, kernel_size: 1}\n  repeat: 10000")
    (row,) = rows(plan(spec))
    assert (row.name, row.times) == ("conv1–10000", 10_000)
    assert row.parameters == plan(spec).parameters


def test_what_differs_from_the_defaults_is_said() -> None:
    found = rows(plan(net("- conv: {out_channels: 4, kernel_size: [3, 5], bias: false, stride: 1}\n- leaky_relu")))
    assert [row.what for row in found] == ["conv 4 kernel_size=[3, 5] bias=false", "leaky_relu"]
    spec = blocked("b: {params: {n: int, k: 3, j: =n * 2}, layers: [relu]}", "- b: 4\n- b: {n: 5, k: 1}")
    assert [row.what for row in rows(plan(spec), 1)] == ["b 4", "b 5 k=1"]


def test_shared_layers_are_marked() -> None:
    found = rows(plan(net(f"- relu\n- {CONV.replace('4', '3')}\n  name: c\n- share: c")))
    assert [row.shared for row in found] == [False, False, True]
    assert found[2].parameters == 0
    assert found[2].macs == found[1].macs
