"""`check --format sarif`: SARIF 2.1.0, with what GitHub's code scanning asks for."""

from __future__ import annotations

import json
import os
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cnnplan.codes import CODES, ERROR, INFO, WARNING
from cnnplan.diagnostics import url_of
from cnnplan.lint.engine import rule
from cnnplan.lint.fingerprints import fingerprints
from cnnplan.relative import below
from cnnplan.render.checked import said
from cnnplan.version import HOME, __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.diagnostics import Diagnostic, Fix, Position
    from cnnplan.render.checked import Checked

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
LONGEST = 1024
"""So many characters of a description GitHub takes."""

LEVEL = {ERROR: "error", WARNING: "warning", INFO: "note"}
PROBLEM = {ERROR: "error", WARNING: "warning", INFO: "recommendation"}
PRECISION = {ERROR: "very-high", WARNING: "high", INFO: "medium"}
TAGS = {
    "S": "shapes",
    "G": "geometry",
    "N": "normalization",
    "H": "head",
    "R": "graph",
    "U": "upsampling",
    "F": "receptive-field",
    "P": "resources",
    "Y": "language",
}


def render(found: Sequence[Checked]) -> str:
    """One run, with the rules that found something."""
    codes = sorted({d.code for checked in found for d in checked.diagnostics})
    run = {
        "tool": {
            "driver": {
                "name": "cnnplan",
                "version": __version__,
                "semanticVersion": __version__,
                "informationUri": HOME,
                "rules": [_rule(code) for code in codes],
            }
        },
        "automationDetails": {"id": "cnnplan/"},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "originalUriBaseIds": {ROOT: {"description": {"text": "the directory in which cnnplan ran"}}},
        "results": [result for checked in found for result in _results(checked, codes)],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(code: str) -> dict[str, Any]:
    kind, url = CODES[code], url_of(code)
    about = _documentation(code)
    paragraphs = [" ".join(p.split()) for p in about.split("\n\n") if not p.startswith("Source:")]
    full = " ".join(paragraphs)
    return {
        "id": code,
        "name": kind.name,
        "shortDescription": {"text": kind.meaning},
        "fullDescription": {"text": full if len(full) <= LONGEST else f"{full[: LONGEST - 1]}…"},
        "help": {
            "text": f"{about}\n\n{url}".strip(),
            "markdown": f"{about}\n\n" + (f"[{code} {kind.name}]({url})" if url else f"{code} {kind.name}"),
        },
        **({"helpUri": url} if url else {}),
        "defaultConfiguration": {"level": LEVEL[kind.severity]},
        "properties": {
            "tags": ["plugin" if kind.foreign else TAGS[code[0]]],
            "precision": PRECISION[kind.severity],
            "problem.severity": PROBLEM[kind.severity],
        },
    }


def _documentation(code: str) -> str:
    """The rule's docstring; what its code means where Python runs without docstrings."""
    return cleandoc(rule(code).__doc__ or CODES[code].meaning)


def _results(checked: Checked, codes: Sequence[str]) -> list[dict[str, Any]]:
    artifact = _artifact(checked.path)
    known_by = fingerprints(*checked)
    return [
        _result(diagnostic, _region(start, end), artifact, fingerprint) | {"ruleIndex": codes.index(diagnostic.code)}
        for fingerprint, (diagnostic, start, end) in zip(known_by, checked.spans(), strict=True)
    ]


def _result(found: Diagnostic, region: dict[str, int], artifact: dict[str, str], fingerprint: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "ruleId": found.code,
        "level": LEVEL[found.severity],
        "message": {"text": "\n".join([said(found), *(r.message for r in found.related if not r.start)])},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"cnnplan/v1": fingerprint},
    }
    if places := [(r.message, r.start) for r in found.related if r.start]:
        out["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": message},
                "physicalLocation": {"artifactLocation": artifact, "region": _region(start)},
            }
            for number, (message, start) in enumerate(places, 1)
        ]
    if found.fix and found.fix.edits:
        out["fixes"] = [_fix(found.fix, artifact)]
    return out


def _fix(fix: Fix, artifact: dict[str, str]) -> dict[str, Any]:
    """A fix: its replacements all refer to the text as it is. What inserts nothing has no content."""
    replacements: list[dict[str, Any]] = []
    for edit in fix.edits:
        replacements.append({"deletedRegion": _region(edit.start, edit.end)})
        if edit.text:
            replacements[-1]["insertedContent"] = {"text": edit.text}
    return {
        "description": {"text": fix.message if fix.safe else f"{fix.message} (changes what the network computes)"},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
        "properties": {"safe": fix.safe},
    }


def _region(start: Position, end: Position | None = None) -> dict[str, int]:
    out = {"startLine": start.line, "startColumn": start.column}
    return out | {"endLine": end.line, "endColumn": end.column} if end else out


def _artifact(path: str) -> dict[str, str]:
    """A file: relative to where cnnplan runs, which has to be the root of the repository; absolute outside it."""
    name = below(path)
    if name is None:
        return {"uri": Path(path).resolve().as_uri()}
    return {"uri": quote(os.fsencode(name)), "uriBaseId": ROOT}
