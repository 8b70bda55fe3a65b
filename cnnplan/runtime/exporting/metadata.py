"""What stands in an exported file beside the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnplan.version import __version__

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.training.artifact import Trained


def metadata(plan: Plan, trained: Trained | None) -> dict[str, Any]:
    """The network's name, its description, inputs and outputs; classes and normalization where they are known.

    ONNX keeps them as texts of its `metadata_props`, what is no text as JSON; a .pt2 file as JSON in `cnnplan.json`.
    """
    graph = plan.graph
    found: dict[str, Any] = {
        "network": graph.name,
        "cnnplan": __version__,
        "description": ". ".join(text for text in (graph.spec.description, graph.spec.reference) if text),
        "inputs": {value.name: list(value.shape) for value in graph.inputs},
        "outputs": {name: list(value.shape) for name, value in graph.outputs.items()},
    }
    if trained:
        found["classes"] = list(trained.classes)
        found["loss"] = trained.loss
        found["normalization"] = {
            value.name: {"mean": list(mean), "std": list(std)}
            for value, mean, std in zip(graph.inputs, trained.mean, trained.std, strict=False)
            if mean
        }
    return {name: value for name, value in found.items() if value}
