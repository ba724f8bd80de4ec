"""Who hears whom, in the forms that environments give it in `infos[agent]["neighbours"]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def read_neighbours(value: Any, index: Mapping[Any, int]) -> npt.NDArray[np.bool_]:
    """The agents that are listed, bool [N].

    Args:
        value: a 0/1 array with one entry per agent, names of agents, or their numbers. Where two
            readings are possible, an array is 0/1 and a list is of names.
        index: number of each agent by name, in the order of `possible_agents`.

    Raises:
        ValueError: none of the three; the message says what is wrong.
    """
    n = len(index)
    entries = _entries(value)
    if isinstance(value, np.ndarray) and _is_mask(entries, n):
        return np.array(entries, dtype=np.bool_)
    row = np.zeros(n, dtype=np.bool_)
    if all(_known(entry, index) for entry in entries):
        row[[index[entry] for entry in entries]] = True
    elif _is_mask(entries, n):
        row[:] = entries
    elif all(_is_whole(entry) and 0 <= entry < n for entry in entries):
        row[[int(entry) for entry in entries]] = True
    else:
        bad = next(entry for entry in entries if not _known(entry, index))
        message = f"{bad!r}, which is not one of possible_agents"
        raise ValueError(message)
    return row


def _entries(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.reshape(-1).tolist())
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = f"{value!r}, which is no list"
        raise ValueError(message)
    return list(value)


def _is_mask(entries: list[Any], n: int) -> bool:
    return len(entries) == n and all(_is_whole(entry) and entry in (0, 1) for entry in entries)


def _is_whole(entry: Any) -> bool:
    """Whether it is a whole number; tensors of other packages give floats."""
    return isinstance(entry, (bool, int, float, np.generic)) and float(entry).is_integer()


def _known(entry: Any, index: Mapping[Any, int]) -> bool:
    try:
        return entry in index and not isinstance(entry, (bool, np.bool_))
    except TypeError:  # not hashable, so no name
        return False
