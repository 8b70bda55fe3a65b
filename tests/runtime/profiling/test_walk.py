"""A step layer by layer: it is the step that the emitted model makes, and each operation falls to its layer."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import cnnplan
from cnnplan.errors import UsageError
from cnnplan.graph import Node
from cnnplan.planning import Plan
from cnnplan.runtime.profiling.memory import timeline
from cnnplan.runtime.profiling.profile import profile
from cnnplan.runtime.profiling.ready import ready
from cnnplan.runtime.profiling.walk import BACKWARD, END, FORWARD, LOSS, STEP
from tests.cli.run import ROOT

CPU = torch.device("cpu")
NETWORKS = {
    "lenet5": None,
    "resnet18": 64,
    "googlenet": 64,
    "shufflenet_v2": 64,
    "mobilenet_v3_small": 64,
    "densenet": 64,
    "siamese": None,
    "unet_padded": 32,
    "tcn": None,
    "text_cnn": None,
}


def plan_of(name: str, **conditions: Any) -> Plan:
    return cnnplan.plan(ROOT / "specs" / f"{name}.yaml", input_size=NETWORKS.get(name), target="cpu", **conditions)


class Operations(TorchDispatchMode):
    """Which of torch's operations run where."""

    def __init__(self) -> None:
        super().__init__()
        self.place: tuple[str, Node | None] = ("", None)
        self.found: dict[tuple[str, Node | None], Counter[str]] = {}

    def at(self, phase: str, node: Node | None) -> None:
        self.place = phase, node

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found.setdefault(self.place, Counter())[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "shufflenet_v2", "densenet", "unet_padded", "siamese"])
def test_operations_fall_to_their_layers(name: str) -> None:
    plan = plan_of(name, batch=2)
    made = ready(plan, CPU, False)
    with Operations() as operations:
        made.walk(operations.at)
    words = {
        ("conv", "depthwise_conv", "conv_transpose"): "convolution",
        ("batchnorm",): "native_batch_norm",
        ("maxpool",): "max_pool2d_with_indices",
    }
    checked = 0
    for (phase, node), counts in operations.found.items():
        for kinds, word in words.items():
            mine = node is not None and node.op.kind in kinds
            if phase == FORWARD:
                assert counts[word] == mine
            if phase == BACKWARD:
                assert counts[f"{word}_backward"] == mine
            checked += mine
    convolutions = sum(node.op.kind == "conv" for node in plan.graph.nodes)
    assert checked >= 2 * convolutions


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "mobilenet_v3_small", "densenet", "tcn"])
def test_it_is_the_step_of_the_emitted_model(name: str) -> None:
    """The same weights behind two steps of both."""
    plan = plan_of(name, batch=2, optimizer="momentum")
    ends = []
    for way in ("walk", "plain"):
        torch.manual_seed(0)
        made = ready(plan, CPU, False)
        for seed in range(2):
            torch.manual_seed(seed)  # of dropout
            if way == "walk":
                made.walk(lambda phase, node: None)
            else:
                made.plain()
        ends.append([tensor.clone() for tensor in made.held])
    assert any(not torch.equal(a, torch.zeros_like(a)) for a in ends[0])
    for a, b in zip(*ends, strict=True):
        assert torch.equal(a, b)


def test_parts_in_their_order() -> None:
    plan = plan_of("lenet5", batch=2)
    seen: list[tuple[str, Node | None]] = []
    ready(plan, CPU, False).walk(lambda phase, node: seen.append((phase, node)))
    nodes = list(plan.graph.nodes)
    assert seen[: len(nodes)] == [(FORWARD, node) for node in nodes]
    assert seen[len(nodes) : len(nodes) + 2] == [(LOSS, None), (BACKWARD, None)]
    backward = [node for phase, node in seen if phase == BACKWARD and node]
    assert backward == nodes[::-1]
    assert seen[-2:] == [(STEP, None), (END, None)]


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", [*NETWORKS])
def test_memory_of_each_layer_is_as_planned(name: str, inference: bool) -> None:
    """Storages that are counted while it runs, against the tape: behind each layer, and at its peak."""
    plan = plan_of(name, batch=2, optimizer="adam")
    made = ready(plan, CPU, inference)
    found = timeline(plan, made.walk, made.held)
    forks = any(len(users) > 1 for users in plan.graph.users().values())
    layers = [key for key in found.measured if key[1] is not None and key in found.planned]
    assert len(layers) > len(plan.graph.nodes) / 2
    for phase, node in layers:
        planned, measured = found.planned[phase, node], found.measured[phase, node]
        if phase == FORWARD or not forks:  # a sum of gradients may fall to either of the layers that they come from
            assert measured == planned, node
    assert max(held.peak for held in found.measured.values()) == max(held.peak for held in found.planned.values())


def test_what_torch_refuses_is_named_with_its_line() -> None:
    text = (
        "cnnplan: 1\nname: one\ninput: [3, 8, 8]\n"
        "layers:\n  - conv: {out_channels: 4, kernel_size: 8}\n  - batchnorm\n  - flatten\n  - linear: 2\n"
    )
    with pytest.raises(UsageError, match=r"torch refuses layer 'batchnorm1' \(line 6\) at batch 1: Expected more"):
        profile(cnnplan.plan(text), device="cpu", runs=1)


def test_layers_that_give_their_input_have_no_backward_pass() -> None:
    text = (
        "cnnplan: 1\nname: one\ninput: [3, 8, 8]\n"
        "layers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - identity\n  - global_avgpool\n  - linear: 2\n"
    )
    seen: list[str] = []
    plan = cnnplan.plan(text, target="cpu", batch=2)
    ready(plan, CPU, False).walk(lambda phase, node: seen.append(f"{phase} {node.name if node else ''}"))
    assert "forward identity1" in seen
    assert "backward identity1" not in seen
    assert [a for a, b in pairwise(seen) if b == "backward conv1"] == ["backward global_avgpool1"]
