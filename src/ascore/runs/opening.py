"""Opens a run folder for writing: claims and locks it, and readies what lies there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ascore.algorithms.table import ignored_by_all
from ascore.config import Config
from ascore.errors import AscoreWarning, CheckpointError, ConfigError, RunError
from ascore.runs import changes, checkpoint
from ascore.runs.files import unwritable, write_atomic
from ascore.runs.folder import CONFIG, left_behind, new_folder, require_free
from ascore.runs.lock import alone
from ascore.runs.logs import damage, set_log_aside, unfinished
from ascore.runtime.ranks import Ranks


def tell(messages: Sequence[str], ranks: Ranks) -> None:
    """Warns of something, once for all ranks."""
    for message in messages if ranks.lead else ():
        warnings.warn(message, AscoreWarning, stacklevel=3)


def tell_idle(keys: Iterable[str], config: Config, ranks: Ranks) -> None:
    """Warns of those of some keys that change nothing in a run."""
    idle = ignored_by_all(config, [config.algorithm], list(keys), ranks.size)
    tell([idle[key] for key in keys if key in idle], ranks)


def begin(
    config: Config, out: str | Path | None, restarted: bool, here: Path, held: ExitStack
) -> str:
    """Claims and locks a new run folder, or that of an earlier attempt at the same run.

    Returns:
        As JSON, the folder and the name of the checkpoint to continue from; "" = none.
    """
    for folder in left_behind(config, out, here) if restarted else ():
        try:
            held.enter_context(alone(folder))
        except RunError:  # another run of this configuration writes it
            if out is not None:
                raise
            continue
        names = [saved.name for saved in checkpoint.folders(folder)]
        return json.dumps([str(folder), names[-1] if names else ""])
    folder = new_folder(config, out, [config.algorithm], here)
    held.enter_context(alone(folder))
    require_free(folder)  # another process may have been faster
    write_atomic(folder / CONFIG, config.dump().encode())
    return json.dumps([str(folder), ""])


def choose(folder: Path, name: str | None, held: ExitStack) -> str:
    """Locks a run folder.

    Returns:
        The checkpoint to continue from; "" = none was written yet: begin from config.toml.
    """
    fresh = name is None and (folder / CONFIG).is_file() and not checkpoint.folders(folder)
    if not fresh:
        checkpoint.find(folder, name)
    held.enter_context(alone(folder))
    paths = checkpoint.folders(folder)
    if name is not None or paths:
        return checkpoint.find(folder, name).name
    if (folder / "summary.json").exists():
        message = (
            f"{folder} holds a finished run without its checkpoints; restore them, or train again "
            "with another --out"
        )
        raise CheckpointError(message)
    return ""


def plan(folder: Path, before: Config | None, wanted: dict[str, Any]) -> str:
    """The configuration with which a run goes on, and what resuming has changed, as JSON.

    Raises:
        ConfigError: as `changes.going_on`.
    """
    config, listed = changes.going_on(folder, before, wanted)
    return json.dumps([config.to_dict(), listed])


def require_reach(folder: Path, episodes: int, total: int, done: int) -> None:
    """Refuses a new length of a run that ends before what is done.

    Args:
        folder: of the run.
        episodes: the new length.
        total: the updates that it has.
        done: those that are done.

    Raises:
        ConfigError: it does.
    """
    if total < done:
        message = (
            f"episodes = {episodes:,} ends with update {total:,}, but {folder} has done {done:,}; "
            "give more, or go back to an older checkpoint"
        )
        raise ConfigError(message)


def usable_logs(
    folder: Path, positions: dict[str, int] | None, every: int, new_log: bool = False
) -> dict[str, int] | None:
    """Checks the metrics that a run goes on with; with `new_log`, sets those aside that are wrong.

    Args:
        folder: of the run.
        positions: sizes of the files at the checkpoint, and its `update`; None = the run begins.
        every: updates until the first checkpoint; a run that begins again has logged no more.
        new_log: whether new files may begin.

    Returns:
        The positions of the files that go on.

    Raises:
        CheckpointError: a file is missing or damaged, and `new_log` is False.
    """
    wrong = unfinished(folder, every) if positions is None else damage(folder, positions)
    if wrong and not new_log:
        message = (
            f"{'; '.join(wrong.values())}; restore it, resume from an older checkpoint, or go on "
            "without the records so far by --new-log"
        )
        raise CheckpointError(message)
    for name in wrong:
        set_log_aside(folder / name)
    return positions and {name: size for name, size in positions.items() if name not in wrong}


def clear(folder: Path, done: int) -> None:
    """Prepares a folder for going on after `done` updates; moves what is later out of the way."""
    aside = checkpoint.set_aside(folder, done)
    if aside is not None:
        message = f"checkpoints later than {done:08d} are now in {aside}"
        warnings.warn(message, AscoreWarning, stacklevel=2)
    checkpoint.clear_remains(folder)
    try:
        (folder / "summary.json").unlink(missing_ok=True)  # only finished runs have one
    except OSError as error:
        raise unwritable(folder, error) from error
