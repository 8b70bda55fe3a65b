"""One check: which specs, what is asked of them, and what is done with the findings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.cli import common
from cnnplan.cli.discovery import discovered
from cnnplan.cli.report import FOR_PROGRAMS, Format, rendered
from cnnplan.codes import SEVERITIES
from cnnplan.errors import UsageError
from cnnplan.render.numbers import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnnplan.analyses.region import Sight
    from cnnplan.cli.report import View
    from cnnplan.config import Config
    from cnnplan.lint.baseline import Baseline
    from cnnplan.lint.selection import Choice
    from cnnplan.planning import Plan


class Run(NamedTuple):
    """A check that is asked for: of which paths, and how."""

    paths: tuple[str, ...]
    sets: Sequence[str] | None
    input_size: str | None
    wanted: Mapping[str, Any]
    asked: Choice
    config_of: Callable[[str], Config]
    view: View
    output: Path | None
    unit: str | None
    layer: str | None
    weights: Path | None
    fail_on: str | None
    baseline: Path | None
    known: Baseline | None
    stdin_filename: str | None
    skip_others: bool

    def files(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The specs, and the YAML files of folders that are none.

        Raises:
            UsageError: no path is given and the configuration names no files, or a folder has no spec.
        """
        paths: Sequence[str] = self.paths
        if not paths:
            here = self.config_of("")
            if not here.files:
                raise UsageError("name a spec or a folder of specs, or set `files` in the configuration")
            paths = [str(_shortest(here.folder))]
        return discovered(paths, self.config_of, skip_others=self.skip_others)

    def load(self, data: str | bytes, name: str) -> common.Loaded:
        """A spec's text, planned under its configuration."""
        config = self.config_of(name)
        selection = config.selection(name, self.asked)
        wanted = {**self.wanted, "defaults": config.target} if config.target else self.wanted
        return common.load(data, name, self.sets, self.input_size, wanted, selection)

    def fails(self, loaded: common.Loaded) -> bool:
        """Whether a spec makes the exit code 1: what is not valid does, whatever the level."""
        if loaded.plan is None:
            return True
        level = self.fail_on or self.config_of(loaded.path).fail_on
        if level == "never":
            return False
        counted = SEVERITIES[: SEVERITIES.index(level) + 1]
        return any(d.severity in counted for d in loaded.diagnostics)

    def loaded(self) -> tuple[list[common.Loaded], list[str]]:
        """The specs that could be read, and why others could not."""
        found: list[common.Loaded] = []
        unreadable: list[str] = []
        specs, others = self.files()
        view = self.view
        for option, given in (
            ("--unit", self.unit),
            ("--columns", view.columns),
            ("--draw", view.draw),
            ("--weights", self.weights),
        ):
            if given is not None and len(specs) > 1:
                raise UsageError(f"{option} is about one spec, not {len(specs)}")
        for path in specs:
            try:
                data, name = common.read(path, self.stdin_filename)
            except UsageError as error:
                unreadable.append(str(error))
                continue
            try:
                found.append(self.load(data, name))
            except UsageError as error:
                unreadable.append(f"{name}: {error}" if len(specs) > 1 else str(error))
        if others and not view.quiet:
            names = f"{others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''}"
            sys.stderr.write(f"left out, without a top-level `cnnplan:` key: {names}\n")
        return found, unreadable

    def without_known(self, loaded: common.Loaded) -> common.Loaded:
        """Without the findings that the baseline knows."""
        if self.known is None or loaded.plan is None:
            return loaded
        new, _ = self.known.new(loaded.path, loaded.text, loaded.diagnostics)
        return loaded._replace(diagnostics=new)

    def once(self, *, write_baseline: bool = False) -> int:
        """Check, print, and give the exit code."""
        found, unreadable = self.loaded()
        if write_baseline:
            status = self.write_baseline(found)
        else:
            if self.known and not self.view.quiet:
                gone = sum(self.known.new(x.path, x.text, x.diagnostics)[1] for x in found if x.plan)
                if gone:
                    sys.stderr.write(
                        f"{gone} of the findings in {self.known.path} are gone: --write-baseline forgets them\n"
                    )
            status = self.finish([self.without_known(loaded) for loaded in found])
        for message in unreadable:
            sys.stderr.write(f"error: {message}\n")
        return 2 if unreadable else status

    def finish(self, found: Sequence[common.Loaded], *, to_error: bool = False) -> int:
        """Print what was found, and give the exit code."""
        if not found and self.view.format not in (*FOR_PROGRAMS, Format.json):
            return 0
        status = int(any(map(self.fails, found)))
        first = found[0].plan if found else None
        sight = _sight(first, self.unit, self.layer) if self.unit is not None and first else None
        weights = None
        if self.weights is not None and first:
            from cnnplan.safetensors import read_header
            from cnnplan.weights import compare

            weights = compare(first, read_header(self.weights))
            status |= not weights.fits
        if weights and first and self.view.format in FOR_PROGRAMS:
            from cnnplan.render.weights import lines

            sys.stderr.write(lines(weights, first).plain)
        text = rendered(found, self.view, sight, weights, to_file=self.output is not None)
        if to_error:
            sys.stderr.write(text)
        else:
            common.deliver(text, self.output)
        return status

    def write_baseline(self, found: Sequence[common.Loaded]) -> int:
        """Write all findings of valid specs as known; exit code 1 where a spec is not valid, which nothing hides."""
        from cnnplan.lint import baseline

        here = self.config_of("")
        path = self.baseline or here.folder / (here.baseline or baseline.NAME)
        valid = [(x.path, x.text, x.diagnostics) for x in found if x.plan]
        common.write(path, baseline.written(path, valid))
        sys.stderr.write(f"wrote {plural(sum(len(d) for _, _, d in valid), 'finding')} to {path}\n")
        broken = [x.path for x in found if x.plan is None]
        for name in broken:
            sys.stderr.write(f"error: {name} is not valid, which no baseline hides\n")
        return int(bool(broken))


def _shortest(folder: Path) -> Path:
    """The name of a folder as seen from here."""
    try:
        return folder.resolve().relative_to(Path.cwd())
    except ValueError:
        return folder


def _sight(plan: Plan, unit: str, layer: str | None) -> Sight:
    """What `--unit 3,4 --layer NAME` asks for."""
    parts = unit.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and len(part) < 4_000 for part in parts):
        raise UsageError(f"--unit takes an index for each spatial axis, such as 3,4, not '{unit}'")
    if layer is None:
        wanted = next((found for found in reversed(plan.layers) if found.output.rank), None)
        if wanted is None:
            raise UsageError(f"no layer of '{plan.name}' has spatial axes")
    else:
        wanted = plan.layer(layer)
    return wanted.sees(tuple(map(int, parts)))
