"""Names and claims the folder of a run, so that no two runs and nothing else share one."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ascore.config import Config
from ascore.errors import ConfigError, RunError
from ascore.runs.files import as_path, unwritable
from ascore.runs.lock import LOCK

HOME = "runs"
CONFIG = "config.toml"
DEEPEST = 6
"""Levels below a folder in which runs are looked for; a sweep's lie in up to five."""
SHOWN = 6
"""Runs of a folder that a message names."""

# What a run that was killed before it had written its configuration may leave.
ABANDONED = "abandoned-after-"
"""How folders begin, within that of a run, that hold what it went back from."""
_TRACES = {LOCK, f".{CONFIG}.part"}


def new_folder(
    config: Config, out: str | Path | None, algorithms: Sequence[str], start: Path | None = None
) -> Path:
    """Creates the folder of a run, or the parent folder for the runs of several algorithms.

    Args:
        config: of the run.
        out: a new or an empty folder; None = `runs/<env>-<algorithm>-s<seed>`, numbered if that
            exists: of several processes at once, each gets its own.
        algorithms: one, or those that are trained side by side.
        start: what relative paths start from; None = the working directory.

    Returns:
        Its absolute path.

    Raises:
        RunError: `out` is empty text, holds a run or anything else, or cannot be created.
    """
    start = start or Path.cwd()
    if out is None:
        return _numbered(start / HOME / _stem(config, algorithms))
    folder = start / named(out)
    require_free(folder, algorithms)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def named(out: str | Path) -> Path:
    """A folder's path, which must not be empty text: that would mean the working directory."""
    path = as_path(out)
    if not os.fspath(out):
        message = "the folder has an empty name; give --out a name, or leave it out"
        raise RunError(message)
    return path


def require_free(folder: Path, algorithms: Sequence[str] = ()) -> None:
    """Checks that nothing is lost by writing a run into a folder.

    Raises:
        RunError: it holds a run, or anything else; the message names it.
    """
    # Listed first: a run that begins in the meantime is then called a run.
    try:
        there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error) from error
    for path in (folder, *(folder / name.replace(":", "-") for name in algorithms)):
        if (path / CONFIG).exists():
            message = (
                f"{path} already holds a run; continue it with `{resume_command(path)}` "
                "or choose another --out"
            )
            raise RunError(message)
    others = [name for name in there if name not in _TRACES]
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        message = f"{folder} is not empty: it holds {shown}; choose another --out"
        raise RunError(message)


def left_behind(config: Config, out: str | Path | None, start: Path) -> Iterator[Path]:
    """Folders that an earlier attempt at the same run may have left, the newest first."""
    if out is not None:
        folders = [start / named(out)]
    else:
        stem, home = _stem(config, [config.algorithm]), start / HOME
        there = home.iterdir() if home.is_dir() else ()
        folders = sorted((p for p in there if p.name.startswith(stem)), key=_age)
    for folder in folders:
        try:
            file = folder / CONFIG
            if file.exists() and Config.load(file, links=False) == config:
                yield folder
        except ConfigError:  # somebody else's, and damaged
            if out is not None:
                raise


def as_given(folder: Path, out: str | Path | None, start: Path) -> Path:
    """A folder's path as its owner gave it, unless the working directory has changed since."""
    if out is not None and Path(out).is_absolute():
        return folder
    return folder.relative_to(start) if Path.cwd() == start else folder


def runs_below(folder: Path, depth: int = DEEPEST) -> list[Path]:
    """The run folders in a folder, such as that of `--compare` or of a sweep; not behind links."""
    if (folder / CONFIG).is_file():
        return [folder]
    try:
        inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError:
        return []
    return [run for each in inner for run in runs_below(each, depth - 1)] if depth > 0 else []


def no_run(folder: Path) -> str:
    """Says that a folder holds no run of its own, and where runs are instead."""
    if not folder.is_dir():
        return f"{folder} is not a run folder; give the folder printed by `ascore train`"
    runs = runs_below(folder)
    if not runs:
        return f"{folder} holds no run; give a folder written by `ascore train`"
    names = [str(run.relative_to(folder)) for run in runs]
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    several = f"{len(names)} runs" if len(names) > 1 else "a run"
    listed = f"{', '.join(names[:SHOWN])}{rest}"
    return f"{folder} holds {several}: {listed}; choose one, as in {runs[0]}"


def resume_command(folder: Path) -> str:
    """The command that continues the run in a folder, for a shell."""
    return f"ascore resume {shlex.quote(str(folder))}"


def _numbered(folder: Path) -> Path:
    """Creates `folder`, or the first of `folder-2`, `folder-3`, ... that is not there."""
    path, number = folder, 1
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
            number += 1
            path = folder.with_name(f"{folder.name}-{number}")
    except OSError as error:
        raise unwritable(path, error) from error


def _age(folder: Path) -> float:
    return -folder.stat().st_mtime


def _stem(config: Config, algorithms: Sequence[str]) -> str:
    env = config.env.rsplit("-v", 1)[0].replace(":", "-")
    return f"{env}-{'+'.join(name.replace(':', '-') for name in algorithms)}-s{config.seed}"
