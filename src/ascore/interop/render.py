"""Pictures of environments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs import VecEnv


def frame(env: VecEnv, index: int = 0) -> npt.NDArray[np.uint8]:
    """Picture of one environment of a batch, u8 [H, W, 3]: a grey square per observed number."""
    seen = env.obs[index].astype(np.float64)
    low, high = seen.min(), seen.max()
    grey = np.uint8(255) * ((seen - low) / max(high - low, 1e-9))
    squares = np.kron(grey, np.ones((8, 8))).astype(np.uint8)
    return np.repeat(squares[:, :, None], 3, axis=2)
