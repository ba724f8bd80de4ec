"""Trains several algorithms on one configuration at the same time, a process each."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import AscoreError
from ascore.progress import Progress
from ascore.training import Run, train


def train_side_by_side(
    config: Config, algorithms: Sequence[str], out: Path, progress: Progress
) -> list[Run]:
    """Trains each algorithm into `out/<algorithm>`; all else in `config` is the same.

    Returns:
        The runs, in the order of `algorithms`.

    Raises:
        AscoreError: a run failed; names it and says why. The others are stopped.
    """
    context = multiprocessing.get_context("spawn")
    events: Any = context.Queue()
    workers = {
        name: context.Process(
            target=_work,
            args=(config.replace(algorithm=name), out / name, name, events),
            daemon=True,
        )
        for name in algorithms
    }
    running = set(workers)
    try:
        for worker in workers.values():
            worker.start()
        while running:
            try:
                name, kind, content = events.get(timeout=0.5)
            except queue.Empty:
                for name in running:
                    if workers[name].exitcode not in (None, 0):
                        message = f"{name}: its process ended with status {workers[name].exitcode}"
                        raise AscoreError(message) from None
                continue
            if kind == "update":
                progress.update(name, *content)
            elif kind == "failed":
                message = f"{name}: {content}"
                raise AscoreError(message)
            else:
                running.remove(name)
    finally:
        for name, worker in workers.items():
            if name in running and worker.is_alive():
                worker.terminate()
            if worker.pid is not None:
                worker.join()
    return [Run.open(out / name) for name in algorithms]


def _work(config: Config, folder: Path, name: str, events: Any) -> None:
    try:
        train(config, folder, report=lambda *update: events.put((name, "update", update)))
    except AscoreError as error:
        events.put((name, "failed", str(error)))
    else:
        events.put((name, "done", None))
