"""Standard output: with --json it carries one object and nothing else."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from ascore.errors import RunError

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_PRINTABLE = "ascore-printable"

_reserved: list[TextIO] = []


def standard_output() -> TextIO:
    """Where results go, even while it is `reserved`."""
    return _reserved[-1] if _reserved else sys.stdout


def standard_streams() -> None:
    """Opens what is closed of standard input, output and error; nothing printed fails an encoding.

    The first file to be opened would get the number of a closed one, and with it whatever is
    printed there from C. A terminal may lack letters of ours, and names of files need not be text.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(_PRINTABLE, _printable)
    for name, number in (("stdout", _STDOUT), ("stderr", _STDERR)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w", closefd=False)))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PRINTABLE)


def _printable(error: UnicodeError) -> tuple[str | bytes, int]:
    """The bytes of a file's name as they are, and question marks for letters that are lacking."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


def flush_output() -> None:
    """Writes what is held back of standard output.

    Raises:
        RunError: it cannot be written.
        BrokenPipeError: its reader has left.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up_output()
        message = (
            f"standard output cannot be written: {error.strerror}; free some space, or send it "
            "elsewhere"
        )
        raise RunError(message) from error


def give_up_output() -> None:
    """Lets what is still held back of standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
