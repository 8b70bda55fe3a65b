"""A file as it was in a git revision: `git:main:specs/x.yaml`."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from cnnplan.errors import UsageError
from cnnplan.source import MAX_BYTES

PREFIX: Final = "git:"
PATIENCE: Final = 30
"""Seconds that git may take."""


def read(place: str) -> bytes:
    """The bytes of `git:REV:PATH`, no more than a spec may have and one.

    PATH is relative to the root of the repository or, where that has no such file, to the current directory.

    Raises:
        UsageError: there is no git, no repository, no such revision, or no such file in it.
    """
    revision, colon, path = place.removeprefix(PREFIX).partition(":")
    if not revision or not colon or not path:
        raise UsageError(f"'{place}' is no file of a revision: write git:REV:PATH, such as git:main:specs/x.yaml")
    if revision.startswith("-") or not place.isprintable():  # it would be an option; a line break would be another
        raise UsageError(f"'{revision}' is no revision of git")
    found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
    if found.returncode > 1:
        said = found.stderr.decode("utf-8", "replace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise UsageError(f"cannot read {place}: {said or f'git fails with {found.returncode}'}")
    if found.returncode:
        raise UsageError(f"cannot read {place}: the repository has no revision '{revision}'")
    tree = found.stdout.decode().strip()
    for name in (path, f"./{path}"):  # both begin with the number of the tree: neither is an option
        blob = _git("rev-parse", "--verify", "--quiet", f"{tree}:{name}")
        if blob.returncode == 0:
            return _content(place, blob.stdout.decode().strip())
    raise UsageError(f"cannot read {place}: there is no file '{path}' in revision '{revision}'")


def _content(place: str, number: str) -> bytes:
    kind = _git("cat-file", "-t", number).stdout.decode().strip()
    if kind != "blob":
        raise UsageError(f"cannot read {place}: it is a {'directory' if kind == 'tree' else kind or 'missing object'}")
    command = ["git", "cat-file", "blob", number]
    try:
        with subprocess.Popen(  # noqa: S603 - a list, no shell; the number is git's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            assert process.stdout
            data = process.stdout.read(MAX_BYTES + 1)
            process.kill()  # what is too long is not read to its end
    except OSError as error:
        raise UsageError(f"cannot read {place}: {(error.strerror or str(error)).lower()}") from None
    return data


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git; what these commands print is short.

    Raises:
        UsageError: it is not installed, or does not answer.
    """
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell
            ["git", *arguments],  # noqa: S607 - the git that the user has
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env=_environment(),
        )
    except FileNotFoundError:
        raise UsageError("git:REV:PATH needs git, which is not installed or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git does not answer within {PATIENCE} seconds") from None
    except OSError as error:
        raise UsageError(f"git cannot be run: {(error.strerror or str(error)).lower()}") from None


def _environment() -> dict[str, str]:
    """As it is, but without questions, downloads and other languages."""
    return {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
