"""Results of a study as small readable files: a record in JSON and two tables in CSV.

`record.json` says what was run and how, `finals.csv` holds the final return of every run, and
`curves.csv` the course of training. Figures and tables are made from these files alone.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.factory import anchor_values
from ascore.errors import RunError
from ascore.experiments import cells as cell_files
from ascore.experiments.studies import (
    PANELS,
    STUDIES,
    Budget,
    Series,
    Study,
    cell_name,
    config_of,
)
from ascore.reading import JSON_LIMIT, read_regular, strict_json
from ascore.runs import fairness
from ascore.runs.files import json_text, unwritable, write_atomic
from ascore.runs.logs import METRICS as METRICS_FILE
from ascore.runs.logs import read_records
from ascore.runs.manifest import Rule, is_number, is_text, require, table_of

RECORD, FINALS, CURVES = "record.json", "finals.csv", "curves.csv"
POINTS = 60  # points of a curve
# Metrics drawn against training episodes, by kind of figure; some have one value per agent.
METRICS = {
    "curves": ("team_return",),
    "returns": ("team_return",),
    "anticipations": ("anticipated_towards", "anticipation_mse", "team_return"),
    "sizes": ("team_return",),
}

CSV_LIMIT = 2**26
"""Bytes of a table that is read; the largest ones written have some hundred thousand."""
_FINAL_COLUMNS = ("panel", "series", "seed", "team_return", "normalized")
_COSTS = ("episodes", "seconds", "bytes_sent")  # drawn against the number of agents
_CURVE_COLUMNS = ("panel", "series", "seed", "metric", "episodes", "value")


def _filled(rule: Rule) -> Rule:
    return lambda value: table_of(rule)(value) and len(value) > 0


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


# What is drawn and written in words, as `require` reads it.
_RECORD: dict[str, Any] = {
    "figure": lambda value: is_text(value) and value in STUDIES,  # it names the picture
    "title": is_text,
    "kind": lambda value: is_text(value) and value in METRICS,
    "preset": is_text,
    "budget": is_text,
    "command": is_text,
    "runs": is_text,
    "commit": lambda value: value is None or is_text(value),
    "training_seconds": is_number,
    "failures": table_of(is_text),
    "machine": {"cpu": is_text, "cores": is_number, "packages": table_of(is_text)},
    "panels": _filled(lambda value: isinstance(value, dict)),
}
_PANEL: dict[str, Any] = {
    "title": is_text,
    "zero": is_text,
    "anchors": table_of(lambda value: type(value) in (int, float)),
    "series": _filled(lambda value: isinstance(value, dict)),
}
_SERIES: dict[str, Any] = {
    "label": is_text,
    "algorithm": is_text,
    "penalty_weight": is_number,
    "overrides": lambda value: isinstance(value, dict),
    "episodes": is_number,
}


@dataclass(frozen=True)
class Findings:
    """The contents of a study's files.

    Attributes:
        record: figure, title, kind, preset, budget, panels with their series and anchors, command,
            commit, machine, notes, failures.
        finals: one row per finished run.
        curves: one row per point: panel, series, seed, metric, episodes, value.
    """

    record: dict[str, Any]
    finals: list[dict[str, Any]]
    curves: list[dict[str, Any]]

    def rows(self, panel: str, series: str) -> list[dict[str, Any]]:
        """The finished runs of a series."""
        return [row for row in self.finals if (row["panel"], row["series"]) == (panel, series)]

    def scores(self, panel: str, series: str) -> npt.NDArray[np.float64]:
        """Normalised returns of the finished runs, f64 [n]."""
        return np.array([row["normalized"] for row in self.rows(panel, series)], dtype=np.float64)

    def returns(self, panel: str, series: str) -> npt.NDArray[np.float64]:
        """Team returns of the finished runs, f64 [n]."""
        return np.array([row["team_return"] for row in self.rows(panel, series)], dtype=np.float64)

    def curve(
        self, panel: str, series: str, metric: str
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Episodes f64 [P] and values f64 [n, P], one row per seed, up to the shortest curve."""
        by_seed: dict[int, list[tuple[float, float]]] = {}
        for row in self.curves:
            if (row["panel"], row["series"], row["metric"]) == (panel, series, metric):
                by_seed.setdefault(row["seed"], []).append((row["episodes"], row["value"]))
        if not by_seed:
            return np.empty(0), np.empty((0, 0))
        length = min(map(len, by_seed.values()))
        points = np.array([values[:length] for values in by_seed.values()], dtype=np.float64)
        return points[0, :, 0], points[:, :, 1]


def gather(
    study: Study,
    preset: str,
    budget: Budget,
    runs: Path,
    seeds: int,
    failures: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> Findings:
    """Reads the finished runs of a study.

    Args:
        study: the figure.
        preset: preset of the runs.
        budget: budget of the runs.
        runs: folder of all runs.
        seeds: expected number of seeds.
        failures: reasons of failed cells, by name.
        provenance: command, commit, machine and similar, as plain values.
    """
    panels, finals, curves, cpu = {}, [], [], 0.0
    for panel, lines in study.panels.items():
        setting = PANELS[panel]
        config = config_of(setting, lines[0], preset, budget, 0)
        anchors = dict(anchor_values(config.env, config.env_params))
        entry: dict[str, Any] = {
            "title": setting.title,
            "env": config.env,
            "env_params": config.env_params,
            "anchors": anchors,
            "zero": setting.zero,
            "series": {},
        }
        for series in lines:
            config = config_of(setting, series, preset, budget, 0)
            entry["series"][series.key] = {
                "label": _label(study, series, config.penalty_weight),
                "algorithm": series.algorithm,
                "penalty_weight": config.penalty_weight,
                "overrides": {
                    key: getattr(config, key) for key in (*series.overrides, *series.at_most)
                },
                "episodes": config.episodes,
            }
            for seed in range(seeds):
                folder = runs / cell_name(preset, panel, series, seed)
                cell_result = cell_files.whole_result(folder)
                if cell_result is None:
                    continue
                where = {"panel": panel, "series": series.key, "seed": seed}
                finals.append(where | _final(cell_result, anchors, setting.zero, config.env))
                if study.kind == "sizes":
                    finals[-1]["peak_memory"] = cell_result["peak_memory"]
                points = _curves(folder, METRICS[study.kind], config.communicate_every)
                curves += [where | point for point in points]
                cpu += cell_result["seconds"]
        panels[panel] = entry
    record = {
        "figure": study.name,
        "title": study.title,
        "kind": study.kind,
        "preset": preset,
        "budget": budget,
        "seeds": seeds,
        **provenance,
        "training_seconds": round(cpu, 1),
        "panels": panels,
        "failures": dict(failures),
    }
    return Findings(record, finals, curves)


def _label(study: Study, series: Series, penalty_weight: float) -> str:
    """Legend label of a series; the penalty weight if the series differ in nothing else."""
    same = {line.label for lines in study.panels.values() for line in lines} == {series.label}
    return f"ρ = {penalty_weight:g}" if same and study.kind == "curves" else series.label


def normalized(value: float, anchors: Mapping[str, float], zero: str) -> float:
    """Scales a return: 0 = the anchor `zero`, 1 = cooperative; NaN if either is unknown."""
    if zero not in anchors or "cooperative" not in anchors:
        return math.nan
    return (value - anchors[zero]) / (anchors["cooperative"] - anchors[zero])


def _final(
    cell_result: dict[str, Any], anchors: Mapping[str, float], zero: str, env: str
) -> dict[str, Any]:
    evaluation = cell_result["evaluation"]
    value = evaluation["team_return"]["mean"]
    low, high = evaluation["team_return"]["ci95"]
    row = {
        "team_return": value,
        "low": low,
        "high": high,
        "evaluation_episodes": evaluation["team_return"]["n"],
        "normalized": normalized(value, anchors, zero),
        **fairness.measures(evaluation["agent_return"], env),
        "entropy": evaluation["entropy"],
        "episodes": cell_result["episodes"],
        "updates": cell_result["updates"],
        "seconds": round(cell_result["seconds"], 1),
        "bytes_sent": cell_result["bytes_sent"],
    }
    for name, timing in evaluation["milestones"].items():
        row[f"{name}_reached"] = timing["reached"]
        row[f"{name}_steps"] = timing["steps"]["mean"]
    for name, value in evaluation.get("measures", {}).items():
        row[name] = math.nan if value is None else value
    return row


def _curves(folder: Path, metrics: Iterable[str], period: int) -> list[dict[str, Any]]:
    """Means of metrics over equal stretches of training; lists give one metric per agent.

    Each stretch holds whole periods of `period` updates. Updates with and without communication
    differ, so stretches with a varying share of them would show waves.
    """
    records = read_records(folder / METRICS_FILE, of_run=False)
    starts = np.arange(0, len(records), period)
    points = []
    for part in np.array_split(starts, min(POINTS, len(starts))):
        stretch = records[part[0] : part[-1] + period]
        for metric in metrics:
            values = [r[metric] for r in stretch if r.get(metric) is not None]
            if not values:
                continue
            table = np.array(
                values, dtype=np.float64
            )  # null, for an agent that heard no one, becomes NaN
            means = np.nanmean(table, axis=0) if not np.isnan(table).all() else table[0]
            single = np.ndim(means) == 0
            for agent, value in enumerate(np.atleast_1d(means)):
                name = metric if single else f"{metric}_{agent}"
                episodes = stretch[-1]["episodes"]
                points.append({"metric": name, "episodes": episodes, "value": float(value)})
    return points


# ---------------------------------------------------------------------- files


def write(findings: Findings, folder: Path) -> None:
    """Writes the three files.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    record = json_text(findings.record, indent=1, ascii_only=False)
    write_atomic(folder / RECORD, record.encode(errors="replace"))
    write_atomic(folder / FINALS, as_csv(findings.finals).encode())
    write_atomic(folder / CURVES, as_csv(findings.curves).encode())


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Formats rows as CSV, with all their keys as columns; floats have six significant digits."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def read(folder: Path) -> Findings:
    """Reads the three files.

    Raises:
        RunError: a file is missing or damaged.
    """
    try:
        record = _record(read_regular(folder / RECORD, JSON_LIMIT))
        finals = _FINAL_COLUMNS + (_COSTS if record["kind"] == "sizes" else ())
        tables = [
            _table(name, read_regular(folder / name, CSV_LIMIT), columns)
            for name, columns in ((FINALS, finals), (CURVES, _CURVE_COLUMNS))
        ]
    except (OSError, ValueError, OverflowError) as error:
        message = f"{folder} holds no results of a study: {error}; restore them"
        raise RunError(message) from error
    return Findings(record, *tables)


def _record(data: bytes) -> dict[str, Any]:
    """The values of `record.json`; raises ValueError for one that lacks what is drawn."""
    record: dict[str, Any] = strict_json(data)
    require(record, _RECORD, RECORD)
    for panel, entry in record["panels"].items():
        require(entry, _PANEL, f"{RECORD}: panel {panel}")
        if record["kind"] == "sizes":
            require(entry, {"env_params": {"num_agents": _is_size}}, f"{RECORD}: panel {panel}")
        for key, series in entry["series"].items():
            require(series, _SERIES, f"{RECORD}: series {key}")
    return record


def _table(name: str, data: bytes, columns: Collection[str]) -> list[dict[str, Any]]:
    """The rows of a CSV file; raises ValueError for the first one that is damaged."""
    rows: list[dict[str, Any]] = []
    try:
        for row in csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")):
            if not all(row.get(column) for column in columns) or None in row:
                message = f"{name} lacks an entry, or has one too many, in row {len(rows) + 1}"
                raise ValueError(message)
            rows.append(_typed(row))
    except csv.Error as error:
        message = f"{name} is damaged: {error}"
        raise ValueError(message) from error
    return rows


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    names = ("panel", "series", "metric")
    typed: dict[str, Any] = {k: v if k in names else float(v) for k, v in row.items() if v != ""}
    return {**typed, "seed": int(typed["seed"])}


def folders(top: Path) -> list[Path]:
    """Folders with results: `top` itself and the folders directly below it.

    Raises:
        RunError: none of them holds results.
    """
    paths = sorted(path.parent for path in (*top.glob(RECORD), *top.glob(f"*/{RECORD}")))
    if not paths:
        message = f"{top} holds no {RECORD}; give a folder written by `ascore reproduce`"
        raise RunError(message)
    return paths


def studies(names: Iterable[str]) -> list[Study]:
    """Studies by name; "all" selects those of the paper.

    Raises:
        ValueError: a name is unknown; the message lists the known ones.
    """
    chosen: dict[str, Study] = {}
    paper = {name: study for name, study in STUDIES.items() if study.in_paper}
    for name in names:
        if name != "all" and name not in STUDIES:
            message = f"unknown figure {name!r}; choose from: {', '.join(STUDIES)}, all"
            raise ValueError(message)
        chosen |= paper if name == "all" else {name: STUDIES[name]}
    return list(chosen.values())
