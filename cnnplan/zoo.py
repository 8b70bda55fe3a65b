"""The zoo: ready specs, installed with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cnnplan.errors import UsageError


@cache
def folder() -> Path:
    """Where the specs are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "specs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "specs"


def names() -> list[str]:
    """The names of the specs."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a spec.

    Raises:
        UsageError: there is none of this name; the nearest one is given.
    """
    path = folder() / f"{name}.yaml"
    if name not in names():
        from cnnplan.diagnostics import suggest

        raise UsageError(f"no spec '{name}' in the zoo; {suggest(name, names())}")
    return path
