"""What the formats share: what is exported, how torch.export sees it, how a file is run, what is said of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.data.needed import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Program = Callable[[Sequence[Tensor]], list[Tensor]]

NO_MEMORY: Final = "this machine's memory is not enough to export it; take a smaller --input-size"


class Refused(Exception):
    """A format cannot express a model; the text is what the exporter said, on one line."""


class Subject(NamedTuple):
    """What is exported: a network, or some of its layers side by side.

    Attributes:
        model: in evaluation.
        examples: a batch of two samples of each input.
        shapes: which of their axes vary, as torch.export.export takes it.
        inputs, outputs: their names.
    """

    model: nn.Module
    examples: tuple[Tensor, ...]
    shapes: tuple[Any, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Format(NamedTuple):
    """One format.

    Attributes:
        name: of the command line.
        suffix: of its files.
        packages: that it needs beside torch.
        other: the format that may express what this one cannot.
        write: a model and its metadata into a file; raises Refused where the format cannot express it.
        load: a function from inputs to outputs, from a file; None where nothing here can run it.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    other: str
    write: Callable[[Subject, Path, Mapping[str, Any]], None]
    load: Callable[[Path], Program | None]

    def need(self) -> None:
        """Import its packages.

        Raises:
            UsageError: one is not installed.
        """
        for package in self.packages:
            needed(package, "cnnplan[export]")

    def loaded(self, file: Path) -> Program | None:
        """What runs a file; None where nothing here can.

        Raises:
            Refused: it cannot be loaded.
        """
        try:
            return self.load(file)
        except Exception as error:
            raise refused(error) from error


def outputs_of(result: Any) -> list[Tensor]:
    """What a model gives, as a list."""
    return [result] if isinstance(result, Tensor) else list(result)


def run(program: Program, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a file that was loaded.

    Raises:
        Refused: it does not run.
    """
    try:
        with torch.no_grad():
            return program(inputs)
    except Exception as error:
        raise refused(error) from error


def refused(error: Exception) -> Refused | UsageError:
    """What an exporter's or a runtime's error is."""
    text = said(error)
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return UsageError(NO_MEMORY)
    return Refused(text)


def said(error: BaseException) -> str:
    """What lies at the bottom of an error, on one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    text = re.sub(r"<OpOverload\(op='([\w.]+)', overload='(\w+)'\)>", r"\1.\2", text)
    return printable(text.partition(". Failure message")[0])[:200]


def captured(subject: Subject) -> torch.export.ExportedProgram:
    """A model as torch.export sees it, without the lines of this machine's files that led to each operation.

    Raises:
        Refused: torch.export cannot follow it, or the number of samples became a constant.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(subject.model, subject.examples, dynamic_shapes=subject.shapes, strict=False)
    except Exception as error:  # whatever the model's code makes of tensors without numbers
        raise refused(error) from error
    given = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
        if node.name in given and isinstance(node.meta["val"].shape[0], int):
            raise Refused("the number of samples in a batch becomes a constant")
    return program
