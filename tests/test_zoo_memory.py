"""What autograd keeps of the zoo at full size, to the byte: torch runs it without numbers, on its meta device."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import cnnplan
from cnnplan import zoo
from tests.test_zoo import REFERENCES, small

BATCHES = (2, 3, 5)
RECURRENT = ("lrcn",)  # on the meta device, torch takes their steps one by one

# bytes a sample, the input's 602,112 among them, and bytes once (statistics of batch norms): what
# saved_tensors_hooks sees of torchvision's own models in training
TORCHVISION = {
    "resnet18": (22_179_840, 38_400),
    "resnet50": (85_909_504, 212_480),
    "resnet152": (177_430_528, 605_696),
    "mobilenet_v2": (78_209_536, 136_448),
    "densenet": (130_361_344, 334_592),
    "squeezenet1_0": (35_767_328, 0),
    # the adaptive pooling in front of its dense layers copies a map that has that size already
    "alexnet": (3_741_184 - 4 * 256 * 6 * 6, 0),
    "vgg16": (73_355_264 - 4 * 512 * 7 * 7, 0),
}


@contextmanager
def keeping() -> Iterator[dict[int, Tensor]]:
    """The tensors that autograd keeps inside, one for each storage."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        return kept.setdefault(tensor.untyped_storage()._cdata, tensor)

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def measured(model: nn.Module, plan: cnnplan.Plan, batch: int, device: str = "meta") -> int:
    """The bytes that autograd keeps besides parameters, buffers and inputs."""
    given = plan.graph.inputs
    inputs = [torch.zeros(batch, *value.shape, dtype=getattr(torch, value.dtype), device=device) for value in given]
    with keeping() as kept:
        outputs = model(*inputs)
    apart = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers(), *inputs)}
    assert outputs is not None
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in apart)


@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in RECURRENT])
def test_saved_activations_are_what_autograd_keeps(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name), target="cpu")
    with torch.device("meta"):
        model = cnnplan.build(plan).train()
    for batch in BATCHES:
        planned = cnnplan.plan(zoo.find(name), target="cpu", batch=batch).training.saved_activations
        assert planned == measured(model, plan, batch), batch


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_networks_keep_what_kernels_of_the_cpu_keep(name: str) -> None:
    for batch in BATCHES:
        plan = small(name, target="cpu", batch=batch)
        assert plan.training.saved_activations == measured(cnnplan.build(plan).train(), plan, batch, "cpu"), batch


@pytest.mark.parametrize("name", REFERENCES)
def test_the_same_as_of_a_network_written_by_hand(name: str) -> None:
    with torch.device("meta"):
        model = REFERENCES[name]().train()
    size = {"vgg11_bn": 64, "vgg16": 64}.get(name)
    plan = cnnplan.plan(zoo.find(name), target="cpu", batch=3, input_size=size)
    assert plan.training.saved_activations == measured(model, plan, 3)


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_same_as_of_torchvision(name: str) -> None:
    each, once = TORCHVISION[name]
    for batch in BATCHES:
        training = cnnplan.plan(zoo.find(name), target="cpu", batch=batch).training
        assert training.saved_activations + training.input == batch * each + once
