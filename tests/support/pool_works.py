"""Work functions for the tests of the pool; module-level, because they are pickled by name."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from ascore.experiments import cells
from ascore.runtime import pool


def touch(task: Any, report: pool.Report, stop: pool.Stop) -> Any:
    """Reports its process, threads and cores."""
    import numpy as np
    import torch

    np.ones((300, 300)) @ np.ones((300, 300))
    torch.ones(300, 300) @ torch.ones(300, 300)
    report(1, 1, {"team_return": 0.0, "entropy": [0.0]})
    threads = len(os.listdir("/proc/self/task"))
    return {
        "pid": os.getpid(), "threads": threads, "cores": sorted(os.sched_getaffinity(0)),
        "variable": os.environ.get("ASCORE_TEST"), "omp": os.environ["OMP_NUM_THREADS"],
        "task": task,
    }  # fmt: skip


def misbehave(task: str, report: pool.Report, stop: pool.Stop) -> Any:
    """Ends in the way that the task names."""
    if task == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "leave":
        os._exit(3)
    if task == "fault":
        raise ZeroDivisionError(task)
    if task == "user":
        message = "seed = -1 is not allowed"
        raise ValueError(message)
    if task == "unsendable":
        return lambda: None
    return task


def wait(task: Path, report: pool.Report, stop: pool.Stop) -> Any:
    """Runs until it is asked to stop, then leaves a file as proof that it saved."""
    task.with_suffix(".begun").touch()
    while not stop():
        report(1, 2, {"team_return": 0.0, "entropy": [0.0]})
        time.sleep(0.01)
    task.with_suffix(".saved").touch()
    return pool.STOPPED


def damaged(task: tuple[cells.Task, str], report: pool.Report, stop: pool.Stop) -> Any:
    """A cell that is killed, or whose disk fills up, after four updates."""
    cell, how = task

    def disturb(done: int, total: int, record: dict[str, Any]) -> None:
        report(done, total, record)
        if done == 4 and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if done == 4 and how == "disk":  # no file can grow beyond a part of a checkpoint
            size = max(p.stat().st_size for p in cell.folder.rglob("*") if p.is_file())
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, -1))

    return cells.work(cell, disturb, stop)
