"""Graph to readable PyTorch source.

    structure   which scopes are plain chains, which uses of a block can share a class
    solver      numbers that differ between the uses, as constructor arguments and expressions:
                `terms`, and the spec's own, which `pythonic` writes
    classes     the constructor of a class, drafted in `draft`; `placing` puts modules into their scope
    forward     its `forward`; `lines` folds the statements and names the variables
    lifetimes   how long what is written holds each value
    weights     how the weights start
    optimized   a function that makes a trained model faster
    module      the file as a whole
    calls, layout, names   text

Nothing of a spec's text reaches the source but names that were checked, numbers, and its
description and reference, made harmless in a docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnplan.emit.module import Source, emit

__all__ = ["Source", "emit"]


def __getattr__(name: str) -> Any:
    """Imported on first use: a check asks for lifetimes alone, and writes no source."""
    if name not in __all__:
        raise AttributeError(f"module 'cnnplan.emit' has no attribute '{name}'")
    from cnnplan.emit import module

    return getattr(module, name)
