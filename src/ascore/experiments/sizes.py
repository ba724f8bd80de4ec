"""Draws what a study finds against the number of agents: returns, and what learning costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from ascore.experiments.results import Findings
from ascore.render import charts
from ascore.render.charts import F64, Picture
from ascore.runs.statistics import band

HEIGHT = 2.1  # of a row of panels, inches
ALIKE = "random", "selfish", "cooperative"
"""Anchors that are the same per agent, however many there are."""

Row = Mapping[str, Any]
Of = Callable[[Row], float]
# Title of a panel, and what it shows of a finished run, for all its agents together.
QUANTITIES: tuple[tuple[str, Of], ...] = (
    ("return per agent and episode", lambda row: row["team_return"]),
    ("time of training per agent, s", lambda row: row["seconds"]),
    ("memory of the process per agent, MB", lambda row: row.get("peak_memory", np.nan) / 1e6),
    ("sent per agent and episode, kB", lambda row: row["bytes_sent"] / row["episodes"] / 1e3),
)


def draw(findings: Findings) -> Picture:
    """A panel per quantity, a curve per series."""
    record = findings.record
    sizes = {key: entry["env_params"]["num_agents"] for key, entry in record["panels"].items()}
    series = {k: v for entry in record["panels"].values() for k, v in entry["series"].items()}
    looks = charts.looks([entry["algorithm"] for entry in series.values()])
    figure, grid = charts.figure(2, 2, 2 * HEIGHT + 0.9)
    for axes, (title, of) in zip(grid.flat, QUANTITIES, strict=True):
        axes.set_xscale("log")
        axes.set_title(title, fontsize=charts.LARGE, loc="left")
        axes.set_xticks(list(sizes.values()), [f"{n:,}" for n in sizes.values()], minor=False)
        axes.minorticks_off()
        for index, (key, entry) in enumerate(series.items()):
            points = _points(findings, sizes, key, of)
            if points is not None:
                place = index, len(series)
                charts.draw_curve(axes, *points, looks[index], place, entry["label"])
    for axes in grid[1]:
        axes.set_xlabel("agents", fontsize=charts.NORMAL)
    returns = [line.get_ydata() for line in grid[0, 0].lines]
    first = next(iter(record["panels"]))
    anchors = {k: v / sizes[first] for k, v in record["panels"][first]["anchors"].items()}
    alike = {key: anchors[key] for key in ALIKE if key in anchors}
    if returns:
        shown = charts.show_what_counts(grid[0, 0], returns, alike)
        charts.label_right(grid[0, 0], (), shown, HEIGHT - 0.5)
    for axes in (grid[0, 1], grid[1, 0]):  # they span powers of ten
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=3, frameon=False,
        fontsize=charts.NORMAL, handlelength=2.6, columnspacing=1.2,
        title=record["title"], title_fontsize=charts.LARGE + 1,
    )  # fmt: skip
    return figure


def _points(
    findings: Findings, sizes: Mapping[str, int], key: str, of: Of
) -> tuple[F64, tuple[F64, F64, F64]] | None:
    """Sizes and mean, low and high of a series; None if none of its runs has finished."""
    curve = {
        n: band(np.array([[of(row) / n] for row in findings.rows(panel, key)]))
        for panel, n in sizes.items()
        if findings.rows(panel, key)
    }
    if not curve:
        return None
    low, middle, high = (np.concatenate([part[k] for part in curve.values()]) for k in (1, 0, 2))
    return np.array(list(curve), dtype=np.float64), (middle, low, high)
