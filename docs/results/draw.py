"""Draws docs/results/predation-n2.png and predation-n2-all.png from the data in this folder.

    python docs/results/draw.py            # both pictures
    python docs/results/draw.py runs/n2    # first writes predation-n2-curves.csv from the sweep

Curves of Anticipation Sharing, independent and centralised PPO are those of fig6-tuned; those of
VS, VPS and PS are in predation-n2-curves.csv. What all six algorithms reached and sent is in
predation-n2.csv. README.md names the sweep.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ascore.experiments import results
from ascore.render import charts
from ascore.runs.course import team_returns
from ascore.runs.folder import runs_below
from ascore.runs.run import Run
from ascore.runs.statistics import band, estimate

HERE = Path(__file__).resolve().parent
CURVES = HERE / "predation-n2-curves.csv"
COLUMNS = ("algorithm", "seed", "episodes", "team_return")
PANEL = "predation-n2"
ALGORITHMS = ("as", "cppo", "ps", "vps", "vs", "ippo")
HEIGHT = 2.7

F64 = npt.NDArray[np.float64]


def main() -> None:
    """Both pictures; with the folder of a sweep, first the table of curves."""
    if len(sys.argv) > 1:
        gather(Path(sys.argv[1]))
    draw_curves()
    draw_traffic()


def gather(sweep: Path) -> None:
    """Writes the curves of VS, VPS and PS: means over 1/60 of training each."""
    with open(CURVES, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        runs = [Run.open(folder) for folder in runs_below(sweep)]
        runs.sort(key=lambda run: (ALGORITHMS.index(run.config.algorithm), run.config.seed))
        for run in runs:
            if run.config.algorithm not in ("vs", "vps", "ps"):
                continue
            episodes = [record["episodes"] for record in run.metrics]
            parts = np.array_split(np.arange(len(episodes)), results.POINTS)
            for part in parts:
                mean = float(team_returns(run)[part].mean())
                where = (run.config.algorithm, run.config.seed, episodes[part[-1]])
                writer.writerow((*where, f"{mean:.6g}"))


def curves() -> dict[str, tuple[F64, F64]]:
    """Episodes f64 [P] and returns f64 [seeds, P] of each algorithm."""
    findings = results.read(HERE / "fig6-tuned")
    found = {key: findings.curve(PANEL, key, "team_return") for key in ("as", "cppo", "ippo")}
    points: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with open(CURVES, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            point = float(row["episodes"]), float(row["team_return"])
            points[row["algorithm"]][row["seed"]].append(point)
    for name, by_seed in points.items():
        table = np.array(list(by_seed.values()))
        found[name] = table[0, :, 0], table[:, :, 1]
    return {name: found[name] for name in ALGORITHMS}


def draw_curves() -> None:
    """Team return against episodes for all six algorithms."""
    anchors = results.read(HERE / "fig6-tuned").record["panels"][PANEL]["anchors"]
    figure, grid = charts.figure(1, 1, HEIGHT)
    axes = grid[0, 0]
    ends, middles = [], []
    lines, shown = curves(), charts.looks(ALGORITHMS)
    for index, ((name, (x, values)), look) in enumerate(zip(lines.items(), shown, strict=True)):
        middle, low, high = band(values)
        charts.draw_curve(axes, x, (middle, low, high), look, (index, len(lines)), name)
        ends.append((float(middle[-1]), name.upper(), look))
        middles.append(middle)
    anchors = charts.show_what_counts(axes, middles, anchors)
    charts.label_right(axes, ends, anchors, HEIGHT - 0.9)
    charts.name_axes(axes, "episodes", left=True)
    axes.set_title("C. Predation, 2 agents", fontsize=charts.LARGE, loc="left")
    charts.caption(
        figure,
        "Interquartile mean over 5 seeds, 95% bootstrap band; each point is the mean of 1/60 of "
        "training. VS, VPS and IPPO cover each other. IPPO, CPPO: independent and centralised PPO.",
    )
    charts.save(figure, HERE / "predation-n2.png")


def draw_traffic() -> None:
    """What each algorithm reached, against what it sent in the whole run."""
    reached: dict[str, list[float]] = defaultdict(list)
    sent: dict[str, float] = {}
    with open(HERE / "predation-n2.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            reached[row["algorithm"]].append(float(row["team_return"]))
            sent[row["algorithm"]] = float(row["megabytes_sent"])
    figure, grid = charts.figure(1, 1, HEIGHT)
    axes = grid[0, 0]
    axes.set_xscale("log")
    axes.set_xlim(0.25, 1500)
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:,g}")
    axes.set_ylim(-205, -48)
    anchors = {"random": -120.0, "selfish": -180.0, "cooperative": -60.0}
    charts.label_right(axes, [], anchors, HEIGHT - 0.8)
    for (name, values), look in zip(reached.items(), charts.looks(list(reached)), strict=True):
        at = sent[name] or axes.get_xlim()[0]
        result = estimate([values])
        axes.plot(
            at, result.iqm, look.marker, color=look.colour, markersize=5.5, markerfacecolor="white",
            markeredgewidth=1.4, clip_on=False, zorder=4,
        )  # fmt: skip
        left = name == "as"  # policy sharing stands to its right
        axes.annotate(
            name.upper() if sent[name] else f"{name.upper()} sends nothing", (at, result.iqm),
            (-7 if left else 7, 8 if name in ("vs", "vps") else -8), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize=charts.NORMAL,
            color=look.colour, fontweight="bold",
        )  # fmt: skip
    axes.set_xlabel("megabytes sent by both agents in 12,000 episodes", fontsize=charts.NORMAL)
    axes.set_ylabel("team return per episode", fontsize=charts.NORMAL)
    axes.set_title("C. Predation, 2 agents", fontsize=charts.LARGE, loc="left")
    charts.caption(
        figure,
        "After training. Mark: interquartile mean of 5 seeds, each the mean of 200 evaluation "
        "episodes; seeds differ by less than a mark. CPPO, IPPO: centralised and independent PPO; "
        "PS, VS, VPS share policies, values or critics.",
    )
    charts.save(figure, HERE / "predation-n2-all.png")


if __name__ == "__main__":
    main()
