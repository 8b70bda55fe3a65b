"""From a batch as it is stored to what enters the network: on the device, the same in training and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnplan.graph import Graph
    from cnnplan.runtime.data.base import Samples

SAMPLED = 2_048
"""So many samples, spread evenly, tell the mean and deviation of data."""


def resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Floats [B, C, *spatial] at another spatial size; images with antialiasing."""
    if tuple(x.shape[2:]) == size or not size:
        return x
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    return F.interpolate(x, size, mode=mode, align_corners=False, antialias=mode == "bilinear")


def scaled(x: Tensor) -> Tensor:
    """Bytes as floats from 0 to 1; tokens and floats as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


class Prepare(nn.Module):
    """Bytes to floats, the network's size, augmentation in training, mean 0 and deviation 1 of each channel.

    Args:
        graph: the network, whose inputs are meant.
        mean, std: of each channel of each input; an empty one leaves an input as it is.
        augment: changes the first input in training, floats from 0 to 1.
        channels_last: whether maps are laid out so.
    """

    def __init__(
        self,
        graph: Graph,
        mean: Sequence[Sequence[float]],
        std: Sequence[Sequence[float]],
        augment: Callable[[Tensor], Tensor] | None = None,
        *,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.sizes = [tuple(value.shape.spatial) for value in graph.inputs]
        self.tokens = [value.dtype == "int64" for value in graph.inputs]
        self.augment = augment
        self.channels_last = channels_last
        for index, (m, s) in enumerate(zip(mean, std, strict=True)):
            shape = (1, -1, *(1 for _ in self.sizes[index]))
            self.register_buffer(f"mean{index}", torch.tensor(m or [0.0]).view(shape), persistent=False)
            self.register_buffer(f"scale{index}", 1 / torch.tensor(s or [1.0]).view(shape), persistent=False)

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The inputs of the network."""
        found = []
        for index, stored in enumerate(inputs):
            if self.tokens[index]:
                found.append(stored.long())
                continue
            x = resized(scaled(stored), self.sizes[index])
            changed = self.augment(x) if index == 0 and self.training and self.augment is not None else x
            mean, scale = getattr(self, f"mean{index}"), getattr(self, f"scale{index}")
            is_copy = stored.dtype == torch.uint8  # else it may be the batch itself, which is left as it is
            even = (changed.sub_(mean) if is_copy else changed - mean).mul_(scale)
            last = self.channels_last and even.dim() == 4
            found.append(even.contiguous(memory_format=torch.channels_last) if last else even)
        return found


def statistics(samples: Samples, graph: Graph) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
    """The mean and the standard deviation of each channel of each input, of values as `scaled` gives them.

    A channel that does not vary has deviation 1. Tokens have neither.
    """
    step = max(1, -(-len(samples) // SAMPLED))
    indices = list(range(0, len(samples), step))
    sums: list[Tensor | None] = [None] * len(graph.inputs)
    for start in range(0, len(indices), 64):
        batch = samples.__getitems__(indices[start : start + 64])
        for i, (value, x) in enumerate(zip(graph.inputs, batch.inputs, strict=True)):
            if value.dtype != "int64":
                flat = scaled(x).double().transpose(0, 1).flatten(1)
                own = torch.stack([torch.full_like(flat[:, 0], flat.shape[1]), flat.sum(1), flat.square().sum(1)])
                sums[i] = own if sums[i] is None else sums[i] + own  # type: ignore[operator]
    means: list[tuple[float, ...]] = []
    deviations: list[tuple[float, ...]] = []
    for total in sums:
        if total is None:
            means.append(())
            deviations.append(())
            continue
        mean = total[1] / total[0]
        std = (total[2] / total[0] - mean.square()).clamp_min(0).sqrt()
        std[std < 1e-6] = 1.0
        means.append(tuple(float(f"{v:.6g}") for v in mean.tolist()))
        deviations.append(tuple(float(f"{v:.6g}") for v in std.tolist()))
    return tuple(means), tuple(deviations)
