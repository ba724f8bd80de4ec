"""One run's agents shared out to its ranks: each trains some of them on the rows of all.

Agents learn independently of each other but for what they send, so ranks need little of each other:
the rows that all have collected, once per update; values and messages, small; and actors, once per
update. Adding up gradients instead costs a message as large as all networks in every step. What a
rank computes is to the bit what one process alone computes for these agents.

R ranks, N agents, n = N/R of them on each, T steps, B environments, b = B/R of them on each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.rollout import Rollout
from ascore.runtime.ranks import World

BY_STEP = ("obs", "action", "reward", "neighbours", "terminated", "truncated")
"""Arrays [T, B, ...] of a rollout."""
AT_END = ("last_obs", "last_neighbours")
"""Arrays [B, ...] of a rollout."""


class AgentSplit:
    """The agents of this rank, and how the ranks put together what they have.

    Args:
        world: the ranks; their number divides N.
        num_agents: N.

    Attributes:
        mine: agents of this rank.
    """

    def __init__(self, world: World, num_agents: int) -> None:
        self._world = world
        count = num_agents // world.size
        self.mine = slice(world.rank * count, (world.rank + 1) * count)

    def all_agents(self, mine: Tensor) -> Tensor:
        """What every rank has for its agents, [n, ...] -> [N, ...]."""
        return self._world.concatenated(mine)

    @torch.no_grad()
    def fill(self, rows: Tensor) -> None:
        """Every rank gets the others' agents, in place: [N, ...]."""
        rows.copy_(self.all_agents(rows[self.mine]))

    def whole(self, rollout: Rollout) -> Rollout:
        """The rollout of all environments, from what every rank has collected in its own."""
        told = self._world.everywhere(_packed(rollout))
        parts = [_unpacked(content, rollout) for content in told]

        def joined(name: str, axis: int) -> Any:
            return np.concatenate([getattr(part, name) for part in parts], axis=axis)

        found = Rollout(
            **{name: joined(name, 1) for name in BY_STEP},
            **{name: joined(name, 0) for name in AT_END},
        )
        _merge_ends(found, parts, rollout.action.shape[1])
        return found


def _ends(rollout: Rollout) -> tuple[npt.NDArray[Any], ...]:
    """Of the E episodes that ended: step i64 [E], environment i64 [E], observation, returns."""
    views = rollout.last_obs.shape[1:]
    agents = rollout.action.shape[2]
    steps = [np.full(len(where), t, dtype=np.int64) for t, where, _ in rollout.final]
    return (
        np.concatenate([np.zeros(0, np.int64), *steps]),
        np.concatenate([np.zeros(0, np.int64), *(where for _, where, _ in rollout.final)]),
        np.concatenate([np.empty((0, *views), rollout.obs.dtype), *(o for *_, o in rollout.final)]),
        np.concatenate([np.empty((0, agents)), *rollout.episode_returns]),
    )


def _packed(rollout: Rollout) -> npt.NDArray[np.uint8]:
    arrays = [getattr(rollout, name) for name in (*BY_STEP, *AT_END)]
    return np.concatenate([_bytes(x) for x in (*arrays, *_ends(rollout))])


def _unpacked(content: npt.NDArray[np.uint8], like: Rollout) -> Rollout:
    """The inverse of `_packed`, with the sizes of this rank's own rollout."""
    at = 0

    def take(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        nonlocal at
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        part = content[at : at + size].copy()  # aligned
        at += size
        return part.view(dtype).reshape(shape)

    fixed = {}
    for name in (*BY_STEP, *AT_END):
        own = getattr(like, name)
        fixed[name] = take(own.shape, own.dtype)
    own_ends = _ends(like)
    each = sum(x.dtype.itemsize * int(np.prod(x.shape[1:])) for x in own_ends)
    count = (len(content) - at) // each
    step, where, obs, returns = (take((count, *x.shape[1:]), x.dtype) for x in own_ends)
    return Rollout(**fixed, final=[(0, where, obs)], episode_returns=[step, returns])


def _merge_ends(whole: Rollout, parts: list[Rollout], share: int) -> None:
    """Episodes that ended, in the order in which one process would have seen them."""
    step = np.concatenate([part.episode_returns[0] for part in parts])
    returns = np.concatenate([part.episode_returns[1] for part in parts])
    where = np.concatenate([part.final[0][1] + rank * share for rank, part in enumerate(parts)])
    obs = np.concatenate([part.final[0][2] for part in parts])
    order = np.lexsort((where, step))
    for t in np.unique(step):
        at = order[step[order] == t]
        whole.final.append((int(t), where[at], obs[at]))
        whole.episode_returns.append(returns[at])


def _bytes(x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8)


def gathered(split: AgentSplit | None, mine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Statistics [N, ...] of which every rank knows the rows of its own agents."""
    if split is None:
        return mine
    return split.all_agents(torch.from_numpy(mine[split.mine])).numpy()
