"""How reports name files: relative to the current directory, with forward slashes."""

from __future__ import annotations

from pathlib import Path


def below(path: str) -> str | None:
    """The path from the current directory; None for what does not lie below it."""
    here = Path.cwd()
    found = here / path
    if ".." in found.parts or not found.is_relative_to(here):
        found = found.parent.resolve() / found.name  # the same directory may be reached in several ways
    return found.relative_to(here).as_posix() if found.is_relative_to(here) else None


def relative(path: str) -> str:
    """The path from the current directory, or as it is given where it does not lie below that."""
    return below(path) or Path(path).as_posix()
