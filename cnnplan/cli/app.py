"""The application: finds the command's file by its name, and turns errors into exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cnnplan.errors import CnnplanError, SpecError

COMMANDS = (
    "check",
    "rule",
    "fit",
    "explain",
    "sizes",
    "diff",
    "verify",
    "build",
    "train",
    "predict",
    "profile",
    "devices",
    "ops",
    "zoo",
    "init",
    "schema",
)


class Lazy(TyperGroup):
    """Imports a command only when it runs: start-up does not grow with the number of commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"cnnplan.cli.{cmd_name}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(cmd_name)(module.command)
        return typer.main.get_command(app)


app = typer.Typer(
    cls=Lazy,
    name="cnnplan",
    help="Plan convolutional networks: check a spec, know its numbers, build it as PyTorch.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        from cnnplan.version import __version__

        typer.echo(f"cnnplan {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Plan convolutional networks: check a spec, know its numbers, build it as PyTorch."""


def main() -> None:
    """Run the command line; never a traceback for what a user can cause."""
    if "CNNPLAN_RUN" in os.environ:  # a process that another one of the same training started: that one hears for all
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # a check is over before there is anything to collect
    if sys.stdout is None or sys.stderr is None:  # closed by the caller: there is nobody to tell
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except SpecError as error:
        _complain(str(error), 1)
    except CnnplanError as error:
        _complain(f"error: {error}", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(f"error: cannot write the result: {(error.strerror or str(error)).lower()}", 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("CNNPLAN_DEBUG"):
            raise
        _complain(f"internal error: {type(error).__name__}: {error}; set CNNPLAN_DEBUG=1 to see where", 2)


def _complain(message: str, code: int) -> None:
    print(message, file=sys.stderr)  # noqa: T201
    sys.exit(code)
