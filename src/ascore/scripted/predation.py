"""Scripted policies of C. Predation: approach the prey, or leave that to the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.catalogue.predation import places
from ascore.envs.vec_env import VecEnv

I32 = npt.NDArray[np.int32]


def cooperative(env: VecEnv) -> I32:
    """All agents approach the prey."""
    return towards(env, env.spec.num_agents)


def selfish(env: VecEnv) -> I32:
    """No agent approaches the prey."""
    return towards(env, 0)


def one_approaches(env: VecEnv) -> I32:
    """Only agent 0 approaches; with more than four agents this gives the highest team return."""
    return towards(env, 1)


def towards(env: VecEnv, approaching: int) -> I32:
    """Agents 0..approaching-1 walk towards the prey, the others away from it."""
    right_is_towards = places(env.obs) < 0
    approach = np.arange(env.spec.num_agents) < approaching
    actions: I32 = (right_is_towards == approach).astype(np.int32)
    return actions
