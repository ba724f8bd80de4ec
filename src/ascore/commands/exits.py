"""How commands end: the exit status and the printed line for every kind of failure.

docs/reliability.md has the same table for users.
"""

from __future__ import annotations

import os
import re
import sys
import traceback

from ascore.commands.output import give_up_output
from ascore.envs.adapters.foreign import crash, shown
from ascore.errors import EXTRAS, AscoreError, Terminated, UsageError

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""Done; failed; the command line makes no sense; stopped by Ctrl-C, or by a signal after which a
training has saved. Another signal ends with 128 plus its number."""

_LONGEST = 1_000
"""Characters of a value that a line shows in one piece; those of a matrix may be more."""

DEBUG = "ASCORE_DEBUG"
"""Environment variable: anything but 0 shows the traceback of a failure before its line."""


def ended_by(error: BaseException, command: str) -> int | None:
    """Prints what ended a command on standard error.

    Args:
        error: what it raised.
        command: its name.

    Returns:
        The exit status; None = a fault of this package, which is to be raised.
    """
    line = _line(error, command)
    ends = (KeyboardInterrupt, Terminated, BrokenPipeError)
    if line is None and not isinstance(error, ends):
        return None
    if _debugging():
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, Terminated):
        return error.status
    if isinstance(error, BrokenPipeError):  # the reader of our output, such as `head`, has exited
        give_up_output()
        return DONE
    print(f"ascore: {_readable(line or '')}", file=sys.stderr)
    return MISUSED if isinstance(error, UsageError) else FAILED


def show_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Says in one line what Python can only ignore, such as a failing `__del__` of other's code."""
    if _debugging() or ignored.exc_value is None:
        sys.__unraisablehook__(ignored)
        return
    what = getattr(ignored.object, "__qualname__", None) or shown(ignored.object)
    print(f"ascore: {what} fails and is ignored: {crash(ignored.exc_value)}", file=sys.stderr)


def _debugging() -> bool:
    return os.environ.get(DEBUG, "0") not in ("", "0")


def _readable(line: str) -> str:
    """The line without the middle of values so long that nobody would find what is said of them."""

    def shorter(value: re.Match[str]) -> str:
        text = value[0]
        return f"{text[:100]}...{text[-100:]} ({len(text):,} characters)"

    return re.sub(rf"\S{{{_LONGEST},}}", shorter, line)


def _line(error: BaseException, command: str) -> str | None:
    """An expected failure in one line; None for any other."""
    if isinstance(error, OSError) and not isinstance(error, AscoreError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; change its permissions" if isinstance(error, PermissionError) else ""
        return f"{place}{error.strerror}{remedy if place else ''}"
    if isinstance(error, (AscoreError, ValueError, TypeError, OSError)):
        return str(error)
    if not isinstance(error, Exception):
        return f"{crash(error)} is no Exception and ends the command; raise an Exception instead"
    if isinstance(error, MemoryError):
        return f"out of memory{': ' if str(error) else ''}{error}"
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    package = missing.partition(".")[0]
    if package not in EXTRAS:
        return None
    extra = "render" if command == "render" else EXTRAS[package]
    name = "pillow" if package == "PIL" else package
    return f"{name} is not installed; pip install 'ascore[{extra}]'"
