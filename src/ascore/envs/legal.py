"""Which actions are legal: masks, and agents that have fewer actions than others.

B environments, N agents, A actions, of which agent i has the first A_i; J joint actions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

ILLEGAL = -1e9
"""Logit of an action that is not legal.

Its probability is exactly 0, in single precision too, and its logarithm stays a number, so that 0
times it is 0. C++ has the same as `kIllegal`.
"""


def padding(action_counts: Sequence[int], num_actions: int) -> npt.NDArray[np.bool_]:
    """True at the actions that an agent lacks, bool [N, A]."""
    lacking: npt.NDArray[np.bool_] = np.arange(num_actions) >= np.array(action_counts)[:, None]
    return lacking


def joint(legal: U8, action_counts: Sequence[int]) -> U8:
    """Legal joint actions u8 [B, J], from those of the agents u8 [B, N, A]."""

    def combine(left: U8, right: U8) -> U8:
        both: U8 = (left[:, :, None] & right[:, None, :]).reshape(len(left), -1)
        return both

    return functools.reduce(combine, [legal[:, i, :count] for i, count in enumerate(action_counts)])


def drawn(legal: U8, uniform: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """One of the legal actions u8 [B, N, A] each, as likely as any, i32 [B, N].

    Args:
        legal: as in `VecEnv.legal`.
        uniform: numbers in [0, 1), f32 [B, N].
    """
    place = (uniform * legal.sum(axis=-1)).astype(np.int64)  # among the legal ones
    chosen: npt.NDArray[np.int32] = (legal.cumsum(axis=-1) <= place[..., None]).sum(
        axis=-1, dtype=np.int32
    )
    return chosen


def require_legal(action: npt.NDArray[Any], legal: U8, name: str) -> None:
    """Refuses actions [B, N] that are not legal, u8 [B, N, A].

    Raises:
        ValueError: names the first, and those that are legal.
    """
    chosen = np.take_along_axis(legal, action[..., None], axis=-1)[..., 0]
    bad = np.argwhere(chosen == 0)
    if len(bad):
        b, i = bad[0]
        options = ", ".join(map(str, np.flatnonzero(legal[b, i])))
        message = (
            f"action[{b},{i}] = {action[b, i]} is not legal in the current state of {name}; "
            f"choose from: {options} (they stand in `legal`)"
        )
        raise ValueError(message)
