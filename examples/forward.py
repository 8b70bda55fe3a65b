"""Runs an emitted model: `python examples/forward.py build/vgg16.py [CHANNELS HEIGHT WIDTH]`.

The file is plain PyTorch; nothing of cnnplan is imported here.
"""

import importlib.util
import sys
import time

import torch
from torch import nn


def load(path: str) -> nn.Module:
    """The model of an emitted file: its last class."""
    found = importlib.util.spec_from_file_location("emitted", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    classes = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == "emitted"]
    model: nn.Module = classes[-1]()
    return model


def main() -> None:
    path, *sizes = sys.argv[1:]
    shape = tuple(map(int, sizes)) or (3, 224, 224)
    model = load(path).eval()
    x = torch.randn(2, *shape)
    start = time.perf_counter()
    with torch.no_grad():
        y = model(x)
    took = time.perf_counter() - start
    print(f"{path}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"forward: {tuple(x.shape)} -> {tuple(y.shape)} in {took:.2f} s, finite: {bool(y.isfinite().all())}")


if __name__ == "__main__":
    main()
