"""Samples whose tensors are in memory, and the fingerprint of such tensors."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import torch

from cnnplan.runtime.data.base import Batch, Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

HASHED: Final = 1 << 28
"""So many bytes of a tensor are hashed; of a larger one, samples at even distances."""


class Arrays(Samples):
    """Samples in memory. Subsets share their storage.

    Args:
        inputs: one for each input of the network, [N, C, *spatial]: uint8, float32 or int64.
        targets: one for each target, [N, …].
        labels: int64 [N], where the one target is a class.
        index: int64, which of them these samples are, in order; all by default.
    """

    def __init__(
        self,
        inputs: tuple[Tensor, ...],
        targets: tuple[Tensor, ...] = (),
        labels: Tensor | None = None,
        index: Tensor | None = None,
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.index = torch.arange(len(inputs[0])) if index is None else index
        self._labels = labels
        self.labels = None if labels is None else labels[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, indices: list[int]) -> Batch:
        rows = self.index[torch.as_tensor(indices, dtype=torch.int64)]
        return Batch(*(tuple(t.index_select(0, rows) for t in part) for part in (self.inputs, self.targets)))

    def subset(self, indices: Sequence[int]) -> Arrays:
        rows = self.index[torch.as_tensor(indices, dtype=torch.int64)]
        return Arrays(self.inputs, self.targets, self._labels, rows)

    def unlabelled(self) -> Arrays:
        """The same without targets."""
        return Arrays(self.inputs, (), None, self.index)


def fingerprint(parts: Iterable[str | Tensor]) -> str:
    """SHA-256, as hex digits, of texts and tensors: their dtypes, shapes and bytes."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            data = part.encode(errors="surrogateescape")
            found.update(b"text %d " % len(data) + data)
            continue
        found.update(f"{part.dtype} {tuple(part.shape)} ".encode())
        step = -(-part.numel() * part.element_size() // HASHED) or 1
        found.update(part[::step].contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()
