"""Exchange: keep one's boxes to oneself, or open one another's."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from ascore.envs import VecEnv

I32 = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

STAY, LEFT, RIGHT, DOWN, UP, OPEN = range(6)
SETTLED = 10_000  # as a distance: an eaten box needs nobody


def selfish(env: VecEnv) -> I32:
    """Nobody opens: everybody stands on its own box and hopes."""
    agents, boxes, eaten = places(env)
    goal = np.where(eaten[..., None], agents, boxes)
    return walk(agents, goal, STAY)


def cooperative(env: VecEnv) -> I32:
    """Each box goes to another agent, so that the last of them is opened as soon as can be.

    Holds for the defaults, where a box pays when it is opened and lies under its opener.
    """
    agents, boxes, eaten = places(env)
    n = agents.shape[1]
    # Openers of the boxes, one each: every assignment in which nobody opens its own.
    plans = np.array([p for p in itertools.permutations(range(n)) if _nobody_own(p)])
    apart = np.abs(agents[:, :, None] - boxes[:, None]).sum(axis=-1)  # [B, agent, box]
    apart = np.where(eaten[:, None], 0, apart)
    ways = apart[:, plans, np.arange(n)]  # [B, plan, box]
    opener = plans[(ways.max(axis=-1) * 100 + ways.sum(axis=-1)).argmin(axis=1)]
    mine = opener.argsort(axis=1)  # the box each agent opens
    each = np.arange(len(agents))[:, None]
    done = eaten[each, mine]
    return walk(agents, np.where(done[..., None], agents, boxes[each, mine]), np.where(done, STAY, OPEN))


def _nobody_own(plan: tuple[int, ...]) -> bool:
    return all(box != opener for box, opener in enumerate(plan))


def places(env: VecEnv) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """(column, row) of agents and boxes, i64 [B, N, 2] each, and bool [B, N]: its box is eaten."""
    n = env.spec.num_agents
    pairs = env.obs[:, 0].reshape(-1, 2 * n, 2)
    cells = np.rint(pairs * (env.params["size"] - 1)).astype(np.int64)
    return cells[:, :n], cells[:, n:], pairs[:, n:, 0] < 0


def walk(here: Ints, goal: Ints, there: int | I32) -> I32:
    """Actions i32 [B, N] from cell to cell, along the longer way first; `there` on arrival."""
    x, y = np.moveaxis(goal - here, -1, 0)
    along_x = np.abs(x) >= np.abs(y)
    ways = [along_x & (x < 0), along_x & (x > 0), y > 0, y < 0]
    return np.select(ways, [LEFT, RIGHT, DOWN, UP], there).astype(np.int32)
