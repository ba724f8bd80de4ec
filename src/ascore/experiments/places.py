"""Where the folders of cells may lie, for lists of cells come from other people too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ascore.errors import RunError


def require_names(names: Sequence[str], origin: str) -> None:
    """Refuses names of cells whose folders would lie elsewhere, or within each other.

    Args:
        names: of all cells of a list.
        origin: the file of the list.

    Raises:
        RunError: names the first that is not allowed.
    """
    seen = set(names)
    if len(seen) < len(names):
        message = f"{origin} names {_repeated(names)!r} twice; write the list again"
        raise RunError(message)
    for name in names:
        parts = name.split("/")
        if not name.isprintable() or any(part[:1] in ("", ".") for part in parts):
            message = (
                f"{origin} names a cell {name!r}, which would leave the folder of the runs or hide "
                "there; write names such as as/s0"
            )
            raise RunError(message)
        for above in PurePosixPath(name).parents:
            if str(above) in seen:
                message = (
                    f"{origin} names a cell {name!r} within the folder of the cell "
                    f"{str(above)!r}; write the list again"
                )
                raise RunError(message)


def place(runs: Path, name: str) -> Path:
    """The folder of a cell; no part of its path below `runs` is a link to elsewhere.

    Raises:
        RunError: a part is a symbolic link.
    """
    folder = runs
    for part in name.split("/"):
        folder /= part
        if folder.is_symlink():
            message = f"{folder} is a symbolic link; put the folder itself there, or remove it"
            raise RunError(message)
    return folder


def _repeated(names: Sequence[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
