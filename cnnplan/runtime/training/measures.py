"""What is measured on data that the network does not train on, summed over all batches and processes.

Source: torchmetrics.classification, torchmetrics.regression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassJaccardIndex,
    MultilabelAccuracy,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from cnnplan.runtime.training.objective import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.runtime.training.objective import Objective

MOST_CLASSES = 2_000
"""Up to so many a confusion matrix is counted."""


class Measures(nn.Module):
    """Loss, and accuracy and confusion, or errors, of the first output that has a loss.

    Args:
        classes: that exclude each other; 0 for none.
        alone: whether this process measures by itself.
    """

    def __init__(self, objective: Objective, classes: int, *, alone: bool = False) -> None:
        super().__init__()
        self.objective = objective
        how: dict[str, Any] = {"sync_on_compute": not alone}
        self.loss = MeanMetric(**how)
        main = objective.main
        self.labels = bool(classes)
        found: dict[str, Metric] = {}
        if self.labels:
            how |= {"validate_args": False, "ignore_index": IGNORED}
            found["accuracy"] = MulticlassAccuracy(classes, average="micro", **how)
            if classes <= MOST_CLASSES:
                found["confusion"] = MulticlassConfusionMatrix(classes, **how)
                found["iou"] = MulticlassJaccardIndex(classes, **how)
        elif main.loss == "binary_cross_entropy":
            found["accuracy"] = MultilabelAccuracy(main.classes, average="micro", validate_args=False, **how)
        else:
            found["mse"] = MeanSquaredError(**how)
            found["mae"] = MeanAbsoluteError(**how)
        self.metrics = nn.ModuleDict(found)
        self.dense = False

    def update(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], targets: Sequence[Tensor], loss: Tensor, count: int
    ) -> None:
        """Count a batch in."""
        main = self.objective.main
        y = outputs[main.output].detach().float()
        self.loss.update(loss.detach().float(), count)
        aim = inputs[0].float() if main.target is None else targets[main.target]
        if self.labels:
            aim = aim.long()
            self.dense = aim.dim() > 1
            y = y.argmax(1).reshape(aim.shape)
        elif main.loss == "binary_cross_entropy":
            aim = main.aim(aim).reshape(y.shape).round().long()
            y = y.sigmoid()
        else:
            aim, y = main.aim(aim).reshape(y.shape).contiguous(), y.contiguous()
        for name, metric in self.metrics.items():
            if name != "iou" or self.dense:
                metric.update(y, aim)  # type: ignore[operator]

    def result(self) -> dict[str, float]:
        """What was measured since the last call: "loss", and "accuracy" (0 to 1), "iou", "mse", "mae"."""
        found = {"loss": float(self.loss.compute())}
        for name, metric in self.metrics.items():
            if name != "confusion" and (name != "iou" or self.dense):
                found[name] = float(metric.compute())  # type: ignore[operator]
        return found

    def confusion(self) -> list[list[int]] | None:
        """How often which class (rows) was taken for which (columns)."""
        if "confusion" not in self.metrics:
            return None
        counts: Tensor = self.metrics["confusion"].compute()  # type: ignore[operator]
        return [list(map(int, row)) for row in counts.to(torch.int64).tolist()]

    def reset(self) -> None:
        """Begin anew."""
        self.loss.reset()
        for metric in self.metrics.values():
            metric.reset()  # type: ignore[operator]
