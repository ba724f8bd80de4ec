"""The program of a worker process: steps its share of the copies of a Python environment.

`workers.py` starts it and says when. It ends, and closes its copies, when its parent says so or is
gone, however that came about.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import socket
import sys
import traceback
import warnings
from typing import Any

from ascore.envs.adapters.channel import (
    BEGIN,
    BUILD,
    CLOSED,
    DONE,
    FAILED,
    LOAD,
    PLACE,
    RESET,
    SAVE,
    STEP,
    Channel,
    shared,
)
from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.foreign import FAILURES, crash
from ascore.envs.adapters.locate import load
from ascore.errors import AscoreWarning, EnvError, Terminated

_PR_SET_PDEATHSIG = 1
_LONGEST_END = 60
"""Seconds that closing may take; the parent is less patient."""


def main(control: int, memory: int, parent: int) -> None:
    """Serves until the parent leaves.

    Args:
        control: descriptor of this end of the socket.
        memory: descriptor of the file for arrays.
        parent: number of the parent process.
    """
    for descriptor in (control, memory):
        os.set_inheritable(descriptor, False)  # processes that environments start have no part
    server = _Server(Channel(socket.socket(fileno=control)), memory, parent)
    # A Ctrl-C at the terminal reaches the workers too, but what follows from it the parent decides.
    # A handler, unlike SIG_IGN, is not passed on to programs that environments start.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, server.end)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    server.serve()


class _Server:
    """Obeys the orders of the parent."""

    def __init__(self, channel: Channel, memory: int, parent: int) -> None:
        self._channel, self._memory, self._parent = channel, memory, parent
        self._own = os.getpid()
        self._core: PythonCore | None = None
        self._closing = False
        self._messages: list[str] = []
        warnings.simplefilter("always", AscoreWarning)
        self._shown, warnings.showwarning = warnings.showwarning, self._show

    def end(self, number: int, frame: object) -> None:
        """Handles SIGTERM: unwinds what runs if the parent has left, and does nothing else.

        A signal to a whole group of processes is the parent's affair: it may want to save first.
        """
        if os.getpid() != self._own:  # a child that an environment has forked
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self._closing and (os.getppid() != self._parent or self._channel.left()):
            raise Terminated(number)

    def serve(self) -> None:
        """Obeys until the parent leaves, then closes the copies."""
        try:
            while os.getppid() == self._parent:
                self._obey(*self._channel.receive())
        except (EOFError, OSError, Terminated):
            pass
        finally:
            self._closing = True
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LONGEST_END)  # also if their code hangs and nobody is left to notice
            if self._core is not None:
                self._core.close()
            with contextlib.suppress(OSError):
                self._channel.send(CLOSED, self._messages)

    def _obey(self, kind: bytes, content: Any) -> None:
        try:
            answer = self._do(kind, content)
        except EnvError as error:
            self._fail(error, error)
            return
        except (KeyboardInterrupt, Terminated):
            raise
        except BaseException as error:
            failure = EnvError("workers", f"a worker process fails: {crash(error)}", "fix it")
            self._fail(failure, error)
            return
        if self._core is not None:
            self._core.at[0] = -1  # before the parent may look
        messages, self._messages = self._messages, []
        self._channel.send(DONE, (answer, messages) if answer or messages else None)

    def _fail(self, failure: EnvError, error: BaseException) -> None:
        if self._core is not None:
            self._core.at[0] = -1
        text = "".join(traceback.format_exception(error))
        self._channel.send(FAILED, (failure.topic, failure.found, failure.remedy, text))

    def _do(self, kind: bytes, content: Any) -> Any:
        if kind == BUILD:
            return self._build(**content)
        core = self._core
        if core is None:
            message = "there are no copies"
            raise RuntimeError(message)
        if kind == STEP:
            core.advance(self._action)
        elif kind == PLACE:
            self._place(core, **content)
        elif kind == RESET:
            seed, first_env, anew = content
            core.identify(seed, first_env)
            core.reset(seed if anew else None)
        elif kind == BEGIN:
            core.identify(*content)
            core.begin_all()
        elif kind == SAVE:
            return core.pickled()
        elif kind == LOAD:
            seed, first_env, parts = content
            core.identify(seed, first_env)
            return core.take(parts)
        return None

    def _build(self, *, threads: int | None, **keys: Any) -> Any:
        load(keys["name"])
        _as_in_parent(threads)
        self._core = PythonCore(**keys)
        _as_in_parent(threads)  # it may have been imported only now
        layout = self._core.layout
        try:
            data = pickle.dumps(layout)
        except FAILURES:  # a name or a space may be anything
            data = b""
        return layout.sizes, data

    def _place(self, core: PythonCore, *, fields: Any, first: int, number: int) -> None:
        arrays = shared(self._memory, fields)
        os.close(self._memory)
        rows = slice(first, first + core.num_envs)
        core.at = arrays["at"][number : number + 1]
        self._action = arrays["action"][rows]
        core.place({key: array[rows] for key, array in arrays.items() if key != "at"})

    def _show(
        self, message: Warning | str, category: type[Warning], *where: Any, **more: Any
    ) -> None:
        """Leaves this package's warnings to the parent; others are printed here."""
        if issubclass(category, AscoreWarning):
            self._messages.append(str(message))
        else:
            self._shown(message, category, *where, **more)


def _as_in_parent(threads: int | None) -> None:
    """Gives PyTorch, if an environment uses it, as many threads as there: sums depend on it."""
    torch = sys.modules.get("torch")
    if torch is not None and threads is not None:
        torch.set_num_threads(threads)
