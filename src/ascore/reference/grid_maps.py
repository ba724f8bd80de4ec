"""Maps of the grid environments, and their cells.

A cell is (row, column), row 0 at the top. Directions are 0 up, 1 right, 2 down, 3 left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_CELLS", "STEPS", "Cell", "Plane", "beside", "cells_of", "nearest", "read_map"]

# Of the directions 0 up, 1 right, 2 down, 3 left: (rows down, columns to the right).
STEPS = ((-1, 0), (0, +1), (+1, 0), (0, -1))

LARGEST_SIDE = 64
MOST_CELLS = 1024
"""Maximum number of river cells, and of orchard cells, of a map."""

Cell = tuple[int, int]
"""(row, column)."""
Plane = NDArray[np.bool_]
"""[H, W], true on the cells that hold a kind of thing."""


def read_map(
    text: str, family: str, full: str, aliases: Mapping[str, str], legend: str
) -> NDArray[np.str_]:
    """Return the characters of a map.

    Args:
        text: the map itself if it has a line break (one leading line break and all trailing ones
            are dropped), else a name: "FAMILY_full", "FAMILY_A_B" or one of `aliases`.
        family: prefix of map names.
        full: the map "FAMILY_full"; "FAMILY_A_B" is its rows A to B between two rows of wall. Row 0
            and the last row are counted but cannot be chosen.
        aliases: other names, with the names or the maps they stand for.
        legend: characters that a map may have.

    Returns:
        Single characters, [H, W].

    Raises:
        ValueError: the name is unknown, rows have unequal lengths, there are more than 64 rows or
            columns, or a character is not in `legend`.
    """
    if "\n" in text:
        rows = text.removeprefix("\n").rstrip("\n").split("\n")
    else:
        rows = _rows_of_name(text, family, full.strip("\n").split("\n"), aliases)
    width = len(rows[0])
    for number, row in enumerate(rows):
        if len(row) != width:
            message = (
                f"map row {number} has {len(row)} cells and row 0 has {width}; pad short rows with"
                " blanks"
            )
            raise ValueError(message)
        for strange in sorted(set(row) - set(legend)):
            message = f"map row {number} has {strange!r}; {family} maps are made of {legend!r}"
            raise ValueError(message)
    if not (1 <= width <= LARGEST_SIDE and len(rows) <= LARGEST_SIDE):
        message = (
            f"the map has {len(rows)} rows of {width} cells; at most {LARGEST_SIDE} of each are"
            " allowed, and at least 1"
        )
        raise ValueError(message)
    return np.array([list(row) for row in rows])


def _rows_of_name(
    name: str, family: str, full: Sequence[str], aliases: Mapping[str, str]
) -> list[str]:
    plain = aliases.get(name, name)
    if "\n" in plain:
        return plain.strip("\n").split("\n")
    if plain == f"{family}_full":
        return list(full)
    last = len(full) - 2
    window = re.fullmatch(rf"{family}_([1-9][0-9]?)_([1-9][0-9]?)", plain)
    if window is None:
        known = ", ".join([f"{family}_full", *aliases])
        message = (
            f"map {name!r} is neither a map, which has line breaks, nor a name: {known} or"
            f" {family}_A_B, rows A to B of the full map"
        )
        raise ValueError(message)
    a, b = int(window[1]), int(window[2])
    if not a <= b <= last:
        message = f"map {name!r}: rows {a} to {b} are not within 1..{last} in this order"
        raise ValueError(message)
    return [full[0], *full[a : b + 1], full[-1]]


def cells_of(plane: Plane) -> list[Cell]:
    """Return the cells where `plane` is true, in row-major order."""
    rows, cols = plane.nonzero()
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def nearest(cell: Cell, cells: Sequence[Cell]) -> Cell:
    """Return the nearest of `cells`, the first of several; (0, 0) if there are none."""
    if not cells:
        return 0, 0
    row, col = cell
    return min(cells, key=lambda other: abs(other[0] - row) + abs(other[1] - col))


def beside(cell: Cell, direction: int) -> Cell:
    """Return the adjacent cell in a direction, taken modulo 4; it may be outside the map."""
    down, right = STEPS[direction % 4]
    return cell[0] + down, cell[1] + right
