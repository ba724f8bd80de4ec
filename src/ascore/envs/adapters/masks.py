"""Legal actions as PettingZoo's environments give them: an entry `action_mask`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ascore.envs.adapters.spaces import Space

MASK = "action_mask"
"""Key of the observation dictionary, or of `infos[agent]`."""


def has_mask(space: Space) -> bool:
    """Whether the observations of a space carry a mask."""
    return isinstance(space, spaces.Dict) and MASK in space.spaces


def without_mask(space: Space) -> Space:
    """The space of what networks see of such an observation."""
    if not isinstance(space, spaces.Dict) or MASK not in space.spaces:
        return space
    return spaces.Dict({key: part for key, part in space.spaces.items() if key != MASK})


def given_mask(observation: Any, info: Any, in_observation: bool) -> Any:
    """What an agent is given as its mask in one step; None = nothing."""
    if in_observation:
        if MASK not in observation:
            message = "in its observation space but not in its observation"
            raise ValueError(message)
        return observation[MASK]
    return info.get(MASK) if isinstance(info, Mapping) else None


def read_mask(value: Any, count: int) -> npt.NDArray[np.bool_]:
    """The actions that are legal, bool [A_i].

    Args:
        value: one entry per action of the agent, 1 where it is legal and 0 where it is not.
        count: A_i.

    Raises:
        ValueError: something else; the message says what.
    """
    try:
        entries = np.asarray(value)
    except ValueError:
        message = "whose entries differ in length"
        raise ValueError(message) from None
    if entries.dtype.kind not in "biuf" or entries.size != count:
        message = f"of type {entries.dtype} and shape {entries.shape}"
        raise ValueError(message)
    entries = entries.reshape(-1)
    bad = ~((entries == 0) | (entries == 1))
    if bad.any():
        message = f"that holds {entries[bad][0]}"
        raise ValueError(message)
    legal: npt.NDArray[np.bool_] = entries != 0
    return legal
