"""A network as a file that runs without cnnplan: `cnnplan build --format onnx|export`.

    plan ─ network ─▶ model, weights ─ formats ─▶ a file in a folder beside ─ agreement ─▶ ─ place ─▶ the file
                                         │                                       │
                                         └────────── blame: which layer? ────────┘

What is put in place has been loaded again, run, and compared with the model.
"""

from cnnplan.runtime.exporting.exporter import Exported, export

__all__ = ["Exported", "export"]
