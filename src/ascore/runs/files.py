"""Atomic writes: a file is replaced completely or left as it was."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ascore.errors import RunError


def json_text(value: Any, indent: int | None = None, *, ascii_only: bool = True) -> str:
    """Strict JSON: a number that is not finite, such as the return of no episode, becomes null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file by way of a temporary file in the same folder, fsync and rename.

    Raises:
        RunError: the folder cannot be written or the disk is full; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with open(part, "xb") as file:  # a new file: never through a link that lies there
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Syncs `folder`, so that a rename in it survives a power cut on systems that support this."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> RunError:
    """The error for a failed write; it names the file, the reason and the remedy."""
    reason = error.strerror or str(error)
    return RunError(
        f"cannot write {path}: {reason}; free some space or choose another --out "
        "(files written earlier are intact)"
    )
