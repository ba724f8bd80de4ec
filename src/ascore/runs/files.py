"""Atomic writes: a file is replaced completely or left as it was."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from ascore.envs.parameters import STORABLE
from ascore.errors import RunError

# How file systems answer that cannot sync a folder or a file (CIFS, some of FUSE's).
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES)
_REMEDIES = {
    errno.EROFS: "the disk is read-only: copy the run to another, or choose another place",
    errno.EACCES: "change the permissions or choose another place",
    errno.EPERM: "change the permissions or choose another place",
    errno.ENOENT: "restore it or choose another place",
    errno.ELOOP: "a link lies in its place: remove that or choose another place",
    errno.ENAMETOOLONG: "choose another place with a shorter name",
    errno.ENOTDIR: "a file lies in its way: choose another place",
    errno.EISDIR: "a folder lies in its way: choose another place",
    errno.EEXIST: "a file lies in its way: choose another place",
}


def json_text(value: Any, indent: int | None = None, *, ascii_only: bool = True) -> str:
    """Strict JSON: a number that is not finite, such as the return of no episode, becomes null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path that a user gave.

    Raises:
        RunError: nothing can be called so.
        TypeError: it is no text and no path.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        message = f"{path!r:.200} is no path; give text or a pathlib.Path"
        raise TypeError(message)
    try:
        possible = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        message = f"the path {text!r:.200} is not possible: it must be {STORABLE}"
        raise RunError(message)
    return Path(path)


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Refuses a place for a result that cannot be written, before the work that it is to hold.

    What it tries leaves nothing behind.

    Args:
        path: of the file, or of the folder, that `os.replace` is to put there.
        folder: whether it is a folder.

    Raises:
        RunError: as `write_out`.
    """
    above = path.parent
    try:
        if path.is_dir() and not folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with contextlib.suppress(FileNotFoundError):
            _part(path).lstat()  # whether its name is too long
        while not above.exists() and above != above.parent:  # `write_out` makes it
            above = above.parent
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def _part(path: Path) -> Path:
    """The temporary file by way of which another is written."""
    if not path.name:
        message = f"{path} is no name for a file; choose another"
        raise RunError(message)
    return path.with_name(f".{path.name}.part")


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file by way of a temporary file in the same folder, fsync and rename.

    Raises:
        RunError: the folder cannot be written or the disk is full; the old file is untouched.
    """
    part = _part(path)
    try:
        part.unlink(missing_ok=True)
        with open(part, "xb") as file:  # a new file: never through a link that lies there
            file.write(data)
            file.flush()
            sync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def write_out(out: str | Path, data: bytes) -> Path:
    """Writes a file where a user wants it, in a folder that is created.

    Raises:
        RunError: as `write_atomic`, or the folder cannot be created.
    """
    path = as_path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    write_atomic(path, data)
    return path


def sync(handle: int) -> None:
    """Syncs an open file to disk, on file systems that can."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Syncs `folder`, so that a rename in it survives a power cut on systems that support this."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return
    try:
        sync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> RunError:
    """The error for a failed write; it names the file, the reason and the remedy."""
    reason = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "free some space or choose another place")
    return RunError(f"cannot write {path}: {reason}; {remedy} (files written earlier are intact)")
