"""State dicts in files that torch.save wrote, read without running the code that such files may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from cnnplan.diagnostics import printable, some
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES: Final = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".tar", ".th")
INSIDE: Final = ("state_dict", "model", "model_state_dict")
"""Where training loops put the state dict."""


def read(path: Path) -> dict[str, Tensor]:
    """The state dict of a file, on the CPU: at its top, or under one of `INSIDE`.

    Raises:
        UsageError: the file cannot be read, needs code to be read, or has no state dict.
    """
    shown = printable(str(path))
    if path.is_dir():
        raise UsageError(f"{shown} is a directory: name the file of weights in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{shown} is no plain file")
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start.startswith(b"version "):
            raise UsageError(f"{shown} stands for a file of Git LFS that is not here: `git lfs pull` fetches it")
        if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
            raise UsageError(f"{shown} is a safetensors file: call it {path.stem}.safetensors")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {reason(error)}") from None
    except Exception as error:  # whatever a damaged zip file or a hostile pickle makes of it
        if "weights only" in str(error).lower().replace("_", " "):
            raise _needs_code(path, shown, str(error)) from None
        why = reason(error)
        said = "" if why.isdecimal() else f": {why}"  # a bare KeyError
        raise UsageError(f"{shown} is no file of torch.save that can be read{said}") from None
    if isinstance(found, dict) and "cnnplan" in found and "loops" in found:
        raise UsageError(f"{shown} is there to resume from; the weights are in model.safetensors of the same run")
    return _state_dict(found, shown)


def reason(error: BaseException) -> str:
    """The first line of an error, as a message ends in it."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(said.partition("\n")[0])[:120].lower() or type(error).__name__


def _needs_code(path: Path, shown: str, said: str) -> UsageError:
    """Why weights_only=True refuses a file, and what to do about it."""
    names = [line.partition("GLOBAL ")[2].split()[0] for line in said.splitlines() if "GLOBAL " in line]
    what = f", such as {printable(names[0])[:80]}," if names else ","
    target = f"{path.stem}_state.pt"
    return UsageError(
        f"{shown} has more than tensors in it{what} which torch.load(weights_only=True) refuses: to read it may run "
        f"any code; where you trust it, write its state dict alone, with import torch; "
        f"m = torch.load({path.name!r}, weights_only=False); "
        f"torch.save(m.state_dict() if hasattr(m, 'state_dict') else m['state_dict'], {target!r})"
    )


def _state_dict(found: object, shown: str) -> dict[str, Tensor]:
    """The state dict in what a file holds."""
    if isinstance(found, dict):
        for inner in (*(found.get(key) for key in INSIDE), found):
            if isinstance(inner, dict):
                tensors = {k: v for k, v in inner.items() if isinstance(k, str) and isinstance(v, Tensor)}
                if tensors:
                    return tensors
        keys = some([printable(str(key))[:40] for key in found])
        has = f"its keys are {keys}" if found else "it is empty"
    else:
        has = f"it holds a {type(found).__name__}"
    raise UsageError(f"{shown} has no state dict, neither at its top nor under {some(INSIDE)}: {has}")
