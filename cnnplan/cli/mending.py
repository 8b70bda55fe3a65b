"""`check --fix`, `--unsafe-fixes` and `--diff`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from cnnplan.cli import common
from cnnplan.codes import INFO
from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.lint.fix import State, mended
from cnnplan.render.numbers import plural
from cnnplan.render.unified import unified

if TYPE_CHECKING:
    from cnnplan.cli.run import Run
    from cnnplan.diagnostics import Diagnostic


def mend(run: Run, *, unsafe: bool, only_show: bool) -> int:
    """Mend the specs, or show how they would be mended, and print what is left; the exit code.

    A spec on standard input is written to standard output as it is mended, and its findings to standard error.
    """
    found, unreadable = run.loaded()
    shown, left, done = "", [], []
    for loaded in found:
        end, mine = _mended(loaded, run, unsafe=unsafe)
        done += mine
        if only_show:
            shown += unified(loaded.text, end.text, printable(loaded.path))
            continue
        left.append(run.without_known(run.load(end.text, loaded.path)) if mine else run.without_known(loaded))
        if loaded.path == (run.stdin_filename or "<stdin>") and "-" in run.paths:
            sys.stdout.write(end.text)
        elif mine:
            try:
                _write(Path(loaded.path), end.text)
            except UsageError as error:
                unreadable.append(str(error))
    if only_show:
        common.deliver(shown, run.output)
        _say(done, run, "would be mended")
    else:
        status = run.finish(left, to_error="-" in run.paths)
        _say(done, run, "mended")
    for message in unreadable:
        sys.stderr.write(f"error: {message}\n")
    return 2 if unreadable else int(bool(shown)) if only_show else status


def _mended(loaded: common.Loaded, run: Run, *, unsafe: bool) -> tuple[State, list[Diagnostic]]:
    """A spec after its fixes; what a baseline knows, and what is of level info without -v, is left as it is."""

    def load(text: str) -> State:
        return _state(run.load(text, loaded.path), run)

    return mended(_state(loaded, run), load, unsafe=unsafe)


def _state(loaded: common.Loaded, run: Run) -> State:
    """A spec with the findings that are shown: others are not mended."""
    found = run.without_known(loaded).diagnostics
    return State(loaded.text, loaded.plan, tuple(d for d in found if run.view.verbose or d.severity != INFO))


def _write(path: Path, text: str) -> None:
    """Write a spec back with the line ends and the byte order mark that it has."""
    try:
        old = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if b"\r\n" in old:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    mark = "\ufeff" if old.startswith(b"\xef\xbb\xbf") else ""
    common.write(path, mark + text)


def _say(done: list[Diagnostic], run: Run, what: str) -> None:
    """How many findings of which rules were mended."""
    if done and not run.view.quiet:
        counts = ", ".join(f"{code} {n}" for code, n in sorted(Counter(d.code for d in done).items()))
        sys.stderr.write(f"{plural(len(done), 'finding')} {what}: {counts}\n")
