"""What may change when a run goes on, and where that is kept: in its config.toml.

`ascore resume` writes what it was asked to change into config.toml, with a comment that lists it,
so that it is not forgotten if the process is killed before the next checkpoint. A key that differs
from the checkpoint without being listed was edited by hand, which is never taken up in silence.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import ConfigError
from ascore.reading import TOML_LIMIT, read_regular
from ascore.runs.files import write_atomic
from ascore.runs.folder import CONFIG

CHANGEABLE = (
    "actor_lr",
    "critic_lr",
    "episodes",
    "device",
    "backend",
    "num_threads",
    "env_workers",
    "env_timeout",
    "torch_threads",
    "rank_split",
    "checkpoint_every",
    "keep_checkpoints",
    "tensorboard",
)
"""Keys that a run may change in its course."""

_LISTED = "# changed by ascore resume: "


def going_on(
    folder: Path, saved: Config | None, wanted: Mapping[str, Any]
) -> tuple[Config, dict[str, Any]]:
    """The configuration with which a run goes on.

    Args:
        folder: of the run.
        saved: configuration of the checkpoint; None = the run begins again, from its config.toml.
        wanted: keys to change and their values.

    Returns:
        It, and all keys that resuming has changed, by this call or earlier ones.

    Raises:
        ConfigError: `wanted` names a key that must not change; config.toml is damaged, or was
            edited without saying so in `wanted`.
    """
    written, listed = _read(folder / CONFIG)
    base = saved or written
    if base is None:
        message = f"{folder / CONFIG} is missing; restore it"
        raise ConfigError(message)
    try:
        changed = base.replace(**wanted)
        fixed = [key for key in _differing(base, changed) if key not in CHANGEABLE]
    except ConfigError:  # of keys that depend on each other, what matters is that one is fixed
        fixed = [key for key in wanted if key in Config.names() and key not in CHANGEABLE]
        if not fixed:
            raise
    if fixed:
        message = (
            f"{', '.join(fixed)} cannot change in the course of a run; train anew, or choose from: "
            f"{', '.join(CHANGEABLE)}"
        )
        raise ConfigError(message)
    edited = []
    for key in _differing(base, written) if written is not None else ():
        value = getattr(written, key)
        if key in wanted:
            continue
        if key in CHANGEABLE and key in listed and listed[key] == value:
            changed = changed.replace(**{key: value})
        else:
            edited.append(key)
    if edited and written is not None:
        raise ConfigError(_edited(folder / CONFIG, base, written, edited))
    return changed, listed | dict(wanted)


def write(folder: Path, config: Config, listed: Mapping[str, Any]) -> None:
    """Writes the configuration of a run into its folder, with what resuming has changed.

    Raises:
        RunError: the file cannot be written.
    """
    values = {key: value for key, value in listed.items() if value == getattr(config, key)}
    if _read(folder / CONFIG) == (config, values):
        return
    text = config.dump() + (f"\n{_LISTED}{json.dumps(values)}\n" if values else "")
    write_atomic(folder / CONFIG, text.encode())


def _read(path: Path) -> tuple[Config | None, dict[str, Any]]:
    """A configuration and what resuming has changed in it; None if there is none."""
    if not path.exists():
        return None, {}
    with warnings.catch_warnings():  # the checkpoint says the same of values that are renamed
        warnings.simplefilter("ignore", FutureWarning)
        config = Config.load(path, links=False)
    text = read_regular(path, TOML_LIMIT).decode("utf-8")
    line = re.search(f"^{_LISTED}(.*)$", text, re.MULTILINE)
    try:
        values = json.loads(line[1]) if line else {}
    except (ValueError, RecursionError):
        values = {}
    return config, values if isinstance(values, dict) else {}


def _differing(one: Config, two: Config) -> list[str]:
    a, b = one.to_dict(), two.to_dict()
    return [key for key in a if a[key] != b[key]]


def _edited(path: Path, saved: Config, written: Config, keys: list[str]) -> str:
    """The message about keys that were edited by hand."""
    wording, remedies, fixed = [], [], []
    for key in keys:
        before, now = getattr(saved, key), getattr(written, key)
        wording.append(f"{key} = {now!r} (the checkpoint has {before!r})")
        if key in CHANGEABLE:
            remedies.append(f"--set {key}={now} or --set {key}={before}")
        else:
            fixed.append(key)
    if fixed:
        remedies.append(f"{' and '.join(fixed)} cannot change in the course of a run: edit back")
    return f"{path} was edited: {', '.join(wording)}; say which holds: {'; '.join(remedies)}"
