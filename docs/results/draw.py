"""Draws docs/results/predation-n2.png and predation-n2-all.png from the data in this folder.

    python docs/results/draw.py

The curves are those of fig6-tuned. What all six algorithms reached and sent is in predation-n2.csv,
written from the sweep that README.md names.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from ascore.experiments import results
from ascore.render import charts
from ascore.runs.statistics import band, estimate

HERE = Path(__file__).resolve().parent
PANEL = "predation-n2"
HEIGHT = 2.5


def main() -> None:
    """Both pictures."""
    draw_curves()
    draw_traffic()


def draw_curves() -> None:
    """Team return against episodes: Anticipation Sharing, independent and centralised PPO."""
    findings = results.read(HERE / "fig6-tuned")
    entry = findings.record["panels"][PANEL]
    figure, grid = charts.figure(1, 1, HEIGHT)
    axes = grid[0, 0]
    series = list(entry["series"])
    ends, middles = [], []
    for index, (key, look) in enumerate(zip(series, charts.looks(series), strict=True)):
        x, curves = findings.curve(PANEL, key, "team_return")
        middle, low, high = band(curves)
        charts.draw_curve(axes, x, (middle, low, high), look, (index, len(series)), key)
        ends.append((float(middle[-1]), key.upper(), look))
        middles.append(middle)
    anchors = charts.show_what_counts(axes, middles, entry["anchors"])
    charts.label_right(axes, ends, anchors, HEIGHT - 0.8)
    charts.name_axes(axes, "episodes", left=True)
    axes.set_title("C. Predation, 2 agents", fontsize=charts.LARGE, loc="left")
    charts.caption(
        figure,
        "Interquartile mean over 5 seeds, 95% bootstrap band; each point is the mean of 1/60 of "
        "training. IPPO, CPPO: independent and centralised PPO.",
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
