"""Networks that choose moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTALS = {
    # paper: layers and filters; 8 planes, zero padding and untied weights are assumed: layer by layer
    "clark_storkey": (4_599_273, 158_782_240),
    "dqn_2013": (677_172, 2_966_528),  # paper's section 4.1: 4,112, 8,224, 663,808 and 257 a move
    "dqn_nature": (1_686_180, 9_345_024),  # paper's methods: 8,224, 32,832, 36,928, 1,606,144, 513 a move
}

VARIANTS = [
    ("dqn_nature", {"actions": 6}, None, (1_687_206, 9_346_048)),
    ("dqn_nature", {"actions": 18}, None, (1_693_362, 9_352_192)),
]

SMALL: dict[str, Sequence[int] | None] = {"clark_storkey": None, "dqn_2013": (44, 44), "dqn_nature": (44, 44)}

NO_CLASSES = ("dqn_2013", "dqn_nature")
