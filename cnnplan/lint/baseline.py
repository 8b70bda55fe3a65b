"""A file of findings that are known: with it, only new ones are reported.

Each is known by its file, its code, the text of its line and which of several such it is, so that findings stay
known while lines move.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnnplan.diagnostics import Diagnostic

VERSION = 1
NAME = "cnnplan-baseline.json"


class Baseline(NamedTuple):
    """The findings that are known: for each file, their fingerprints. Paths are relative to the file's folder."""

    path: Path
    known: dict[str, frozenset[str]]

    def new(self, path: str, text: str, found: Sequence[Diagnostic]) -> tuple[tuple[Diagnostic, ...], int]:
        """The findings of a file that are not known, and how many known ones it no longer has."""
        from cnnplan.lint.fingerprints import known_by

        name = relative(path, self.path)
        known = self.known.get(name, frozenset())
        prints = known_by(name, text, found)
        left = tuple(d for d, one in zip(found, prints, strict=True) if one not in known)
        return left, len(known.difference(prints))


def read(path: Path) -> Baseline:
    """A baseline.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        whole = json.loads(path.read_bytes())
    except OSError as error:
        help = "; `--write-baseline` writes it" if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}{help}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is no baseline: it is not JSON; `--write-baseline` writes it anew") from None
    if not isinstance(whole, dict) or whole.get("cnnplan_baseline") != VERSION:
        raise UsageError(f"{path} is no baseline of this version; `--write-baseline` writes it anew")
    try:
        known = {
            str(file): frozenset(str(one["fingerprint"]) for one in found) for file, found in whole["files"].items()
        }
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no baseline of this version; `--write-baseline` writes it anew") from None
    return Baseline(path, known)


def written(path: Path, found: Iterable[tuple[str, str, Sequence[Diagnostic]]]) -> str:
    """The text of a baseline of these findings: (path, text, findings) of each file."""
    from cnnplan.lint.fingerprints import known_by

    files: dict[str, list[dict[str, Any]]] = {}
    for file, text, diagnostics in found:
        name = relative(file, path)
        prints = known_by(name, text, diagnostics)
        if diagnostics:
            files[name] = [
                {"code": d.code, "layer": d.layer, "message": d.message, "fingerprint": one}
                for d, one in zip(diagnostics, prints, strict=True)
            ]
    whole = {"cnnplan_baseline": VERSION, "files": dict(sorted(files.items()))}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def relative(path: str, baseline: Path) -> str:
    """The name of a file as seen from the baseline's folder."""
    try:
        return Path(os.path.relpath(Path(path).resolve(), baseline.resolve().parent)).as_posix()
    except (OSError, ValueError):
        return Path(path).as_posix()
