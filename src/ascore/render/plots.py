"""Pictures of runs: learning curves by setting, with the anchors, such as selfish play."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ascore.envs.factory import anchor_values
from ascore.errors import AscoreWarning, RunError
from ascore.render import charts
from ascore.render.charts import Look, Picture
from ascore.runs.course import Course, Measure, Quantity, course, width_of, with_returns
from ascore.runs.files import as_path
from ascore.runs.groups import Source, by_environment, by_setting, open_runs
from ascore.runs.run import Run
from ascore.runs.statistics import FEW

Against = Literal["auto", "both", "episodes", "bytes"]

MOST_ENVIRONMENTS = 12


def plot(*runs: Source, against: Against = "auto", measure: Measure = "team_return") -> Picture:
    """Draws team return by setting: interquartile mean over seeds with its 95% band, and anchors.

    Or how it is shared out: what the agent earns that earns least, Nash welfare, or the Gini
    coefficient, each of the agents' smoothed returns.

    Runs that differ in nothing but their seed make one curve, named by its algorithm and by what
    tells it from the others. Curves are smoothed by a moving average over 2% of the updates; the
    picture says so. Each environment has its own panel, as wide as a printed column (3.3 inches).

    It leaves pyplot and its backend alone, so a notebook keeps showing other plots.

    Args:
        runs: runs, run folders, or folders of runs such as a sweep's.
        against: quantity on the horizontal axis: episodes, bytes (sent by all agents) or both side
            by side; auto = both if anything was sent and there is one environment, else episodes.
        measure: quantity on the vertical axis; anchors are drawn for team_return alone.

    Returns:
        A `matplotlib.figure.Figure`; `savefig("curves.pdf")` writes it, and a notebook shows it.

    Raises:
        RunError: there is no run, no run has anything to draw, or there are more than 12
            environments.
    """
    drawn, empty = with_returns(open_runs(runs))
    _mention(drawn, empty)
    panels = [_panel(members, measure) for members in by_environment(drawn)]
    if len(panels) > MOST_ENVIRONMENTS:
        message = (
            f"{len(panels)} environments do not fit on one picture; give the runs of at most "
            f"{MOST_ENVIRONMENTS}"
        )
        raise RunError(message)
    if against == "auto":
        both = len(panels) == 1 and any(line.sends for line in panels[0].bytes)
        against = "both" if both else "episodes"
    if len(panels) == 1 or against == "both":
        quantities = ["episodes", "bytes"] if against == "both" else [against]
        layout = [[(panel, cast(Quantity, q)) for q in quantities] for panel in panels]
    else:
        cells = [(panel, against) for panel in panels]
        layout = [cells[k : k + 2] for k in range(0, len(cells), 2)]
    return _draw(layout, panels, measure)


def plot_runs(
    paths: Sequence[str | Path],
    out: str | Path,
    against: Against = "auto",
    measure: Measure = "team_return",
) -> None:
    """Writes the picture of `plot`; the suffix of `out` sets the format (.png, .pdf, .svg).

    Raises:
        RunError: as `plot`, or the picture cannot be written.
    """
    out = as_path(out)
    charts.require_place(out)
    charts.save(plot(*paths, against=against, measure=measure), out)


@dataclass(frozen=True)
class _Panel:
    """What is known about the runs of one environment.

    Attributes:
        title: environment and number of agents.
        anchors: returns by label.
        episodes: courses against training episodes, one per setting.
        bytes: the same against bytes sent.
        looks: one per setting.
        updates: of the runs, fewest and most.
    """

    title: str
    anchors: dict[str, float]
    episodes: list[Course]
    bytes: list[Course]
    looks: list[Look]
    updates: tuple[int, int]

    def courses(self, quantity: Quantity) -> list[Course]:
        return self.episodes if quantity == "episodes" else self.bytes


def _panel(runs: Sequence[Run], measure: Measure) -> _Panel:
    groups = by_setting(runs)
    config = groups[0].config
    agents = len(runs[0].metrics[0]["bytes_sent"])
    lengths = [len(run.metrics) for group in groups for run in group.runs]
    given = {k: v for k, v in config.env_params.items() if k != "num_agents"}
    return _Panel(
        title=", ".join([config.env, f"{agents} agents", *(f"{k} {v}" for k, v in given.items())]),
        anchors=dict(anchor_values(config.env, config.env_params))
        if measure == "team_return"
        else {},
        episodes=[course(group, "episodes", measure) for group in groups],
        bytes=[course(group, "bytes", measure) for group in groups],
        looks=charts.looks([group.config.algorithm for group in groups]),
        updates=(min(lengths), max(lengths)),
    )


def _mention(drawn: Sequence[Run], empty: Sequence[Run]) -> None:
    """Says which runs are left out."""
    names = ", ".join(str(run.path) for run in empty)
    if names and not drawn:
        message = (
            f"there is nothing to draw: no episode has ended in {names}; train longer, or use "
            "rollout_steps that reach the end of an episode"
        )
        raise RunError(message)
    if names:
        message = f"left out, since no episode has ended there: {names}"
        warnings.warn(message, AscoreWarning, stacklevel=3)


def _draw(
    layout: Sequence[Sequence[tuple[_Panel, Quantity]]],
    panels: Sequence[_Panel],
    measure: Measure,
) -> Picture:
    labels = max(len(panel.episodes) + len(panel.anchors) for panel in panels)
    height = charts.height_of(labels)
    same = len(panels) == 1
    figure, grid = charts.figure(
        len(layout), len(layout[0]), len(layout) * height + 0.45, sharey=same
    )
    for axes, row in zip(grid, layout, strict=True):
        for place, (panel, quantity) in enumerate(row):
            last = place == len(row) - 1 or row[place + 1][0] is not panel
            _curves(axes[place], panel, quantity, height - 0.55, named=last)
            charts.name_axes(axes[place], quantity, measure, left=place == 0 or not same)
            if place == 0 or row[place - 1][0] is not panel:
                axes[place].set_title(panel.title, fontsize=charts.LARGE, loc="left")
        for unused in axes[len(row) :]:
            unused.axis("off")
    charts.caption(figure, _caption(panels))
    return figure


def _curves(axes: Any, panel: _Panel, quantity: Quantity, height: float, *, named: bool) -> None:
    courses = panel.courses(quantity)
    if quantity == "bytes" and any(line.sends for line in courses):
        axes.set_xscale("log")
    for index, (line, look) in enumerate(zip(courses, panel.looks, strict=True)):
        place = index, len(courses)
        if quantity == "bytes" and not line.sends:
            _silent(axes, line, look)
        else:
            charts.draw_curve(
                axes, line.x, (line.middle, line.low, line.high), look, place, line.label
            )
    anchors = charts.show_what_counts(axes, [line.middle for line in panel.episodes], panel.anchors)
    counts = {line.n for line in courses}
    names = [line.label if len(counts) == 1 else f"{line.label} (n = {line.n})" for line in courses]
    ends = [
        (float(line.middle[-1]), name, look)
        for line, name, look in zip(courses, names, panel.looks, strict=True)
    ]
    charts.label_right(axes, ends if named else [], anchors if named else {}, height)
    if not named:
        for value in anchors.values():
            axes.axhline(value, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)


def _silent(axes: Any, line: Course, look: Look) -> None:
    """A run that sends nothing has no place on a logarithmic axis: a marker at its left end."""
    axes.plot(
        0.0, line.middle[-1], look.marker, color=look.colour, markersize=4.5, zorder=4,
        markerfacecolor="white", clip_on=False, transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    axes.annotate(
        "sends nothing", (0.0, line.middle[-1]), (4, 3), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", fontsize=charts.SMALL, color=look.colour,
    )  # fmt: skip


def _caption(panels: Sequence[_Panel]) -> str:
    """How the curves were made: runs, band, smoothing, and where a curve is not complete."""
    courses = [line for panel in panels for line in panel.episodes]
    fewest, most = min(line.n for line in courses), max(line.n for line in courses)
    short, long = (pick(w for panel in panels for w in panel.updates) for pick in (min, max))
    widths = sorted({width_of(short), width_of(long)})
    updates = " to ".join(map(str, widths)) + (" updates" if widths[-1] > 1 else " update")
    average = f"moving average over {updates} (2%)" if widths[-1] > 1 else "not smoothed"
    if most == 1:
        text = f"One run per curve; {average}."
    else:
        n = f"n = {fewest}" if fewest == most else f"n = {fewest} to {most}"
        text = f"Interquartile mean over seeds, {n}, with 95% bootstrap band; {average}."
        if fewest < FEW:
            text += f" Bands from fewer than {FEW} runs are too narrow."
    early = [line.label for line in courses if line.ends_early]
    if early:
        text += f" Ends with its shortest run: {'; '.join(early)}."
    return text
