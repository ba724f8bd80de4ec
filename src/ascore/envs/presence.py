"""Agents that leave before the others, or enter after them.

B environments, N agents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

TERMINATED, TRUNCATED = 1, 2
"""How an agent has left; 0 = it has not."""


def together(terminated: npt.NDArray[Any], truncated: npt.NDArray[Any], num_agents: int) -> U8:
    """How agents leave that all stay until the episode ends: flags [..., B] -> u8 [..., B, N]."""
    over = np.where(terminated != 0, TERMINATED, np.where(truncated != 0, TRUNCATED, 0))
    return np.repeat(over.astype(np.uint8)[..., None], num_agents, axis=-1)
