"""The table of results in README.md, made from the data in this folder and from the anchors.

python docs/results/table.py            prints it
python docs/results/table.py --write    puts it into README.md, between its two marks
"""

from __future__ import annotations

import sys
from pathlib import Path

from ascore.experiments import results
from ascore.render.charts import number
from ascore.runs.statistics import Estimate, estimate

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- table of results: docs/results/table.py -->", "<!-- end of the table -->"

# Figures that hold the runs of an environment; baselines may be in any of them.
PLACES = {
    "Cleanup": ("cleanup", ("fig2", "fig6")),
    "Harvest": ("harvest", ("fig2", "fig6")),
    "Exchange": ("exchange", ("fig2",)),
    "C. Navigation": ("navigation", ("fig2",)),
    "C. Predation, 2 agents": ("predation-n2", ("fig6",)),
    "C. Predation, 8 agents": ("predation-n8", ("fig2",)),
    "C. Predation, 20 agents": ("predation-n20", ("fig3",)),
    "C. Predation, 30 agents": ("predation-n30", ("fig3",)),
}
OURS, INDEPENDENT = "as", "ippo"
HEAD = (
    "environment", "Anticipation Sharing", "independent PPO", "best other baseline", "random",
    "selfish", "cooperative",
)  # fmt: skip
ANCHORS = HEAD[-3:]


def table() -> str:
    """The table as Markdown; the best of what learns is bold, as is what equals it when rounded."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    for title, (panel, figures) in PLACES.items():
        reached, anchors = _read(panel, figures)
        others = {name: value for name, value in reached.items() if name != OURS}
        best = max(
            (name for name in others if name != INDEPENDENT), key=lambda name: others[name].iqm
        )
        top = max(round(value.iqm, 1) for value in reached.values())
        cells = [
            _shown(reached[OURS], top),
            _shown(reached[INDEPENDENT], top),
            f"{best.upper()} {_shown(reached[best], top)}",
            *(number(round(anchors[label], 1)) for label in ANCHORS),
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _read(panel: str, figures: tuple[str, ...]) -> tuple[dict[str, Estimate], dict[str, float]]:
    """Estimates by algorithm over the seeds of an environment, and its anchors."""
    reached: dict[str, Estimate] = {}
    anchors: dict[str, float] = {}
    for figure in figures:
        findings = results.read(HERE / f"{figure}-tuned")
        entry = findings.record["panels"][panel]
        anchors |= entry["anchors"]
        for key, series in entry["series"].items():
            reached[series["algorithm"]] = estimate([findings.returns(panel, key)])
    return reached, anchors


def _shown(value: Estimate, top: float) -> str:
    mean = f"{value.iqm:.1f}".replace("-", "\N{MINUS SIGN}")
    return f"**{mean}**" if round(value.iqm, 1) == top else mean


def main() -> None:
    """Prints the table, or writes it."""
    if sys.argv[1:] == ["--write"]:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        _, mark, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
        print(f"table written to {README}" if mark else f"{README} has no marks for the table")
        return
    print(table())


if __name__ == "__main__":
    main()
