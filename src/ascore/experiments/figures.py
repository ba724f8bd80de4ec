"""Draws the paper's figures from the files of a study alone."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from ascore.experiments.results import Findings
from ascore.experiments.statistics import Estimate, band, estimate
from ascore.experiments.tables import overall
from ascore.render.plots import COLOURS, OTHER
from ascore.runs.files import write_atomic

COLUMNS = 3
# Series of one algorithm differ in the penalty weight; larger weights are darker.
SHADES = ("#9ecae1", "#0072B2", "#08306b")
LABEL_HEIGHT = 0.045  # share of the panel's height; closer lines share one label
AGENTS = ("#0072B2", "#D55E00")
LOWEST = -0.5  # lowest normalised return drawn; lower ones are written as numbers


def draw(findings: Findings, folder: Path) -> Path:
    """Writes `<figure>.png` into the folder.

    Raises:
        RunError: the picture cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    record = findings.record
    make = _anticipations if record["kind"] == "anticipations" else _panels
    figure = make(findings, plt)
    runs = max((len(findings.returns(p, s)) for p, s in _places(record)), default=0)
    figure.suptitle(
        f"{record['title']}\npreset {record['preset']}, budget {record['budget']}; "
        f"interquartile mean of {runs} runs with 95% bootstrap bands",
        fontsize=11,
    )
    out = folder / f"{record['figure']}.png"
    picture = io.BytesIO()
    try:
        figure.savefig(picture, dpi=130, format="png")
    finally:
        plt.close(figure)
    write_atomic(out, picture.getvalue())  # never through a link that lies there
    return out


def _places(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(p, s) for p, entry in record["panels"].items() for s in entry["series"]]


def _panels(findings: Findings, plt: Any) -> Any:
    """Draws a panel of curves per environment and, for kind `returns`, normalised returns."""
    record = findings.record
    with_bars = record["kind"] == "returns"
    count = len(record["panels"]) + with_bars
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(4.3 * columns, 3.4 * rows + 0.7),
        layout="constrained",
        squeeze=False,
    )
    places = list(grid.flat)
    legends = [
        [s["label"] for s in entry["series"].values()] for entry in record["panels"].values()
    ]
    alike = all(labels == legends[0] for labels in legends)
    for axes, (panel, entry) in zip(places, record["panels"].items(), strict=False):
        colours = _colours(entry["series"])
        for key, series in entry["series"].items():
            x, curves = findings.curve(panel, key, "team_return")
            if len(x):
                _curve(axes, x, curves, series["label"], colours[key])
        _anchor_lines(axes, entry["anchors"])
        axes.set_title(entry["title"], fontsize=11)
        axes.set_xlabel("training episodes")
        axes.set_ylabel("team return")
        if not alike and any(axes.get_legend_handles_labels()[1]):
            axes.legend(fontsize=8, loc="best", framealpha=0.9, edgecolor="white")
    if with_bars:
        _bars(places[count - 1], findings)
    for axes in places[count:]:
        axes.axis("off")
    if alike:
        lines, labels = places[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _colours(series: dict[str, Any]) -> dict[str, str]:
    algorithms = [entry["algorithm"] for entry in series.values()]
    if len(set(algorithms)) == len(algorithms):
        return {key: COLOURS.get(e["algorithm"], OTHER) for key, e in series.items()}
    by_weight = sorted(series, key=lambda key: float(series[key]["penalty_weight"]))
    shades = SHADES if len(by_weight) == len(SHADES) else (COLOURS["ippo"], COLOURS["as"])
    return dict(zip(by_weight, shades, strict=True))


def _curve(axes: Any, x: Any, curves: Any, label: str | None, colour: str) -> None:
    middle, low, high = band(curves)
    axes.plot(x, middle, color=colour, linewidth=1.6, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.grid(alpha=0.25)
    axes.margins(x=0.01)
    axes.ticklabel_format(axis="x", style="plain")
    axes.xaxis.get_major_locator().set_params(nbins=5)


def _anchor_lines(axes: Any, anchors: dict[str, float]) -> None:
    """Draws lines at the anchors; that of random play only if it is within the curves' range."""
    low, high = axes.get_ylim()
    shown = {k: v for k, v in anchors.items() if k != "random" or low <= v <= high}
    for value in shown.values():
        axes.axhline(value, color="0.45", linewidth=0.9, linestyle="--")
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    groups: list[list[tuple[float, str]]] = []
    for value, label in sorted((value, label) for label, value in shown.items()):
        if groups and value - groups[-1][-1][0] < LABEL_HEIGHT * (high - low):
            groups[-1].append((value, label))
        else:
            groups.append([(value, label)])
    for group in groups:
        text = "\n".join(f"{label} {value:g}" for value, label in reversed(group))
        _note(axes, (group[0][0] + group[-1][0]) / 2, text)


def _note(axes: Any, value: float, text: str) -> None:
    """Writes small text beside the right end of a horizontal line, clear of the curves."""
    axes.annotate(
        text,
        (1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color="0.3",
    )


def _bars(axes: Any, findings: Findings) -> None:
    """Draws normalised final returns: a group per environment, a bar per series, a dot per run."""
    record = findings.record
    groups = list(record["panels"])
    series = list(next(iter(record["panels"].values()))["series"])
    colours = _colours(record["panels"][groups[0]]["series"])
    all_panels = overall(findings)
    width = 0.8 / len(series)
    below: list[tuple[float, float]] = []
    for column, key in enumerate(series):
        for group, panel in enumerate(groups):
            scores = findings.scores(panel, key)
            if not len(scores) or np.isnan(scores).any():
                continue
            x = group + (column - (len(series) - 1) / 2) * width
            result = estimate([scores])
            _bar(axes, x, width, result, colours[key])
            axes.plot(np.full(len(scores), x), scores, ".", color="0.2", markersize=2.5, zorder=3)
            below += [(x, score) for score in scores if score < LOWEST]
        if key in all_panels:
            x = len(groups) + (column - (len(series) - 1) / 2) * width
            _bar(axes, x, width, all_panels[key], colours[key])
    names = [record["panels"][panel]["title"].partition(",")[0] for panel in groups]
    if len(set(names)) < len(names):
        names = [record["panels"][panel]["title"].partition(", ")[2] for panel in groups]
    others = {record["panels"][panel]["zero"] for panel in groups} - {"selfish"}
    names = [
        name if record["panels"][panel]["zero"] == "selfish" else f"{name} *"
        for name, panel in zip(names, groups, strict=True)
    ]
    if others:
        axes.set_xlabel(f"* 0 = {', '.join(sorted(others))}", fontsize=8)
    if all_panels:
        names.append("all")
        axes.axvline(len(groups) - 0.5, color="0.7", linewidth=0.8)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    if len(names) > COLUMNS:
        axes.tick_params(axis="x", rotation=30)
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    for value, label in ((0.0, "selfish"), (1.0, "cooperative")):
        axes.axhline(value, color="0.45", linewidth=0.9, linestyle="--")
        _note(axes, value, label)
    if below:  # a collapsed run must not compress the axis for all others
        axes.set_ylim(bottom=LOWEST)
    for x, score in below:
        axes.plot(x, LOWEST, "v", color="0.2", markersize=4, clip_on=False, zorder=5)
        axes.annotate(
            f"{score:.1f}", (x, LOWEST), (4, 3), textcoords="offset points", fontsize=7, color="0.2"
        )
    axes.set_ylabel("normalised final return")
    axes.set_title("Final team return, normalised", fontsize=11)
    axes.grid(alpha=0.25, axis="y")


def _bar(axes: Any, x: float, width: float, value: Estimate, colour: str) -> None:
    axes.bar(x, value.iqm, 0.92 * width, color=colour, alpha=0.8)
    if value.ci95 is not None:
        axes.vlines(x, *value.ci95, color="black", linewidth=1.2, zorder=4)


def _anticipations(findings: Findings, plt: Any) -> Any:
    """Draws two rows as in the paper: the anticipated actions, and the error of anticipation."""
    panel, entry = next(iter(findings.record["panels"].items()))
    key = next(iter(entry["series"]))
    rows = (
        ("anticipated_towards", 'share of anticipated\nactions "towards"'),
        ("anticipation_mse", "mean squared error of\nanticipated probabilities"),
    )
    figure, grid = plt.subplots(2, 2, figsize=(9.0, 5.8), layout="constrained", sharex=True)
    for row, (metric, name) in enumerate(rows):
        for agent in range(2):
            axes = grid[row, agent]
            x, curves = findings.curve(panel, key, f"{metric}_{agent}")
            if len(x):
                _curve(axes, x, curves, None, AGENTS[agent])
            axes.set_ylim(*((0.0, 1.02) if row == 0 else (0.0, None)))
            if agent == 0:
                axes.set_ylabel(name)
            axes.set_title(f"agent {agent + 1} of agent {2 - agent}", fontsize=10)
            if row == 1:
                axes.set_xlabel("training episodes")
    return figure
