"""Which runs a page is about, and what their folders hold; nothing that they name is imported.

U updates, N agents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ascore.config import Config
from ascore.errors import AscoreError, RunError
from ascore.experiments.cells import LIST, RESULT, read_list, result
from ascore.experiments.places import place
from ascore.experiments.sweeps import read_command
from ascore.reading import unreadable
from ascore.report.values import F64, course, courses, mean, number, per_agent, tail
from ascore.runs.course import FINAL_SHARE
from ascore.runs.folder import CONFIG
from ascore.runs.logs import METRICS, read_records

SWEEP, RUNS, SUMMARY = "sweep.json", "runs", "summary.json"

TEAM = (
    "team_return", "episodes", "env_steps", "seconds", "entropy", "kl", "clip_fraction",
    "explained_variance", "discrepancy",
)  # fmt: skip
BYTES, SENT = "bytes_", "bytes_sent"
AGENTS = ("return", "clip_fraction", "explained_variance", SENT)
MOST_KINDS = 16
"""Kinds of messages that are counted; algorithms have one or two."""

Status = Literal["finished", "unfinished", "waiting", "unreadable", "repeated"]


@dataclass(frozen=True)
class Listing:
    """A run that was asked for.

    Attributes:
        name: what the page calls it: the path as given, or the name of a cell.
        folder: of the run; it may not be there yet.
        config: its configuration.
    """

    name: str
    folder: Path
    config: Config


@dataclass(frozen=True)
class Final:
    """What a run earns in the end.

    Attributes:
        team_return: mean per episode; NaN = no episode has ended.
        ci95: its 95% interval over episodes, if it was evaluated over more than one.
        episodes: number of evaluation episodes; 0 = it was not evaluated, and these are means
            over the last tenth of training, as in summary.json.
        agent_return: f64 [N].
        entropy: of the policies, nats.
        entropy_uniform: of uniform play; NaN = unknown.
    """

    team_return: float
    ci95: tuple[float, float] | None
    episodes: int
    agent_return: list[float]
    entropy: float
    entropy_uniform: float

    @classmethod
    def of_evaluation(cls, values: dict[str, Any]) -> Final:
        """What `ascore evaluate --json` prints, or a sweep has written; damaged parts are NaN."""
        team = values.get("team_return")
        team = team if isinstance(team, dict) else {}
        ends = per_agent(team.get("ci95"))
        episodes = team.get("n")
        return cls(
            team_return=number(team.get("mean")),
            ci95=(ends[0], ends[1]) if len(ends) == 2 and mean(ends) == mean(ends) else None,
            episodes=episodes if type(episodes) is int and 0 < episodes < 2**53 else 1,
            agent_return=per_agent(values.get("agent_return")),
            entropy=number(values.get("entropy")),
            entropy_uniform=number(values.get("entropy_uniform")),
        )


@dataclass(frozen=True)
class Reading:
    """What the folder of a run holds.

    Attributes:
        entry: the run.
        status: finished, unfinished (it has begun), waiting, unreadable, or repeated (it is the
            same run as another one, which counts).
        problem: why it is unreadable, repeated or not evaluated; "" = it is not.
        updates: U.
        team: metrics of every update, f64 [U]: those of the team, and means over agents.
        agents: metrics of every update and agent, f64 [U, N].
        sent: bytes that each agent has sent, by kind, f64 [N].
        actions: number of actions of all agents; 0 = unknown, or they differ.
        evaluation: as written by a sweep or made for this page; None = there is none.
    """

    entry: Listing
    status: Status
    problem: str = ""
    updates: int = 0
    team: dict[str, F64] = field(default_factory=dict)
    agents: dict[str, F64] = field(default_factory=dict)
    sent: dict[str, F64] = field(default_factory=dict)
    actions: int = 0
    evaluation: dict[str, Any] | None = None

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.entry.folder

    @property
    def config(self) -> Config:
        """Configuration of the run."""
        return self.entry.config

    @cached_property
    def final(self) -> Final:
        """The evaluation, or else the end of training."""
        if self.evaluation is not None:
            return Final.of_evaluation(self.evaluation)
        return Final(
            team_return=mean(tail(self.team["team_return"], FINAL_SHARE)),
            ci95=None,
            episodes=0,
            agent_return=[mean(tail(each, FINAL_SHARE)) for each in self.agents["return"].T],
            entropy=mean(tail(self.team["entropy"], FINAL_SHARE)),
            entropy_uniform=float("nan"),
        )

    @property
    def entropy_uniform(self) -> float:
        """Entropy of uniform play, nats; NaN = unknown."""
        known = self.final.entropy_uniform
        return known if known == known or self.actions < 2 else math.log(self.actions)

    def last(self, key: str) -> float:
        """A metric of the last update; NaN if there is none."""
        return float(self.team[key][-1]) if self.updates else math.nan


def entries(paths: Sequence[Path]) -> list[Listing]:
    """The runs in folders of runs, of sweeps, and in folders that hold runs, as `--compare` writes.

    Raises:
        RunError: a path holds no run, or a list of cells is damaged.
        ConfigError: a configuration is damaged.
    """
    if not paths:
        message = "there is nothing to report; give the folder of a run or of a sweep"
        raise RunError(message)
    listed: dict[Path, Listing] = {}
    for path in paths:
        for entry in _entries(path, len(paths) > 1):
            listed.setdefault(entry.folder.absolute(), entry)
    return list(listed.values())


def _entries(path: Path, several: bool) -> list[Listing]:
    if (path / LIST).exists():
        cells = read_list(path, trust=True)  # nothing is imported for a page
        prefix = f"{path}: " if several else ""
        return [
            Listing(prefix + cell.name, place(path / RUNS, cell.name), cell.config)
            for cell in cells
        ]
    folders = [path] if (path / CONFIG).exists() else []
    folders = folders or sorted(inner.parent for inner in path.glob(f"*/{CONFIG}"))
    if not folders:
        message = f"{path} holds no run; give a folder written by `ascore train` or `ascore sweep`"
        raise RunError(message)
    return [Listing(str(folder), folder, Config.load(folder / CONFIG)) for folder in folders]


def command_of(path: Path) -> dict[str, Any] | None:
    """The command of a sweep, with commit and machine once it has ended; None for a run."""
    if not (path / SWEEP).exists():
        return None
    return read_command(path / SWEEP)


class Shelf:
    """Reads runs, and reads them again only if their files have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Any, Reading]] = {}

    def read(self, entry: Listing) -> Reading:
        """What the folder of a run holds now."""
        state = [_state(entry.folder / name) for name in (METRICS, SUMMARY, RESULT)]
        known = self._known.get(entry.folder)
        if known is None or known[0] != state or known[1].entry != entry:
            known = (state, _read(entry))
            self._known[entry.folder] = known
        return known[1]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        about = os.lstat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def _read(entry: Listing) -> Reading:
    """Never raises for what a folder holds: one damaged run must not hide the others."""
    folder = entry.folder
    try:
        if not (folder / METRICS).exists():
            return Reading(entry, "waiting")
        records = read_records(folder / METRICS, of_run=False)
        outcome = result(folder)
        done = outcome is not None or (folder / SUMMARY).exists()
    except AscoreError as error:
        return Reading(entry, "unreadable", str(error))
    except PermissionError as error:
        return Reading(entry, "unreadable", unreadable(folder, error, ""))
    if not records:
        return Reading(entry, "waiting")
    # The records themselves are let go: those of twenty long runs may have a gigabyte.
    return Reading(
        entry,
        "finished" if done else "unfinished",
        updates=len(records),
        team={key: course(records, key) for key in TEAM},
        agents={key: courses(records, key) for key in AGENTS},
        sent=_sent(records),
        actions=_actions(records[-1]),
        evaluation=outcome["evaluation"] if outcome is not None else None,
    )


def _sent(records: Sequence[dict[str, Any]]) -> dict[str, F64]:
    """Bytes that each agent has sent in all updates, by kind."""
    kinds = [key for key in records[-1] if key.startswith(BYTES) and key != SENT]
    return {
        key.removeprefix(BYTES): np.nansum(courses(records, key), axis=0)
        for key in kinds[:MOST_KINDS]
    }


def _actions(record: dict[str, Any]) -> int:
    shares = record.get("action_probs")
    if not isinstance(shares, list):
        return 0
    sizes = {len(row) if isinstance(row, list) else 0 for row in shares}
    return sizes.pop() if len(sizes) == 1 else 0
