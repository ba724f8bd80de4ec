"""Trains several algorithms on one configuration at the same time, one process each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import AscoreError
from ascore.runs.session import Run, train
from ascore.runtime import pool
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
    tasks = {name: (config.replace(algorithm=name), out / name) for name in algorithms}
    workers = pool.fit_workers(0, len(tasks))
    outcomes = pool.run(tasks, _work, workers, progress, stop=stop)
    failed = [f"{outcome.name}: {outcome.reason}" for outcome in outcomes if outcome.reason]
    if failed:
        raise AscoreError("; ".join(failed))
    return [Run.open(out / name) for name in algorithms if (out / name).exists()]


def _work(task: tuple[Config, Path], report: pool.Report, stop: pool.Stop) -> Any:
    config, folder = task
    train(config, folder, report=report, stop=stop)
    return None
