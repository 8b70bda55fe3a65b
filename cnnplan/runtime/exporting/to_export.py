"""torch.export's files: .pt2, which torch.export.load reads."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

import torch

from cnnplan.runtime.exporting.base import Format, captured, outputs_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cnnplan.runtime.exporting.base import Program, Subject

BESIDE: Final = "cnnplan.json"
"""Where a file keeps the metadata: an extra file of torch.export.load."""


def _write(subject: Subject, file: Path, metadata: Mapping[str, Any]) -> None:
    program = captured(subject)
    archive = io.BytesIO()  # where a disk is full, torch's own writing ends the process
    torch.export.save(program, archive, extra_files={BESIDE: json.dumps(metadata)})
    file.write_bytes(archive.getbuffer())


def _load(file: Path) -> Program:
    module = torch.export.load(file).module()
    return lambda inputs: outputs_of(module(*inputs))


EXPORT: Final = Format("export", ".pt2", (), "torch", _write, _load)
