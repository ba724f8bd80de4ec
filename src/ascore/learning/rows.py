"""Gathers the rows of all ranks on every rank.

R ranks, N agents, T steps, B environments, B/R of them on each rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.presence import together
from ascore.learning.rollout import Rollout, by_step
from ascore.runtime.ranks import Ranks

BY_STEP = ("obs", "action", "reward", "neighbours", "terminated", "truncated")
"""Arrays [T, B, ...] of a rollout; without neighbours where no graph asks for them."""
AT_END = ("last_obs", "last_neighbours")
"""Arrays [B, ...] of a rollout, likewise."""

MAYBE = ("legal", "present", "left", "members")
"""Arrays [T, B, ...] or [T+1, B, ...] that a rollout may lack."""

Ends = tuple[npt.NDArray[Any], ...]
"""E finished episodes: step i64 [E], environment i64 [E], observation, returns. Then C states at
which agents were truncated alone: step i64 [C], environment i64 [C], observation."""


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

    def joined(name: str, axis: int) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays, axis=axis)

    merged = Rollout(
        **{name: joined(name, 1) for name in BY_STEP},
        **{name: joined(name, 0) for name in AT_END},
        may_leave=rollout.may_leave,
    )
    for name in MAYBE:
        given = [x for x in (getattr(part, name) for part in parts) if x is not None]
        for part in parts if given else []:
            if getattr(part, name) is None:  # a rank where there was nothing to say
                setattr(part, name, _usual(part, name, given[0]))
        if given:
            setattr(merged, name, joined(name, 1))
    _merge_ends(merged, ends, rollout.action.shape[1])
    return merged


def _usual(rollout: Rollout, name: str, like: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What an array says that is not there: all is legal, all agents stay to the end."""
    if name == "left":
        return together(rollout.terminated, rollout.truncated, rollout.action.shape[2])
    return np.ones_like(like)


def _ends(rollout: Rollout) -> Ends:
    """The finished episodes, in the order of their steps, and where agents were truncated alone."""
    agents = rollout.action.shape[2]
    returns = np.concatenate([np.empty((0, agents)), *rollout.episode_returns])
    return (*_states(rollout, rollout.final), returns, *_states(rollout, rollout.cut))


def _states(rollout: Rollout, states: list[Any]) -> Ends:
    """Lists (t, environments, observations) as one array each."""
    views = rollout.last_obs.shape[1:]
    steps = [np.full(len(where), t, dtype=np.int64) for t, where, _ in states]
    return (
        np.concatenate([np.zeros(0, np.int64), *steps]),
        np.concatenate([np.zeros(0, np.int64), *(where for _, where, _ in states)]),
        np.concatenate([np.empty((0, *views), rollout.obs.dtype), *(obs for *_, obs in states)]),
    )


def _packed(rollout: Rollout) -> npt.NDArray[np.uint8]:
    arrays = [getattr(rollout, name) for name in (*BY_STEP, *AT_END)]
    arrays = [x for x in arrays if x is not None]
    maybe = [getattr(rollout, name) for name in MAYBE]
    shapes = np.zeros((len(MAYBE), 4), dtype=np.int64)  # all 0 where there is none
    for shape, x in zip(shapes, maybe, strict=True):
        if x is not None:
            shape[: x.ndim] = x.shape
    ends = _ends(rollout)
    counts = np.array([len(x) for x in ends], dtype=np.int64)
    given = [x for x in maybe if x is not None]
    return np.concatenate([_bytes(x) for x in (*arrays, shapes, *given, counts, *ends)])


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
        fixed[name] = None if own is None else take(own.shape, own.dtype)
    for name, shape in zip(MAYBE, take((len(MAYBE), 4), np.int64).tolist(), strict=True):
        if shape[0]:
            fixed[name] = take(tuple(size for size in shape if size), np.uint8)
    own_ends = _ends(like)
    counts = take((len(own_ends),), np.int64).tolist()
    ends = zip(counts, own_ends, strict=True)
    unpacked = Rollout(**fixed, may_leave=like.may_leave)
    return unpacked, tuple(take((count, *x.shape[1:]), x.dtype) for count, x in ends)


def _merge_ends(whole: Rollout, ends: tuple[Ends, ...], share: int) -> None:
    """Merges the finished episodes, in the order in which a single process would record them."""
    columns = list(zip(*ends, strict=True))
    step, where, obs, order = _merged(columns[:3], share)
    whole.set_ended(step, where, obs, np.concatenate(columns[3])[order])
    step, where, obs, _ = _merged(columns[4:], share)
    whole.cut[:] = by_step(step, where, obs)


def _merged(columns: list[Any], share: int) -> tuple[Any, Any, Any, Any]:
    """States of all ranks in the order of one process, and that order."""
    counts = [len(step) for step in columns[0]]
    step, where, obs = (np.concatenate(x) for x in columns)
    where = where + np.repeat(np.arange(len(counts)) * share, counts)
    order = np.lexsort((where, step))
    return step[order], where[order], obs[order], order


def _bytes(x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8)
