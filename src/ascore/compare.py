"""Trains several algorithms on one configuration at the same time, a process each."""

from __future__ import annotations

import multiprocessing
import queue
import signal
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
        KeyboardInterrupt: from the terminal; by then every run has saved a checkpoint.
    """
    context = multiprocessing.get_context("spawn")
    events: Any = context.Queue()
    stop = context.Event()
    workers = {
        name: context.Process(
            target=_work,
            args=(config.replace(algorithm=name), out / name, name, events, stop),
            daemon=True,
        )
        for name in algorithms
    }
    for worker in workers.values():
        worker.start()
    try:
        _follow(workers, events, progress)
    except KeyboardInterrupt:
        stop.set()
        _follow(workers, events, progress)
        raise
    finally:
        for worker in workers.values():
            if worker.is_alive():
                worker.terminate()
            worker.join()
    return [Run.open(out / name) for name in algorithms]


def _follow(workers: dict[str, Any], events: Any, progress: Progress) -> None:
    """Shows what the workers report until all have ended."""
    running = {name for name, worker in workers.items() if worker.exitcode is None}
    while running:
        try:
            name, kind, content = events.get(timeout=0.5)
        except queue.Empty:
            for name in sorted(running):
                if workers[name].exitcode is not None:
                    message = f"{name}: its process ended with status {workers[name].exitcode}"
                    raise AscoreError(message) from None
            continue
        if kind == "update":
            progress.update(name, *content)
        elif kind == "failed":
            message = f"{name}: {content}"
            raise AscoreError(message)
        else:
            running.discard(name)


def _work(config: Config, folder: Path, name: str, events: Any, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and asks everyone to stop
    try:
        train(
            config,
            folder,
            report=lambda *update: events.put((name, "update", update)),
            stop=stop.is_set,
        )
    except AscoreError as error:
        events.put((name, "failed", str(error)))
    else:
        events.put((name, "done", None))
