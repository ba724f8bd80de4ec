"""Scripted policies of C. Navigation: walk straight to the landmark, or avoid collisions."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv
from ascore.scripted.reading import require
from ascore.scripted.square import STAY, WAYS, Ints, walk

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

# Plans for two agents cover size**8 states, those for the next step 5**num_agents joint moves.
LARGEST_SIZE, MOST_AGENTS = 6, 4


def selfish(env: VecEnv) -> I32:
    """Every agent walks straight to its landmark, even if another is in the way."""
    return walk(*places(env), STAY)


def cooperative(env: VecEnv) -> I32:
    """The joint move with the highest estimated value.

    The value is exact for two agents. For more, it is the sum of each agent's value alone and each
    pair's loss from avoiding each other.

    Raises:
        ValueError: there are too many agents or cells, or the rules differ.
    """
    p = env.params
    require(env, block=False)
    n, size = env.spec.num_agents, p["size"]
    if n > MOST_AGENTS or size > LARGEST_SIZE:
        message = (
            f"num_agents = {n}, size = {size}: joint plans support at most {MOST_AGENTS} "
            f"agents on {LARGEST_SIZE} x {LARGEST_SIZE} cells; use 'selfish' on larger ones"
        )
        raise ValueError(message)
    next_cell, reward, alone, meeting = plans(size, p["metric"], p["dist_scale"], p["collision"])
    agents, landmarks = (cells @ [1, size] for cells in places(env))
    joint = np.array(list(itertools.product(range(len(WAYS)), repeat=n)), np.int32)
    to = next_cell[agents[:, None], joint]  # [B, joint, N]
    goal = np.broadcast_to(landmarks[:, None], to.shape)
    value = (reward[to, goal] + alone[to, goal]).sum(axis=-1)
    for i, j in itertools.combinations(range(n), 2):
        value += meeting[to[..., i], to[..., j], goal[..., i], goal[..., j]]
        value -= 2 * p["collision"] * (to[..., i] == to[..., j])
    best: I32 = joint[value.argmax(axis=1)]
    return best


@lru_cache(maxsize=4)
def plans(
    size: int, metric: str, dist_scale: float, collision: float
) -> tuple[Ints, F32, F32, F32]:
    """Values of one agent and of two, with C = size**2 cells numbered row by row.

    Returns:
        the cell after each action, i64 [C, 5]; the reward on a cell, f32 [C, landmark]; the return
        of an agent alone from a cell, f32 [C, landmark]; the return of two agents minus what they
        get alone, f32 [C of i, C of j, landmark of i, landmark of j].
    """
    cells = np.array([(x, y) for y in range(size) for x in range(size)])
    next_cell = np.clip(cells[:, None] + WAYS, 0, size - 1) @ np.array([1, size])
    difference = np.abs(cells[:, None] - cells).astype(np.float32)
    distance = np.sqrt((difference**2).sum(axis=-1)) if metric == "l2" else difference.sum(axis=-1)
    reward = -np.float32(dist_scale) * distance
    # The values of one agent and of two are optimal. Both reach their landmarks after finitely many
    # steps, after which the rewards are 0.
    alone = settle(reward, next_cell, 1)
    both = reward[:, None, :, None] + reward[None, :, None, :]
    together = np.float32(2 * collision) * np.eye(len(cells), dtype=np.float32)
    pair = settle(both - together[:, :, None, None], next_cell, 2)
    meeting = pair - alone[:, None, :, None] - alone[None, :, None, :]
    return next_cell, reward, alone, meeting


def settle(reward: F32, next_cell: Ints, agents: int) -> F32:
    """Optimal return over the first `agents` axes, by value iteration.

    Two landmarks on one cell, which do not occur, would keep the values from converging. For all
    others, as many iterations as steps twice across the board suffice.
    """
    value = np.zeros_like(reward)
    for _ in range(4 * int(np.sqrt(len(next_cell)))):
        better = reward + value
        for axis in range(agents):
            better = np.maximum.reduce([better.take(to, axis=axis) for to in next_cell.T])
        if np.array_equal(better, value):
            break
        value = better
    return value


def places(env: VecEnv) -> tuple[Ints, Ints]:
    """Reads (column, row) of agents and landmarks, i64 [B, N, 2] each.

    In the view that all share, agents come before landmarks; one's own begins with both of one's
    own.
    """
    n, scale = env.spec.num_agents, env.params["size"] - 1
    if env.spec.views == 1:
        cells = env.obs[:, 0].reshape(-1, 2, n, 2)
    else:
        cells = env.obs[:, :, :4].reshape(-1, n, 2, 2).swapaxes(1, 2)
    agents, landmarks = np.rint(cells * scale).astype(np.int64).swapaxes(0, 1)
    return agents, landmarks
