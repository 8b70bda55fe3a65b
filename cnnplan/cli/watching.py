"""`check --watch`: again whenever a file is saved."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from cnnplan.cli.run import Run

PAUSE = 0.3
"""Seconds between two looks at the files."""


def watching(run: Run) -> None:
    """Check until it is interrupted; what is wrong with a file or the configuration is said and waited for."""
    before: dict[str, tuple[int, int]] | None = None
    try:
        while True:
            state = _state(run)
            if state != before:
                before = state
                _once(run)
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        sys.stderr.write("\n")


def _once(run: Run) -> None:
    if sys.stdout.isatty() and run.output is None:
        sys.stdout.write("\033[2J\033[H")
    try:
        run.once()
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
    sys.stdout.flush()
    if not run.view.quiet:
        sys.stderr.write(f"checked at {time.strftime('%H:%M:%S')}, waiting for changes; Ctrl-C ends\n")
        sys.stderr.flush()


def _state(run: Run) -> dict[str, tuple[int, int]]:
    """The files, when each was last changed, and its size."""
    from cnnplan import config

    config.nearest.cache_clear()
    found = {}
    try:
        specs, _ = run.files()
        settings = {run.config_of(path).path for path in specs}
    except UsageError:
        specs, settings = run.paths, set()
    for path in (*specs, *(str(p) for p in settings if p)):
        try:
            status = Path(path).stat()
            found[path] = (status.st_mtime_ns, status.st_size)
        except (OSError, ValueError):
            found[path] = (0, 0)
    return found
