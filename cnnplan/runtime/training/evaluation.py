"""How well the best weights do on data that decided nothing, on one device, in float32: as `predict` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from cnnplan.runtime.build import build
from cnnplan.runtime.training import artifact
from cnnplan.runtime.training.measures import Measures
from cnnplan.runtime.training.objective import as_outputs
from cnnplan.runtime.training.order import InTurn, loader
from cnnplan.runtime.training.prepare import Prepare

if TYPE_CHECKING:
    from cnnplan.runtime.training.run import Run


@torch.no_grad()
def judged(run: Run, trained: artifact.Trained) -> tuple[dict[str, float], list[list[int]] | None]:
    """Loss, and accuracy or errors, and the confusion matrix, on the test split."""
    if run.data.test is None or not len(run.data.test):
        return {}, None
    path = run.options.output / "model.safetensors"
    state, _ = artifact.load(path)
    net = build(run.plan.graph)
    artifact.into(net, run.plan, state, path, strict=True)
    place = torch.device(run.options.device)
    net = net.to(place).eval()
    prepare = Prepare(run.plan.graph, trained.mean, trained.std).to(place).eval()
    measures = Measures(run.objective, run.classes, alone=True).to(place)
    order = InTurn(len(run.data.test), run.recipe.batch, 0, 1)
    for batch in loader(run.data.test, order, run.options.workers, pinned=False):
        targets = [t.to(place) for t in batch.targets]
        inputs = prepare([x.to(place) for x in batch.inputs])
        outputs = as_outputs(net(*inputs))
        measures.update(outputs, inputs, targets, run.objective(outputs, inputs, targets), len(inputs[0]))
    return measures.result(), measures.confusion()
