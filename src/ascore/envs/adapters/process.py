"""A worker process as its parent sees it: it is started, given orders, and ends or is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from multiprocessing import spawn
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.channel import CLOSED, DONE, FAILED, Channel
from ascore.errors import AscoreWarning, EnvError

PATIENCE = 30.0
"""Seconds that a worker may take to close its copies before it is killed."""

_TICK = 1.0
"""Seconds after which a parent that waits looks whether the worker is still there."""

# The program imports from where this one does, and environments see the same sys.argv.
_PROGRAM = (
    "import json, sys; numbers = map(int, sys.argv[1:4]); "
    "sys.path[:], sys.argv[:] = json.loads(sys.argv[4]); "
    "from ascore.envs.adapters.share import main; main(*numbers)"
)


class Lost(Exception):
    """A worker is gone, or was killed because it hung.

    Attributes:
        problem: what happened.
        remedy: what may help.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


class WorkerTraceback(Exception):
    """The traceback of a worker's exception as text; the cause of the error that is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class WorkerProcess:
    """One worker. It is a program of its own: it shares nothing but a socket and a file.

    Args:
        memory: descriptor of the file for arrays.
        timeout: seconds that one copy may take for an order that is timed; 0 = any time.
    """

    def __init__(self, memory: int, timeout: float = 0.0) -> None:
        self._timeout = timeout
        here, there = socket.socketpair()
        self._channel = Channel(here, min(_TICK, timeout / 4) if timeout > 0 else _TICK)
        self._owed = False
        path = [entry for entry in sys.path if isinstance(entry, str)]
        with there:
            numbers = (str(number) for number in (there.fileno(), memory, os.getpid()))
            self.process = subprocess.Popen(
                [spawn.get_executable(), "-c", _PROGRAM, *numbers, json.dumps([path, sys.argv])],
                stdin=subprocess.DEVNULL,  # several would read it at once
                pass_fds=(there.fileno(), memory),
            )

    def send(self, kind: bytes, content: Any = None) -> None:
        """Gives an order; that the worker is gone shows when its answer is waited for."""
        self._owed = True
        try:  # in every step, so not contextlib.suppress, which takes longer
            self._channel.send(kind, content)
        except OSError:
            return

    def receive(self, at: npt.NDArray[np.int64] | None = None) -> Any:
        """Waits for the answer.

        Args:
            at: i64 [1], the copy that the worker is at; given if the time it takes is limited.

        Raises:
            EnvError: the order failed in the worker.
            Lost: there will be no answer.
        """
        last, since = -1, time.monotonic()

        def idle() -> None:
            nonlocal last, since
            if self.process.poll() is not None:
                raise EOFError
            now = time.monotonic()
            if at is not None and int(at[0]) != last:
                last, since = int(at[0]), now
            elif at is not None and 0 < self._timeout < now - since:
                raise TimeoutError

        try:
            kind, content = self._channel.receive(idle)
        except EOFError:
            raise self._gone() from None
        except TimeoutError:
            self.kill()
            problem = f"a worker process has not come back for {self._timeout:g} s"
            raise Lost(problem, "fix it, or raise env_timeout") from None
        self._owed = False
        if kind == CLOSED:  # what it ran has ended it in an orderly way
            raise self._gone()
        if kind == FAILED:
            topic, problem, remedy, text = content
            raise EnvError(topic, problem, remedy) from WorkerTraceback(text)
        answer, messages = content or (None, ())
        for message in messages:
            warnings.warn(message, AscoreWarning, stacklevel=4)
        return answer

    def _gone(self) -> Lost:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_TICK)
        self.kill()
        status = self.process.returncode
        if status < 0:
            names = {number.value: number.name for number in signal.Signals}
            problem = f"a worker process was killed by {names.get(-status, -status)}"
            return Lost(problem, "it ran out of memory, or someone killed it")
        return Lost(f"a worker process exited with status {status}", "see what it printed")

    def dismiss(self) -> None:
        """Lets the worker close its copies and end; does not wait for that."""
        self._channel.leave()
        if self._owed:  # it is at work, which is of no use any more
            self.process.terminate()

    def wait(self, name: str) -> list[str]:
        """Waits for the end of a worker that was dismissed.

        Returns:
            Warnings to show.
        """
        end = time.monotonic() + PATIENCE

        def idle() -> None:
            if self.process.poll() is not None or time.monotonic() > end:
                raise EOFError

        messages: list[str] = []
        with contextlib.suppress(EOFError):
            kind, content = DONE, None
            while kind != CLOSED:
                kind, content = self._channel.receive(idle)
            messages = content or []
        try:
            self.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            messages.append(
                f"a worker process of {name} has not ended after {PATIENCE:g} s and is killed; "
                "it may leave things open"
            )
        return messages

    def kill(self) -> None:
        """Kills the worker, unless it has ended."""
        self.process.kill()
        self.process.wait()

    def release(self) -> None:
        """Gives back what a worker holds that has ended, and makes sure that it has."""
        self.kill()
        self._channel.close()

    def forget(self) -> None:
        """Lets go of a worker that is another process's."""
        self._channel.close()
        self.process.returncode = 0
