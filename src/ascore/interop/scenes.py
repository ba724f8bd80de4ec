"""What each environment looks like: from the dict of `VecEnv.inspect` to shapes on a canvas.

A scene is made once per episode from the environment's parameters and first state, says how large
it is, draws every state and names every kind of thing it draws. The table `SCENES` is at the end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ascore.interop.canvas import (
    APPLE,
    BEAM,
    FLOOR,
    INK,
    LINE,
    ORCHARD,
    PAPER,
    QUIET,
    RIVER,
    STEM,
    STREAM,
    WALL,
    WASTE,
    Canvas,
    Colour,
    agent_colour,
    mix,
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


# ---------------------------------------------------------------------- exchange, navigation

CLOSED, OPEN, EATEN = 0, 1, 2


def draw_apple(canvas: Canvas, left: float, top: float, side: float) -> None:
    """An apple, food of every environment that has any."""
    x, y = left + 0.5 * side, top + 0.56 * side
    canvas.line([(x, y), (x + 0.1 * side, top + 0.12 * side)], STEM, 0.09 * side)
    canvas.disc(x, y, 0.3 * side, APPLE)


def draw_box(canvas: Canvas, left: float, top: float, side: float, owner: int, food: int) -> None:
    """A box with the number of the agent whose food is in it."""
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
    """A flag on tinted ground."""
    colour = agent_colour(owner)
    canvas.rectangle(left + 0.5, top + 0.5, side - 1, side - 1, mix(colour, PAPER, 0.75))
    x = left + 0.09 * side
    draw_tag(canvas, x, top + 0.07 * side, side, owner)
    canvas.line([(x, top + 0.07 * side), (x, top + 0.94 * side)], INK, max(1, 0.04 * side))


class Board:
    """Agents on an open square board, sharing cells with things that belong to one of them."""

    things: str
    named: tuple[tuple[str, Icon], ...]

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        self.cells = Cells(params["size"], params["size"], len(state["agents"]))
        self.width, self.height = self.cells.width, self.cells.height

    def legend(self) -> list[Entry]:
        """The agents and this board's things."""
        agent = Entry(
            "agent, by number", lambda c, x, y, s: draw_company(c, x + s / 2, y + s / 2, s, [0])
        )
        return [agent, *(Entry(words, icon) for words, icon in self.named)]

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """The ground, what lies on it, and the agents in what room that leaves."""
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
            large = side >= 2 * LEGIBLE_CELL and len(agents) == 1  # of one size wherever it goes
            draw_company(canvas, x, y, (0.56 if owned or large else 0.88) * side, agents)

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """Draws the thing of this owner into its cell."""
        raise NotImplementedError


class ExchangeScene(Board):
    """Boxes with food that only others can open."""

    things = "boxes"
    named = (
        ("closed box, number of its owner", lambda c, x, y, s: draw_box(c, x, y, s, 1, CLOSED)),
        ("open, food inside", lambda c, x, y, s: draw_box(c, x, y, s, 1, OPEN)),
        ("eaten", lambda c, x, y, s: draw_box(c, x, y, s, 1, EATEN)),
    )

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """A box."""
        draw_box(canvas, left, top, side, owner, int(state["food"][owner]))


class NavigationScene(Board):
    """Landmarks to be reached."""

    things = "landmarks"
    named = (("landmark, number of its owner", lambda c, x, y, s: draw_landmark(c, x, y, s, 1)),)

    def draw_thing(
        self, canvas: Canvas, left: float, top: float, side: float, owner: int, state: State
    ) -> None:
        """A landmark."""
        draw_landmark(canvas, left, top, side, owner)


# ---------------------------------------------------------------------- predation


def draw_prey(canvas: Canvas, left: float, top: float, side: float) -> None:
    """A diamond."""
    x, y, reach = left + side / 2, top + side / 2, 0.42 * side
    canvas.polygon([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], INK)


class PredationScene:
    """A line; each predator runs along a track of its own, so that none hides another."""

    margin = 26
    axis = 46

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        count = len(state["agents"])
        self.length = float(params["length"])
        self.track = max(17.0, min(44.0, 400 / count))
        self.width = 620
        self.height = math.ceil(self.track * count) + self.axis

    def legend(self) -> list[Entry]:
        """Predators and prey."""
        return [
            Entry(
                "predator, by number",
                lambda c, x, y, s: draw_company(c, x + s / 2, y + s / 2, s, [0]),
            ),
            Entry("prey", draw_prey),
            Entry("place of the prey on every predator's track", _dashes_icon),
        ]

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Tracks above one another, the scale and the prey at their foot."""
        start, end = left + self.margin, left + self.width - self.margin
        foot = top + self.track * len(state["agents"])

        def place(at: float) -> float:
            return start + (end - start) * at / self.length

        canvas.rectangle(left, top, self.width, self.height, FLOOR)
        for k in range(6):
            x = place(self.length * k / 5)
            canvas.line([(x, top), (x, foot + 6)], LINE)
            canvas.text(x, foot + 34, f"{self.length * k / 5:g}", 12, QUIET, "mm")
        canvas.line([(start, foot), (end, foot)], QUIET, 1.5)
        prey = place(float(state["prey"][0]))
        _dashes(canvas, prey, top, foot)
        draw_prey(canvas, prey - 12, foot - 12 + 12, 24)
        radius = min(15.0, 0.44 * self.track)
        for agent, at in enumerate(state["agents"].tolist()):
            y = top + (agent + 0.5) * self.track
            canvas.line([(start, y), (end, y)], LINE)
            draw_agent(canvas, place(at), y, radius, agent)


def _dashes(canvas: Canvas, x: float, top: float, foot: float) -> None:
    y = top
    while y < foot:
        canvas.line([(x, y), (x, min(y + 5, foot))], QUIET, 1.5)
        y += 9


def _dashes_icon(canvas: Canvas, left: float, top: float, side: float) -> None:
    _dashes(canvas, left + side / 2, top, top + side)


# ---------------------------------------------------------------------- cleanup, harvest


def draw_waste(canvas: Canvas, left: float, top: float, side: float) -> None:
    """A heap."""
    for x, y, radius in ((0.34, 0.62, 0.2), (0.66, 0.62, 0.2), (0.5, 0.42, 0.2)):
        canvas.disc(left + x * side, top + y * side, radius * side, WASTE)


def draw_ripples(canvas: Canvas, left: float, top: float, side: float) -> None:
    """What tells the stream from the river without colour."""
    for y in (0.36, 0.66):
        points = [
            (left + (0.2 + 0.15 * k) * side, top + (y + 0.06 * (-1) ** k) * side) for k in range(5)
        ]
        canvas.line(points, mix(RIVER, INK, 1 / 3), max(0.5, 0.04 * side))


def draw_beam(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Light that leaves the ground around it to be seen."""
    inset = 0.17 * side
    width = side - 2 * inset
    canvas.rectangle(left + inset, top + inset, width, width, mix(BEAM, PAPER, 0.5), None, 0, inset)


class GridScene:
    """Walls, grounds, things that come and go, and agents that face one of four ways."""

    # (name in the state, words, ground): a later one lies above an earlier one.
    grounds = (
        ("orchard", "orchard, where apples grow", ORCHARD),
        ("river", "river", RIVER),
        ("stream", "stream", STREAM),
        ("walls", "wall", WALL),
    )

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        self.params = params
        rows, columns = state["walls"].shape
        self.cells = Cells(rows, columns, len(state["agents"]))
        self.width, self.height = self.cells.width, self.cells.height
        self.present = [g for g in self.grounds if g[0] in state and state[g[0]].any()]
        self.has_waste = "waste" in state

    def legend(self) -> list[Entry]:
        """What this map has."""
        entries = [
            Entry("agent, its nose shows where it faces", _agent_icon),
            Entry("apple", draw_apple),
        ]
        if self.has_waste:
            entries.append(Entry("waste", draw_waste))
        for name, words, colour in self.present:
            entries.append(Entry(words, _ground_icon(colour, ripples=name == "stream")))
        entries.append(Entry("floor", _ground_icon(FLOOR)))
        if self.has_waste:
            entries.append(Entry("reach of a clean beam", _beam_icon))
        return entries

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Grounds, beams, things, agents."""
        side = self.cells.side
        canvas.rectangle(left, top, self.width, self.height, LINE)
        lit = self._lit(state, acts)
        company = by_cell(state["agents"])
        for row in range(self.cells.rows):
            for column in range(self.cells.columns):
                x, y = left + column * side, top + row * side
                ground = FLOOR
                for name, _, colour in self.present:
                    if state[name][row, column]:
                        ground = colour
                if ground == WALL:  # one piece
                    canvas.rectangle(x, y, side, side, WALL)
                    continue
                self.cells.tile(canvas, left, top, row, column, ground)
                if ground == STREAM:
                    draw_ripples(canvas, x, y, side)
                if (row, column) in lit:
                    draw_beam(canvas, x, y, side)
        for name, draw in (("waste", draw_waste), ("apples", draw_apple)):
            for row, column in np.argwhere(state[name]).tolist() if name in state else ():
                if (row, column) not in company:
                    draw(canvas, left + column * side, top + row * side, side)
        for (row, column), agents in company.items():
            x, y = left + column * side, top + row * side
            draw_company(
                canvas, x + side / 2, y + side / 2, 0.94 * side, agents, state["orientation"]
            )
            for name, draw in (("waste", draw_waste), ("apples", draw_apple)):
                if name in state and state[name][row, column]:  # seen in the corner
                    draw(canvas, x, y, 0.42 * side)

    def _lit(self, state: State, acts: Acts) -> set[tuple[int, int]]:
        """Cells within reach of the beams of agents that clean, walls and agents in the way."""
        lit: set[tuple[int, int]] = set()
        if acts is None or not self.has_waste:
            return lit
        company = by_cell(state["agents"])
        through = self.params["profile"] == "features"  # agents there let a beam pass
        reach = self.params["beam_length"]
        for agent, act in enumerate(acts):
            if act != "clean":
                continue
            row, column = state["agents"][agent].tolist()
            facing = int(state["orientation"][agent])
            down, right = UP_RIGHT_DOWN_LEFT[facing]
            aside, across = UP_RIGHT_DOWN_LEFT[(facing + 1) % 4]
            for lane in (-1, 0, 1):
                # The middle lane starts before the agent, the outer ones beside it; in the
                # features profile the middle one starts on it and all are one cell longer.
                ahead = 1 if lane == 0 and not through else 0
                for k in range(ahead, ahead + reach + (1 if through else 0)):
                    cell = (row + lane * aside + k * down, column + lane * across + k * right)
                    if not self._open(state, cell):
                        break
                    lit.add(cell)
                    if cell in company and not through:
                        break
        return lit

    def _open(self, state: State, cell: tuple[int, int]) -> bool:
        row, column = cell
        inside = 0 <= row < self.cells.rows and 0 <= column < self.cells.columns
        return inside and not state["walls"][row, column]


def _beam_icon(canvas: Canvas, left: float, top: float, side: float) -> None:
    canvas.rectangle(left + 1, top + 1, side - 2, side - 2, FLOOR, LINE)
    draw_beam(canvas, left, top, side)


def _agent_icon(canvas: Canvas, left: float, top: float, side: float) -> None:
    draw_agent(canvas, left + 0.38 * side, top + side / 2, 0.36 * side, 0, facing=1)


def _ground_icon(colour: Colour, *, ripples: bool = False) -> Icon:
    def draw(canvas: Canvas, left: float, top: float, side: float) -> None:
        canvas.rectangle(left + 1, top + 1, side - 2, side - 2, colour, LINE)
        if ripples:
            draw_ripples(canvas, left, top, side)

    return draw


# ---------------------------------------------------------------------- the table

SCENES: dict[str, Callable[[Mapping[str, Any], State], Scene]] = {
    "exchange-v1": ExchangeScene,
    "navigation-v1": NavigationScene,
    "predation-v1": PredationScene,
    "cleanup-v1": GridScene,
    "harvest-v1": GridScene,
}


def scene_of(name: str, params: Mapping[str, Any], state: State) -> Scene:
    """The scene of an environment.

    Args:
        name: of the environment, with its version.
        params: as `VecEnv.params`.
        state: as `VecEnv.inspect` gives it; only its shapes and fixed parts matter.

    Raises:
        ValueError: nobody has said what this environment looks like.
    """
    if name not in SCENES:
        message = f"{name} has no scene, there is: {', '.join(SCENES)}; add one to SCENES"
        raise ValueError(message)
    return SCENES[name](params, state)
