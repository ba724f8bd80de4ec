"""Scene of Cleanup and Harvest: a map with walls, apples and a river."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ascore.render.canvas import (
    BEAM,
    FIRE,
    FLOOR,
    INK,
    LINE,
    ORCHARD,
    PAPER,
    RIVER,
    STREAM,
    WALL,
    WASTE,
    Canvas,
    Colour,
    mix,
)
from ascore.render.scenes.parts import (
    UP_RIGHT_DOWN_LEFT,
    Acts,
    Cells,
    Entry,
    Icon,
    State,
    by_cell,
    draw_agent,
    draw_apple,
    draw_company,
)


def draw_waste(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws a heap of waste."""
    for x, y, radius in ((0.34, 0.62, 0.2), (0.66, 0.62, 0.2), (0.5, 0.42, 0.2)):
        canvas.disc(left + x * side, top + y * side, radius * side, WASTE)


def draw_ripples(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws ripples, which distinguish the stream from the river without colour."""
    for y in (0.36, 0.66):
        points = [
            (left + (0.2 + 0.15 * k) * side, top + (y + 0.06 * (-1) ** k) * side) for k in range(5)
        ]
        canvas.line(points, mix(RIVER, INK, 1 / 3), max(0.5, 0.04 * side))


def draw_beam(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws a beam that cleans and leaves the ground around it visible."""
    _draw_light(canvas, left, top, side, BEAM, 0.17)


def draw_fire(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws a beam that punishes, smaller, so that one that cleans shows behind it."""
    _draw_light(canvas, left, top, side, FIRE, 0.3)


def _draw_light(
    canvas: Canvas, left: float, top: float, side: float, colour: Colour, share: float
) -> None:
    inset = share * side
    width = side - 2 * inset
    light = mix(colour, PAPER, 0.5)
    canvas.rectangle(left + inset, top + inset, width, width, light, None, 0, inset)


# Moves of agents that turn are relative to where they face.
RELATIVE = {
    "up": "forward",
    "down": "back",
    "turn_clockwise": "turn right",
    "turn_counterclockwise": "turn left",
}


class GridScene:
    """A map of walls and grounds, with apples, waste, and agents facing one of four ways."""

    # (name in the state, legend, colour): a later ground covers an earlier one.
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
        frame = params.get("move_frame", "profile")
        relative = frame == "ego" or (frame == "profile" and params.get("profile") != "features")
        self.words: Mapping[str, str] = RELATIVE if relative else {}

    def legend(self) -> list[Entry]:
        """Legend of the things on this map."""
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
            entries.append(Entry("reach of a clean beam", _light_icon(draw_beam)))
        if self.params.get("fire"):
            entries.append(Entry("reach of fire", _light_icon(draw_fire)))
        return entries

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws grounds, beams, things and agents."""
        side = self.cells.side
        canvas.rectangle(left, top, self.width, self.height, LINE)
        lights = [
            (self._lit(state, acts, act), draw)
            for act, draw in (("clean", draw_beam), ("fire", draw_fire))
        ]
        company = by_cell(state["agents"])
        for row in range(self.cells.rows):
            for column in range(self.cells.columns):
                x, y = left + column * side, top + row * side
                ground = FLOOR
                for name, _, colour in self.present:
                    if state[name][row, column]:
                        ground = colour
                if ground == WALL:  # without gaps between cells
                    canvas.rectangle(x, y, side, side, WALL)
                    continue
                self.cells.tile(canvas, left, top, row, column, ground)
                if ground == STREAM:
                    draw_ripples(canvas, x, y, side)
                for lit, draw_light in lights:
                    if (row, column) in lit:
                        draw_light(canvas, x, y, side)
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
                if name in state and state[name][row, column]:  # shown in the corner
                    draw(canvas, x, y, 0.42 * side)

    def _lit(self, state: State, acts: Acts, kind: str) -> set[tuple[int, int]]:
        """Cells that the beams of agents with this act reach; walls and agents block a beam."""
        lit: set[tuple[int, int]] = set()
        if acts is None or kind not in acts:
            return lit
        company = by_cell(state["agents"])
        through = self.params["profile"] == "features"  # agents there let a beam pass
        reach = self.params["beam_length"]
        for agent, act in enumerate(acts):
            if act != kind:
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


def _light_icon(draw: Icon) -> Icon:
    def draw_both(canvas: Canvas, left: float, top: float, side: float) -> None:
        canvas.rectangle(left + 1, top + 1, side - 2, side - 2, FLOOR, LINE)
        draw(canvas, left, top, side)

    return draw_both


def _agent_icon(canvas: Canvas, left: float, top: float, side: float) -> None:
    draw_agent(canvas, left + 0.38 * side, top + side / 2, 0.36 * side, 0, facing=1)


def _ground_icon(colour: Colour, *, ripples: bool = False) -> Icon:
    def draw(canvas: Canvas, left: float, top: float, side: float) -> None:
        canvas.rectangle(left + 1, top + 1, side - 2, side - 2, colour, LINE)
        if ripples:
            draw_ripples(canvas, left, top, side)

    return draw
