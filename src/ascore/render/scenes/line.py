"""Scene of C. Predation: predators and their prey on a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ascore.render.canvas import (
    FLOOR,
    INK,
    LINE,
    QUIET,
    Canvas,
)
from ascore.render.scenes.parts import (
    Acts,
    Entry,
    State,
    draw_agent,
    draw_company,
)


def draw_prey(canvas: Canvas, left: float, top: float, side: float) -> None:
    """Draws a diamond."""
    x, y, reach = left + side / 2, top + side / 2, 0.42 * side
    canvas.polygon([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], INK)


class PredationScene:
    """A line on which each predator has its own track, so that none hides another."""

    margin = 26
    axis = 46

    def __init__(self, params: Mapping[str, Any], state: State) -> None:
        count = len(state["agents"])
        self.words: Mapping[str, str] = {}
        self.length = float(params["length"])
        self.track = max(17.0, min(44.0, 400 / count))
        self.width = 620
        self.height = math.ceil(self.track * count) + self.axis

    def legend(self) -> list[Entry]:
        """Legend of predators and prey."""
        return [
            Entry(
                "predator, by number",
                lambda c, x, y, s: draw_company(c, x + s / 2, y + s / 2, s, [0]),
            ),
            Entry("prey", draw_prey),
            Entry("position of the prey on every predator's track", _dashes_icon),
        ]

    def draw(self, canvas: Canvas, left: float, top: float, state: State, acts: Acts) -> None:
        """Draws the tracks, with the scale and the prey below them."""
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
