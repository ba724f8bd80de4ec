"""Pictures of environments: the state, the actions, the rewards, and a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ascore.envs.vec_env import VecEnv
from ascore.render.canvas import INK, LINE, PAPER, QUIET, Canvas, text_width
from ascore.render.scenes.parts import Entry, Scene, State, draw_agent
from ascore.render.scenes.table import scene_of

MARGIN = 14
NARROWEST = 600
TITLE_SIZE, TEXT_SIZE, TITLE_GAP = 17, 13, 18
TITLE_HEIGHT, ROW_HEIGHT = 34, 23
ICON = 28
LEGEND_ROW = 36
COLUMN_GAP = 32

# If a scene's width is at least this multiple of its height, its table of agents is below it,
# otherwise beside it.
WIDE = 1.5


@dataclass(frozen=True)
class Moment:
    """A state of one environment, with the text that its picture shows.

    Attributes:
        env: name with version.
        params: parameters of the environment.
        state: state from `VecEnv.inspect`.
        time: steps taken in the episode.
        horizon: steps after which the episode is truncated.
        episode: number of the episode.
        action_names: one name per action.
        action: i32 [N], actions that led to the state; None at the start.
        reward: f32 [N], rewards of these actions; None at the start.
        returns: f64 [N], sum of the rewards since the start; None if unknown.
        note: short description of the policy.
    """

    env: str
    params: Mapping[str, Any]
    state: State
    time: int
    horizon: int
    episode: int
    action_names: Sequence[str]
    action: npt.NDArray[np.int32] | None = None
    reward: npt.NDArray[np.float32] | None = None
    returns: npt.NDArray[np.float64] | None = None
    note: str = ""


def moment(env: VecEnv, index: int = 0) -> Moment:
    """The current moment of environment `index` of a batch.

    Raises:
        IndexError: there is no such environment.
        ValueError: the environment was never reset.
    """
    state = env.inspect(index)
    time = int(env.time[index])
    return Moment(
        env=env.spec.name,
        params=env.params,
        state=state,
        time=time,
        horizon=env.spec.horizon,
        episode=int(env.episode[index]),
        action_names=env.spec.action_names,
        # At time 0 these are the rewards of the previous episode.
        reward=env.reward[index].copy() if time > 0 else None,
    )


def frame(env: VecEnv, index: int = 0) -> npt.NDArray[np.uint8]:
    """A picture of the current state of environment `index` of a batch.

    Returns:
        u8 [H, W, 3], RGB.

    Raises:
        IndexError: there is no such environment.
        ValueError: the environment was never reset, or it has no scene.
    """
    return np.asarray(picture(moment(env, index)))


def picture(now: Moment) -> Image.Image:
    """Draws a moment as an RGB image; all images of an episode have one size."""
    scene = scene_of(now.env, now.params, now.state)
    names = [scene.words.get(name, name) for name in now.action_names]
    table = _Table(len(now.state["agents"]), names)
    beside = scene.width < WIDE * scene.height
    if beside:
        rows = max(1, (scene.height - ROW_HEIGHT) // ROW_HEIGHT)
        table.arrange(rows=rows)
        inner = scene.width + 2 * MARGIN + table.width
    else:
        inner = max(scene.width, NARROWEST)
        table.arrange(columns=max(1, (inner + COLUMN_GAP) // (table.column + COLUMN_GAP)))
        inner = max(inner, table.width)
    inner = max(inner, _title_width(now))
    body = max(scene.height, table.height) if beside else scene.height + MARGIN + table.height
    legend = _flow(scene.legend(), inner)
    legend_top = TITLE_HEIGHT + body + MARGIN
    height = legend_top + LEGEND_ROW * (legend[-1][1] + 1) + MARGIN // 2

    canvas = Canvas(inner + 2 * MARGIN, height, PAPER)
    _title(canvas, now, inner)
    acts = None if now.action is None else [now.action_names[a] for a in now.action]
    scene.draw(canvas, MARGIN, TITLE_HEIGHT, now.state, acts)
    if beside:
        table.draw(canvas, MARGIN + scene.width + 2 * MARGIN, TITLE_HEIGHT, now)
    else:
        table.draw(canvas, MARGIN, TITLE_HEIGHT + scene.height + MARGIN, now)
    canvas.line([(MARGIN, legend_top - 6), (MARGIN + inner, legend_top - 6)], LINE)
    for x, row, entry in legend:
        top = legend_top + LEGEND_ROW * row + (LEGEND_ROW - ICON) / 2
        entry.icon(canvas, MARGIN + x, top, ICON)
        canvas.text(MARGIN + x + ICON + 6, top + ICON / 2, entry.words, TEXT_SIZE)
    return canvas.image()


def legend_of(now: Moment) -> list[str]:
    """Texts of a picture's legend."""
    scene: Scene = scene_of(now.env, now.params, now.state)
    return [entry.words for entry in scene.legend()]


# ---------------------------------------------------------------------- its parts


def _title(canvas: Canvas, now: Moment, inner: int) -> None:
    y = TITLE_HEIGHT / 2
    canvas.text(MARGIN, y, now.env, TITLE_SIZE)
    x = MARGIN + text_width(now.env, TITLE_SIZE) + TITLE_GAP
    total = None if now.returns is None else f"{now.returns.sum():.2f}"
    canvas.text(x, y, _progress_text(now, now.time, total), TEXT_SIZE + 1)
    canvas.text(MARGIN + inner, y, now.note, TEXT_SIZE, QUIET, "rm")


def _progress_text(now: Moment, time: int, total: str | None) -> str:
    text = f"episode {now.episode}    step {time} of {now.horizon}"
    return text if total is None else f"{text}    team return {total}"


def _title_width(now: Moment) -> int:
    """Width of the longest title of the episode, so that all pictures have one size."""
    longest = _progress_text(now, now.horizon, None if now.returns is None else "-100000.00")
    width = text_width(now.env, TITLE_SIZE) + text_width(longest, TEXT_SIZE + 1)
    return math.ceil(width + text_width(now.note, TEXT_SIZE) + 2 * TITLE_GAP)


def _flow(entries: Sequence[Entry], inner: int) -> list[tuple[float, int, Entry]]:
    """Wraps the legend to the width of the picture; gives (x, row, entry) per entry."""
    placed: list[tuple[float, int, Entry]] = []
    x, row = 0.0, 0
    for entry in entries:
        width = ICON + 6 + text_width(entry.words, TEXT_SIZE)
        if x > 0 and x + width > inner:
            x, row = 0.0, row + 1
        placed.append((x, row, entry))
        x += width + 22
    return placed


def _number(value: float) -> str:
    """Formats a number with at most four digits and no trailing zeros."""
    text = f"{value:+.4g}" if abs(value) < 1000 else f"{value:+.0f}"
    return "0" if float(text) == 0 else text


class _Table:
    """A table of the agents' last actions, rewards and returns so far, in one or more columns."""

    number, figure = 28, 62

    def __init__(self, agents: int, action_names: Sequence[str]) -> None:
        self.count, self.names = agents, action_names
        widest = max(text_width(name, TEXT_SIZE) for name in ["last action", *action_names])
        self.action = math.ceil(widest) + 6
        self.column = self.number + self.action + 2 * self.figure
        self.rows = self.columns = 1

    def arrange(self, *, rows: int | None = None, columns: int | None = None) -> None:
        """Sets the number of rows per column, or the number of columns."""
        if rows is not None:
            self.columns = math.ceil(self.count / rows)
        elif columns is not None:
            self.columns = min(columns, self.count)
        self.rows = math.ceil(self.count / self.columns)

    @property
    def width(self) -> int:
        return self.columns * (self.column + COLUMN_GAP) - COLUMN_GAP

    @property
    def height(self) -> int:
        return (self.rows + 1) * ROW_HEIGHT

    def draw(self, canvas: Canvas, left: float, top: float, now: Moment) -> None:
        """Draws the table; unknown values are shown as a dash."""
        for column in range(self.columns):
            x = left + column * (self.column + COLUMN_GAP)
            y = top + ROW_HEIGHT / 2
            self._row(canvas, x, y, ("last action", "reward", "return"), QUIET)
        for agent in range(self.count):
            column, row = divmod(agent, self.rows)
            x = left + column * (self.column + COLUMN_GAP)
            y = top + (row + 1.5) * ROW_HEIGHT
            draw_agent(canvas, x + 10, y, 9.5, agent)
            words = (
                "-" if now.action is None else self.names[now.action[agent]],
                "-" if now.reward is None else _number(float(now.reward[agent])),
                "-" if now.returns is None else _number(float(now.returns[agent])),
            )
            self._row(canvas, x, y, words, INK)

    def _row(
        self,
        canvas: Canvas,
        x: float,
        y: float,
        words: tuple[str, str, str],
        colour: tuple[int, int, int],
    ) -> None:
        action, reward, total = words
        canvas.text(x + self.number, y, action, TEXT_SIZE, colour)
        right = x + self.number + self.action + self.figure
        canvas.text(right, y, reward, TEXT_SIZE, colour, "rm")
        canvas.text(right + self.figure, y, total, TEXT_SIZE, colour, "rm")
