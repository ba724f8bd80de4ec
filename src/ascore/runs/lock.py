"""One writer per folder: a lock that the system releases when the process that holds it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from ascore.errors import AscoreWarning, RunError
from ascore.runs.files import unwritable

LOCK = ".lock"
"""Name of the lock in a run folder. The file stays when the lock is released: if it were removed,
two processes could hold locks on two files of this name."""

_HELD = (errno.EAGAIN, errno.EACCES)
_handles: set[int] = set()


@contextlib.contextmanager
def alone(folder: Path, path: Path | None = None) -> Iterator[None]:
    """Holds the lock of `folder` against other processes and against other threads of this one.

    On a file system without locks (NFS or Lustre, as some are mounted) it warns and goes on.

    Args:
        folder: what is written; it must exist unless `path` lies outside it.
        path: the lock; None = `folder/.lock`.

    Raises:
        RunError: the lock is held, and the message says by whom; or it cannot be written.
    """
    path = path or folder / LOCK
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        raise unwritable(path, error) from error
    _handles.add(handle)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            message = f"{path} is not a regular file; remove it"
            raise RunError(message)
        _lock(handle, folder)
        with contextlib.suppress(OSError):  # on a full disk the lock holds without a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        _handles.discard(handle)
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            message = (
                f"the file system of {folder} has no locks ({error.strerror}); make sure that "
                "no other process writes there"
            )
            warnings.warn(message, AscoreWarning, stacklevel=4)
            return
        pid, _, host = os.pread(handle, 300, 0).decode(errors="replace").strip().partition(" ")
        who = f"process {pid} on {host}" if host else "another process"
        message = f"{folder} is being written by {who}; wait until it ends, or stop it"
        raise RunError(message) from error


def _let_go() -> None:
    """Closes the locks in a forked child, which would hold them on when its parent is killed."""
    for handle in _handles:
        os.close(handle)
    _handles.clear()


os.register_at_fork(after_in_child=_let_go)
