"""What the tests of the language share.

A spec text marks with `«` each place where an error is expected: `blames` takes the marks out and
compares. So one test says which errors there are, where, and that there is none beside them.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import cnnplan
from cnnplan.diagnostics import Diagnostic
from cnnplan.planning import Plan

MARK = "«"
HEAD = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\n"
ROOT = Path(__file__).parents[2]


def dedent(text: str) -> str:
    """The text without the indentation of its first line."""
    lines = text.strip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"{line[indent:] if not line[:indent].strip() else line}\n" for line in lines).rstrip(" ")


def listed(text: str) -> list[str]:
    """Cases that stand on lines of their own, or three spaces apart."""
    return [case for line in text.strip("\n").split("\n") for case in re.split(" {3,}", line.strip())]


def net(layers: str, *, head: str = HEAD, more: str = "") -> str:
    """A whole spec around a list of layers."""
    return f"{head}{dedent(more) if more else ''}layers:\n{dedent(layers)}"


def blocked(blocks: str, layers: str, *, head: str = HEAD) -> str:
    """A whole spec of blocks and layers."""
    indented = "".join(f"  {line}\n" for line in dedent(blocks).rstrip("\n").split("\n"))
    return f"{head}blocks:\n{indented}layers:\n{dedent(layers)}"


def plan(text: Any, **options: Any) -> Plan:
    """As `cnnplan.plan`: a path, a text or a dict."""
    return cnnplan.plan(text, **options)


def names(text: str, **options: Any) -> list[str]:
    """The names of the layers."""
    return [layer.name for layer in plan(text, **options).layers]


def shapes(text: str, **options: Any) -> list[tuple[int, ...]]:
    """The output shapes of the layers."""
    return [tuple(layer.output) for layer in plan(text, **options).layers]


def last(text: str, **options: Any) -> tuple[int, ...]:
    """The shape of the only output of the network."""
    (value,) = plan(text, **options).graph.outputs.values()
    return tuple(value.shape)


def refused(text: str, **options: Any) -> tuple[Diagnostic, ...]:
    """The errors of a spec that is not valid."""
    try:
        found = cnnplan.plan(text, **options)
    except cnnplan.SpecError as error:
        return tuple(d for d in error.diagnostics if d.severity == "error")
    raise AssertionError(f"accepted as {found}:\n{text}")


def blames(text: str, *codes: str, **options: Any) -> tuple[Diagnostic, ...]:
    """Hold the errors of a spec against its marks: one error at each, and none beside them.

    Args:
        codes: the expected codes, in the order of the text; one for all, or one for each mark.
    """
    expected = []
    clean = ""
    for part in text.split(MARK)[:-1]:
        clean += part
        expected.append((clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
    clean += text.rpartition(MARK)[2]
    found = refused(clean, **options)
    shown = "\n".join(map(str, found))
    assert [(d.start.line, d.start.column) if d.start else None for d in found] == expected, shown
    if codes:
        wanted = list(codes) if len(codes) == len(expected) else [*codes] * len(expected)
        assert [d.code for d in found] == wanted, shown
    return found


def complaint(text: str, *codes: str, **options: Any) -> str:
    """The message and help of the only error, at the only mark."""
    (found,) = blames(text, *codes, **options)
    return f"{found.message}; {found.help}; {[r.message for r in found.related]}"


class Ran(NamedTuple):
    """What a command did. `peak` is its largest resident memory, in MiB."""

    code: int
    out: str
    err: str
    peak: int


_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    file.write(f"{code} {peak // 1024}")
"""


def run(*arguments: str | os.PathLike[str], stdin: str | bytes = b"", cwd: Path | None = None) -> Ran:
    """Run the command line in a process of its own; 20 seconds are more than it ever needs."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        python = [sys.executable, "-I", "-S", "-c", _MEASURED, str(note), sys.executable]
        process = subprocess.Popen(
            [*python, "-c", "from cnnplan.cli import main; main()", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd or folder,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        )
        try:
            data = stdin.encode() if isinstance(stdin, str) else stdin
            out, err = process.communicate(data, timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        code, peak = map(int, note.read_text().split())
    return Ran(code, out.decode(), err.decode(), peak)


def polite(ran: Ran) -> str:
    """What a command printed, which is no traceback, not endless and kept to 300 MiB."""
    said = ran.err + ran.out
    assert "Traceback" not in said
    assert "internal error" not in said
    assert len(said) < 400_000
    assert ran.peak < 300
    return said
