"""`check --show-settings`: which configuration counts for which file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cnnplan.cli.report import Format
from cnnplan.codes import CODES
from cnnplan.diagnostics import printable
from cnnplan.lint.selection import Choice

if TYPE_CHECKING:
    from cnnplan.cli.run import Run


def shown(run: Run) -> str:
    """The settings for each file, those that share a configuration together; as JSON where that is asked for."""
    groups: dict[Any, list[str]] = {}
    specs = run.files()[0] if run.paths or run.config_of("").files else ("",)
    for path in specs:
        config = run.config_of(path)
        wanted = config.selection(path, run.asked).wanted(Choice())
        rules = tuple(code for code in CODES if code in wanted)
        groups.setdefault((config.path, rules), []).append(path)
    found = []
    for (source, rules), paths in groups.items():
        config = run.config_of(paths[0])
        settings = config.as_dict()
        if run.fail_on:
            settings["fail-on"] = run.fail_on
        found.append(
            {
                "files": [p for p in paths if p],
                "configuration": source and str(source),
                "settings": settings,
                "rules": rules,
            }
        )
    if run.view.format is Format.json:
        return json.dumps({"format_version": "1.0", "settings": found}, indent=1, ensure_ascii=False) + "\n"
    return "\n".join("".join(f"{line}\n" for line in _lines(group)) for group in found)


def _lines(group: dict[str, Any]) -> list[str]:
    files = group["files"]
    lines = [f"configuration  {printable(group['configuration'] or 'none: these are the defaults')}"]
    if files:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        lines.append(f"files          {printable(files[0])}{more}")
    lines += [f"{key:<14} {json.dumps(value, ensure_ascii=False)}" for key, value in group["settings"].items()]
    off = [code for code in CODES if code not in group["rules"]]
    lines.append(f"rules          {len(group['rules'])} on; off: {', '.join(off) or 'none'}")
    return lines
