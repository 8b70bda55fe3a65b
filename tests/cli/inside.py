"""Runs the command line in this process, for tests of many cases."""

import contextlib
import gc
import io
import os
import sys
from pathlib import Path
from unittest import mock

from cnnplan.cli import main
from tests.cli.run import ROOT, Result


def cnnplan(*arguments: object, stdin: str = "", cwd: Path = ROOT, **environment: str) -> Result:
    """As `tests.cli.run.cnnplan`: plain output at 100 columns, on a pipe, unless the environment says otherwise."""
    variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM")}
    variables |= {"COLUMNS": "100", **environment}
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: object = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(mock.patch.dict(os.environ, variables, clear=True))
        stack.enter_context(mock.patch.object(sys, "argv", ["cnnplan", *map(str, arguments)]))
        stack.enter_context(mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.callback(gc.enable)  # the command line turns it off: a process of its own is soon over
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
    assert isinstance(code, int)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    assert "internal error" not in texts[1], texts[1]
    return Result(code, *texts)
