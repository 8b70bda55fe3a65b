"""cnnplan zoo: ready specs of networks that people know."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cnnplan.cli import common

if TYPE_CHECKING:
    from collections.abc import Iterator


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A spec of the zoo.")] = None,
    output: common.Output = None,
    quiet: common.Quiet = False,
) -> None:
    """List ready specs, or write one: `cnnplan zoo vgg16 -o my.yaml`."""
    from cnnplan import zoo

    if name is None:
        width = common.columns()
        lines = (line if len(line) <= width else f"{line[: width - 1]}…" for line in _listed())
        common.deliver("\n".join(lines) + "\n", output)
        return
    text = zoo.find(name.removesuffix(".yaml")).read_text(encoding="utf-8")
    if output is None or str(output) == "-":
        common.deliver(text, None)
        return
    common.write(output, text, new=True)
    if not quiet:
        sys.stderr.write(f"wrote {output}; next: cnnplan check {output}\n")


def _listed() -> Iterator[str]:
    from cnnplan import zoo
    from cnnplan.planning import plan
    from cnnplan.render.numbers import short

    wide = max(map(len, zoo.names()))
    plans = {name: plan(zoo.find(name)) for name in zoo.names()}
    inputs = {name: " + ".join(str(v.shape) for v in found.graph.inputs) for name, found in plans.items()}
    column = max(map(len, inputs.values()))
    yield f"{'name':<{wide}}  {'input':<{column}}  {'parameters':>10}  {'MACs':>8}  description"
    for name, found in plans.items():
        numbers = f"{short(found.parameters):>10}  {short(found.macs):>8}"
        yield f"{name:<{wide}}  {inputs[name]:<{column}}  {numbers}  {found.spec.description}".rstrip()
    yield ""
    yield "`cnnplan zoo NAME -o FILE` writes one."
