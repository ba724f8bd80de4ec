"""Standard output: with --json it carries one object and nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_STDOUT, _STDERR = 1, 2

_reserved: list[TextIO] = []


def standard_output() -> TextIO:
    """Where results go, even while it is `reserved`."""
    return _reserved[-1] if _reserved else sys.stdout


@contextlib.contextmanager
def reserved() -> Iterator[None]:
    """Keeps standard output for results; all else that is written there goes to standard error.

    Environments and algorithms are other people's code: they print, and so do the packages they
    import, from C and from processes of their own too. So it is the file descriptor that moves.
    """
    out = sys.stdout
    _flush(out)
    with contextlib.ExitStack() as undo:
        undo.callback(setattr, sys, "stdout", out)
        file = out
        with contextlib.suppress(OSError):  # no standard output, or no standard error
            kept = undo.enter_context(open(os.dup(_STDOUT), "w", encoding="utf-8"))
            undo.callback(_move_back, kept.fileno())
            os.dup2(_STDERR, _STDOUT)
            file = kept if _number(out) == _STDOUT else out
        undo.callback(_reserved.pop)
        _reserved.append(file)
        sys.stdout = sys.stderr
        yield


def _move_back(kept: int) -> None:
    _flush(sys.stderr)  # what was printed meanwhile belongs there
    os.dup2(kept, _STDOUT)


def _flush(file: TextIO) -> None:
    """Writes out what Python and C hold back, before the file descriptor changes its meaning."""
    with contextlib.suppress(OSError, ValueError):
        file.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _number(file: TextIO) -> int | None:
    """File descriptor of a file, None if it has none."""
    try:
        return file.fileno()
    except (AttributeError, OSError, ValueError):
        return None
