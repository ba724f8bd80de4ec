"""Runs by setting: runs that differ in nothing but their seed belong together."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from ascore.algorithms.table import OWNED, ignored
from ascore.config import Config
from ascore.envs.factory import is_external
from ascore.errors import AscoreWarning, ConfigError, RunError
from ascore.reading import unreadable
from ascore.runs.files import as_path
from ascore.runs.folder import ABANDONED, CONFIG, resume_command
from ascore.runs.logs import METRICS
from ascore.runs.run import Run

Source: TypeAlias = "Run | str | Path"
"""A run, its folder, or a folder of runs such as a sweep."""

DEEPEST = 6  # folders below the one that is given; a sweep's runs are at most four below
# Keys that say where and how fast a run is computed; what it learns does not depend on them.
MACHINE = {
    "backend", "device", "num_threads", "env_workers", "env_timeout", "rank_split",
    "torch_threads", "checkpoint_every", "keep_checkpoints", "tensorboard",
}  # fmt: skip


class Configured(Protocol):
    """What can be grouped: a run that is opened, or one that a page is about."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def config(self) -> Config:
        """The configuration."""


Item = TypeVar("Item", bound=Configured)


@dataclass(frozen=True)
class Group(Generic[Item]):
    """The runs of one setting, one per seed.

    Attributes:
        label: algorithm and what tells the setting from the others, as in "AS, penalty_weight 3".
        runs: at least one, in the order of their seeds.
    """

    label: str
    runs: tuple[Item, ...]

    @property
    def config(self) -> Config:
        """Configuration of the first run; the others differ in the seed."""
        return self.runs[0].config


def open_runs(sources: Iterable[Source]) -> list[Run]:
    """Opens runs and all runs within folders, in the order of the names; each run once.

    Raises:
        RunError: there is none, or a path holds none.
    """
    runs: dict[Path, Run] = {}
    for source in sources:
        if isinstance(source, Run):
            runs.setdefault(source.path.resolve(), source)
            continue
        path = as_path(source)
        folders = run_folders(path)
        if not folders:
            raise RunError(_why_none(path))
        for folder in folders:
            runs.setdefault(folder.resolve(), Run.open(folder))
    if not runs:
        message = "there is no run to look at; give a folder written by `ascore train` or `sweep`"
        raise RunError(message)
    return list(runs.values())


def _why_none(path: Path) -> str:
    if (path / CONFIG).is_file():
        return (
            f"{path / METRICS} is missing; restore it, or go on without the records so far: "
            f"{resume_command(path)} --new-log"
        )
    return f"{path} holds no run; give a folder written by `ascore train` or `sweep`"


def run_folders(path: Path) -> list[Path]:
    """The run folders at or below a path, in the order of their names; links are not followed.

    What a run went back from is none of them, unless the path names it. A folder that the system
    withholds is passed over with a warning.
    """
    folders = []
    for place, names, files in os.walk(path, onerror=_passed_over):
        depth = len(Path(place).relative_to(path).parts)
        if METRICS in files:
            folders.append(Path(place))
            names.clear()  # a run holds no runs
        if depth >= DEEPEST:
            names.clear()
        names[:] = sorted(name for name in names if not name.startswith(ABANDONED))
    return folders


def _passed_over(error: OSError) -> None:
    if isinstance(error, PermissionError):
        message = unreadable(path=error.filename, error=error, remedy="")
        warnings.warn(f"{message}, or go on without it", AscoreWarning, stacklevel=3)


def by_environment(runs: Iterable[Item]) -> list[list[Item]]:
    """Runs of the same environment with the same parameters, in order of appearance."""
    places: dict[str, list[Item]] = {}
    for run in runs:
        places.setdefault(_place(run.config), []).append(run)
    return list(places.values())


def by_setting(runs: Iterable[Run]) -> list[Group[Run]]:
    """The settings of one environment; of runs that are the same, one counts, with a warning."""
    kept, repeats = once(runs)
    for run, first in repeats:
        message = f"left out {run.path}: it is the same run as {first.path}"
        warnings.warn(message, AscoreWarning, stacklevel=3)
    return grouped(kept)


def once(runs: Iterable[Item]) -> tuple[list[Item], list[tuple[Item, Item]]]:
    """Each run once; and the runs that differ in nothing from an earlier one, with that one."""
    seen: dict[str, Item] = {}
    repeats: list[tuple[Item, Item]] = []
    for run in runs:
        config = run.config
        key = json.dumps([_place(config), setting_of(config), config.seed], sort_keys=True)
        first = seen.setdefault(key, run)
        if first is not run:
            repeats.append((run, first))
    return list(seen.values()), repeats


def grouped(runs: Iterable[Item]) -> list[Group[Item]]:
    """Groups the runs of one environment by setting, in order of appearance.

    Keys that change nothing make no setting, and neither do those that only say where
    a run is computed.
    """
    groups: dict[str, list[Item]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for run in runs:
        setting = setting_of(run.config)
        key = json.dumps(setting, sort_keys=True)
        groups.setdefault(key, []).append(run)
        settings[key] = setting
    labels = _labels(list(settings.values()))
    return [
        Group(label, tuple(sorted(members, key=lambda run: run.config.seed)))
        for label, members in zip(labels, groups.values(), strict=True)
    ]


def _place(config: Config) -> str:
    """Environment and parameters."""
    return json.dumps([config.env, config.horizon, config.env_params], sort_keys=True)


def setting_of(config: Config) -> dict[str, Any]:
    """What a run depends on besides its environment and seed: keys and their values."""
    values = config.to_dict()
    own = values.pop("algorithm_params")
    for key in ("seed", "env", "env_params", "horizon", *MACHINE, *_ignored(config)):
        values.pop(key, None)
    return {**own, **values}


def _ignored(config: Config) -> set[str]:
    """Keys that change nothing; none for an algorithm from outside, which is not imported."""
    if is_external(config.algorithm):
        return set()
    try:
        return set(ignored(config, config.algorithm))
    except ConfigError:  # registered in the process that trained it
        return set()


def algorithm_label(name: str) -> str:
    """Short name of an algorithm: AS, IPPO, or the NAME of MODULE:NAME."""
    return name.rpartition(":")[2] if is_external(name) else name.upper()


def _labels(settings: Sequence[dict[str, Any]]) -> list[str]:
    """The algorithm of each setting, and the keys that tell it from the others."""
    labels = []
    for setting in settings:
        name = setting["algorithm"]
        alike = [other for other in settings if other["algorithm"] == name]
        shown = [algorithm_label(name)]
        for key, value in setting.items():
            # A key of other algorithms tells nothing about this one; a common key always does.
            against = alike if key in OWNED else settings
            if key != "algorithm" and any(key in s and s[key] != value for s in against):
                shown.append(f"{key} {_text(value)}")
        labels.append(", ".join(shown))
    return labels


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
