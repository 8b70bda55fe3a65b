"""ONNX, translated from what torch.export sees, and run by onnxruntime."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import torch

from cnnplan.runtime.exporting.base import Format, captured, refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from cnnplan.runtime.exporting.base import Program, Subject

OPSET: Final = 20
"""The first that samples volumes and has an affine grid."""


def _write(subject: Subject, file: Path, metadata: Mapping[str, Any]) -> None:
    from cnnplan.runtime.exporting.translations import TRANSLATIONS

    program = captured(subject)
    try:
        translated = torch.onnx.export(
            program,
            (),
            opset_version=OPSET,
            dynamic_shapes=subject.shapes,
            custom_translation_table=TRANSLATIONS,
            verbose=False,
        )
    except Exception as error:
        raise refused(error) from error
    assert translated is not None
    model = translated.model
    _name(model.graph, subject)
    model.graph.name = metadata.get("network", model.graph.name)
    model.doc_string = metadata.get("description")
    model.metadata_props.update({k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()})
    translated.save(file)  # and file.data beside it, from 2 GiB on, which no single file may have


def _name(graph: Any, subject: Subject) -> None:
    """Name inputs and outputs; values within that torch called the same get a `_` behind their names."""
    ends = dict(zip((*graph.inputs, *graph.outputs), (*subject.inputs, *subject.outputs), strict=True))
    values = [*graph.initializers.values(), *(value for node in graph.all_nodes() for value in node.outputs)]
    taken = {*ends.values(), *(value.name for value in values)}
    for value in values:
        if value not in ends and value.name in ends.values():
            while value.name in taken:
                value.name += "_"
            taken.add(value.name)
    for value, name in ends.items():
        value.name = name


def _load(file: Path) -> Program | None:
    import onnx

    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        onnx.checker.check_model(file)
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def program(inputs: Sequence[Tensor]) -> list[Tensor]:
        given = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        return [torch.from_numpy(y) for y in session.run(None, given)]

    return program


ONNX: Final = Format("onnx", ".onnx", ("onnx", "onnxscript"), "export", _write, _load)
