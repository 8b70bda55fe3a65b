"""Which device runs something, by its name."""

from __future__ import annotations

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError


def place(name: str) -> torch.device:
    """The device of a name such as "cpu", "cuda" or "cuda:1"; "auto" takes CUDA where it is.

    Raises:
        UsageError: there is none here; those that are here are named.
    """
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"there is no device '{printable(name)}' here, only {' and '.join(here)}") from None
    return found
