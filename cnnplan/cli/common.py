"""What the commands share: their common options, reading specs, writing results."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnnplan.config import Config
    from cnnplan.diagnostics import Diagnostic, Report
    from cnnplan.lint.selection import Selection
    from cnnplan.overrides import YamlText
    from cnnplan.planning import Plan
    from cnnplan.render.styled import Styled


class Color(StrEnum):
    """When to print colors."""

    auto = "auto"
    always = "always"
    never = "never"


Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Replace a variable of the spec; may be given several times."),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input-size", metavar="SIZE", help="Another spatial size: 256, or 320x240 as height x width."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of standard output.")
]
StdinFilename = Annotated[
    str | None, typer.Option("--stdin-filename", metavar="NAME", help="What to call standard input.")
]
Batch = Annotated[int | None, typer.Option("--batch", metavar="N", help="Samples in a batch, on one device.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", metavar="NAME", help="float32, float16 or bfloat16; training is mixed then.")
]
Mixed = Annotated[
    bool | None, typer.Option("--mixed/--pure", help="Keep float32 parameters under autocast, or cast the whole model.")
]
OptimizerOption = Annotated[
    str | None,
    typer.Option(
        "--optimizer", metavar="NAME", help="sgd, momentum, nesterov, adam, adamw, rmsprop, rmsprop_momentum."
    ),
]
Implementation = Annotated[
    str | None, typer.Option("--implementation", metavar="NAME", help="The optimizer's: foreach, fused or forloop.")
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="DEVICE", help="Plan for this device of `cnnplan devices`, or cpu.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Use this configuration instead of the nearest pyproject.toml or cnnplan.toml."
    ),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print findings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print every layer, and findings of level info.")]
ColorOption = Annotated[Color, typer.Option("--color", help="When to print colors.")]


class Device(StrEnum):
    """What runs it."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


RunsOn = Annotated[Device, typer.Option("--device", help="What runs it; auto takes CUDA where it is.")]


class Loaded(NamedTuple):
    """A spec that was read: its plan if it is valid, and what was found."""

    path: str
    text: str
    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def name(self) -> str | None:
        """The network's name, as far as the text gives one."""
        if self.plan:
            return self.plan.name
        found = re.search(r"^name: *([A-Za-z_]\w*) *(#|$)", self.text, re.MULTILINE)
        return found[1] if found else None


def variables(given: Sequence[str] | None) -> dict[str, YamlText]:
    """`--set NAME=VALUE …` as a dict of YAML texts."""
    from cnnplan.overrides import YamlText

    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set takes NAME=VALUE, not '{text}'")
        found[name.strip()] = YamlText(value.strip())
    return found


def input_size(given: str | None) -> tuple[int, ...] | None:
    """`--input-size 256` or `320x240` as numbers."""
    if given is None:
        return None
    parts = given.lower().replace("×", "x").split("x")
    if not 1 <= len(parts) <= 3 or not all(p.strip().isdecimal() and 0 < int(p) < 2**31 for p in parts):
        raise UsageError(f"--input-size takes a size such as 256 or 320x240, not '{given}'")
    return tuple(map(int, parts))


def asked(
    batch: int | None,
    dtype: str | None,
    mixed: bool | None,
    optimizer: str | None,
    implementation: str | None,
    target: str | None,
) -> dict[str, Any]:
    """The options of these names, as arguments of `conditions`."""
    return {
        "batch": batch,
        "dtype": dtype,
        "mixed": mixed,
        "optimizer": optimizer,
        "implementation": implementation,
        "target": target,
    }


def configuration(config: Path | None, isolated: bool) -> Callable[[str], Config]:
    """Which configuration counts for a path: the one that is named, none, or the nearest.

    Raises:
        UsageError: the one that is named is not right.
    """
    from cnnplan import config as configs

    if config is not None and isolated:
        raise UsageError("--config and --isolated exclude each other")
    if isolated:
        return lambda path: configs.DEFAULTS
    if config is not None:
        named = configs.read(config)
        return lambda path: named
    return configs.of


def load(
    data: str | bytes,
    path: str,
    sets: Sequence[str] | None,
    size: str | None,
    wanted: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
) -> Loaded:
    """A spec's text, planned; `wanted` are arguments of `conditions`."""
    from cnnplan.conditions import conditions
    from cnnplan.diagnostics import Report
    from cnnplan.planning import Plan
    from cnnplan.planning import load as load_graph

    report = Report(path)
    graph = load_graph(data, report, variables(sets), input_size(size))
    text = data if isinstance(data, str) else data.decode("utf-8", "replace").removeprefix("\ufeff")
    if graph is None:
        return Loaded(path, text, None, _refused(report, text))
    plan = Plan(graph, report, path, conditions(graph, **(wanted or {})), selection)
    return Loaded(path, text, plan, plan.diagnostics)


def _refused(report: Report, text: str) -> tuple[Diagnostic, ...]:
    """Why a spec is not valid, and how that can be mended."""
    assert report.failed, "a spec was refused without a finding"
    from cnnplan.lint.repairs import repaired

    return repaired(report.diagnostics, text)


def planned(
    spec: str,
    sets: Sequence[str] | None,
    size: str | None,
    stdin_filename: str | None,
    color: Color,
    config_of: Callable[[str], Config],
    wanted: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of one spec; prints why, and exits with 1, where it is not valid."""
    data, path = read(spec, stdin_filename)
    if defaults := config_of(path).target:
        wanted = {**(wanted or {}), "defaults": defaults}
    loaded = load(data, path, sets, size, wanted)
    if loaded.plan is None:
        sys.stderr.write(refused(loaded, color))
        raise typer.Exit(1)
    return loaded.plan


def refused(loaded: Loaded, color: Color) -> str:
    """Why a spec is not valid, as it is printed on standard error."""
    from cnnplan.render import findings
    from cnnplan.render.styled import Styled

    out, lines = Styled(), findings.split(loaded.text)
    for found in loaded.diagnostics:
        if found.severity == "error":
            out.extend(findings.finding(found, lines))
    out.add(f"{findings.summary(loaded.diagnostics)}\n")
    return printed(out, color)


def read(path: str, stdin_filename: str | None = None) -> tuple[bytes, str]:
    """The bytes of a file, or of standard input for `-`, and the name to report."""
    from cnnplan.planning import read_file
    from cnnplan.source import MAX_BYTES

    if path == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1), stdin_filename or "<stdin>"
    return read_file(Path(path)), path


def colored(choice: Color, to_file: bool) -> bool:
    """Whether to print colors: --color, then NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM, then a terminal."""
    if choice is not Color.auto:
        return choice is Color.always
    environment = os.environ
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    if environment.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return not to_file and environment.get("TERM") != "dumb" and sys.stdout.isatty()


def columns() -> int:
    """The width to print for: the terminal's, or COLUMNS; wide where nothing says how wide."""
    import shutil

    if "COLUMNS" in os.environ or sys.stdout.isatty():
        return max(40, shutil.get_terminal_size((160, 50)).columns)
    return 160


def printed(text: Styled, choice: Color, to_file: bool = False) -> str:
    """Styled text as it is printed."""
    return text.colored() if colored(choice, to_file) else text.plain


def deliver(text: str, output: Path | None) -> None:
    """Print a result, or write it to a file."""
    if output is None or str(output) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write(output, text)


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths are one file."""
    try:
        return a.samefile(b)
    except (OSError, ValueError):  # one of them is not there: reading or writing says why
        return False


def writable(path: Path | None, spec: str) -> None:
    """Refuse, before work that takes long, a file that could not be written in the end.

    Raises:
        UsageError: it is the spec, or its folder is not there.
    """
    if path is None or str(path) == "-":
        return
    if same_file(path, Path(spec)):
        raise UsageError(f"{path} is the spec itself; write to another file")
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError):  # links that lead to themselves
        raise UsageError(f"cannot write {path}: its links lead nowhere") from None
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"cannot write {path}: permission denied")


def write(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file as a whole or not at all: what fails leaves the old file as it was.

    Args:
        new: refuse to replace a file that is there.

    Raises:
        UsageError: it cannot be written.
    """
    temporary = None
    try:
        if new and path.exists():
            raise UsageError(f"{path} is there already; it is left as it is")
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a directory")
        target = path.resolve()
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        if target.exists() and not target.is_file():  # a device or a pipe: there is nothing to keep
            handle = os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(handle, "w", encoding="utf-8") as device:
                os.set_blocking(handle, True)
                device.write(text)
            return
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
