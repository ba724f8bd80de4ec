"""Tables of a study in Markdown: estimates over runs, with their number and caveats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ascore.experiments.results import Findings
from ascore.runs.statistics import FEW, Estimate, estimate


def as_markdown(findings: Findings) -> str:
    """Formats the estimates of all series, their provenance and the missing runs."""
    record = findings.record
    lines = [
        f"# {record['figure']}: {record['title']}",
        "",
        f"Preset `{record['preset']}`, budget `{record['budget']}`.",
        "",
        f"![{record['title']}]({record['figure']}.png)",
        "",
        "| environment | series | episodes | runs | team return | normalised | time to milestone |",
        "|---|---|---|---|---|---|---|",
    ]
    for panel, entry in record["panels"].items():
        for key, series in entry["series"].items():
            lines.append(_row(findings, panel, entry, key, series))
    lines += ["", *_overall(findings), *_anchors(record), *_overrides(record), ""]
    lines += [
        "Team return and normalised return: interquartile mean over runs, each the mean of its "
        "evaluation episodes, with the 95% interval of a stratified bootstrap over runs.",
    ]
    few = min((len(findings.returns(p, s)) for p, s in _pairs(record)), default=0)
    if few < FEW:
        lines.append(few_runs(few))
    for name, why in record["failures"].items():
        lines.append(f"Missing: `{name}`, {why}.")
    lines += ["", *_provenance(record), ""]
    return "\n".join(lines)


def few_runs(n: int) -> str:
    """Caveat about intervals from n runs, for n below FEW."""
    if n == 1:
        return f"One run shows no spread between seeds; train {FEW} or more."
    return (
        f"Intervals from {n} runs are too narrow: below {FEW}, a bootstrap interval contains the "
        "true value in fewer than 95% of all cases."
    )


def _pairs(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(p, s) for p, entry in record["panels"].items() for s in entry["series"]]


def _row(
    findings: Findings, panel: str, entry: dict[str, Any], key: str, series: dict[str, Any]
) -> str:
    returns, scores = findings.returns(panel, key), findings.scores(panel, key)
    cells = [entry["title"], series["label"], f"{series['episodes']:,}", str(len(returns))]
    if len(returns):
        cells += [
            shown(estimate([returns])),
            "–" if np.isnan(scores).any() else shown(estimate([scores])),
            _milestones(findings, panel, key),
        ]
    else:
        cells += ["no run finished", "", ""]
    return "| " + " | ".join(cells) + " |"


def _milestones(findings: Findings, panel: str, key: str) -> str:
    rows = findings.rows(panel, key)
    cells = []
    columns = common_columns(rows)
    names = [k.removesuffix("_reached") for k in columns if k.endswith("_reached")]
    for name in (name for name in names if f"{name}_steps" in columns):
        reached = float(np.mean([r[f"{name}_reached"] for r in rows]))
        steps = float(np.mean([r[f"{name}_steps"] for r in rows]))
        cells.append(f"{name} {steps:.1f} ({reached:.0%})")
    return ", ".join(cells)


def common_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What all rows have, as the first has it; evaluations by other versions may lack some."""
    return [key for key in (rows[0] if rows else ()) if all(key in row for row in rows)]


def shown(value: Estimate) -> str:
    """Formats an estimate as text."""
    if value.ci95 is None:
        return f"{value.iqm:.2f}"
    return f"{value.iqm:.2f} [{value.ci95[0]:.2f}, {value.ci95[1]:.2f}]"


def overall(findings: Findings) -> dict[str, Estimate]:
    """Estimates over all environments, for series with normalised returns in every panel."""
    panels = findings.record["panels"]
    keys = dict.fromkeys(key for entry in panels.values() for key in entry["series"])
    estimates = {}
    for key in keys:
        strata = [findings.scores(panel, key) for panel in panels]
        if len(panels) > 1 and all(len(s) and not np.isnan(s).any() for s in strata):
            estimates[key] = estimate(strata)
    return estimates


def _overall(findings: Findings) -> list[str]:
    estimates = overall(findings)
    if not estimates:
        return []
    labels: dict[str, str] = {}
    for entry in findings.record["panels"].values():
        labels |= {key: series["label"] for key, series in entry["series"].items()}
    text = "; ".join(f"{labels[key]} {shown(value)}" for key, value in estimates.items())
    return [f"Normalised return over all environments: {text}.", ""]


def _anchors(record: dict[str, Any]) -> list[str]:
    lines = []
    for entry in record["panels"].values():
        anchors = entry["anchors"]
        if not anchors:
            continue
        values = ", ".join(f"{label} {value:g}" for label, value in anchors.items())
        line = (
            f"- {entry['title']}: {values}; normalised from {entry['zero']} (0) to cooperative (1)"
        )
        lines.append(line)
    return ["Anchors:", "", *lines]


def _overrides(record: dict[str, Any]) -> list[str]:
    """Lists the keys in which series differ from the preset, without duplicates."""
    lines: dict[str, None] = {}
    for entry in record["panels"].values():
        for series in entry["series"].values():
            if series["overrides"]:
                values = ", ".join(f"{key} = {value}" for key, value in series["overrides"].items())
                lines[f"- {series['label']}: {values}"] = None
    return ["", "Changes to the preset:", "", *lines] if lines else []


def _provenance(record: dict[str, Any]) -> list[str]:
    machine = record["machine"]
    return [
        "```sh",
        record["command"],
        "```",
        "",
        f"Commit {record['commit'] or 'unknown'}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}; "
        + ", ".join(f"{k} {v}" for k, v in machine["packages"].items())
        + f"; {record['training_seconds']:,.0f} s of training in total. Runs: `{record['runs']}`.",
        *(line for note in record.get("notes", []) for line in ("", note)),
    ]
