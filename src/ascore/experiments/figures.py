"""Draws the paper's figures from the files of a study alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ascore.experiments import sizes
from ascore.experiments.results import POINTS, Findings
from ascore.experiments.tables import overall
from ascore.render import charts
from ascore.render.charts import Look, Picture
from ascore.runs.files import write_atomic
from ascore.runs.statistics import Estimate, band, estimate

COLUMNS = 2
# Series of one algorithm differ in the penalty weight; larger weights are darker.
SHADES = ("#56B4E9", "#0072B2", "#000000")
PAIR = ("#D55E00", "#0072B2")
AGENTS = ("#0072B2", "#D55E00")
LOWEST = -0.5  # lowest normalised return drawn; lower ones are written as numbers
ROW = 2.35  # height of a row of panels, inches


def draw(findings: Findings, folder: Path) -> Path:
    """Writes `<figure>.png` and, for print, `<figure>.pdf` into the folder.

    Raises:
        RunError: a picture cannot be written.
    """
    record = findings.record
    make = {"anticipations": _anticipations, "sizes": sizes.draw}.get(record["kind"], _panels)
    figure = make(findings)
    runs = [len(findings.returns(p, s)) for p, s in _places(record)]
    fewest, most = min(runs, default=0), max(runs, default=0)
    seeds = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    text = (
        f"Interquartile mean over {seeds} with 95% bootstrap band (preset {record['preset']}, "
        f"budget {record['budget']})."
    )
    if record["kind"] != "sizes":
        text += f" Each point is the mean of 1/{POINTS} of training; no other smoothing."
    if record["kind"] == "returns":
        text += (
            " Normalised returns: large mark = interquartile mean, bar = 95% interval, dot = seed, "
            "number = seed beyond the axis."
        )
    charts.caption(figure, text)
    out = folder / f"{record['figure']}.png"
    figure.draw_without_rendering()  # finds the places of all things, once for both files
    figure.set_layout_engine("none")
    for suffix in (".pdf", ".png"):  # never through a link that lies there
        write_atomic(out.with_suffix(suffix), charts.encoded(figure, suffix))
    return out


def _places(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(p, s) for p, entry in record["panels"].items() for s in entry["series"]]


def _panels(findings: Findings) -> Picture:
    """Draws a panel of curves per environment and, for kind `returns`, normalised returns."""
    record = findings.record
    with_returns = record["kind"] == "returns"
    count = len(record["panels"]) + with_returns
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure, grid = charts.figure(rows, columns, ROW * rows + 0.8)
    places = list(grid.flat)
    legends = [
        [s["label"] for s in entry["series"].values()] for entry in record["panels"].values()
    ]
    alike = all(labels == legends[0] for labels in legends)
    for index, (axes, panel) in enumerate(zip(places, record["panels"], strict=False)):
        _curves(axes, findings, panel, named=not alike)
        charts.name_axes(axes, "episodes", left=index % columns == 0)
    if with_returns:
        _final_returns(places[count - 1], findings)
    for axes in places[count:]:
        axes.axis("off")
    if alike:
        handles, labels = places[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), frameon=False,
            fontsize=charts.NORMAL, handlelength=2.6, columnspacing=1.2,
            title=record["title"], title_fontsize=charts.LARGE + 1,
        )  # fmt: skip
    else:
        figure.suptitle(record["title"], fontsize=charts.LARGE + 1)
    return figure


def _curves(axes: Any, findings: Findings, panel: str, *, named: bool) -> None:
    entry = findings.record["panels"][panel]
    looks = _looks(entry["series"])
    middles, ends = [], []
    for index, (key, series) in enumerate(entry["series"].items()):
        x, curves = findings.curve(panel, key, "team_return")
        if not len(x):
            continue
        middle, low, high = band(curves)
        place = index, len(looks)
        charts.draw_curve(axes, x, (middle, low, high), looks[key], place, series["label"])
        middles.append(middle)
        ends.append((float(middle[-1]), series["label"], looks[key]))
    axes.set_title(entry["title"], fontsize=charts.LARGE, loc="left")
    axes.margins(x=0.01)
    if not middles:
        return
    anchors = charts.show_what_counts(axes, middles, entry["anchors"])
    charts.label_right(axes, ends if named else [], anchors, ROW - 0.6)


def _looks(series: dict[str, Any]) -> dict[str, Look]:
    algorithms = [entry["algorithm"] for entry in series.values()]
    if len(set(algorithms)) == len(algorithms):
        return dict(zip(series, charts.looks(algorithms), strict=True))
    by_weight = sorted(series, key=lambda key: float(series[key]["penalty_weight"]))
    shades = SHADES if len(by_weight) == len(SHADES) else PAIR
    lines = charts.LINES if len(by_weight) == len(SHADES) else charts.LINES[1::-1]
    return {
        key: Look(shade, marker, line)
        for key, shade, marker, line in zip(by_weight, shades, charts.MARKERS, lines, strict=False)
    }


def _final_returns(axes: Any, findings: Findings) -> None:
    """Draws normalised final returns: a row per environment, marks as those of the curves."""
    record = findings.record
    groups = list(record["panels"])
    series = list(record["panels"][groups[0]]["series"])
    looks = _looks(record["panels"][groups[0]]["series"])
    all_panels = overall(findings)
    step = 0.8 / len(series)
    below: list[tuple[float, float]] = []
    for column, key in enumerate(series):
        offset = (column - (len(series) - 1) / 2) * step
        for group, panel in enumerate(groups):
            scores = findings.scores(panel, key)
            if not len(scores) or np.isnan(scores).any():
                continue
            _mark(axes, group + offset, estimate([scores]), looks[key])
            seen = scores[scores >= LOWEST]
            axes.plot(
                seen, np.full(len(seen), group + offset), ".", color=looks[key].colour,
                markersize=2.5, alpha=0.7, zorder=2,
            )  # fmt: skip
            below += [(group + offset, score) for score in scores if score < LOWEST]
        if key in all_panels:
            _mark(axes, len(groups) + offset, all_panels[key], looks[key])
    names = _names(record)
    if all_panels:
        names.append("all")
        axes.axhline(len(groups) - 0.5, color="0.6", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=charts.SMALL)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", alpha=0.0)
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
    for value, label in ((0.0, "selfish"), (1.0, "cooperative")):
        axes.axvline(value, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        axes.annotate(
            label, (value, 1.0), (0, 2), xycoords=("data", "axes fraction"), ha="center",
            textcoords="offset points", fontsize=charts.SMALL, color=charts.QUIET,
        )  # fmt: skip
    if below:  # a collapsed run must not compress the axis for all others
        axes.set_xlim(left=LOWEST)
    for y, score in below:
        axes.plot(LOWEST, y, "<", color="0.2", markersize=3.5, clip_on=False, zorder=5)
        axes.annotate(
            charts.number(round(score, 1)), (LOWEST, y), (6, 0), va="center",
            textcoords="offset points", fontsize=charts.SMALL, color="0.2", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    others = {record["panels"][panel]["zero"] for panel in groups} - {"selfish"}
    note = f" (* 0 = {', '.join(sorted(others))})" if others else ""
    axes.set_xlabel(f"normalised final return{note}", fontsize=charts.NORMAL)


def _names(record: dict[str, Any]) -> list[str]:
    """Short names of the environments; a star where 0 is not selfish play."""
    panels = record["panels"].values()
    names = [entry["title"].partition(",")[0] for entry in panels]
    if len(set(names)) < len(names):
        names = [entry["title"].partition(", ")[2] for entry in panels]
    return [
        name if entry["zero"] == "selfish" else f"{name} *"
        for name, entry in zip(names, panels, strict=True)
    ]


def _mark(axes: Any, y: float, value: Estimate, look: Look) -> None:
    if value.ci95 is not None:
        axes.hlines(y, *value.ci95, color=look.colour, linewidth=1.2, zorder=3)
    axes.plot(
        value.iqm, y, look.marker, color=look.colour, markersize=4.2, zorder=4,
        markerfacecolor="white", markeredgewidth=1.1,
    )  # fmt: skip


def _anticipations(findings: Findings) -> Picture:
    """Draws two rows as in the paper: the anticipated actions, and the error of anticipation."""
    panel, entry = next(iter(findings.record["panels"].items()))
    key = next(iter(entry["series"]))
    rows = (
        ("anticipated_towards", 'share of anticipated\nactions "towards"'),
        ("anticipation_mse", "mean squared error of\nanticipated probabilities"),
    )
    figure, grid = charts.figure(2, 2, 2 * 1.9 + 0.7, sharey="row")
    figure.suptitle(findings.record["title"], fontsize=charts.LARGE + 1)
    for row, (metric, name) in enumerate(rows):
        for agent in range(2):
            axes = grid[row, agent]
            x, curves = findings.curve(panel, key, f"{metric}_{agent}")
            if len(x):
                look = Look(AGENTS[agent], charts.MARKERS[agent], "-")
                charts.draw_curve(axes, x, band(curves), look, (0, 1), "")
            charts.name_axes(axes, "episodes", left=False)
            if row == 0:
                axes.set_xlabel("")
            if agent == 0:
                axes.set_ylabel(name, fontsize=charts.NORMAL)
            title = f"agent {agent + 1}, of agent {2 - agent}'s actions"
            axes.set_title(title, fontsize=charts.LARGE, loc="left")
        axes.set_ylim(*((0.0, 1.02) if row == 0 else (0.0, None)))  # of both panels
    return figure
