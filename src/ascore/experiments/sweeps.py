"""Sweeps over keys of the configuration: every combination, for every algorithm and seed."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ascore.algorithms.table import OWNED, effective, idle, keys_read
from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.experiments import cells as cell_files
from ascore.experiments.cells import Cell, one_thread
from ascore.experiments.tables import common_columns, few_runs, shown
from ascore.reading import JSON_LIMIT, damaged, read_regular, strict_json
from ascore.runs import fairness
from ascore.runs.compare import for_algorithm
from ascore.runs.deeds import MEASURES
from ascore.runs.manifest import is_text, require
from ascore.runs.statistics import FEW, estimate

PARAM, OWN = "env.", "algorithm."
MOST_SEEDS = 10_000
"""Numbers of a range of seeds; lists of cells that can be read have some thirty thousand."""


def seeds(text: str) -> list[int]:
    """Parses seeds such as "0..4" (0 to 4), "3" or "0,2,7..9".

    Raises:
        ValueError: the text has another form.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part.strip())
        if match is None:
            message = f"seeds = {text!r} is not allowed; write 0..4, 3, or 0,2,7..9"
            raise ValueError(message)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            message = f"seeds = {text!r} is not allowed: {last} comes before {first}"
            raise ValueError(message)
        if last - first >= MOST_SEEDS:
            message = f"seeds = {text!r} are more than {MOST_SEEDS:,}; give fewer"
            raise ValueError(message)
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def values(text: str) -> list[str]:
    """Splits text such as "a,[1,2],b" at the commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def grid(
    base: Config,
    algorithms: Sequence[str],
    settings: Mapping[str, Sequence[Any]],
    numbers: Sequence[int],
    episodes: int,
) -> list[Cell]:
    """All combinations as cells, ordered by seed; a cell's name lists the varied settings.

    A key that others of the algorithms read, but not this one, stays as in the base, and so does
    one that changes nothing beside the others: combinations that differ in nothing else are one
    cell, whose name does not have the key.

    Args:
        base: configuration that all cells share.
        algorithms: names of the algorithms.
        settings: values by key of the configuration, by env.NAME for environment parameters, or by
            algorithm.NAME for keys of the algorithms themselves.
        numbers: the seeds.
        episodes: episodes of each evaluation.

    Raises:
        ConfigError: a key is unknown or a value is not allowed.
    """
    by_name: dict[str, Cell] = {}
    trained: set[str] = set()
    read = {algorithm: keys_read(algorithm) for algorithm in algorithms}
    by_some = set[str]().union(*read.values())
    for seed in numbers:
        for algorithm in algorithms:
            unread = by_some - read[algorithm]
            unread = (unread & OWNED) | {f"{OWN}{key}" for key in unread - OWNED}
            for chosen in itertools.product(*settings.values()):
                pairs = dict(zip(settings, chosen, strict=True))
                pairs = {key: value for key, value in pairs.items() if key not in unread}
                config = _combined(base, algorithm, seed, pairs, algorithms)
                needless = idle(config, algorithm).keys() & pairs.keys()
                if needless:
                    pairs = {key: value for key, value in pairs.items() if key not in needless}
                    config = _combined(base, algorithm, seed, pairs, algorithms)
                same = repr(effective(config).to_dict())
                if same in trained:  # differs from an earlier cell only in unused keys
                    continue
                trained.add(same)
                varied = [f"{k}={_plain(v)}" for k, v in pairs.items() if len(settings[k]) > 1]
                name = "/".join([algorithm, *varied, f"s{seed}"])
                by_name[name] = Cell(name, one_thread(config), episodes)
    return list(by_name.values())


def _combined(
    base: Config, algorithm: str, seed: int, pairs: Mapping[str, Any], algorithms: Sequence[str]
) -> Config:
    """The configuration of one combination."""
    params = {k.removeprefix(PARAM): v for k, v in pairs.items() if k.startswith(PARAM)}
    own = {k.removeprefix(OWN): v for k, v in pairs.items() if k.startswith(OWN)}
    keys = {k: v for k, v in pairs.items() if not k.startswith((PARAM, OWN))}
    if not {"env", "env_params", "algorithm", "seed"}.isdisjoint(keys):
        message = (
            f"--set {', '.join(keys)}: algorithms and seeds have their own options, "
            f"environment parameters are set as {PARAM}NAME"
        )
        raise ConfigError(message)
    config = base.replace(
        **keys,
        algorithm=algorithm,
        seed=seed,
        env_params={**base.env_params, **params},
        algorithm_params=own,
    )
    return for_algorithm(config, algorithm, algorithms)


def _plain(value: Any) -> str:
    """Formats a value as part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "-", str(value)).strip("-")


def rows(cells: Sequence[Cell], runs: Path) -> list[dict[str, Any]]:
    """One row per finished cell: its setting and its results."""
    table = []
    for cell in cells:
        cell_result = cell_files.whole_result(runs / cell.name)
        if cell_result is None:
            continue
        seed = cell.config.seed
        evaluation = cell_result["evaluation"]
        low, high = evaluation["team_return"]["ci95"]
        row = {
            "setting": cell.name.removesuffix(f"/s{seed}"),
            "seed": seed,
            "team_return": evaluation["team_return"]["mean"],
            "low": low,
            "high": high,
            **fairness.measures(evaluation["agent_return"], cell.config.env),
            "entropy": evaluation["entropy"],
            "episodes": cell_result["episodes"],
            "updates": cell_result["updates"],
            "seconds": round(cell_result["seconds"], 1),
        }
        for name, timing in evaluation["milestones"].items():
            row[f"{name}_reached"] = timing["reached"]
            row[f"{name}_steps"] = timing["steps"]["mean"]
        row |= evaluation.get("measures", {})
        for name, deed in evaluation.get("deeds", {}).items():
            row[f"{name}_shares"] = " ".join(f"{share:.3f}" for share in deed.get("shares") or ())
        table.append(row)
    return table


def as_markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """Formats one line per setting, best first: interquartile mean over seeds, worst, best seed."""
    heads, ranked, note = _ranked(table)
    lines = [heads, ["---"] * len(heads), *ranked]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text + (f"\n\n{note}\n" if note else "\n")


def as_text(table: Sequence[Mapping[str, Any]], columns: int) -> str:
    """Formats the same for a terminal, with as many of the last cells as fit in so many columns."""
    heads, ranked, note = _ranked(table)
    widths = [max(map(len, cells)) for cells in zip(heads, *ranked, strict=True)]
    while len(widths) > 3 and sum(widths) + 2 * len(widths) > columns:
        widths.pop()
    lines = []
    for name, *others in (heads, *ranked):
        rest = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False))
        lines.append("  ".join(("", name.ljust(widths[0]), *rest)))
    lines += ["", *textwrap.wrap(note, columns)] if note else []
    return "\n".join(lines) + "\n"


def _ranked(table: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]], str]:
    """The heads of a table, its rows, best first, and a caveat about few runs, or ""."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    columns = common_columns(table)
    measures = [name for name in MEASURES if name in columns]
    timings = [key for key in columns if key.endswith("_steps")]
    for row in table:
        groups.setdefault(row["setting"], []).append(row)
    ranked = []
    for setting, entries in groups.items():
        returns = [row["team_return"] for row in entries]
        mean = estimate([returns])
        cells = [
            setting, str(mean.n), shown(mean), f"{min(returns):.2f}", f"{max(returns):.2f}",
            *_shares(entries), *_timings(entries, timings), *_measures(entries, measures),
            f"{sum(row['seconds'] for row in entries) / len(entries):.0f}",
        ]  # fmt: skip
        ranked.append((mean.iqm, cells))
    ranked.sort(key=lambda entry: -entry[0])
    heads = ["setting", "runs", "team return", "worst", "best", "lowest agent", "Nash welfare"]
    heads += [*timings, *measures, "seconds"]
    few = min((len(entries) for entries in groups.values()), default=0)
    return heads, [cells for _, cells in ranked], few_runs(few) if few < FEW else ""


def _shares(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lowest return of an agent and Nash welfare, means over seeds."""
    return [
        f"{sum(row[name] for row in entries) / len(entries):.2f}"
        for name in ("lowest_return", "nash_welfare")
    ]


def _timings(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    return [f"{sum(row[name] for row in entries) / len(entries):.1f}" for name in names]


def _measures(entries: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> list[str]:
    """Means over the seeds that have any."""
    cells = []
    for name in measures:
        values = [row[name] for row in entries if row[name] is not None]
        cells.append(f"{sum(values) / len(values):.3g}" if values else "–")
    return cells


def read_command(path: Path) -> dict[str, Any]:
    """What `sweep.json` says of the command that began a sweep.

    Raises:
        RunError: it is damaged.
    """
    try:
        record: dict[str, Any] = strict_json(read_regular(path, JSON_LIMIT))
        require(record, {"command": is_text}, path.name)
    except (OSError, ValueError) as error:
        message = damaged(path, error, "remove it, and the next sweep writes it anew")
        raise RunError(message) from error
    return record
