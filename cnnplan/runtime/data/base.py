"""What every source of data gives: samples that are fetched by the batch, and what is known of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor  # noqa: TC002 - of a NamedTuple
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence


class Batch(NamedTuple):
    """Samples, stacked.

    Attributes:
        inputs: one for each input of the network, [B, C, *spatial]: uint8 (0 to 255), float32, or int64 for tokens.
        targets: one for each of `Data.targets`.
    """

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]


class Samples(Dataset[Batch]):
    """Samples of one split. They can be pickled, so that worker processes fetch them.

    Attributes:
        labels: int64 [N], where the one target is a class; None otherwise.
    """

    labels: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitems__(self, indices: list[int]) -> Batch:
        """A batch of these samples, as torch's DataLoader asks for it."""

    @abstractmethod
    def subset(self, indices: Sequence[int]) -> Samples:
        """These samples alone, in this order."""


@dataclass(frozen=True)
class Data:
    """Data to train on.

    Attributes:
        name: as people read it.
        train, val, test: the splits; None for one that is not given.
        classes: their names; () where targets are no classes.
        targets: () for none; ("",) for one, which is that of every output with a loss; or names of outputs.
        shapes: of each input as a batch has it, for one sample, channels first.
        notices: what the user should read.
        fingerprint: SHA-256 of what identifies the data.
    """

    name: str
    train: Samples
    val: Samples | None
    test: Samples | None
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    notices: tuple[str, ...]
    fingerprint: str
