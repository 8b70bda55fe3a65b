"""Data to train on, by name: `digits`, `folder:PATH`, `npz:PATH`, `torchvision:NAME`, `hf:NAME`.

    data = open_data("folder:photos", plan, seed=0)     opened, checked against the network
    data = with_splits(data, seed=0)                    with train, val and test

A module for each kind of data; `base` says what they give, `checks` what has to fit, `splits` how samples are split.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cnnplan.diagnostics import printable, suggest
from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data

KINDS: Final = {
    "digits": "",
    "folder": "folder:PATH",
    "npz": "npz:PATH",
    "torchvision": "torchvision:NAME",
    "hf": "hf:NAME",
}
"""The kinds of data, and what is behind each name."""


def open_data(name: str, plan: Plan, seed: int) -> Data:
    """The data of this name, for this network.

    Args:
        name: `digits`, `folder:PATH`, `npz:PATH`, `torchvision:NAME` or `hf:NAME`.
        plan: the network that is trained; files are resized to its input.
        seed: which images of a large set are decoded before training starts, to see whether they can be.

    Raises:
        UsageError: there are no such data, they cannot be read, or do not fit the network.
    """
    kind, colon, rest = name.partition(":")
    if kind not in KINDS or bool(colon) != bool(KINDS[kind]) or (colon and not rest):
        raise UsageError(_refused(name, kind))
    from cnnplan.runtime.data.checks import fitted, has_loss

    has_loss(plan)
    module = import_module(f"cnnplan.runtime.data.{kind}")
    data: Data = getattr(module, f"open_{kind}")(rest, plan, seed)
    return fitted(data, plan)


def _refused(name: str, kind: str) -> str:
    """Why a name is none of data, and what is probably meant."""
    shown = printable(name)
    if kind in KINDS:
        return f"--data takes {KINDS[kind] or kind}, not '{shown}'"
    forms = ", ".join(form or kind for kind, form in KINDS.items())
    path = Path(name).expanduser()
    if name and path.is_dir():
        return f"there are no data '{shown}'; for the images in it write folder:{shown}"
    if path.suffix == ".npz":
        return f"there are no data '{shown}'; for its arrays write npz:{shown}"
    help = suggest(kind, KINDS)
    return f"there are no data '{shown}'; {help if help.startswith('did') else f'known are {forms}'}"
