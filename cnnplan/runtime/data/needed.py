"""Packages that only some data need: imported when they are wanted, and kept from writing where nobody reads."""

from __future__ import annotations

import contextlib
import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def needed(module: str, install: str) -> Any:
    """A module.

    Args:
        install: what pip installs to have it.

    Raises:
        UsageError: it, or one that it needs, is not installed, or cannot be imported.
    """
    shown = f"'{install}'" if "[" in install else install  # a shell takes brackets for a pattern
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        raise UsageError(f"this needs {missing}: pip install {shown}") from None
    except Exception as error:  # a package that does not fit the others fails in its own ways, RuntimeError included
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{module} cannot be imported: {reason}; pip install --upgrade {shown}") from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """What is printed goes to standard error, and nowhere where that is no terminal: progress is for people."""
    silent = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        yield
