"""Functions in processes that are as good as new and start at once.

They are forked from the pool's server, which has loaded PyTorch and done nothing with it. A process
that loads it by itself computes for almost two seconds before it does anything.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ascore.runtime.pool import PRELOAD, _single_threaded


def start(work: Callable[..., None], *args: Any, log: Path, **environment: str) -> BaseProcess:
    """Begins `work(*args)`; what the process prints is written to a file.

    Args:
        work: pickled by its name.
        args: of `work`.
        log: the file.
        environment: variables, but for those that are read where PyTorch is loaded.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=_run, args=(work, args, log, environment))
    with _single_threaded():
        process.start()
    return process


def run(work: Callable[..., None], *args: Any, log: Path) -> tuple[int | None, str]:
    """The status of `work(*args)` and what it printed."""
    process = start(work, *args, log=log)
    process.join()
    return process.exitcode, log.read_text()


def _run(
    work: Callable[..., None], args: tuple[Any, ...], log: Path, environment: dict[str, str]
) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ.update(environment)
    work(*args)
