"""Between which values the observations of a built-in environment lie.

O observation entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv

Obs = npt.NDArray[Any]


def observation_bounds(batch: VecEnv) -> tuple[Obs, Obs]:
    """Lower and upper bound of each observation entry over all states, [O] each."""
    size = batch.spec.obs_shape
    if batch.spec.obs_dtype == "uint8":
        # Bytes are colours, which have a scale, or zeros and ones.
        high = 1 if batch.spec.obs_scale == 1.0 else 255
        return np.zeros(size, dtype=np.uint8), np.full(size, high, dtype=np.uint8)
    if batch.spec.name not in ENVIRONMENTS:  # compiled elsewhere
        return np.full(size, -np.inf, dtype=np.float32), np.full(size, np.inf, dtype=np.float32)
    bounds = ENVIRONMENTS[batch.spec.name].bounds
    if bounds is None:
        message = (
            f"{batch.spec.name} has float observations, but its record has no bounds; add them"
        )
        raise ValueError(message)
    low, high = bounds(batch)
    return np.broadcast_to(low, size).astype(np.float32), np.full(size, high, dtype=np.float32)
