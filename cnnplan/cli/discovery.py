"""Which files are specs: those that are named, and those of a folder that have a top-level `cnnplan:` key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.errors import UsageError
from cnnplan.source import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cnnplan.config import Config

LEFT_OUT = ("node_modules", "__pycache__")
_MARK = re.compile(rb"^(?:\{[ \t]*)?[\"']?cnnplan[\"']?[ \t]*:", re.MULTILINE)


class Files(NamedTuple):
    """The files to check, each once and in order, and the YAML files of folders that are no specs."""

    specs: tuple[str, ...]
    others: tuple[str, ...]


def discovered(paths: Sequence[str], config_of: Callable[[str], Config], *, skip_others: bool = False) -> Files:
    """The specs that paths name: files as they are, those of folders in the order of their names.

    Args:
        config_of: the configuration for a file; its `files` say what is a spec in a folder, its `exclude` what is not.
        skip_others: leave out what is named and is no spec, or is excluded, as for hooks that name every file.

    Raises:
        UsageError: a folder holds no spec.
    """
    specs: dict[str, None] = {}
    others: list[str] = []
    for path in paths:
        if not path:
            raise UsageError("a path is empty")
        if path == "-" or not is_directory(path):
            if skip_others and path != "-" and (config_of(path).is_spec(path) is False or not has_mark(Path(path))):
                continue
            specs[path] = None
            continue
        below = list(_yaml_below(Path(path), config_of))
        found = [str(file) for file, is_spec in below if is_spec]
        others += [str(file) for file, is_spec in below if not is_spec]
        if not found and not skip_others:
            raise UsageError(f"no spec in {path}: a spec is a .yaml file with a top-level `cnnplan:` key")
        specs.update(dict.fromkeys(found))
    return Files(tuple(specs), tuple(others))


def is_directory(path: str) -> bool:
    """Whether there is a folder of this name; reading says what is wrong with a name that can be none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def has_mark(path: Path) -> bool:
    """Whether a file has a top-level key `cnnplan`, without reading it as YAML; also where it cannot be read.

    Reading it again says why it cannot.
    """
    try:
        with path.open("rb") as file:
            return bool(_MARK.search(file.read(MAX_BYTES)))
    except (OSError, ValueError):
        return True


def _yaml_below(folder: Path, config_of: Callable[[str], Config]) -> Iterator[tuple[Path, bool]]:
    """The YAML files below a folder, and whether each is a spec. What is hidden, and links to folders, are left out."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {(error.strerror or str(error)).lower()}") from None
    for path in inside:
        if path.name.startswith(".") or path.name in LEFT_OUT:
            continue
        if path.is_dir():
            if not path.is_symlink():
                yield from _yaml_below(path, config_of)
        elif path.suffix in (".yaml", ".yml") and path.is_file():
            chosen = config_of(str(path)).is_spec(str(path))
            if chosen is not False:
                yield path, chosen or has_mark(path)
