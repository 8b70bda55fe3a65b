"""`check --format gitlab`: GitLab's Code Quality report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cnnplan.codes import ERROR, INFO, WARNING
from cnnplan.lint.fingerprints import fingerprints
from cnnplan.render.checked import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.render.checked import Checked

SEVERITY = {ERROR: "critical", WARNING: "major", INFO: "info"}


def render(found: Sequence[Checked]) -> str:
    """The report: an array. Findings of a file that was named twice are in it once, as GitLab shows them."""
    report: dict[str, dict[str, Any]] = {}
    for checked in found:
        known_by = fingerprints(*checked)
        for fingerprint, (diagnostic, start, end) in zip(known_by, checked.spans(), strict=True):
            report[fingerprint] = {
                "description": f"{diagnostic.code}: {said(diagnostic)}",
                "check_name": diagnostic.code,
                "fingerprint": fingerprint,
                "severity": SEVERITY[diagnostic.severity],
                "location": {
                    "path": checked.name,
                    "positions": {"begin": start._asdict(), "end": end._asdict()},
                },
            }
    return json.dumps(list(report.values()), indent=1) + "\n"
