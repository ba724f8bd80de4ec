"""Many tasks over a few worker processes: one process each, one thread each, none lost for another.

Every task runs in an operating-system process of its own, so that whatever ends it (kill -9, no
memory, a full disk, numbers that stop being finite) ends it alone. Workers talk to their pool over
pipes of their own: nobody can die holding a lock that others wait for.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from ascore.errors import AscoreError
from ascore.runtime.processors import usable_processors
from ascore.runtime.progress import Progress

Report = Callable[[int, int, dict[str, Any]], None]
Stop = Callable[[], bool]
Work = Callable[[Any, Report, Stop], Any]
"""(task, report, stop) -> result; a function of a module. Once `stop()` is true it saves and
returns STOPPED."""

STOPPED = "stopped"

# One thread per worker: the cores are shared out among processes. What waits must not spin.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
# Imported once, before the first fork: a worker begins within milliseconds instead of seconds.
# PyTorch's optimisers import the fourth when the first of them is made, which takes a second.
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
        name: of the task.
        status: done; failed; stopped (saved, to be continued); waiting (never begun).
        reason: why it failed.
        result: what the work returned.
        seconds: from its beginning to its end.
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
    """Number of workers: as wanted (0 = one per usable core), never more than cores or tasks.

    Raises:
        ValueError: below 0.
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
    """Works through tasks in their order; the failure of one is told and costs no other.

    Args:
        tasks: by name; values are handed to `work` in another process (pickled).
        work: what to do with each.
        workers: processes at a time, as `fit_workers` gives.
        progress: shows what workers report.
        stop: asked a few times a second; true once asks all workers to save and return.
        pin: binds each worker to a core of its own; for machines that nobody else uses.
        ended: called after each task; its text is shown.

    Returns:
        One outcome per task, in their order.

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
                progress.end(outcome.name, _told(outcome, ended))
            if not stopping and stop():
                stopping = True
                for connection in running:
                    with contextlib.suppress(OSError):
                        connection.send(STOPPED)
    finally:
        for connection, worker in running.items():
            connection.close()  # a worker that finds its pool gone saves and ends
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
        process.start()
    there.close()
    return here, _Worker(name, process, slot)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """The environment in which libraries of a new process start no threads."""
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
    """Takes one message; false when the worker has ended."""
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        return False
    if kind == "update":
        progress.update(worker.name, *content)
    elif kind == "fault":
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
        why = f"its process was ended by {name}; memory ran out, or somebody ended it"
    else:
        why = f"its process ended with status {status}"
    return Outcome(worker.name, "failed", why)


def _told(outcome: Outcome, ended: Callable[[Outcome], str] | None) -> str:
    if outcome.status == "failed":
        return f"failed: {outcome.reason}"
    if outcome.status == "stopped" or ended is None:
        return outcome.status
    return ended(outcome)


# ---------------------------------------------------------------------- in the worker


def _work(
    work: Work, task: Any, connection: Connection, environment: dict[str, str], core: int | None
) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool hears it and asks everyone to stop
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    os.environ.update({k: v for k, v in environment.items() if k not in ENVIRONMENT})
    if core is not None:
        os.sched_setaffinity(0, {core})
    start, last = time.monotonic(), -math.inf

    def report(done: int, total: int, record: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= POLL_SECONDS or done == total:
            last = now
            with contextlib.suppress(OSError):  # the pool is gone: `stop` says so
                connection.send(("update", (done, total, record)))

    def stop() -> bool:
        return bool(asked) or connection.poll()  # a word from the pool, or its end

    def say(kind: str, **content: Any) -> None:
        spent = {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time()}
        with contextlib.suppress(OSError):
            connection.send((kind, content | spent))

    try:
        result = work(task, report, stop)
        if isinstance(result, str) and result == STOPPED:
            say("stopped")
        else:
            say("done", result=result)
    except (AscoreError, ValueError, OSError) as error:
        say("failed", reason=str(error))
    except Exception as error:  # a fault of the program: the pool shows where it happened
        with contextlib.suppress(OSError):
            connection.send(("fault", traceback.format_exc()))
        say("failed", reason=f"{type(error).__name__}: {error}")
