"""Draws docs/peer-ratio.png from the data of measure.py, and docs/peer-ratio-returns.png.

python docs/peer-ratio/draw.py
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ascore.render import charts
from ascore.render.charts import Look

HERE = Path(__file__).resolve().parent
LOOKS = {"true": Look("#0072B2", "o", "-"), "anticipated": Look("#D55E00", "s", (0, (4, 1.2)))}
# The two denominators differ in one letter, so pictures use words.
NAMES = {"true": "true ratio", "anticipated": "printed ratio"}
MEANINGS = (
    "True ratio: divided by the policy that drew the action, which the neighbour sent. "
    "Printed ratio (Eq. 13): divided by the agent's own old anticipation."
)
TERMS = {"policy": Look("#000000", "^", "-"), "penalty": Look("#009E73", "D", (0, (4, 1.2)))}
ROW = 2.2

# Team returns between which an environment is drawn, with what stands at the dashed lines.
ANCHORS = {
    "Exchange": {"all boxes open": 6.0, "nobody opens": -9.0},
    "Cleanup": {"cooperative": 55.1, "selfish": 0.0},
    "Harvest": {"cooperative": 80.4, "selfish": 60.0},
    "C. Navigation": {"cooperative": -11.9},
    "C. Predation, 8 agents": {
        "one approaches": -120.0,
        "all approach": -240.0,
        "none approaches": -720.0,
    },
}


def main() -> None:
    """Both pictures."""
    collapse()
    returns()


def returns() -> None:
    """Final team returns in five environments, a mark per seed."""
    reached: dict[tuple[str, str], list[float]] = defaultdict(list)
    with open(HERE / "returns.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            reached[row["environment"], row["ratio"]].append(float(row["team_return"]))
    figure, grid = charts.figure(3, 2, 3 * ROW)
    for place, (axes, (environment, anchors)) in enumerate(
        zip(grid.flat, ANCHORS.items(), strict=False)
    ):
        for at, ratio in enumerate(NAMES):
            values, look = reached[environment, ratio], LOOKS[ratio]
            spread = np.linspace(-0.15, 0.15, len(values))
            axes.plot(
                at + spread, values, look.marker, color=look.colour, markersize=5,
                markerfacecolor="white", markeredgewidth=1.2, zorder=3,
            )  # fmt: skip
        axes.set_xlim(-0.5, 1.5)
        axes.margins(y=0.12)
        seen = [*anchors.values(), *reached[environment, "true"]]
        seen += reached[environment, "anticipated"]
        margin = 0.08 * (max(seen) - min(seen))
        axes.set_ylim(min(seen) - margin, max(seen) + margin)
        charts.label_right(axes, [], anchors, ROW - 0.6)
        axes.set_xticks([0, 1], [NAMES[ratio] for ratio in NAMES], fontsize=charts.NORMAL)
        axes.set_title(environment, fontsize=charts.LARGE, loc="left")
        axes.grid(axis="x", alpha=0.0)
        if place % 2 == 0:
            axes.set_ylabel("team return per episode", fontsize=charts.NORMAL)
    grid.flat[-1].axis("off")
    grid.flat[-1].text(
        0.0, 0.5, "One mark per seed (0 to 4):\nmean of 200 evaluation episodes.\n\n"
        "True ratio: divided by the policy\nthat drew the action, which the\nneighbour sent.\n\n"
        "Printed ratio (Eq. 13): divided by\nthe agent's own old anticipation.",
        fontsize=charts.NORMAL, color=charts.QUIET, va="center", transform=grid.flat[-1].transAxes,
    )  # fmt: skip
    charts.save(figure, HERE.parent / "peer-ratio-returns.png")


def collapse() -> None:
    """Return, probability of *open* and the forces on its logit, for both ratios."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    with open(HERE / "exchange.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {k: float(v) for k, v in row.items() if k not in ("ratio", "gate")}
            rows[row["ratio"]].append(numbers)
    figure, grid = charts.figure(2, 2, 2 * ROW + 0.4)
    for ratio in NAMES:
        _line(grid[0, 0], rows[ratio], LOOKS[ratio], "team_return")
        _line(grid[0, 1], rows[ratio], LOOKS[ratio], "open")
        _line(grid[0, 1], rows[ratio], Look(LOOKS[ratio].colour, "", ":"), "open_wished")
    _named(grid[0, 0], rows, "team_return", {"all boxes open": 6.0, "nobody opens": -9.0})
    grid[0, 0].set_ylabel("team return per episode", fontsize=charts.NORMAL)
    grid[0, 1].set_ylim(0, 1)
    _named(grid[0, 1], rows, "open", {"uniform play": 1 / 6})
    grid[0, 1].set_ylabel("mean probability of open", fontsize=charts.NORMAL)
    grid[0, 1].set_title(
        "dotted: anticipations", fontsize=charts.SMALL, color=charts.QUIET, loc="left"
    )
    for axes, ratio in zip(grid[1], ("anticipated", "true"), strict=True):
        ends = []
        for name, look in TERMS.items():
            for row in rows[ratio]:
                row[name] = 1e3 * (row[f"{name}_own"] + row[f"{name}_peers"])
            _line(axes, rows[ratio], look, name)
            ends.append((rows[ratio][-1][name], f"{name} terms", look))
        axes.axhline(0, color="0.5", linewidth=0.8, zorder=0)
        axes.set_ylim(-9, 21)
        charts.label_right(axes, ends, {}, ROW - 0.6)
        axes.set_title(NAMES[ratio], fontsize=charts.LARGE, loc="left")
    for axes in grid.flat:
        charts.name_axes(axes, "episodes", left=False)
    grid[1, 0].set_ylabel("net force on the logit\nof open (thousandths)", fontsize=charts.NORMAL)
    charts.caption(figure, f"{MEANINGS} One seed, not smoothed.")
    charts.save(figure, HERE.parent / "peer-ratio.png")


def _line(axes: Any, rows: list[dict[str, float]], look: Look, key: str) -> None:
    """A curve per seed."""
    for seed in sorted({row["seed"] for row in rows}):
        mine = [row for row in rows if row["seed"] == seed]
        x = [row["episodes"] for row in mine]
        axes.plot(
            x, [row[key] for row in mine], color=look.colour, linestyle=look.line, linewidth=1.2,
            marker=look.marker, markersize=3.4, markerfacecolor="white", markevery=3,
        )  # fmt: skip


def _named(
    axes: Any, rows: dict[str, list[dict[str, float]]], key: str, anchors: dict[str, float]
) -> None:
    axes.margins(y=0.07)
    for value in anchors.values():
        axes.axhline(value, alpha=0.0)  # on the axis
    ends = [(rows[ratio][-1][key], NAMES[ratio], LOOKS[ratio]) for ratio in NAMES]
    charts.label_right(axes, ends, anchors, ROW - 0.6)


if __name__ == "__main__":
    main()
