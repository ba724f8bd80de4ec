"""Folders of runs and sweeps that were never trained, with metrics as one wants them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ascore.config import Config
from ascore.experiments.cells import Cell, write_list
from ascore.experiments.sweeps import grid

UNIFORM = math.log(2)


def config(**changes: Any) -> Config:
    """C. Predation with two agents."""
    return Config.preset("predation", env_params={"num_agents": 2}).replace(**changes)


def records(
    updates: int = 100, seed: int = 0, end: float = -60.0, bytes_sent: int = 800, **metrics: Any
) -> list[dict[str, Any]]:
    """Metrics of a run that learns well; `metrics` replaces some: a value, or a function of the
    share of training that is done."""
    noise = np.random.default_rng(seed).normal(0, 1, updates)
    made = []
    for k in range(updates):
        share = (k + 1) / updates
        value = -120 + (end + 120) * (1 - math.exp(-6 * share)) + float(noise[k])
        record: dict[str, Any] = {
            "update": k + 1,
            "episodes": 32 * (k + 1),
            "env_steps": 32 * 30 * (k + 1),
            "team_return": value,
            "return": [value / 2 + 1, value / 2 - 1],
            "entropy": [UNIFORM * (1 - 0.8 * share)] * 2,
            "kl": [0.01, 0.02],
            "clip_fraction": [0.1, 0.05],
            "explained_variance": [0.8, 0.7],
            "discrepancy": [0.3 * math.exp(-4 * share)] * 2,
            "action_probs": [[0.5, 0.5], [0.4, 0.6]],
            "bytes_sent": [bytes_sent, bytes_sent],
            "bytes_distribution": [bytes_sent, bytes_sent],
            "seconds": 0.02 * (k + 1),
        }
        for key, change in metrics.items():
            record[key] = change(share) if callable(change) else change
        made.append(record)
    return made


def write_run(
    folder: Path, config: Config, lines: list[dict[str, Any]], *, finished: bool = True
) -> Path:
    """A run folder without checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config.dump(), "utf-8")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if finished:
        (folder / "summary.json").write_text(json.dumps({"seconds": 2.0, "bytes_sent": 0}))
    return folder


def evaluation(team: float, spread: float = 1.0) -> dict[str, Any]:
    """What a sweep writes of 200 evaluation episodes."""
    return {
        "team_return": {"mean": team, "ci95": [team - spread, team + spread], "n": 200},
        "agent_return": [team / 2 + 1, team / 2 - 1],
        "episode_length": 30.0,
        "entropy": 0.1,
        "entropy_uniform": UNIFORM,
        "greedy": False,
        "milestones": {},
    }


def write_sweep(
    folder: Path,
    seeds: int = 5,
    algorithms: tuple[str, ...] = ("as", "ippo"),
    settings: dict[str, list[Any]] | None = None,
    updates: int = 100,
    make: Callable[[Cell, int], dict[str, Any]] = lambda cell, index: {},
    done: Callable[[int], bool] = lambda index: True,
) -> list[Cell]:
    """A sweep whose cells are finished where `done` says so, else half done.

    Args:
        folder: of the sweep.
        seeds: seeds of every setting.
        algorithms: their names.
        settings: values by key, as in `grid`.
        updates: of each run.
        make: arguments of `records` for a cell and its number.
        done: whether a cell is finished, by its number.
    """
    cells = grid(config(), algorithms, settings or {}, range(seeds), 200)
    write_list(folder, cells)
    command = "ascore sweep predation --set penalty_weight=1,10"
    (folder / "sweep.json").write_text(json.dumps({"command": command}))
    for index, cell in enumerate(cells):
        team = -62.0 if cell.config.algorithm == "as" else -175.0
        team += cell.config.seed / 2
        own = {"seed": index, "end": team, **make(cell, index)}
        lines = records(updates, **own)
        run = folder / "runs" / cell.name
        if done(index):
            write_run(run, cell.config, lines)
            values = {"seconds": 2.0, "episodes": 32 * updates, "updates": updates}
            values |= {"bytes_sent": 1, "evaluation": evaluation(team)}
            (run / "evaluation.json").write_text(json.dumps(values))
        else:
            write_run(run, cell.config, lines[: updates // 2], finished=False)
    return cells
