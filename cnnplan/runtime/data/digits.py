"""`digits`: the handwritten digits that scikit-learn ships.

1,797 images of 8x8, values 0 to 16. Source: Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI;
sklearn.datasets.load_digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from cnnplan.runtime.data.arrays import Arrays, fingerprint
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.needed import needed

if TYPE_CHECKING:
    from cnnplan.planning import Plan


def open_digits(rest: str, plan: Plan, seed: int) -> Data:
    """float32 [1, 8, 8] from 0 to 1, ten classes; no split is given.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    found = needed("sklearn.datasets", "cnnplan[train]").load_digits()
    images = torch.from_numpy(found.images).to(torch.float32).div_(16)[:, None]
    labels = torch.from_numpy(found.target).to(torch.int64)
    return Data(
        name="digits",
        train=Arrays((images,), (labels,), labels),
        val=None,
        test=None,
        classes=tuple(map(str, range(10))),
        targets=("",),
        shapes=((1, 8, 8),),
        notices=(),
        fingerprint=fingerprint(("digits", images, labels)),
    )
