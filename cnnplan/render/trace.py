"""A step as a Chrome trace, which chrome://tracing and Perfetto draw.

Source: "Trace Event Format", the Chromium project: complete events (X) and counters (C), in microseconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cnnplan.version import __version__

if TYPE_CHECKING:
    from cnnplan.graph import Node
    from cnnplan.runtime.profiling.profile import Profile

WORDS = {"loss": "loss", "backward": "loss, backward", "step": "optimizer's step"}
"""What has no layer."""
ROWS = {"forward": 1, "loss": 1, "backward": 2, "step": 3}


def trace(found: Profile) -> str:
    """The step of median length: a row for each phase, and memory, planned and measured."""
    plan = found.plan
    events: list[dict[str, Any]] = [_named("process_name", plan.name)]
    events += [_named("thread_name", word, row) for row, word in ((1, "forward"), (2, "backward"), (3, "optimizer"))]
    measured = {one.layer.node: one for one in found.layers}
    for (phase, node), start, length in found.took.trace:
        event: dict[str, Any] = {
            "name": node.name if node else WORDS[phase],
            "cat": phase,
            "ph": "X",
            "ts": 1e6 * start,
            "dur": 1e6 * length,
            "pid": 1,
            "tid": ROWS[phase],
        }
        if node:
            one = measured[node]
            work = one.work[phase == "backward"]
            event["args"] = {
                "op": node.op.kind,
                "line": node.line,
                "output": str(node.output.shape),
                "bound_us": 1e6 * (work.seconds or 0.0),
                "limit": work.bound,
                "flops": work.flops,
                "bytes": work.bytes,
                "why": one.why,
            }
        events.append(event)
        memory = _memory(found, phase, node)
        if memory:
            events.append({"name": "memory", "ph": "C", "ts": 1e6 * (start + length), "pid": 1, "args": memory})
    about = {"tool": f"cnnplan {__version__}", "network": plan.name, "device": found.machine.device.name}
    about["batch"] = str(plan.batch)
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}, ensure_ascii=False) + "\n"


def _memory(found: Profile, phase: str, node: Node | None) -> dict[str, int]:
    """Bytes that are alive behind a part; a counter shows what it was told last."""
    sides = {"measured": found.timeline.measured, "planned": found.timeline.planned}
    return {word: side[phase, node].after for word, side in sides.items() if (phase, node) in side}


def _named(what: str, name: str, row: int = 1) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": row, "args": {"name": name}}
