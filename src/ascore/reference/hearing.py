"""Neighbours within a radius, for reference environments with cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["within_radius"]


def within_radius(agents: Sequence[tuple[int, int]], radius: int, metric: str) -> NDArray[np.uint8]:
    """Return u8[N, N], [i, j] = 1 if another agent j is at most `radius` cells from agent i.

    Args:
        agents: (row, column) of each agent.
        radius: distance in cells.
        metric: "cheb" (Chebyshev) or "manhattan".
    """
    n = len(agents)
    neighbours = np.zeros((n, n), dtype=np.uint8)
    for i in range(n):
        for j in range(n):
            rows = abs(agents[i][0] - agents[j][0])
            cols = abs(agents[i][1] - agents[j][1])
            distance = max(rows, cols) if metric == "cheb" else rows + cols
            neighbours[i, j] = i != j and distance <= radius
    return neighbours
