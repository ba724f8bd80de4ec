"""Moves on the open square of Exchange and C. Navigation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

STAY, LEFT, RIGHT, DOWN, UP = range(5)
WAYS = np.array([(0, 0), (-1, 0), (1, 0), (0, 1), (0, -1)])  # (columns, rows) of each action


def walk(here: Ints, goal: Ints, there: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Actions i32 [B, N] from (column, row) to another, along the longer way first.

    Args:
        here: i64 [B, N, 2].
        goal: i64 [B, N, 2].
        there: the action on arrival, one or [B, N].
    """
    x, y = np.moveaxis(goal - here, -1, 0)
    along_x = np.abs(x) >= np.abs(y)
    ways = [along_x & (x < 0), along_x & (x > 0), y > 0, y < 0]
    return np.select(ways, [LEFT, RIGHT, DOWN, UP], there).astype(np.int32)
