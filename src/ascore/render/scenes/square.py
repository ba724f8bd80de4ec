"""Scenes of Exchange and C. Navigation: a square board of cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ascore.render.canvas import (
    FLOOR,
    INK,
    LINE,
    PAPER,
    QUIET,
    Canvas,
    agent_colour,
    mix,
)
from ascore.render.scenes.parts import (
    LEGIBLE_CELL,
    Acts,
    Cells,
    Entry,
    Icon,
    State,
    by_cell,
    draw_apple,
    draw_company,
    draw_tag,
)

CLOSED, OPEN, EATEN = 0, 1, 2


def draw_box(canvas: Canvas, left: float, top: float, side: float, owner: int, food: int) -> None:
    """Draws a box with the number of its owner, whose food it holds."""
    colour = agent_colour(owner)
    inset = 0.06 * side
    fill = {CLOSED: mix(colour, PAPER, 0.5), OPEN: PAPER, EATEN: mix(QUIET, PAPER, 0.75)}[food]
    edge = mix(QUIET, PAPER, 0.25) if food == EATEN else colour
    width = side - 2 * inset
    x, y = left + inset, top + inset
    if food == CLOSED:
        canvas.rectangle(x, y, width, width, fill)
        plank = mix(colour, PAPER, 0.25)
        canvas.line([(x, y), (x + width, y + width)], plank, 0.035 * side)
        canvas.line([(x, y + width), (x + width, y)], plank, 0.035 * side)
        fill_on_top = None
    else:
        fill_on_top = fill
    canvas.rectangle(x, y, width, width, fill_on_top, edge, max(1.5, 0.045 * side))
    draw_tag(canvas, x, y, side, owner)
    if food == CLOSED:
        right = left + 0.8 * side
        canvas.disc(right, y + 0.13 * side, 0.075 * side, INK)
        canvas.disc(right, y + 0.13 * side, 0.042 * side, fill)
        canvas.rectangle(right - 0.1 * side, y + 0.13 * side, 0.2 * side, 0.14 * side, INK)
    elif food == OPEN:
        draw_apple(canvas, left + 0.6 * side, y - 0.01 * side, 0.36 * side)


def draw_landmark(canvas: Canvas, left: float, top: float, side: float, owner: int) -> None:
    """Draws a flag on tinted ground."""
    colour = agent_colour(owner)
    canvas.rectangle(left + 0.5, top + 0.5, side - 1, side - 1, mix(colour, PAPER, 0.75))
    x = left + 0.09 * side
    draw_tag(canvas, x, top + 0.07 * side, side, owner)
    canvas.line([(x, top + 0.07 * side), (x, top + 0.94 * side)], INK, max(1, 0.04 * side))


class SquareBoard:
    """Agents on a square board, with things that each belong to one agent."""

    things: str
    named: tuple[tuple[str, Icon], ...]

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        self.words: Mapping[str, str] = {}
        self.cells = Cells(params["size"], params["size"], len(state["agents"]))
        self.width, self.height = self.cells.width, self.cells.height

    def legend(self) -> list[Entry]:
        """Legend of the agents and the things on this board."""
        agent = Entry(
            "agent, by number", lambda c, x, y, s: draw_company(c, x + s / 2, y + s / 2, s, [0])
        )
        return [agent, *(Entry(words, icon) for words, icon in self.named)]

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws the ground, the things and the agents."""
        side = self.cells.side
        canvas.rectangle(left, top, self.width, self.height, LINE)
        for row in range(self.cells.rows):
            for column in range(self.cells.columns):
                self.cells.tile(canvas, left, top, row, column, FLOOR)
        owned_cells = set()
        for owner, (row, column) in enumerate(state[self.things].tolist()):
            self.draw_thing(canvas, left + column * side, top + row * side, side, owner, state)
            owned_cells.add((row, column))
        for (row, column), agents in by_cell(state["agents"]).items():
            owned = (row, column) in owned_cells
            x = left + (column + 0.5) * side
            y = top + (row + (0.64 if owned else 0.5)) * side  # below the owner's number
            large = side >= 2 * LEGIBLE_CELL and len(agents) == 1  # same size on all cells
            draw_company(canvas, x, y, (0.56 if owned or large else 0.88) * side, agents)

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """Draws the thing of this owner in its cell."""
        raise NotImplementedError


class ExchangeScene(SquareBoard):
    """Boxes with food that only other agents can open."""

    things = "boxes"
    named = (
        ("closed box, number of its owner", lambda c, x, y, s: draw_box(c, x, y, s, 1, CLOSED)),
        ("open, food inside", lambda c, x, y, s: draw_box(c, x, y, s, 1, OPEN)),
        ("eaten", lambda c, x, y, s: draw_box(c, x, y, s, 1, EATEN)),
    )

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """Draws a box."""
        draw_box(canvas, left, top, side, owner, int(state["food"][owner]))


class NavigationScene(SquareBoard):
    """Landmarks that agents must reach."""

    things = "landmarks"
    named = (("landmark, number of its owner", lambda c, x, y, s: draw_landmark(c, x, y, s, 1)),)

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """Draws a landmark."""
        draw_landmark(canvas, left, top, side, owner)
