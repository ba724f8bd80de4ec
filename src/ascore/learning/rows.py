"""Gathers the rows of all ranks on every rank.

R ranks, N agents, T steps, B environments, B/R of them on each rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

BY_STEP = ("obs", "action", "reward", "neighbours", "terminated", "truncated")
"""Arrays [T, B, ...] of a rollout."""
AT_END = ("last_obs", "last_neighbours")
"""Arrays [B, ...] of a rollout."""

Ends = tuple[npt.NDArray[Any], ...]
"""E finished episodes: step i64 [E], environment i64 [E], observation, returns."""


def whole(ranks: Ranks, rollout: Rollout) -> Rollout:
    """Merges the rollouts of all ranks.

    Args:
        ranks: the ranks, with equally many environments each, in the order of the ranks.
        rollout: rollout of this rank.

    Returns:
        The rollout that a single process would have collected, on every rank.
    """
    unpacked = [_unpacked(content, rollout) for content in ranks.everywhere(_packed(rollout))]
    parts, ends = zip(*unpacked, strict=True)
    masks = [part.legal for part in parts if part.legal is not None]
    for part in parts if masks else []:
        if part.legal is None:  # a rank whose environments have forbidden nothing
            part.legal = np.ones_like(masks[0])

    def joined(name: str, axis: int) -> Any:
        return np.concatenate([getattr(part, name) for part in parts], axis=axis)

    merged = Rollout(
        **{name: joined(name, 1) for name in BY_STEP},
        **{name: joined(name, 0) for name in AT_END},
        legal=joined("legal", 1) if masks else None,
    )
    _merge_ends(merged, ends, rollout.action.shape[1])
    return merged


def _ends(rollout: Rollout) -> Ends:
    """The finished episodes, in the order of their steps."""
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
    legal = (
        np.zeros((*rollout.action.shape, 0), np.uint8) if rollout.legal is None else rollout.legal
    )
    width = np.array([legal.shape[-1]], dtype=np.int64)
    return np.concatenate([_bytes(x) for x in (*arrays, width, legal, *_ends(rollout))])


def _unpacked(content: npt.NDArray[np.uint8], like: Rollout) -> tuple[Rollout, Ends]:
    """Inverse of `_packed`, with the sizes of this rank's rollout."""
    at = 0

    def take(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        nonlocal at
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        part = content[at : at + size].copy()  # aligned
        at += size
        return part.view(dtype).reshape(shape)

    fixed: dict[str, Any] = {}
    for name in (*BY_STEP, *AT_END):
        own = getattr(like, name)
        fixed[name] = take(own.shape, own.dtype)
    width = int(take((1,), np.int64)[0])  # A; 0 where there is no mask
    legal = take((*like.action.shape, width), np.uint8)
    if width:
        fixed["legal"] = legal
    own_ends = _ends(like)
    row_bytes = sum(x.dtype.itemsize * int(np.prod(x.shape[1:])) for x in own_ends)
    count = (len(content) - at) // row_bytes
    return Rollout(**fixed), tuple(take((count, *x.shape[1:]), x.dtype) for x in own_ends)


def _merge_ends(whole: Rollout, ends: tuple[Ends, ...], share: int) -> None:
    """Merges the finished episodes, in the order in which a single process would record them."""
    step, where, obs, returns = (np.concatenate(x) for x in zip(*ends, strict=True))
    counts = [len(one[0]) for one in ends]
    where = where + np.repeat(np.arange(len(ends)) * share, counts)
    order = np.lexsort((where, step))
    whole.set_ended(step[order], where[order], obs[order], returns[order])


def _bytes(x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8)
