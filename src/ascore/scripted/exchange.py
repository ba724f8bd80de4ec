"""Scripted policies of Exchange: agents wait at their own boxes, or open those of others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv
from ascore.scripted.reading import require
from ascore.scripted.square import STAY, Ints, walk

OPEN = 5
I32 = npt.NDArray[np.int32]


def selfish(env: VecEnv) -> I32:
    """No agent opens a box; each waits on its own."""
    agents, boxes, eaten = places(env)
    return walk(agents, np.where(eaten[..., None], agents, boxes), STAY)


def cooperative(env: VecEnv) -> I32:
    """Agent i opens the box of agent (i + k) mod N, with the same k for all agents.

    k is chosen to open the last box as soon as possible, then for the shortest paths.
    """
    require(env, opener="any", open_range=0, food="immediate")
    agents, boxes, eaten = places(env)
    n = agents.shape[1]
    plans = (np.arange(n) + np.arange(1, n)[:, None]) % n  # [plan, agent] -> box
    steps = np.abs(agents[:, None] - boxes[:, plans]).sum(axis=-1)  # [B, plan, agent]
    steps[eaten[:, plans]] = 0
    longest = steps.max(axis=-1) * (steps.max() * n + 1)
    mine = plans[(longest + steps.sum(axis=-1)).argmin(axis=1)]
    envs = np.arange(len(agents))[:, None]
    done = eaten[envs, mine]
    goal = np.where(done[..., None], agents, boxes[envs, mine])
    return walk(agents, goal, np.where(done, STAY, OPEN))


def places(env: VecEnv) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Reads (column, row) of agents and boxes, i64 [B, N, 2] each, and eaten boxes, bool [B, N].

    Raises:
        ValueError: the environment does not show eaten food at (-1, -1).
    """
    require(env, eaten="minus_one")
    n = env.spec.num_agents
    obs = env.obs[:, 0].reshape(-1, 2 * n, 2)
    cells = np.rint(obs * (env.params["size"] - 1)).astype(np.int64)
    return cells[:, :n], cells[:, n:], obs[:, n:, 0] < 0
