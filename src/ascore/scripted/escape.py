"""Scripted policies of Escape Room: pull the lever for the others, or leave that to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv

STAY, LEVER, DOOR = range(3)
I32 = npt.NDArray[np.int32]


def selfish(env: VecEnv) -> I32:
    """Nobody pulls: all wait at the door where waiting there is free, else at the start."""
    free = env.params["cost_rule"] == "lever"
    return np.full((env.num_envs, env.spec.num_agents), DOOR if free else STAY, np.int32)


def cooperative(env: VecEnv) -> I32:
    """As few agents as the door needs pull the lever, those with the lowest numbers."""
    n = env.spec.num_agents
    needed = env.params["needed"] or (n + 1) // 2
    roles = np.where(np.arange(n) < needed, LEVER, DOOR).astype(np.int32)
    return np.broadcast_to(roles, (env.num_envs, n)).copy()
