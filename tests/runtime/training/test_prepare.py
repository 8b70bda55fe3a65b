"""From a stored batch to what enters the network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan.runtime.training.prepare import Prepare

SPEC = """
cnnplan: 1
name: small
input: [3, 6, 6]
layers:
  - flatten
  - linear: 2
"""
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.7)


def stored(dtype: torch.dtype, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(256, (4, 3, size, size), generator=generator, dtype=torch.uint8)
    return x if dtype == torch.uint8 else x.float() / 255


@pytest.mark.parametrize("augment", [None, lambda x: x, lambda x: x.flip(3)], ids=["", "same", "flipped"])
@pytest.mark.parametrize("size", [6, 9])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_values_and_the_batch_stays(dtype: torch.dtype, size: int, augment: Callable[[Tensor], Tensor] | None) -> None:
    batch = stored(dtype, size)
    kept = batch.clone()
    (found,) = Prepare(cnnplan.plan(SPEC).graph, [MEAN], [STD], augment).train()([batch])

    x = kept.float() / 255 if dtype == torch.uint8 else kept
    x = F.interpolate(x, (6, 6), mode="bilinear", antialias=True) if size != 6 else x
    x = augment(x) if augment else x
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    assert torch.equal(found, (x - mean) * (1 / std))
    assert torch.equal(batch, kept)
