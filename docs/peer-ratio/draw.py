"""Draws docs/peer-ratio.png from the data of measure.py, and docs/peer-ratio-returns.png.

python docs/peer-ratio/draw.py
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
COLOURS = {"true": "#0072B2", "anticipated": "#D55E00"}
NAMES = {
    "true": r"divided by $\pi_{old}^{jj}$ (true)",
    "anticipated": r"divided by $\pi_{old}^{ij}$ (Eq. 13 as printed)",
}


# Team returns between which an environment is drawn, with what stands at the dashed lines.
ANCHORS = {
    "Exchange": {"all boxes open": 6.0, "nobody opens": -9.0},
    "Cleanup": {"cooperative": 55.1, "selfish": 0.0},
    "Harvest": {"cooperative": 80.4, "selfish": 60.0, "uniform play": 14.0},
    "C. Navigation": {"cooperative": -11.9},
    "C. Predation, 8 agents": {"one approaches": -120.0, "all do": -240.0, "nobody does": -720.0},
}


def main() -> None:
    """Both pictures."""
    import matplotlib as mpl

    mpl.use("Agg")
    collapse()
    returns()


def returns() -> None:
    """Final team returns in five environments, a dot per seed."""
    import matplotlib.pyplot as plt

    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with open(HERE / "returns.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["environment"], row["ratio"]].append(float(row["team_return"]))
    figure, panels = plt.subplots(1, len(ANCHORS), figsize=(15, 3.2), layout="constrained")
    for panel, (environment, anchors) in zip(panels, ANCHORS.items(), strict=True):
        for at, ratio in enumerate(NAMES):
            values = found[environment, ratio]
            spread = np.linspace(-0.12, 0.12, len(values))
            panel.plot(at + spread, values, "o", color=COLOURS[ratio], ms=8, alpha=0.8)
        for name, value in anchors.items():
            panel.axhline(value, color="grey", lw=0.8, ls="--")
            panel.annotate(
                name, (0.5, value), (0, 2), textcoords="offset points",
                fontsize=8, color="grey", ha="center",
            )  # fmt: skip
        panel.set_xlim(-0.5, 1.5)
        panel.margins(y=0.12)
        panel.set_xticks([0, 1], ["true ratio", "as printed"])
        panel.set_title(environment)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("team return")
    figure.savefig(HERE.parent / "peer-ratio-returns.png", dpi=110)


def collapse() -> None:
    """Return, probability of *open* and the forces on its logit, for both ratios."""
    import matplotlib.pyplot as plt

    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with open(HERE / "exchange.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["ratio"]].append(
                {k: float(v) for k, v in row.items() if k not in ("ratio", "gate")}
            )
    figure, panels = plt.subplots(1, 4, figsize=(15, 3.8), layout="constrained")
    for ratio, rows in found.items():
        for seed in sorted({row["seed"] for row in rows}):
            mine = [row for row in rows if row["seed"] == seed]
            at = np.array([row["episodes"] for row in mine])

            def line(panel, key, mine=mine, at=at, ratio=ratio, **style):
                values = [row[key] for row in mine]
                panel.plot(at, values, color=COLOURS[ratio], **style)

            line(panels[0], "team_return", label=NAMES[ratio] if seed == 0 else None)
            line(panels[1], "open", label="own policies" if seed == 0 else None)
            line(panels[1], "open_wished", ls=":", label="anticipations" if seed == 0 else None)
            place = panels[2] if ratio == "anticipated" else panels[3]
            for name, colour in (("policy", "#000000"), ("penalty", "#009E73")):
                total = [1e3 * (row[f"{name}_own"] + row[f"{name}_peers"]) for row in mine]
                place.plot(at, total, color=colour, label=f"{name} terms" if seed == 0 else None)
    for value, text in ((6, "all boxes open"), (-9, "nobody opens")):
        panels[0].axhline(value, color="grey", lw=0.8, ls="--")
        panels[0].text(150, value + 0.2, text, fontsize=8, color="grey", va="bottom")
    panels[0].set_ylim(-10, 7.5)
    panels[0].set_title("team return")
    panels[0].legend(fontsize=8, loc="center left")
    panels[1].set_title("mean probability of open")
    panels[1].axhline(1 / 6, color="grey", lw=0.8, ls="--")
    panels[1].text(150, 0.13, "uniform play", fontsize=8, color="grey", va="top")
    panels[1].set_ylim(0, 1)
    handles, labels = panels[1].get_legend_handles_labels()
    panels[1].legend(handles[:2], labels[:2], fontsize=8)
    for panel, ratio in ((panels[2], "anticipated"), (panels[3], "true")):
        panel.set_title(f"net force on the logit of open, 1e-3\n{NAMES[ratio]}", fontsize=10)
        panel.axhline(0, color="grey", lw=0.8)
        panel.legend(fontsize=8)
    low = min(panel.get_ylim()[0] for panel in panels[2:])
    high = max(panel.get_ylim()[1] for panel in panels[2:])
    for panel in panels[2:]:
        panel.set_ylim(low, high)
    for panel in panels:
        panel.set_xlabel("training episodes")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE.parent / "peer-ratio.png", dpi=110)


if __name__ == "__main__":
    main()
