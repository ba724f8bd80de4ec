"""Exchange: keep one's boxes to oneself, or open one another's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv
from ascore.scripted.reading import require
from ascore.scripted.square import STAY, Ints, walk

OPEN = 5
I32 = npt.NDArray[np.int32]


def selfish(env: VecEnv) -> I32:
    """Nobody opens: everybody waits on its own box."""
    agents, boxes, eaten = places(env)
    return walk(agents, np.where(eaten[..., None], agents, boxes), STAY)


def cooperative(env: VecEnv) -> I32:
    """Every agent opens one box: that of the agent k places on, all with the same k.

    k is chosen so that the last box is opened as soon as can be, then for the shortest ways.
    """
    require(env, opener="any", open_range=0, food="immediate")
    agents, boxes, eaten = places(env)
    n = agents.shape[1]
    plans = (np.arange(n) + np.arange(1, n)[:, None]) % n  # [plan, agent] -> box
    apart = np.abs(agents[:, None] - boxes[:, plans]).sum(axis=-1)  # [B, plan, agent]
    apart[eaten[:, plans]] = 0
    longest = apart.max(axis=-1) * (apart.max() * n + 1)
    mine = plans[(longest + apart.sum(axis=-1)).argmin(axis=1)]
    each = np.arange(len(agents))[:, None]
    done = eaten[each, mine]
    goal = np.where(done[..., None], agents, boxes[each, mine])
    return walk(agents, goal, np.where(done, STAY, OPEN))


def places(env: VecEnv) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """(column, row) of agents and of boxes, i64 [B, N, 2] each, and bool [B, N]: its box is eaten.

    Raises:
        ValueError: the environment shows eaten food in another way than at (-1, -1).
    """
    require(env, eaten="minus_one")
    n = env.spec.num_agents
    shown = env.obs[:, 0].reshape(-1, 2 * n, 2)
    cells = np.rint(shown * (env.params["size"] - 1)).astype(np.int64)
    return cells[:, :n], cells[:, n:], shown[:, n:, 0] < 0
