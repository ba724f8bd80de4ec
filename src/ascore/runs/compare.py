"""Trains several algorithms on one configuration at the same time, one process each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascore.algorithms.contract import own_names
from ascore.algorithms.table import get_algorithm, unread
from ascore.config import Config
from ascore.errors import AscoreError, AscoreWarning
from ascore.runs.run import Run
from ascore.runs.session import train
from ascore.runs.trust import ours
from ascore.runtime import pool
from ascore.runtime.processors import usable_processors
from ascore.runtime.progress import Progress


def train_side_by_side(
    config: Config,
    algorithms: Sequence[str],
    out: Path,
    progress: Progress,
    stop: pool.Stop = lambda: False,
) -> list[Run]:
    """Trains each algorithm into `out/<algorithm>`; all else in `config` is the same.

    Args:
        config: shared by all runs.
        algorithms: names of the algorithms.
        out: parent folder of the runs.
        progress: shows the progress of all runs.
        stop: once it returns true, all runs save and return early.

    Returns:
        The runs, in the order of `algorithms`.

    Raises:
        AscoreError: a run failed; the message names it and says why. The other runs are finished.
    """
    for message in unread(config, algorithms):
        warnings.warn(message, AscoreWarning, stacklevel=2)
    if config.env_workers < 0 and 2 * len(algorithms) > usable_processors():
        config = config.replace(env_workers=0)  # the runs keep the processors busy
    tasks = {
        name: (for_algorithm(config, name, algorithms), out / name.replace(":", "-"))
        for name in algorithms
    }
    workers = pool.fit_workers(0, len(tasks))
    outcomes = pool.run(tasks, _work, workers, progress, stop=stop)
    failed = [f"{outcome.name}: {outcome.reason}" for outcome in outcomes if outcome.reason]
    if failed:
        raise AscoreError("; ".join(failed))
    folders = [folder for _, folder in tasks.values() if folder.exists()]
    for folder in folders:
        ours(folder)
    return [Run.open(folder) for folder in folders]


def for_algorithm(config: Config, name: str, algorithms: Sequence[str]) -> Config:
    """The same configuration for one of several algorithms.

    Of `algorithm_params` it keeps the algorithm's own keys and those that no algorithm has, so that
    a misspelt key is still refused.
    """
    own = {other: own_names(get_algorithm(other).keys) for other in algorithms}
    others = {key for keys in own.values() for key in keys} - set(own[name])
    params = {k: v for k, v in config.algorithm_params.items() if k not in others}
    return config.replace(algorithm=name, algorithm_params=params)


def _work(task: tuple[Config, Path], report: pool.Report, stop: pool.Stop) -> Any:
    config, folder = task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AscoreWarning)  # printed once for all runs
        train(config, folder, report=report, stop=stop)
    return None
