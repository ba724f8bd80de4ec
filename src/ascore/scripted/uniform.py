"""The uniformly random policy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv


def uniformly_random(env: VecEnv) -> npt.NDArray[np.int32]:
    """Draws actions i32 [B, N] with the environments' random numbers."""
    uniforms = np.empty((env.num_envs, env.spec.num_agents), np.float32)
    env.uniforms(uniforms)
    return (uniforms * env.spec.num_actions).astype(np.int32)
