"""C. Predation: approach the prey, or leave it to the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv

I32 = npt.NDArray[np.int32]


def cooperative(env: VecEnv) -> I32:
    """All approach."""
    return towards(env, env.spec.num_agents)


def selfish(env: VecEnv) -> I32:
    """Nobody approaches."""
    return towards(env, 0)


def one_approaches(env: VecEnv) -> I32:
    """Agent 0 approaches for all; with more than four agents nothing earns the team more."""
    return towards(env, 1)


def towards(env: VecEnv, approaching: int) -> I32:
    """Agents 0..approaching-1 walk in the prey's direction, the others in the opposite one."""
    right_is_towards = env.obs[:, 0] < 0
    approach = np.arange(env.spec.num_agents) < approaching
    actions: I32 = (right_is_towards == approach).astype(np.int32)
    return actions
