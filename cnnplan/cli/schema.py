"""cnnplan schema: the JSON Schema of specs, for editors."""

from __future__ import annotations

from cnnplan.cli import common


def command(output: common.Output = None) -> None:
    """Print the JSON Schema of specs, for completion and checks in editors."""
    from cnnplan.render.schema import schema_text

    common.deliver(schema_text(), output)
