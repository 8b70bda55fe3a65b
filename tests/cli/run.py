"""Runs the command line in a process of its own, as people do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Result(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def cnnplan(*arguments: object, stdin: str | bytes = "", cwd: Path = ROOT, **environment: str) -> Result:
    """`cnnplan ARGUMENTS`, with plain output at 100 columns unless the environment says otherwise."""
    variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM")}
    variables |= {"COLUMNS": "100", **environment}
    data = stdin.encode() if isinstance(stdin, str) else stdin
    command = [sys.executable, "-m", "cnnplan", *map(str, arguments)]
    result = subprocess.run(command, input=data, capture_output=True, cwd=cwd, env=variables, timeout=60)
    out, err = result.stdout.decode(), result.stderr.decode()
    assert "Traceback" not in out + err, err
    return Result(result.returncode, out, err)
