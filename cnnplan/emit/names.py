"""Names in the emitted source: none may hide another that the source needs."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

TAKEN = frozenset(
    {"self", "torch", "nn", "F", "Tensor", "checkpoint", "center_crop", "reshape_samples", "initialize", "_"}
)


def camel(name: str) -> str:
    """`conv_bn` → `ConvBn`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"_+", name) if part) or "Model"


class ClassNames:
    """Names of classes, each handed out once."""

    def __init__(self, reserved: Collection[str]) -> None:
        self.taken = {*reserved, *TAKEN, *dir(builtins)}

    def new(self, wanted: str) -> str:
        found, number = wanted, 2
        if not found[:1].isalpha() or keyword.iskeyword(found):
            found = wanted = f"Net{found}"
        while found in self.taken:
            found, number = f"{wanted}{number}", number + 1
        self.taken.add(found)
        return found


def numbered(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted_2`, …, where that is taken."""
    found, number = wanted, 2
    while found in taken:
        found, number = f"{wanted}_{number}", number + 1
    taken.add(found)
    return found


def local(wanted: str, taken: set[str]) -> str:
    """A name for a parameter or variable that hides nothing: `wanted`, or `wanted_`."""
    found = wanted
    while found in taken or found in TAKEN or keyword.iskeyword(found) or hasattr(builtins, found):
        found += "_"
    taken.add(found)
    return found
