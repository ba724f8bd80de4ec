"""Scene of Escape Room: the start, the lever and the door, and who is where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ascore.render.canvas import FLOOR, INK, LINE, PAPER, QUIET, WALL, Canvas
from ascore.render.scenes.parts import Acts, Entry, State, draw_company

START, LEVER, DOOR = range(3)
NAMES = ("start", "lever", "door")


def draw_lever(canvas: Canvas, left: float, top: float, side: float, pulled: bool) -> None:
    """Draws a lever on its base, to the left, or to the right when it is pulled."""
    foot = (left + side / 2, top + 0.8 * side)
    tip = (left + (0.8 if pulled else 0.2) * side, top + 0.22 * side)
    canvas.line([foot, tip], INK, 0.09 * side)
    canvas.disc(*tip, 0.12 * side, QUIET, INK)
    canvas.rectangle(left + 0.2 * side, top + 0.76 * side, 0.6 * side, 0.16 * side, WALL)


def draw_door(canvas: Canvas, left: float, top: float, side: float, is_open: bool) -> None:
    """Draws a door in its frame; light comes through when it is open."""
    x, y, width, height = left + 0.22 * side, top + 0.08 * side, 0.56 * side, 0.84 * side
    canvas.rectangle(x, y, width, height, PAPER if is_open else WALL, INK, max(1.5, 0.05 * side))
    if is_open:
        leaf = [(x, y), (x + 0.2 * width, y + 0.12 * height)]
        leaf += [(x + 0.2 * width, y + 0.95 * height), (x, y + height)]
        canvas.polygon(leaf, WALL)
    else:
        canvas.disc(x + 0.8 * width, y + height / 2, 0.05 * side, PAPER)


class EscapeScene:
    """Three places side by side; the agents of each stand below its sign."""

    place = 200
    sign = 84
    foot = 34

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        self.words: Mapping[str, str] = {}
        self.width = 3 * self.place
        self.height = self.sign + self.place + self.foot

    def legend(self) -> list[Entry]:
        """Legend of agents, lever and door."""
        return [
            Entry(
                "agent, by number",
                lambda c, x, y, s: draw_company(c, x + s / 2, y + s / 2, s, [0]),
            ),
            Entry("lever", lambda c, x, y, s: draw_lever(c, x, y, s, False)),
            Entry("pulled by enough agents", lambda c, x, y, s: draw_lever(c, x, y, s, True)),
            Entry("closed door", lambda c, x, y, s: draw_door(c, x, y, s, False)),
            Entry("open door", lambda c, x, y, s: draw_door(c, x, y, s, True)),
        ]

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws the places, then the agents in them."""
        is_open = bool(state["door"][0])
        canvas.rectangle(left, top, self.width, self.height, FLOOR)
        for place, name in enumerate(NAMES):
            x = left + place * self.place
            if place:
                canvas.line([(x, top), (x, top + self.height)], LINE, 1.5)
            middle = x + self.place / 2
            if place == LEVER:
                draw_lever(canvas, middle - 32, top + 10, 64, is_open)
            elif place == DOOR:
                draw_door(canvas, middle - 32, top + 10, 64, is_open)
            canvas.text(middle, top + self.height - 16, name, 13, QUIET, "mm")
            present = np.flatnonzero(state["agents"] == place).tolist()
            if present:
                side = min(0.86 * self.place, 56.0 * math.ceil(math.sqrt(len(present))))
                draw_company(canvas, middle, top + self.sign + self.place / 2, side, present)
