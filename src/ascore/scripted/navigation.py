"""C. Navigation: walk straight to one's landmark, or make way where two would meet."""

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

# Plans for two go through size**8 states, those for the next step through 5**num_agents moves.
LARGEST_SIZE, MOST_AGENTS = 6, 4


def selfish(env: VecEnv) -> I32:
    """Everybody walks straight to its landmark, whoever is in the way."""
    return walk(*places(env), STAY)


def cooperative(env: VecEnv) -> I32:
    """The joint move after which all pairs together stand best.

    What two agents can still earn is known exactly; for more, what each would lose alone and what
    each pair loses by having to make way are added up.

    Raises:
        ValueError: more agents or cells than can be gone through, or other rules.
    """
    p = env.params
    require(env, block=False)
    n, size = env.spec.num_agents, p["size"]
    if n > MOST_AGENTS or size > LARGEST_SIZE:
        message = (
            f"num_agents = {n}, size = {size}: joint plans are made for at most {MOST_AGENTS} "
            f"agents on {LARGEST_SIZE} x {LARGEST_SIZE} cells; play 'selfish' on larger ones"
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
    """What one agent and two can still earn, C = size**2 cells numbered row by row.

    Returns:
        where each action leads, i64 [C, 5]; the reward of being on a cell, f32 [C, landmark]; what
        an agent alone will earn from there on, f32 [C, landmark]; how much less than alone two will
        earn together, f32 [C of i, C of j, landmark of i, landmark of j].
    """
    cells = np.array([(x, y) for y in range(size) for x in range(size)])
    next_cell = np.clip(cells[:, None] + WAYS, 0, size - 1) @ np.array([1, size])
    apart = np.abs(cells[:, None] - cells).astype(np.float32)
    far = np.sqrt((apart**2).sum(axis=-1)) if metric == "l2" else apart.sum(axis=-1)
    reward = -np.float32(dist_scale) * far
    # No agent alone does better than by the shortest way, and no two better than by such a plan for
    # two; both are over after finitely many steps, which leaves nothing more to lose.
    alone = settle(reward, next_cell, 1)
    both = reward[:, None, :, None] + reward[None, :, None, :]
    together = np.float32(2 * collision) * np.eye(len(cells), dtype=np.float32)
    pair = settle(both - together[:, :, None, None], next_cell, 2)
    meeting = pair - alone[:, None, :, None] - alone[None, :, None, :]
    return next_cell, reward, alone, meeting


def settle(reward: F32, next_cell: Ints, agents: int) -> F32:
    """What is still to be earned by the best moves, over the first `agents` axes: value iteration.

    Landmarks of two on one cell would never let the values come to rest; they do not occur, and
    as many steps as lead twice across are enough for all others.
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
    """(column, row) of agents and of landmarks, i64 [B, N, 2] each.

    Raises:
        ValueError: the environment shows every agent something else.
    """
    require(env, obs_order="global")
    n = env.spec.num_agents
    shown = env.obs[:, 0].reshape(-1, 2 * n, 2)
    cells = np.rint(shown * (env.params["size"] - 1)).astype(np.int64)
    return cells[:, :n], cells[:, n:]
