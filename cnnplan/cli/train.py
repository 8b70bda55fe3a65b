"""cnnplan train: from a spec to a trained network."""

from __future__ import annotations

import gc
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations
from shlex import quote
from typing import Annotated

import typer

from cnnplan.cli import common
from cnnplan.errors import UsageError
from cnnplan.runtime.training.ranks import first


class Strategy(StrEnum):
    """How several devices share the work."""

    auto = "auto"
    ddp = "ddp"
    fsdp = "fsdp"


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec, or - for standard input.")],
    data: Annotated[
        str,
        typer.Option("--data", metavar="DATA", help="digits, folder:PATH, npz:PATH, torchvision:NAME, hf:NAME."),
    ],
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Instead of the spec's.")] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, metavar="N", help="Samples in a batch, on one device.")
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate.")] = None,
    optimizer: common.OptimizerOption = None,
    dtype: common.Dtype = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Of weights, splits, order and augmentation.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where results go; by default runs/NAME, runs/NAME-2 …"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output, or with the last one in runs/.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Start from these weights, as far as they fit.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, metavar="K", help="Cross-validate: K trainings, mean and deviation.")
    ] = None,
    device: common.RunsOn = common.Device.auto,
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, metavar="N", help="Devices of a machine, or processes of a CPU.")
    ] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", min=1, metavar="N", help="Machines.")] = None,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="All of the state on each device, or a shard of it.")
    ] = Strategy.auto,
    compile_: Annotated[bool, typer.Option("--compile", help="Run the network through torch.compile.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, metavar="N", help="Processes that read files; by default by need.")
    ] = None,
    save_every: Annotated[
        float, typer.Option("--save-every", min=0.0, metavar="MINUTES", help="Checkpoints within long epochs.")
    ] = 15.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained, its memory and time, and stop.")
    ] = False,
    set_: common.Set = None,
    input_size: common.InputSize = None,
    config: common.ConfigOption = None,
    isolated: common.Isolated = False,
    stdin_filename: common.StdinFilename = None,
    quiet: common.Quiet = False,
    color: common.ColorOption = common.Color.auto,
) -> None:
    """Train the network, as the spec's `train` says.

    Data, architecture and device are checked before it starts. Ctrl-C saves; --resume goes on, bit for bit on a CPU.
    Exit code 0: trained; 1: the spec is not valid; 2: wrong usage, or it cannot go on; 130: stopped by Ctrl-C.
    """
    gc.enable()  # a training is long
    plan = common.planned(spec, set_, input_size, stdin_filename, color, common.configuration(config, isolated))
    if first():
        for finding in plan.diagnostics:
            if finding.severity == "error" or (finding.severity == "warning" and not quiet):
                sys.stderr.write(f"{finding}\n")
    if lr is not None and not 0 < lr < float("inf"):
        raise UsageError(f"--lr is a number > 0, not {lr}")
    if weights is not None and resume:
        raise UsageError("--resume goes on with the weights of its run: leave --weights out")
    if spec == "-" and (devices or 1) * (nodes or 1) > 1:
        raise UsageError("several processes cannot all read standard input: write the spec to a file")
    from cnnplan.api import missing_train

    try:
        from cnnplan.runtime.training import session
    except ModuleNotFoundError as error:
        raise missing_train(error) from None
    asked = session.Asked(
        data=data,
        epochs=epochs,
        batch=batch,
        lr=lr,
        optimizer=optimizer,
        dtype=dtype,
        seed=seed,
        output=output,
        resume=resume,
        weights=weights,
        folds=folds,
        device=device.value,
        devices=devices,
        nodes=nodes,
        strategy=strategy.value,
        compiled=compile_,
        workers=workers,
        minutes=save_every,
        spec_options="".join(f" --set {quote(one)}" for one in set_ or ())
        + (f" --input-size {input_size}" * bool(input_size)),
    )
    how = "none" if quiet else "bar" if sys.stderr.isatty() else "lines"
    if dry_run:
        common.deliver(common.printed(session.described(plan, asked, common.columns()), color), None)
        return
    from cnnplan.runtime.training.interrupts import AtOnce, Interrupted

    try:
        found = session.trained(plan, asked, how, color=common.colored(color, to_file=not sys.stderr.isatty()))
    except Interrupted as stopped:
        if first():
            sys.stderr.write(f"stopped after {stopped.where}; the same command with --resume goes on\n")
        raise typer.Exit(128 + stopped.number) from None
    except AtOnce as stopped:
        if first():
            sys.stderr.write("stopped at once; --resume goes on from the last checkpoint, if there is one\n")
        raise typer.Exit(128 + stopped.number) from None
    if found is not None:
        common.deliver(common.printed(found.page(), color), None)
