"""A cell: one training with its evaluation, in a folder of its own, done once and never twice."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.runs import checkpoint
from ascore.runs.evaluation import evaluate
from ascore.runs.files import unwritable, write_atomic
from ascore.runs.session import Run, resume, train
from ascore.runtime import pool
from ascore.runtime.progress import Progress

LIST, RESULT = "cells.json", "evaluation.json"


@dataclass(frozen=True)
class Cell:
    """What is to be run.

    Attributes:
        name: path of its folder below that of the runs, such as "tuned/exchange/as/s0".
        config: of the training; one thread, since workers share the machine.
        episodes: of the evaluation at the end.
    """

    name: str
    config: Config
    episodes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], origin: str) -> Cell:
        """Checked construction.

        Raises:
            ConfigError: a key is missing or not allowed.
        """
        try:
            config = Config.from_dict(values["config"], origin)
            return cls(str(values["name"]), config, int(values["episodes"]))
        except KeyError as error:
            message = f"a cell of {origin} has no {error}; write the list anew"
            raise ConfigError(message) from error


@dataclass(frozen=True)
class Task:
    """A cell and the folder of its run; what travels to a worker."""

    cell: Cell
    folder: Path


def one_thread(config: Config) -> Config:
    """The configuration as a worker among others runs it; results are the same."""
    return config.replace(num_threads=1, torch_threads=1)


def write_list(out: Path, cells: Sequence[Cell]) -> Path:
    """Writes `out/cells.json`, which names every cell by its number.

    Raises:
        RunError: the folder cannot be written.
    """
    path = out / LIST
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    write_atomic(path, json.dumps([cell.to_dict() for cell in cells], indent=1).encode())
    return path


def read_list(out: Path) -> list[Cell]:
    """The cells of `out/cells.json`.

    Raises:
        RunError: there is none, or it is no list of cells.
    """
    path = out / LIST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}; give the folder of a sweep or a study as --out"
        raise RunError(message) from error
    return [Cell.from_dict(entry, str(path)) for entry in values]


def result(folder: Path) -> dict[str, Any] | None:
    """What a finished cell left behind; None while it is not finished."""
    path = folder / RESULT
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        message = f"{path} is damaged ({error}); remove it, and the next run evaluates anew"
        raise RunError(message) from error
    return found


def work(task: Task, report: pool.Report, stop: pool.Stop) -> Any:
    """Trains from where the folder stands, then evaluates; for a worker of the pool.

    Raises:
        RunError: the folder holds a run of another configuration, is being worked on, or cannot be
            written.
        NonFiniteError: training diverged.
    """
    cell, folder = task.cell, task.folder
    with _alone(folder):
        begun = (folder / "config.toml").exists() and _same(cell, folder)
        found = result(folder)
        if found is not None:
            return found
        if begun and checkpoint.folders(folder):
            run = resume(folder, report=report, stop=stop)
        else:
            if folder.exists():  # killed before its first checkpoint: nothing to keep
                shutil.rmtree(folder)
            run = train(cell.config, folder, report=report, stop=stop)
        if not (folder / "summary.json").exists():
            return pool.STOPPED
        found = {**run.summary, "evaluation": evaluate(run, episodes=cell.episodes).to_dict()}
        write_atomic(folder / RESULT, json.dumps(found, indent=1).encode())
        return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder of a run against other processes; the system lets go when this one ends."""
    path = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "wb")  # noqa: SIM115 (closed below, whatever happens)
    except OSError as error:
        raise unwritable(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another process is working on {folder}; wait for it, or end it"
            raise RunError(message) from error
        yield


def _same(cell: Cell, folder: Path) -> bool:
    """Whether a run is this cell's.

    Raises:
        RunError: it is another's; names the keys.
    """
    there, wanted = Run.open(folder).config.to_dict(), cell.config.to_dict()
    apart = sorted(key for key in wanted if there[key] != wanted[key])
    if apart:
        told = ", ".join(f"{key} = {there[key]!r}, not {wanted[key]!r}" for key in apart)
        message = f"{folder} holds a run with {told}; choose another --out, or remove that folder"
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
    """Runs the cells that are not finished; returns what came of all of them, in order."""
    tasks = {cell.name: Task(cell, runs / cell.name) for cell in cells}
    done = {}
    for name, task in tasks.items():
        found = result(task.folder)
        if found is not None and _same(task.cell, task.folder):
            done[name] = pool.Outcome(name, "done", result=found)
    progress.skip(len(done))
    left = {name: task for name, task in tasks.items() if name not in done}
    outcomes = pool.run(left, work, workers, progress, stop=stop, pin=pin, ended=_told)
    done |= {outcome.name: outcome for outcome in outcomes}
    return [done[name] for name in tasks]


def _told(outcome: pool.Outcome) -> str:
    found = outcome.result["evaluation"]["team_return"]
    low, high = found["ci95"]
    return f"team return {found['mean']:.2f} [{low:.2f}, {high:.2f}]"
