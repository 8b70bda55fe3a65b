"""Runs `cnnplan` in processes that are forked where everything is imported: each starts in milliseconds.

run("train", SPEC, …, cwd=folder)           until it ends
with group(2, "train", SPEC, …) as both:    as a launcher starts two processes that train together
"""

import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.cli.run import Result

SECONDS = 60
"""A process that takes longer is stuck."""
IMPORTED = (
    "pytest",
    "cnnplan.api",
    "cnnplan.cli.train",
    "cnnplan.lint.engine",
    "cnnplan.runtime.data.digits",
    "cnnplan.runtime.training.session",
    "kornia",
    "sklearn.datasets",
    "torch.distributed.fsdp",
    "torch.utils.tensorboard",
    "tests.runtime.training.forked",
    "tests.runtime.training.specs",
)


def _context() -> ForkServerContext:
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED])
    return context


class Command:
    """A command that runs."""

    def __init__(self, process: ForkServerProcess, logs: tuple[Path, Path]) -> None:
        self.process, self.logs = process, logs

    @property
    def err(self) -> str:
        """What it has printed on standard error."""
        return self.logs[1].read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def result(self, seconds: float = SECONDS) -> Result:
        """Wait for its end."""
        self.process.join(seconds)
        out, err = (path.read_text() for path in self.logs)
        assert self.process.exitcode is not None, f"it is stuck: {err}"
        assert "Traceback" not in out + err, err
        assert "internal error" not in err, err
        return Result(self.process.exitcode, out, err)


def start(
    *arguments: object, cwd: Path, before: Callable[[], object] | None = None, environment: dict[str, str] | None = None
) -> Command:
    """Start `cnnplan ARGUMENTS` in a folder.

    Args:
        before: is called in the process first; it has to be pickled.
        environment: variables to set.
    """
    folder = Path(mkdtemp(prefix=".log", dir=cwd))
    logs = (folder / "out", folder / "err")
    for path in logs:
        path.touch()  # a test may read them before the process has begun
    given = ([*map(str, arguments)], cwd, {"COLUMNS": "100", **(environment or {})}, logs, before)
    process = _context().Process(target=_main, args=given)
    process.start()
    return Command(process, logs)


def run(
    *arguments: object, cwd: Path, before: Callable[[], object] | None = None, environment: dict[str, str] | None = None
) -> Result:
    """Run `cnnplan ARGUMENTS` in a folder to its end."""
    command = start(*arguments, cwd=cwd, before=before, environment=environment)
    try:
        return command.result()
    finally:
        command.process.kill()
        command.process.join()


class Rank(NamedTuple):
    """What a launcher tells a process."""

    rank: int
    world: int
    port: int

    def environment(self) -> dict[str, str]:
        """As torchrun has it."""
        return {
            "RANK": str(self.rank),
            "LOCAL_RANK": str(self.rank),
            "WORLD_SIZE": str(self.world),
            "LOCAL_WORLD_SIZE": str(self.world),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self.port),
            "TORCHELASTIC_RUN_ID": "none",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def group(
    world: int, *arguments: object, cwd: Path, before: Callable[[], object] | None = None
) -> Iterator[list[Command]]:
    """So many processes that run the same command, as torchrun starts them; none is left afterwards."""
    port = free_port()
    found: list[Command] = []
    try:
        for rank in range(world):
            there = Rank(rank, world, port).environment()
            found.append(start(*arguments, cwd=cwd, before=before, environment=there))
        yield found
    finally:
        for one in found:
            one.process.kill()
            one.process.join()


def killed_at(moment: int) -> None:
    """From now on, this process is killed at the n-th moment of writing: before a file is on the disk, before it is
    at its place, and right after that."""
    moments = iter(range(1, moment + 1))

    def watched(call: Callable[..., Any], *arguments: Any) -> Any:
        if next(moments, moment) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)

    os.fsync = partial(watched, os.fsync)
    os.replace = partial(watched, os.replace)


def limited(size: int) -> None:
    """No file of this process is longer, as where a disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Forked:
    """What Lightning starts for `--devices`, as far as it looks at it, forked as all of these processes are."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: str | None) -> None:
        told = ("CNNPLAN_RUN", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "WORLD_SIZE")
        there = {name: env[name] for name in told}
        self.command = start(*sys.argv[1:], cwd=Path(cwd or "."), environment=there)
        self.pid = self.command.process.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, once there is one."""
        self.returncode = self.command.process.exitcode
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to one that runs."""
        if self.poll() is None:
            self.command.send(signal.Signals(number))


def launching() -> None:
    """From now on, `--devices` starts further processes at once."""
    from lightning.pytorch.strategies.launchers import subprocess_script

    setattr(subprocess_script, "subprocess", SimpleNamespace(Popen=Forked))  # noqa: B010


def signalled_in(step: int, number: int, rank: int = 0) -> None:
    """From now on, a process of this rank gets a signal in the n-th step that it trains."""
    from cnnplan.runtime.training.module import Trainee

    if int(os.environ.get("RANK", "0")) != rank:
        return
    steps = iter(range(1, step + 1))
    trained = Trainee.training_step

    def signalled(*arguments: Any) -> Any:
        if next(steps, 0) == step:
            os.kill(os.getpid(), number)
        return trained(*arguments)

    Trainee.training_step = signalled  # type: ignore[method-assign, assignment]


def _main(
    arguments: list[str],
    cwd: Path,
    environment: dict[str, str],
    logs: tuple[Path, Path],
    before: Callable[[], object] | None,
) -> None:
    for stream, path in zip((sys.stdout, sys.stderr), logs, strict=True):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(cwd)
    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # as everywhere else on Linux
    sys.argv = ["cnnplan", *arguments]
    import torch

    from cnnplan.cli import main
    from tests.runtime.training.specs import drawing

    torch.set_num_threads(1)
    for module, name in [*drawing()]:
        setattr(module, name, lambda *_: None)
    if before is not None:
        before()
    main()
