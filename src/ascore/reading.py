"""Reads files that may come from anybody: regular files, bounded, strict JSON, TOML."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

JSON_LIMIT = 2**24
"""Bytes of a JSON file that is read; the largest ones written have some hundred thousand."""

TOML_LIMIT = 2**21
"""Bytes of a TOML file that is read; who hears whom among a thousand agents takes a million."""

MOST_KEYS = 2**12
"""Keys and headers of a TOML text; the parser takes up to a millisecond for each."""

DEEPEST_KEY = 32
"""Parts of a dotted TOML key; the parser's time grows with their square. Ours have two."""

_PART = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP_KEY = re.compile(rf"(?:\.[ \t]*{_PART}[ \t]*){{{DEEPEST_KEY}}}")
_KEY = re.compile(
    rf"^[ \t]*\[|(?:^|[{{,])[ \t]*{_PART}(?:[ \t]*\.[ \t]*{_PART})*[ \t]*=", re.MULTILINE
)

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextlib.contextmanager
def regular(path: str | Path, *, links: bool = False) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file, open for reading, and its length in bytes.

    Folders that somebody sends may hold a link to a file elsewhere, a pipe that never ends or a
    device that never stops; none of them is opened for reading.

    Args:
        path: of the file.
        links: follow a symbolic link, for a path that the user typed.

    Raises:
        OSError: it is missing, or no regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        message = f"{path} is a symbolic link; put the file itself there"
        raise OSError(message) from error
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            kind = KINDS.get(stat.S_IFMT(about.st_mode), "something else")
            message = f"{path} is {kind}, not a regular file"
            raise OSError(message)
        with open(handle, "rb", closefd=False) as file:
            yield file, about.st_size
    finally:
        os.close(handle)


def read_regular(path: str | Path, limit: int | None = None, *, links: bool = False) -> bytes:
    """All bytes of a regular file.

    Args:
        path: of the file.
        limit: most bytes it may have; None = as many as fit in memory.
        links: follow a symbolic link, for a path that the user typed.

    Raises:
        OSError: it is missing, no regular file, or longer than `limit`.
    """
    with regular(path, links=links) as (file, size):
        if limit is not None and size > limit:
            message = f"{path} has {size} bytes, of which at most {limit} are read"
            raise OSError(message)
        return read_all(file, size, path)


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name and the system's number."""
    return getattr(error, "strerror", None) or str(error)


def unreadable(path: str | Path, error: Exception, remedy: str) -> str:
    """Says that a file cannot be read, why, and what to do.

    What the system withholds is whole: whatever helps where it is missing or damaged, here its
    permissions do.
    """
    if isinstance(error, PermissionError):
        return f"{error.filename or path} cannot be read: {error.strerror}; change its permissions"
    return f"{path} cannot be read: {reason(error)}; {remedy}"


def damaged(path: str | Path, error: Exception, remedy: str) -> str:
    """The same of a file that is there, and that should be whole."""
    if isinstance(error, PermissionError):
        return unreadable(path, error, remedy)
    return f"{path} is damaged ({error}); {remedy}"


def read_all(file: BinaryIO, size: int, path: str | Path) -> bytes:
    """The next `size` bytes of a file; raises OSError if they do not fit in memory."""
    try:
        return file.read(size)
    except (MemoryError, OverflowError) as error:
        message = f"{path} has {size} bytes, which do not fit in memory"
        raise OSError(message) from error


def strict_json(data: bytes, parse_int: Callable[[str], int] = int) -> Any:
    """Plain values of a JSON text in UTF-8.

    Args:
        data: the text.
        parse_int: reads whole numbers.

    Raises:
        ValueError: it is damaged, repeats a key, is nested too deeply, or has a number that JSON
            has not (NaN, Infinity) or that is too large for one (1e999).
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_every_key_once,
            parse_constant=_no_number,
            parse_int=parse_int,
            parse_float=_finite,
        )
    except RecursionError as error:
        message = "it is nested too deeply"
        raise ValueError(message) from error


def toml(data: bytes) -> dict[str, Any]:
    """Plain values of a TOML text in UTF-8.

    Raises:
        ValueError: it is damaged, is nested too deeply, or is more than `require_few_keys` allows.
    """
    text = data.decode("utf-8")
    require_few_keys(text)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        message = "it is nested too deeply"
        raise ValueError(message) from error


def require_few_keys(text: str) -> None:
    """Refuses a TOML text that would take long to read.

    Raises:
        ValueError: it has more keys than `MOST_KEYS`, or one of more parts than `DEEPEST_KEY`.
    """
    deep = _DEEP_KEY.search(text)
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        message = f"line {line} has a key of more than {DEEPEST_KEY} parts"
        raise ValueError(message)
    keys = sum(1 for _ in _KEY.finditer(text))
    if keys > MOST_KEYS:
        message = f"it has {keys} keys and headers, of which at most {MOST_KEYS} are read"
        raise ValueError(message)


def _every_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            message = f"it has the key {name!r} twice"
            raise ValueError(message)
        values[name] = value
    return values


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"it holds {text:.80}, which is no finite number"
        raise ValueError(message)
    return number


def _no_number(name: str) -> Any:
    message = f"it holds {name}, which is no number"
    raise ValueError(message)
