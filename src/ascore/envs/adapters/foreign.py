"""Guards against other people's code, which may fail in any way, even in its `repr`."""

from __future__ import annotations

import contextlib
import os
import reprlib
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from ascore.errors import EnvError

FAILURES = (Exception, SystemExit)
"""What their code may raise; `sys.exit()` in it must not end this process without a word."""

PATIENCE_SECONDS = 2.0
"""After this time, what takes so long is said."""

_listeners: list[Callable[[str], None]] = []
_timers: list[threading.Timer] = []

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 160
_short.maxlist = _short.maxtuple = _short.maxdict = 8


def shown(value: Any) -> str:
    """A value in a message, in one line; its own `repr` may be long, or fail."""
    try:
        return " ".join(_short.repr(value).split())
    except FAILURES:
        return f"a {type(value).__name__}"


def crash(error: BaseException) -> str:
    """An exception in one line, with the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    try:
        text = " ".join(str(error).split())
    except FAILURES:
        text = ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"


@contextlib.contextmanager
def asking(what: str, topic: str, remedy: str = "fix it") -> Iterator[None]:
    """Turns whatever their code raises into an EnvError that says what was asked of it."""
    try:
        yield
    except EnvError:
        raise
    except FAILURES as error:
        raise EnvError(topic, f"{what} fails: {crash(error)}", remedy) from error


@contextlib.contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Calls `listener`, from another thread, with what has kept its caller waiting for long."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextlib.contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Says what is being waited for, once, if it takes longer than `PATIENCE_SECONDS`.

    Within another wait it says nothing.
    """
    if not _listeners or _timers:
        yield
        return
    timer = threading.Timer(PATIENCE_SECONDS, _listeners[-1], [what])
    timer.daemon = True
    timer.start()
    _timers.append(timer)
    try:
        yield
    finally:
        _timers.remove(timer)
        timer.cancel()


def class_name(env: Any) -> str:
    """The class of an environment itself, whatever it is wrapped in."""
    try:
        inner = env.unwrapped
    except FAILURES:
        inner = None
    return type(env if inner is None else inner).__name__
