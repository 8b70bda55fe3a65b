"""The configuration: `[tool.cnnplan]` of pyproject.toml, or cnnplan.toml.

The nearest one above a spec counts for it, and no other; in one folder cnnplan.toml goes before pyproject.toml.

    select = ["N", "H301"]            # codes, or their beginnings: these rules and no others
    extend-select = ["G119"]          # these besides
    ignore = ["H309"]
    severity = {N201 = "error"}       # error, warning or info
    fail-on = "warning"               # from which level on the exit code is 1; or "never"
    target = "a100-80gb"              # for specs that say none; or {device = …, batch = …, dtype = …, optimizer = …}
    files = ["models/**/*.yaml"]      # what is a spec, for `cnnplan check` of a folder, or without a path
    exclude = ["models/old/*"]
    baseline = "cnnplan-baseline.json"
    [per-file-ignores]
    "models/old/*.yaml" = ["N"]

Paths and patterns are relative to the file's folder.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnplan.codes import SEVERITIES
from cnnplan.errors import UsageError
from cnnplan.lint.selection import Choice, Selection, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEVELS = (*SEVERITIES, "never")
_OURS = re.compile(rb"^[ \t]*(\[[ \t]*)?[\"']?tool[\"']?[ \t]*(\.[ \t]*[\"']?cnnplan\b|\]|=)", re.MULTILINE)
MAX_BYTES = 1_000_000


class Config(NamedTuple):
    """A configuration; without a file, the defaults.

    Attributes:
        path: the file; None where there is none.
        target: what memory is planned for where a spec does not say it: arguments of `conditions`.
        files, exclude: patterns of what is a spec and what is not.
        baseline: a file of findings that are known.
    """

    path: Path | None = None
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = {}
    severity: Mapping[str, str] = {}
    fail_on: str = "error"
    target: Mapping[str, Any] = {}
    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    baseline: str | None = None

    @property
    def folder(self) -> Path:
        """What paths in it are relative to."""
        return self.path.parent if self.path else Path()

    def selection(self, path: str, asked: Choice) -> Selection:
        """Which findings of a file are wanted."""
        ignored = [
            code for pattern, codes in self.per_file_ignores.items() if self.covers(pattern, path) for code in codes
        ]
        configured = Choice(self.select, self.extend_select, (*self.ignore, *ignored))
        return Selection(configured, asked, self.severity)

    def covers(self, pattern: str, path: str) -> bool:
        """Whether a pattern is about a file."""
        try:
            below = Path(path).resolve().relative_to(self.folder.resolve()).as_posix()
        except (OSError, ValueError):
            return False
        return bool(_pattern(pattern).fullmatch(below))

    def is_spec(self, path: str) -> bool | None:
        """Whether `files` and `exclude` take a file for a spec; None where they leave it open."""
        if any(self.covers(pattern, path) for pattern in self.exclude):
            return False
        return any(self.covers(pattern, path) for pattern in self.files) if self.files else None

    def as_dict(self) -> dict[str, Any]:
        """The settings by their names in the file."""
        shown = {name.replace("_", "-"): value for name, value in self._asdict().items() if name != "path"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}


DEFAULTS = Config()


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern as a regular expression: `*` and `?` stay in a folder, `**` does not; a folder means all in it.

    As in .gitignore, a pattern without a slash is about a name at any depth.
    """
    text = text.removeprefix("./")
    lead = "" if "/" in text.rstrip("/") else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.rstrip("/").removeprefix("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(lead + "".join(words.get(part) or re.escape(part) for part in parts) + "(?:/.*)?")


@cache
def nearest(folder: Path) -> Config:
    """The configuration of the nearest folder above, this one included.

    Raises:
        UsageError: it is not right.
    """
    for name, part in (("cnnplan.toml", None), ("pyproject.toml", "cnnplan")):
        path = folder / name
        try:
            data = path.read_bytes() if path.is_file() else b""
        except OSError as error:
            raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
        if (name == "cnnplan.toml" and path.is_file()) or (part and _OURS.search(data)):
            found = _read(path, data)
            if found is not None:
                return found
    return nearest(folder.parent) if folder.parent != folder else DEFAULTS


def of(path: str) -> Config:
    """The configuration of a spec: that of the nearest folder above it.

    Raises:
        UsageError: it is not right.
    """
    try:
        folder = Path(path).resolve().parent if path not in ("-", "") else Path.cwd()
    except (OSError, ValueError):
        folder = Path.cwd()
    return nearest(folder)


def read(path: Path) -> Config:
    """The configuration of a file that is named.

    Raises:
        UsageError: it cannot be read, or is not right.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot read {path}: {reason.lower()}") from None
    found = _read(path, data)
    if found is None:
        raise UsageError(f"{path} has no table [tool.cnnplan]")
    return found


def _read(path: Path, data: bytes) -> Config | None:
    """The configuration in a file; None where a pyproject.toml has none."""
    import tomllib

    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is too large; a configuration has at most {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {str(error) or 'nested too deeply'}") from None
    where = ""
    if path.name == "pyproject.toml":
        tool = table.get("tool")
        if not isinstance(tool, dict) or "cnnplan" not in tool:
            return None
        table, where = tool["cnnplan"], "[tool.cnnplan] "
        if not isinstance(table, dict):
            raise UsageError(f"{path}: [tool.cnnplan] is a table")
    return _Reader(path, text, where).config(table)


class _Reader:
    """Reads a table, and says where it is not right."""

    def __init__(self, path: Path, text: str, where: str) -> None:
        self.path = path
        self.text = text
        self.where = where
        self.keys: dict[str, Callable[[str, Any], Any]] = {
            "select": self.codes,
            "extend-select": self.codes,
            "ignore": self.codes,
            "per-file-ignores": lambda key, value: {k: self.codes(k, v) for k, v in self.table(key, value).items()},
            "severity": self.severity,
            "fail-on": lambda key, value: self.one_of(key, value, LEVELS),
            "target": self.target,
            "files": self.texts,
            "exclude": self.texts,
            "baseline": self.file,
        }

    def config(self, table: Mapping[str, Any]) -> Config:
        values = {}
        for key, value in table.items():
            if key not in self.keys:
                from cnnplan.diagnostics import suggest

                self.refuse(key, f"has no key '{key:.60}'; {suggest(key, self.keys)}")
            values[key.replace("-", "_")] = self.keys[key](key, value)
        return Config(self.path, **values)

    def refuse(self, key: str, why: str) -> None:
        """Say what is wrong with a key, and in which line it stands."""
        found = re.search(rf"(?:^|[{{,])[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=", self.text, re.MULTILINE)
        line = f":{self.text.count(chr(10), 0, found.start()) + 1}" if found else ""
        raise UsageError(f"{self.path}{line}: {self.where}{why}")

    def texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            self.refuse(key, f"'{key}' is a list of texts, not {value!r:.60}")
        return tuple(value)

    def codes(self, key: str, value: Any) -> tuple[str, ...]:
        found = self.texts(key, value)
        if wrong := unknown(found):
            self.refuse(key, f"'{key}': {wrong}")
        return found

    def table(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.refuse(key, f"'{key}' is a table, not {value!r:.60}")
        return dict(value)

    def one_of(self, key: str, value: Any, known: tuple[str, ...]) -> str:
        if value not in known:
            from cnnplan.diagnostics import suggest

            self.refuse(key, f"'{key}' is one of {', '.join(known)}, not {value!r:.60}; {suggest(str(value), known)}")
        return str(value)

    def severity(self, key: str, value: Any) -> dict[str, str]:
        found = self.table(key, value)
        self.codes(key, list(found))
        return {code: self.one_of(code, level, SEVERITIES) for code, level in found.items()}

    def file(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            self.refuse(key, f"'{key}' is the name of a file, not {value!r:.60}")
        return str(value)

    def target(self, key: str, value: Any) -> dict[str, Any]:
        """A device, or a table of what a spec's `target` says."""
        from pydantic import ValidationError

        from cnnplan.diagnostics import suggest
        from cnnplan.settings import Target

        given = {"device": value} if isinstance(value, str) else self.table(key, value)
        for name in given:
            if name not in Target.model_fields:
                self.refuse(name, f"'target' has no key '{name:.60}'; {suggest(name, Target.model_fields)}")
        try:
            found = Target.model_validate(given).model_dump(exclude_none=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            at = key if isinstance(value, str) else str(first["loc"][0])
            self.refuse(at, f"'target': {'.'.join(map(str, first['loc']))}: {first['msg']}")
            raise AssertionError from None
        return found
