"""Moves on the square board of Exchange and C. Navigation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

STAY, LEFT, RIGHT, DOWN, UP = range(5)
WAYS = np.array([(0, 0), (-1, 0), (1, 0), (0, 1), (0, -1)])  # (columns, rows) of each action


def walk(here: Ints, goal: Ints, there: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Actions i32 [B, N] that lead from one (column, row) to another, along the longer axis first.

    Args:
        here: i64 [B, N, 2].
        goal: i64 [B, N, 2].
        there: the action at the goal, a number or [B, N].
    """
    x, y = np.moveaxis(goal - here, -1, 0)
    along_x = np.abs(x) >= np.abs(y)
    ways = [along_x & (x < 0), along_x & (x > 0), y > 0, y < 0]
    return np.select(ways, [LEFT, RIGHT, DOWN, UP], there).astype(np.int32)
