"""Shares of several devices: by hand for a network of two blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import cnnplan
from cnnplan import zoo
from cnnplan.analyses.distributed import BUCKET, STRATEGIES, Fleet, share
from cnnplan.ops.base import Shape
from tests.language.helpers import blocked, net, plan

if TYPE_CHECKING:
    from cnnplan.memory import Memory

HEAD = "cnnplan: 1\nname: net\ninput: [2, 6, 6]\n"
PAIR = """
pair:
  params: {width: int}
  layers:
    - conv: {out_channels: =width, kernel_size: 3, padding: 1}
    - relu
    - conv: {out_channels: =width, kernel_size: 3, padding: 1}
"""
FIRST = (4 * 2 * 9 + 4) + (4 * 4 * 9 + 4)
SECOND = (6 * 4 * 9 + 6) + (6 * 6 * 9 + 6)
DENSE = 6 * 3 + 3
WEIGHTS = FIRST + SECOND + DENSE
"""Elements: two blocks and a dense layer, which are the units."""
TWO = "- pair: 4\n- pair: 6\n- global_avgpool\n- linear: 3"


def memory(text: str = "", **options: Any) -> Memory:
    return plan(text or blocked(PAIR, TWO, head=HEAD), **{"target": "cpu", "batch": 4, **options}).memory


def tensors(one: Memory) -> list[int]:
    """Bytes of the parameters, one by one."""
    return [4 * Shape(s).numel for n in one.graph.nodes for s in n.op.parameters(*n.shapes).values()]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_single_device_has_it_all(strategy: str) -> None:
    one = memory(optimizer="adam")
    found = share(one, Fleet(1, strategy))
    training = one.training
    assert (found.parameters, found.gradients) == (4 * WEIGHTS, 4 * WEIGHTS)
    assert found.optimizer_state == training.optimizer_state
    assert (found.buckets, found.bucket_count, found.gathered) == (0, 0, 0)
    assert (found.peak, found.global_batch) == (training.peak, 4)


@pytest.mark.parametrize("devices", [2, 3, 8])
def test_ddp(devices: int) -> None:
    """Everything is on every device, and the gradients once more, in one bucket of at most 25 MiB."""
    one = memory(optimizer="momentum")
    found = share(one, Fleet(devices, "ddp"))
    assert (found.parameters, found.gradients, found.optimizer_state) == (4 * WEIGHTS,) * 3
    assert (found.buckets, found.bucket_count, found.gathered) == (4 * WEIGHTS, 1, 0)
    assert found.peak == one.training.peak + 4 * WEIGHTS
    assert found.global_batch == 4 * devices


def test_buckets_hold_every_gradient_once() -> None:
    """2,560 x 2,560 weights in float32 are 25 MiB, as much as a bucket."""
    head = "cnnplan: 1\nname: net\ninput: [2560]\n"
    one = memory(net("- linear: {out_features: 2560, bias: false}", head=head))
    assert share(one, Fleet(2, "ddp")).buckets == BUCKET
    assert share(one, Fleet(2, "ddp")).bucket_count == 1


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "mobilenet_v2"])
def test_the_number_of_buckets(name: str) -> None:
    """As torch shares parameters out, in the order in which their gradients are there: the last layer's first."""
    planned = plan(zoo.find(name))
    with torch.device("meta"):
        parameters = list(cnnplan.build(planned).parameters())
    reducer: Any = torch.distributed
    limits = [reducer._DEFAULT_FIRST_BUCKET_BYTES, BUCKET]
    buckets, _ = reducer._compute_bucket_assignment_by_size(parameters[::-1], limits)
    assert share(planned.memory, Fleet(2, "ddp")).bucket_count == len(buckets)


def test_frozen_parameters_are_not_exchanged() -> None:
    """They have no gradients; but each device holds them."""
    text = blocked(PAIR, "- pair: 4\n  trainable: false\n- pair: 6\n- global_avgpool\n- linear: 3", head=HEAD)
    found = share(memory(text, optimizer="momentum"), Fleet(4, "ddp"))
    assert (found.parameters, found.gradients) == (4 * WEIGHTS, 4 * (SECOND + DENSE))
    assert found.buckets == found.optimizer_state == 4 * (SECOND + DENSE)


@pytest.mark.parametrize("devices", [2, 3, 8])
def test_fsdp(devices: int) -> None:
    """A share of each; and the parameters of the two blocks with the gradients of the second, which is larger."""
    found = share(memory(optimizer="momentum"), Fleet(devices, "fsdp"))
    part = -(-4 * WEIGHTS // devices)
    assert (found.parameters, found.gradients, found.optimizer_state) == (part, part, part)
    assert found.gathered == 4 * (FIRST + SECOND + SECOND)
    assert (found.buckets, found.bucket_count, found.global_batch) == (0, 0, 4 * devices)


def test_the_peak_of_fsdp() -> None:
    """Half of what is sharded is away, and what is gathered comes on top.

    A dense layer alone is at its peak in Adam's step: its parameters, gradients, two states with a count for each
    of weight and bias. All else, such as the batch and the step's own tensors, is that of one device.
    """
    one = memory(net("- linear: 32", head="cnnplan: 1\nname: net\ninput: [64]\n"), optimizer="adam", batch=2)
    assert str(one.training.peak_at) == "optimizer's step"
    found, weights = share(one, Fleet(2, "fsdp")), 64 * 32 + 32
    assert found.gathered == 4 * 2 * weights
    assert one.training.peak - (found.peak - found.gathered) == (4 * weights * (1 + 1 + 2) + 2 * 4) // 2


def test_copies_are_units() -> None:
    """Three of a block: the parameters of any two and the gradients of one are the same."""
    one = memory(blocked(PAIR, "- pair: 2\n  repeat: 3", head=HEAD))
    each = 2 * (2 * 2 * 9 + 2)
    assert share(one, Fleet(4, "fsdp")).gathered == 4 * 3 * each


def test_units_without_parameters_do_not_count() -> None:
    """A pool between two blocks leaves them neighbours; and a shared block is gathered where it is first."""
    one = memory(blocked(PAIR, "- pair: 4\n- maxpool: 2\n- relu\n- pair: 6", head=HEAD))
    assert share(one, Fleet(2, "fsdp")).gathered == 4 * (FIRST + 2 * SECOND)
    one = memory(blocked(PAIR, "- pair: 2\n  name: twice\n- share: twice", head=HEAD))
    assert share(one, Fleet(2, "fsdp")).gathered == 4 * 2 * (2 * (2 * 2 * 9 + 2))


def test_frozen_units_have_no_gradients() -> None:
    text = blocked(PAIR, "- pair: 4\n- pair: 6\n  trainable: false", head=HEAD)
    assert share(memory(text), Fleet(2, "fsdp")).gathered == 4 * (FIRST + SECOND + FIRST)


def test_the_shares_of_fsdp_are_whole_bytes() -> None:
    """Every parameter is cut by itself and its last part padded: never less than an even share."""
    one = memory()
    for devices in (2, 3, 5, 7, 64):
        found = share(one, Fleet(devices, "fsdp"))
        assert devices * found.parameters >= 4 * WEIGHTS
        assert found.parameters <= sum(-(-n // devices) for n in tensors(one))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_batch(strategy: str) -> None:
    """The batch is that of one device; parameters and what is exchanged do not depend on it."""
    one = memory(optimizer="momentum")
    few, many = share(one, Fleet(4, strategy), 1), share(one, Fleet(4, strategy), 16)
    assert (few.global_batch, many.global_batch) == (4, 64)
    assert few.peak < many.peak
    assert few[2:8] == many[2:8]


def test_mixed_precision_exchanges_float32() -> None:
    """Parameters and gradients stay float32 under autocast; in a pure model they are of its dtype."""
    for mixed, width in ((True, 4), (False, 2)):
        one = memory(dtype="bfloat16", mixed=mixed)
        assert share(one, Fleet(2, "ddp")).buckets == width * WEIGHTS
        assert share(one, Fleet(2, "fsdp")).gathered == width * (FIRST + 2 * SECOND)
