"""The folder of a measurement of leakage: whose it is, and who writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ascore.errors import RunError
from ascore.runs.files import as_path, unwritable
from ascore.runs.folder import require_free
from ascore.runs.lock import LOCK, alone

GAMES = "games"
"""Where recordings lie; a folder with it and a lock is one of ours."""


@contextmanager
def claimed(out: Path, names: Sequence[str]) -> Iterator[None]:
    """Holds the folder against other processes while it is written.

    Args:
        out: of recordings and tables; it may hold those of an earlier call.
        names: of the games, each of which gets a folder there.

    Raises:
        RunError: the folder holds something else, is being written or cannot be written; two games
            have one name, or one has none.
    """
    out = as_path(out)
    for name in names:
        if names.count(name) > 1:
            message = f"two targets are called {name}; rename one, since each needs its own folder"
            raise RunError(message)
        if name[:1] in ("", ".") or not name.isprintable():
            message = f"a target is called {name!r}, which would hide its folder; rename it"
            raise RunError(message)
    if not ((out / GAMES).is_dir() and (out / LOCK).exists()):
        require_free(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    with alone(out):
        try:
            (out / GAMES).mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(out / GAMES, error) from error
        yield
