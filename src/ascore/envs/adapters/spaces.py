"""Spaces of other people's environments: which are understood, and how observations become rows.

O entries of the observation of one agent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ascore.envs.adapters.foreign import FAILURES

Space = spaces.Space[Any]

BYTE = 255

KNOWN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces without parts that become numbers."""

ANYTHING = (
    "use Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of them, of gymnasium.spaces"
)

UNREAD = {
    "Text": (
        "a text, which networks cannot read",
        "give its characters, or what it means, as numbers: MultiDiscrete with one entry per place",
    ),
    "Sequence": (
        "a sequence of any length, while networks need a fixed number of entries",
        "pad it: a Tuple or Box of the longest, with a MultiBinary that says which are there",
    ),
    "Graph": (
        "a graph of any size, while networks need a fixed number of entries",
        "pad it: a Box of node features and a MultiBinary of which nodes are linked, for the "
        "largest graph",
    ),
    "OneOf": (
        "one of several spaces, while networks need the same entries every time",
        "give a Dict of all of them, zeros where they do not hold, and a Discrete that says which "
        "does",
    ),
}
"""Spaces that are refused, by name: what each is, and what to do."""


def of_gymnasium(space: Any) -> Space | None:
    """The space, converted if it is of the old package gym; None if it is of neither package.

    The old package is not imported: its spaces have the same names and attributes.
    """
    if isinstance(space, spaces.Space):
        return space
    names = {kind.__name__ for kind in type(space).__mro__ if kind.__module__.startswith("gym.")}
    try:
        if "Box" in names:
            return spaces.Box(space.low, space.high, dtype=space.dtype.type)
        if "MultiDiscrete" in names:
            return spaces.MultiDiscrete(space.nvec)
        if "Discrete" in names:
            return spaces.Discrete(int(space.n), start=int(getattr(space, "start", 0)))
        if "MultiBinary" in names:
            return spaces.MultiBinary(space.n)
        if "Tuple" in names:
            return spaces.Tuple([_required(of_gymnasium(part)) for part in space.spaces])
        if "Dict" in names:
            parts = space.spaces.items()
            return spaces.Dict({key: _required(of_gymnasium(part)) for key, part in parts})
    except FAILURES:
        return None
    return None


def _required(space: Space | None) -> Space:
    if space is None:
        message = "a part of another kind"
        raise TypeError(message)
    return space


def leaves(space: Space) -> list[Space]:
    """The parts of a space in the order of its entries."""
    return [leaf for _, leaf in _places(space)]


def _places(space: Space, place: str = "") -> Iterator[tuple[str, Space]]:
    """Each part that has no parts itself, and where it is, such as "['eyes'][0]"."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _places(part, f"{place}[{key!r}]")
    elif isinstance(space, spaces.Tuple):
        for k, part in enumerate(space.spaces):
            yield from _places(part, f"{place}[{k}]")
    else:
        yield place, space


def unreadable(space: Any) -> tuple[str, str] | None:
    """Why a space cannot be made a row of numbers, to follow "has the observation space ...".

    Returns:
        That and the remedy; None if it can be.
    """
    for place, leaf in _places(space):
        if isinstance(leaf, KNOWN):
            continue
        kind = type(leaf).__name__
        why, remedy = UNREAD.get(kind, ("no space of gymnasium.spaces that is read", ANYTHING))
        return f", whose part {place} is {why}" if place else f", {why}", remedy
    if size_of(space) < 1:
        return ", which has no entries", "give the agent something to see, such as a constant"
    return None


def size_of(space: Space) -> int:
    """O."""
    return sum(_size(leaf) for leaf in leaves(space))


def _size(leaf: Space) -> int:
    if isinstance(leaf, spaces.Discrete):
        return int(leaf.n)
    if isinstance(leaf, spaces.MultiDiscrete):
        return int(leaf.nvec.sum())
    return math.prod(leaf.shape or ())


def holds_bytes(space: Space) -> bool:
    """Whether every entry of an observation is a byte, as in pictures."""
    return all(isinstance(leaf, spaces.Box) and leaf.dtype == np.uint8 for leaf in leaves(space))


def scale_of_bytes(space: Space) -> float:
    """What bytes are multiplied by: 1/255 where they go up to 255, else 1."""
    highest = max(int(leaf.high.max()) for leaf in leaves(space) if isinstance(leaf, spaces.Box))
    return 1 / BYTE if highest == BYTE else 1.0


def reader(space: Space) -> Callable[[Any, npt.NDArray[Any]], None]:
    """A function that writes an observation into a row [O] of f32, or of u8 where it holds bytes.

    Choices (Discrete, MultiDiscrete) become a one among zeros. What is a whole number counts as
    one, of whatever type it is.

    The function raises ValueError, or whatever the observation itself raises, if it does not fit.
    """
    if isinstance(space, spaces.Dict):
        named = [(key, *_part(part)) for key, part in space.spaces.items()]

        def read_dict(value: Any, row: npt.NDArray[Any]) -> None:
            at = 0
            for key, size, read in named:
                try:
                    read(value[key], row[at : at + size])
                except ValueError as error:
                    message = f"{key!r}: {error}"
                    raise ValueError(message) from error
                at += size

        return read_dict
    if isinstance(space, spaces.Tuple):
        parts = [_part(part) for part in space.spaces]

        def read_tuple(value: Any, row: npt.NDArray[Any]) -> None:
            at = 0
            for (size, read), entry in zip(parts, value, strict=True):
                read(entry, row[at : at + size])
                at += size

        return read_tuple
    if isinstance(space, spaces.Box):
        return _box_reader(space)
    return _choice_reader(space)


def plain_shape(space: Space, dtype: npt.DTypeLike) -> tuple[int, ...] | None:
    """The shape of observations that are copied as they are into a row of `dtype`; else None."""
    if isinstance(space, spaces.Box) and space.dtype == dtype:
        return tuple(space.shape)
    return None


def _part(space: Space) -> tuple[int, Callable[[Any, npt.NDArray[Any]], None]]:
    return size_of(space), reader(space)


def _box_reader(space: spaces.Box) -> Callable[[Any, npt.NDArray[Any]], None]:
    rounds = space.dtype is not None and space.dtype.kind == "f"

    def read(value: Any, row: npt.NDArray[Any]) -> None:
        entries = np.asarray(value, dtype=space.dtype if rounds else None)
        if entries.size != row.size:
            message = f"its shape is {entries.shape}"
            raise ValueError(message)
        entries = entries.reshape(-1)
        if row.dtype == np.uint8 and entries.dtype != np.uint8:
            _require_whole(entries, 0, BYTE)
        row[:] = entries

    return read


def _choice_reader(space: Space) -> Callable[[Any, npt.NDArray[Any]], None]:
    if isinstance(space, spaces.Discrete):
        counts, starts = np.array([space.n]), np.array([space.start])
    elif isinstance(space, spaces.MultiDiscrete):
        counts = space.nvec.reshape(-1)
        starts = np.broadcast_to(getattr(space, "start", 0), space.nvec.shape).reshape(-1)
    else:  # MultiBinary: the choices themselves are the entries
        counts, starts = np.full(_size(space), 2), np.zeros(_size(space), dtype=np.int64)
    binary = isinstance(space, spaces.MultiBinary)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def read(value: Any, row: npt.NDArray[Any]) -> None:
        entries = np.asarray(value).reshape(-1)
        if entries.size != counts.size:
            message = f"its shape is {np.asarray(value).shape}"
            raise ValueError(message)
        _require_whole(entries, starts, starts + counts - 1)
        chosen = entries.astype(np.int64) - starts
        if binary:
            row[:] = chosen
        else:
            row[:] = 0
            row[first + chosen] = 1

    return read


def _require_whole(entries: npt.NDArray[Any], low: Any, high: Any) -> None:
    """Refuses all but whole numbers from `low` to `high`; conversion would change others."""
    if entries.dtype.kind not in "biuf":
        message = f"it is of type {entries.dtype}"
        raise ValueError(message)
    bad = ~((entries >= low) & (entries <= high))
    if entries.dtype.kind == "f":
        bad |= entries != np.floor(entries)
    if bad.any():
        message = f"it holds {entries[bad][0]}"
        raise ValueError(message)
