"""`check --format json-lines`: a finding a line, each as in `--format json`. Fields are only ever added."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.render.checked import Checked


def render(found: Sequence[Checked]) -> str:
    """The findings; nothing for a spec without any. In ASCII: some readers end lines at more than `\\n`."""
    return "".join(f"{json.dumps(d.as_dict())}\n" for checked in found for d in checked.diagnostics)
