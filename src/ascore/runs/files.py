"""Writes that either happen whole or leave what was there."""

from __future__ import annotations

import os
from pathlib import Path

from ascore.errors import RunError


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file through a temporary neighbour, fsync and rename.

    Raises:
        RunError: the folder cannot be written or the disk is full; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` survive a power cut, where the system can promise that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> RunError:
    """One line for a failed write: the file, the reason, the remedy."""
    reason = error.strerror or str(error)
    return RunError(
        f"cannot write {path}: {reason}; free some space or choose another --out "
        "(what was written before is intact)"
    )
