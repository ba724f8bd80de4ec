"""A cell: one training with its evaluation, in its own folder, run only once."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import AscoreWarning, ConfigError, RunError
from ascore.experiments.places import place, require_names
from ascore.reading import JSON_LIMIT, damaged, read_regular, strict_json, unreadable
from ascore.runs.evaluation import evaluate
from ascore.runs.files import as_path, json_text, unwritable, write_atomic
from ascore.runs.lock import alone
from ascore.runs.manifest import is_number, require, table_of
from ascore.runs.run import Run
from ascore.runs.session import resume, train
from ascore.runs.trust import ours, require_trust
from ascore.runtime import pool
from ascore.runtime.peak import forget_peak, peak_memory
from ascore.runtime.progress import Progress

LIST, RESULT = "cells.json", "evaluation.json"
TABLES = ("sweep.json", "sweep.csv", "sweep.md", "sweep.png")
"""What a sweep writes beside its list."""
LIST_LIMIT = 2**26
"""Bytes of a list that is read: some thirty thousand cells."""


@dataclass(frozen=True)
class Cell:
    """A training and its evaluation.

    Attributes:
        name: path of its folder relative to the folder of all runs, such as "tuned/exchange/as/s0".
        config: configuration of the training; one thread, because workers share the machine.
        episodes: number of evaluation episodes after training, at least 1.

    Raises:
        ConfigError: `episodes` is less.
    """

    name: str
    config: Config
    episodes: int

    def __post_init__(self) -> None:
        if self.episodes < 1:
            message = (
                f"evaluate = {self.episodes} is not allowed where tables are made of evaluations; "
                "it must be at least 1"
            )
            raise ConfigError(message)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: Any, origin: str) -> Cell:
        """Checked construction.

        Raises:
            ConfigError: a key is missing or not allowed.
        """
        keys = ("name", "config", "episodes")
        for key in keys:
            if not isinstance(values, dict) or key not in values:
                message = f"a cell of {origin} has no {key!r}; write the list again"
                raise ConfigError(message)
        name, config, episodes = (values[key] for key in keys)
        counted = type(episodes) is int and episodes > 0
        if not isinstance(name, str) or not isinstance(config, dict) or not counted:
            message = f"a cell of {origin} is damaged: {values!s:.80}; write the list again"
            raise ConfigError(message)
        return cls(name, Config.from_dict(config, origin), episodes)


@dataclass(frozen=True)
class Task:
    """A cell and the folder of its run; this is sent to a worker."""

    cell: Cell
    folder: Path


def one_thread(config: Config) -> Config:
    """The configuration with one thread, for workers that share a machine; results are the same."""
    return config.replace(num_threads=1, env_workers=0, torch_threads=1)


def write_list(out: Path, cells: Sequence[Cell]) -> Path:
    """Writes `out/cells.json`, the list of cells; a cell's number is its index.

    Raises:
        RunError: the folder cannot be written or holds files of somebody else by the names of
            ours, or a name does not stay below it.
    """
    out = as_path(out)
    path = out / LIST
    require_names([cell.name for cell in cells], str(path))
    _require_ours(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    write_atomic(path, json_text([cell.to_dict() for cell in cells], indent=1).encode())
    return path


def _require_ours(out: Path) -> None:
    """Refuses to write over a file that no list of cells stands beside."""
    named = [name for name in (LIST, *TABLES) if os.path.lexists(out / name)]
    if not named:
        return
    try:
        values = strict_json(read_regular(out / LIST, LIST_LIMIT))
    except PermissionError as error:
        raise unwritable(out / LIST, error) from error
    except (OSError, ValueError):
        values = None
    names = ("name", "config", "episodes")
    ours = isinstance(values, list) and all(
        isinstance(cell, dict) and all(name in cell for name in names) for cell in values
    )
    if not ours:
        message = (
            f"{out / named[0]} was not written by a sweep or a study, or is damaged; move it away, "
            "or choose another --out"
        )
        raise RunError(message)


def read_list(out: Path, *, trust: bool = False) -> list[Cell]:
    """Reads the cells of `out/cells.json`.

    Args:
        out: folder of the list.
        trust: whether environments MODULE:CALLABLE and algorithms MODULE:NAME of the list may be
            imported.

    Raises:
        TrustError: something would have to be imported, and `trust` is False.
        RunError: the file is missing, holds no list of cells, or names folders outside `out`.
        ConfigError: a cell lacks a key, or a value is not allowed.
    """
    path = out / LIST
    try:
        values = strict_json(read_regular(path, LIST_LIMIT))
    except (OSError, ValueError) as error:
        message = unreadable(path, error, "give the folder of a sweep or a study as --out")
        raise RunError(message) from error
    if not isinstance(values, list):
        message = f"{path} holds no list of cells; give the folder of a sweep or a study as --out"
        raise RunError(message)
    cells = [Cell.from_dict(entry, str(path)) for entry in values]
    require_names([cell.name for cell in cells], str(path))
    for cell in cells:
        require_trust({"env": cell.config.env, "algorithm": cell.config.algorithm}, path, trust)
    return cells


def result(folder: Path) -> dict[str, Any] | None:
    """Summary and evaluation of a finished cell; None if it is not finished."""
    return _outcome(folder, {"evaluation": lambda value: isinstance(value, dict)})


def whole_result(folder: Path) -> dict[str, Any] | None:
    """The same with all that tables and figures show of it."""
    return _outcome(folder, _OUTCOME)


def _outcome(folder: Path, rules: dict[str, Any]) -> dict[str, Any] | None:
    path = folder / RESULT
    try:
        values: dict[str, Any] = json.loads(read_regular(path, JSON_LIMIT))
        require(values, rules, path.name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        message = damaged(path, error, "remove it, and the next run evaluates again")
        raise RunError(message) from error
    return values


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _is_timing(value: Any) -> bool:
    """How often and how soon a milestone was reached."""
    steps = value.get("steps") if isinstance(value, dict) else None
    return (
        isinstance(steps, dict)
        and _is_finite(value.get("reached"))
        and _is_finite(steps.get("mean"))
    )


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


_ESTIMATE = {"mean": _is_finite, "ci95": _is_interval, "n": is_number}
_OUTCOME: dict[str, Any] = {
    "episodes": is_number,
    "updates": is_number,
    "seconds": is_number,
    "bytes_sent": is_number,
    "peak_memory?": is_number,
    "evaluation": {
        "team_return": _ESTIMATE,
        "agent_return": lambda value: (
            isinstance(value, list) and len(value) > 0 and all(map(_is_finite, value))
        ),
        "entropy": _is_finite,
        "milestones": table_of(_is_timing),
        "deeds?": table_of(lambda value: isinstance(value, dict)),
        "measures?": table_of(lambda value: value is None or _is_finite(value)),
    },
}


def work(task: Task, report: pool.Report, stop: pool.Stop) -> Any:
    """Trains or continues a cell, then evaluates it; called by a worker of the pool.

    Raises:
        RunError: the folder holds a run of another configuration, is in use by another process, or
            cannot be written.
        NonFiniteError: training diverged.
    """
    cell, folder = task.cell, task.folder.absolute()  # an environment may go elsewhere
    ours(folder)  # what it imports the user has typed, or trusted when the list was read
    with alone(folder, _lock(folder)):
        started = (folder / "config.toml").exists() and _same(cell, folder)
        outcome = whole_result(folder)
        if outcome is not None:
            return outcome
        forget_peak()
        if started:
            run = resume(folder, report=report, stop=stop)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AscoreWarning)  # the command has told them once
                run = train(cell.config, folder, report=report, stop=stop)
        if not (folder / "summary.json").exists():
            return pool.STOPPED
        outcome = {**run.summary, "peak_memory": peak_memory()}
        outcome["evaluation"] = evaluate(run, episodes=cell.episodes).to_dict()
        write_atomic(folder / RESULT, json_text(outcome, indent=1).encode())
        return outcome


def _lock(folder: Path) -> Path:
    """The lock of a cell, beside its folder: it is held while the folder is not there yet."""
    path = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def _same(cell: Cell, folder: Path) -> bool:
    """True if the run in `folder` has this cell's configuration.

    Raises:
        RunError: it has another one; the message names the keys.
    """
    actual, wanted = Run.open(folder).config.to_dict(), cell.config.to_dict()
    differing = sorted(key for key in wanted if actual[key] != wanted[key])
    if differing:
        differences = ", ".join(
            f"{key} = {actual[key]!r}, not {wanted[key]!r}" for key in differing
        )
        message = (
            f"{folder} holds a run with {differences}; choose another --out or remove that folder"
        )
        raise RunError(message)
    return True


def run_all(
    cells: Sequence[Cell],
    runs: Path,
    workers: int,
    progress: Progress,
    *,
    stop: pool.Stop = lambda: False,
    pin: bool = False,
) -> list[pool.Outcome]:
    """Runs the unfinished cells; returns the outcomes of all cells, in order."""
    tasks = {cell.name: Task(cell, place(runs, cell.name)) for cell in cells}
    done = {}
    for name, task in tasks.items():
        values = whole_result(task.folder)
        if values is not None and _same(task.cell, task.folder):
            done[name] = pool.Outcome(name, "done", result=values)
    progress.skip(len(done))
    unfinished = {name: task for name, task in tasks.items() if name not in done}
    outcomes = pool.run(unfinished, work, workers, progress, stop=stop, pin=pin, ended=_summary)
    done |= {outcome.name: outcome for outcome in outcomes}
    return [done[name] for name in tasks]


def _summary(outcome: pool.Outcome) -> str:
    team_return = outcome.result["evaluation"]["team_return"]
    low, high = team_return["ci95"]
    return f"team return {team_return['mean']:.2f} [{low:.2f}, {high:.2f}]"
