"""The formats, by the names that the command line has for them."""

from __future__ import annotations

from typing import Final

from cnnplan.runtime.exporting.to_export import EXPORT
from cnnplan.runtime.exporting.to_onnx import ONNX

FORMATS: Final = {format.name: format for format in (ONNX, EXPORT)}
