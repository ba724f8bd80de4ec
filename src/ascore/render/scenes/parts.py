"""What scenes are made of: agents, tags, cells, and what a scene must offer."""

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

# A board is about this large, in pixels, the higher one with a crowd on it; but for numbers to be
# legible no cell is below LEGIBLE_CELL, unless the board became larger than LARGEST_BOARD.
WIDEST, HIGHEST, HIGHEST_WITH_CROWD, LARGEST_BOARD = 912, 480, 720, 1280
LEGIBLE_CELL, LARGEST_CELL = 28, 92
SMALLEST_TEXT = 8
CROWD = 16

UP_RIGHT_DOWN_LEFT = ((-1, 0), (0, 1), (1, 0), (0, -1))


class Entry(NamedTuple):
    """A line of the legend: words, and what draws the thing into a square (left, top, side)."""

    words: str
    icon: Icon


class Scene(Protocol):
    """How one environment is shown; sizes in pixels."""

    width: int
    height: int

    def legend(self) -> list[Entry]:
        """Every kind of thing that may be on the picture."""

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws a state; `acts` names the actions that led to it, one per agent."""


# ---------------------------------------------------------------------- agents and what they own


def draw_agent(
    canvas: Canvas, x: float, y: float, radius: float, agent: int, facing: int | None = None
) -> None:
    """A disc with the agent's number; its nose points where it faces (0 up, then clockwise)."""
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
    """The agents of one cell side by side within a square around (x, y), so that each is seen."""
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
    """The number of an owner on its colour."""
    colour = agent_colour(owner)
    width, height = 0.34 * side, 0.28 * side
    canvas.rectangle(left, top, width, height, colour)
    size = max(SMALLEST_TEXT, round(0.23 * side))
    canvas.text(left + width / 2, top + height / 2, str(owner), size, readable_on(colour), "mm")


def draw_apple(canvas: Canvas, left: float, top: float, side: float) -> None:
    """An apple, food of every environment that has any."""
    x, y = left + 0.5 * side, top + 0.56 * side
    canvas.line([(x, y), (x + 0.1 * side, top + 0.12 * side)], STEM, 0.09 * side)
    canvas.disc(x, y, 0.3 * side, APPLE)


def by_cell(cells: npt.NDArray[np.int32]) -> dict[tuple[int, int], list[int]]:
    """Who is on which cell (row, column)."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for agent, (row, column) in enumerate(cells.tolist()):
        found[row, column].append(agent)
    return found


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
        """The ground of a cell, with a gap of a pixel to the next."""
        x, y = left + column * self.side, top + row * self.side
        canvas.rectangle(x + 0.5, y + 0.5, self.side - 1, self.side - 1, colour)
