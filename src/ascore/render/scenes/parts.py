"""Parts of scenes (agents, tags, cells) and the protocol of a scene."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ascore.render.canvas import (
    APPLE,
    INK,
    STEM,
    Canvas,
    Colour,
    agent_colour,
    readable_on,
)

State: TypeAlias = Mapping[str, npt.NDArray[Any]]
Acts: TypeAlias = Sequence[str] | None
Icon: TypeAlias = Callable[[Canvas, float, float, float], None]

# Approximate maximum size of a board in pixels; the height with many agents is larger. To keep
# numbers legible, cells are at least LEGIBLE_CELL, unless the board would exceed LARGEST_BOARD.
WIDEST, HIGHEST, HIGHEST_WITH_CROWD, LARGEST_BOARD = 912, 480, 720, 1280
LEGIBLE_CELL, LARGEST_CELL = 28, 92
SMALLEST_TEXT = 8
CROWD = 16

UP_RIGHT_DOWN_LEFT = ((-1, 0), (0, 1), (1, 0), (0, -1))


class Entry(NamedTuple):
    """A legend entry: its text, and a function that draws its icon at (left, top, side)."""

    words: str
    icon: Icon


class Scene(Protocol):
    """Draws the states of one environment; sizes in pixels."""

    width: int
    height: int
    words: Mapping[str, str]
    """What actions are called on the picture, where their name would mislead."""

    def legend(self) -> list[Entry]:
        """Legend entries of all kinds of things in the scene."""

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws a state; `acts` names the actions that led to it, one per agent."""


# ---------------------------------------------------------------------- agents and what they own


def draw_agent(
    canvas: Canvas, x: float, y: float, radius: float, agent: int, facing: int | None = None
) -> None:
    """Draws a disc with the agent's number; its nose shows `facing` (0 up, then clockwise)."""
    if facing is not None:
        row, column = UP_RIGHT_DOWN_LEFT[facing]
        tip = (x + 1.62 * radius * column, y + 1.62 * radius * row)
        across, along = 0.78 * radius, 0.62 * radius
        canvas.polygon(
            [
                tip,
                (x + along * column - across * row, y + along * row + across * column),
                (x + along * column + across * row, y + along * row - across * column),
            ],
            INK,
        )
    colour = agent_colour(agent)
    canvas.disc(x, y, radius, colour, INK)
    size = max(SMALLEST_TEXT, round(1.15 * radius))
    canvas.text(x, y, str(agent), size, readable_on(colour), "mm")


def draw_company(
    canvas: Canvas,
    x: float,
    y: float,
    side: float,
    agents: Sequence[int],
    facing: npt.NDArray[np.int32] | None = None,
) -> None:
    """Draws the agents of one cell side by side in a square around (x, y)."""
    columns = math.ceil(math.sqrt(len(agents)))
    rows = math.ceil(len(agents) / columns)
    slot = side / columns
    radius = slot * (0.46 if facing is None else 0.36)
    for k, agent in enumerate(agents):
        row, column = divmod(k, columns)
        draw_agent(
            canvas,
            x + slot * (column - (columns - 1) / 2),
            y + slot * (row - (rows - 1) / 2),
            radius,
            agent,
            None if facing is None else int(facing[agent]),
        )


def draw_tag(canvas: Canvas, left: float, top: float, side: float, owner: int) -> None:
    """Draws the number of an owner on its colour."""
    colour = agent_colour(owner)
    width, height = 0.34 * side, 0.28 * side
    canvas.rectangle(left, top, width, height, colour)
    size = max(SMALLEST_TEXT, round(0.23 * side))
    canvas.text(left + width / 2, top + height / 2, str(owner), size, readable_on(colour), "mm")


def draw_apple(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws an apple, the food of all environments."""
    x, y = left + 0.5 * side, top + 0.56 * side
    canvas.line([(x, y), (x + 0.1 * side, top + 0.12 * side)], STEM, 0.09 * side)
    canvas.disc(x, y, 0.3 * side, APPLE)


def by_cell(cells: npt.NDArray[np.int32]) -> dict[tuple[int, int], list[int]]:
    """Groups agents by their cell (row, column)."""
    agents_on: dict[tuple[int, int], list[int]] = defaultdict(list)
    for agent, (row, column) in enumerate(cells.tolist()):
        agents_on[row, column].append(agent)
    return agents_on


class Cells:
    """A board of square cells."""

    def __init__(self, rows: int, columns: int, agents: int) -> None:
        self.rows, self.columns = rows, columns
        highest = HIGHEST if agents <= CROWD else HIGHEST_WITH_CROWD
        fitting = min(LARGEST_CELL, WIDEST // columns, highest // rows)
        self.side = max(fitting, min(LEGIBLE_CELL, LARGEST_BOARD // max(rows, columns)))
        self.width, self.height = columns * self.side, rows * self.side

    def tile(
        self, canvas: Canvas, left: float, top: float, row: int, column: int, colour: Colour
    ) -> None:
        """Draws the ground of a cell, with a gap of one pixel to the next."""
        x, y = left + column * self.side, top + row * self.side
        canvas.rectangle(x + 0.5, y + 0.5, self.side - 1, self.side - 1, colour)
