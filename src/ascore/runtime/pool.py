"""Runs many tasks in a few worker processes, one process and one thread per task.

Every task has its own operating-system process, so that a failure (kill -9, out of memory, a full
disk, non-finite numbers) ends only that task. Each worker has its own pipe to the pool, so that no
worker can die while it holds a lock that others wait for.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from ascore.errors import AscoreError, AscoreWarning, RunError
from ascore.runtime.processors import usable_processors
from ascore.runtime.progress import Progress

Report = Callable[[int, int, dict[str, Any]], None]
Stop = Callable[[], bool]
Work = Callable[[Any, Report, Stop], Any]
"""(task, report, stop) -> result; a module-level function. Once `stop()` is true it saves and
returns STOPPED."""

STOPPED = "stopped"

# One thread per worker, because the processes share the cores; waiting threads must not spin.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
# Imported once, before the first fork, so that a worker starts within milliseconds, not seconds.
# PyTorch imports torch._dynamo when it creates the first optimiser, which takes a second.
PRELOAD = [
    "ascore.runs.session",
    "ascore.runs.evaluation",
    "ascore.learning.backends.loops",
    "torch._dynamo",
]
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        name: name of the task.
        status: done; failed; stopped (saved, can be continued); waiting (never started).
        reason: why the task failed.
        result: return value of the work.
        seconds: wall-clock time of the task.
        cpu_seconds: processor time of its process.
    """

    name: str
    status: Literal["done", "failed", "stopped", "waiting"]
    reason: str = ""
    result: Any = None
    seconds: float = math.nan
    cpu_seconds: float = math.nan


@dataclass
class _Worker:
    name: str
    process: Any
    slot: int
    outcome: Outcome | None = None


def fit_workers(wanted: int, tasks: int) -> int:
    """Number of workers: `wanted` (0 = one per usable core), at most the number of cores or tasks.

    Raises:
        ValueError: `wanted` is below 0.
    """
    if wanted < 0:
        message = f"workers = {wanted} is not allowed; it must be at least 0 (one per core)"
        raise ValueError(message)
    return max(1, min(wanted or usable_processors(), usable_processors(), tasks))


def run(
    tasks: Mapping[str, Any],
    work: Work,
    workers: int,
    progress: Progress,
    *,
    stop: Stop = lambda: False,
    pin: bool = False,
    ended: Callable[[Outcome], str] | None = None,
) -> list[Outcome]:
    """Runs tasks in order; a failed task is reported and does not affect the others.

    Args:
        tasks: tasks by name; each is pickled and passed to `work` in another process.
        work: function that runs a task.
        workers: number of processes at a time, from `fit_workers`.
        progress: shows what the workers report.
        stop: called a few times per second; once it is true, all workers save and return.
        pin: binds each worker to its own core; for machines with no other load.
        ended: called with the outcome of each task; returns the text to show.

    Returns:
        One outcome per task, in the order of `tasks`.

    Raises:
        ValueError: this system cannot bind processes to cores.
    """
    if pin and not hasattr(os, "sched_setaffinity"):
        message = "pin = true is not possible: this system cannot bind processes to cores"
        raise ValueError(message)
    waiting, outcomes = deque(tasks.items()), {}
    running: dict[Connection, _Worker] = {}
    slots = list(range(workers))
    stopping = False
    try:
        while running or (waiting and not stopping):
            while waiting and slots and not stopping:
                name, task = waiting.popleft()
                connection, worker = _start(name, task, work, slots.pop(0), pin)
                running[connection] = worker
            ready = wait(list(running), timeout=POLL_SECONDS)
            for connection in [connection for connection in running if connection in ready]:
                worker = running[connection]
                if _listen(connection, worker, progress):
                    continue
                del running[connection]
                slots.append(worker.slot)
                outcome = _close(connection, worker)
                outcomes[outcome.name] = outcome
                counted = outcome.status in ("done", "failed")
                progress.end(outcome.name, _ending(outcome, ended), counted)
            if not stopping and stop():
                stopping = True
                for connection in running:
                    with contextlib.suppress(OSError):
                        connection.send(STOPPED)
    finally:
        for connection, worker in running.items():
            connection.close()  # a worker whose pool is gone saves and ends
            worker.process.join()
    return [outcomes.get(name) or Outcome(name, "waiting") for name in tasks]


def _start(name: str, task: Any, work: Work, slot: int, pin: bool) -> tuple[Connection, _Worker]:
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(PRELOAD)
    here, there = context.Pipe()
    core = sorted(os.sched_getaffinity(0))[slot] if pin else None
    process = context.Process(
        target=_work, args=(work, task, there, dict(os.environ), core), daemon=True
    )
    with _single_threaded():
        try:
            process.start()
        except OSError as error:
            if "AF_UNIX" not in str(error):
                raise
            message = (
                f"the folder for temporary files, {tempfile.gettempdir()}, has too long a name for "
                "a socket in it; set TMPDIR to another"
            )
            raise RunError(message) from error
    there.close()
    return here, _Worker(name, process, slot)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Sets environment variables so that libraries in a new process start no threads."""
    before = {key: os.environ.get(key) for key in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _listen(connection: Connection, worker: _Worker, progress: Progress) -> bool:
    """Handles one message of a worker; false once the worker has ended."""
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        return False
    if kind == "update":
        progress.update(worker.name, *content)
    elif kind == "told":
        print(f"{worker.name}: {content}", file=sys.stderr, flush=True)
    else:
        worker.outcome = Outcome(worker.name, kind, **content)
    return True


def _close(connection: Connection, worker: _Worker) -> Outcome:
    connection.close()
    worker.process.join()
    status = worker.process.exitcode
    worker.process.close()
    if worker.outcome is not None:
        return worker.outcome
    if status < 0:
        name = signal.Signals(-status).name
        why = f"its process was killed by {name}; it ran out of memory, or someone killed it"
    else:
        why = f"its process exited with status {status}"
    return Outcome(worker.name, "failed", why)


def _ending(outcome: Outcome, ended: Callable[[Outcome], str] | None) -> str:
    if outcome.status == "failed":
        return f"failed: {outcome.reason}"
    if outcome.status == "stopped" or ended is None:
        return outcome.status
    return ended(outcome)


# ---------------------------------------------------------------------- in the worker


def _work(
    work: Work, task: Any, connection: Connection, environment: dict[str, str], core: int | None
) -> None:
    signals: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool handles it and stops all workers
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    os.environ.update({k: v for k, v in environment.items() if k not in ENVIRONMENT})
    if core is not None:
        os.sched_setaffinity(0, {core})
    start, last = time.monotonic(), -math.inf

    def report(done: int, total: int, record: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= POLL_SECONDS or done == total:
            last = now
            with contextlib.suppress(OSError):  # the pool is gone; `stop` notices
                connection.send(("update", (done, total, record)))

    def stop() -> bool:
        return bool(signals) or connection.poll()  # the pool sent STOPPED or is gone

    def send(kind: str, **content: Any) -> None:
        spent = {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time()}
        with contextlib.suppress(OSError):
            connection.send((kind, content | spent))

    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        """Leaves this package's warnings to the pool; others are printed here."""
        if not issubclass(category, AscoreWarning):
            shown(message, category, *where, **more)
            return
        with contextlib.suppress(OSError):
            connection.send(("told", str(message)))

    warnings.showwarning = show
    try:
        result = work(task, report, stop)
        if isinstance(result, str) and result == STOPPED:
            send("stopped")
        else:
            send("done", result=result)
    except (AscoreError, ValueError, OSError) as error:
        send("failed", reason=str(error))
    except Exception as error:  # a bug: the pool prints the traceback
        with contextlib.suppress(OSError):
            connection.send(("told", traceback.format_exc()))
        send("failed", reason=f"{type(error).__name__}: {error}")
