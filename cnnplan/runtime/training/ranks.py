"""Which of several processes this is, as its launcher says. Without torch: a command asks before it is loaded."""

from __future__ import annotations

import os


def first() -> bool:
    """Whether this is the first of several processes, or the only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def restarted() -> bool:
    """Whether an elastic launch started this process again, after a worker was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
