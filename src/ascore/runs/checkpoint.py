"""Writes and reads checkpoints: a folder with safetensors and a JSON manifest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ascore.errors import CheckpointError
from ascore.reading import damaged
from ascore.runs import manifest, tensorfile
from ascore.runs.files import as_path, sync, sync_folder, unwritable
from ascore.runs.folder import ABANDONED, CONFIG, no_run, resume_command
from ascore.runs.tensorfile import parse

FOLDER, MANIFEST, TENSORS = "checkpoints", "manifest.json", "state.safetensors"
NAME = re.compile("[0-9]{8}")
REMAINS = re.compile(r"\.[0-9]{8}\.(part|old)")

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint.

    Attributes:
        path: its folder.
        update: number of updates done when it was written.
        config: the configuration as plain values.
        spec: sizes of the environment.
        extra: sizes of the log files, counters and other plain values.
        arrays: parameters, optimiser, normaliser, environment state.
    """

    path: Path
    update: int
    config: dict[str, Any]
    spec: dict[str, Any]
    extra: dict[str, Any]
    arrays: Arrays


def save(
    run: Path,
    update: int,
    config: dict[str, Any],
    spec: dict[str, Any],
    extra: dict[str, Any],
    arrays: Arrays,
    keep: int,
) -> Path:
    """Writes `run/checkpoints/<update>` atomically, then removes all but the newest `keep`.

    It removes only what is named as this function names checkpoints, in eight digits.

    Raises:
        RunError: disk full or folder unwritable; older checkpoints are untouched.
    """
    # The largest numbers first, as in files of the library safetensors: all are aligned.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    data = tensorfile.pieces({name: arrays[name] for name in order}, {})
    values = {"update": update, "spec": spec, "extra": extra, "config": config}
    parent = run / FOLDER
    target = parent / f"{update:08d}"
    part = parent / f".{update:08d}.part"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        digest = _write(part / TENSORS, data)
        _write(part / MANIFEST, [manifest.compose(digest, values)])
        _remove(target)
        os.replace(part, target)
        sync_folder(parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise unwritable(target, error) from error
    for old in folders(run)[:-keep]:
        with contextlib.suppress(OSError):
            _remove(old)
    return target


def _write(path: Path, pieces: Iterable[bytes | memoryview]) -> str:
    """Writes a file to the disk, piece by piece; returns its SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
        file.flush()
        sync(file.fileno())
    return digest.hexdigest()


def folders(run: Path) -> list[Path]:
    """Checkpoint folders of a run, oldest first: all in `checkpoints` with names of eight digits.

    What others keep there, such as a copy called `00000015.best` or a link, is none.

    Raises:
        CheckpointError: `checkpoints` is a link to elsewhere.
    """
    parent = run / FOLDER
    if parent.is_symlink():  # old checkpoints are removed there, wherever that is
        message = f"{parent} is a symbolic link; put the folder itself there"
        raise CheckpointError(message)
    if not parent.is_dir():
        return []
    names = (p for p in parent.iterdir() if NAME.fullmatch(p.name))
    return sorted(p for p in names if p.is_dir() and not p.is_symlink())


def _remove(old: Path) -> None:
    """Removes a checkpoint; killed half-way, it leaves nothing that is named as a checkpoint."""
    if old.exists():
        gone = old.with_name(f".{old.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(old, gone)
        shutil.rmtree(gone, ignore_errors=True)


def clear_remains(run: Path) -> None:
    """Removes what a killed writer has left half-written or half-removed among checkpoints."""
    parent = run / FOLDER
    for path in parent.iterdir() if parent.is_dir() else ():
        if REMAINS.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def set_aside(run: Path, update: int) -> Path | None:
    """Moves the checkpoints later than `update` out of the way of a run that goes on from there.

    They lie in `run/abandoned-after-<update>` with copies of the configuration and the metrics, so
    that this is a run folder too.

    Returns:
        That folder; None if there is no later checkpoint.

    Raises:
        RunError: a file cannot be written; no checkpoint is lost.
    """
    later = [path for path in folders(run) if int(path.name) > update]
    if not later:
        return None
    name = f"{ABANDONED}{update:08d}"
    number, aside = 1, run / name
    part = run / f".{name}.part"
    try:
        while aside.exists():
            number += 1
            aside = run / f"{name}-{number}"
        shutil.rmtree(part, ignore_errors=True)
        (part / FOLDER).mkdir(parents=True)
        for file in ("config.toml", "metrics.jsonl", "metrics.csv", "summary.json"):
            if (run / file).is_file() and not (run / file).is_symlink():
                shutil.copyfile(run / file, part / file)
        os.replace(part, aside)
        for path in reversed(later):  # whichever is the newest until the last has gone is complete
            os.replace(path, aside / FOLDER / path.name)
        sync_folder(run / FOLDER)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise unwritable(aside, error) from error
    return aside


def find(run: Path, name: str | None = None) -> Path:
    """Folder of the newest checkpoint of a run, or of the one called `name`.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    run = as_path(run)
    paths = folders(run)
    if not paths and not (run / CONFIG).exists():
        raise CheckpointError(no_run(run))
    if name is not None:
        paths = [p for p in paths if p.name == str(name).zfill(8)]
    if not paths:
        which = f"checkpoint {name}" if name else "checkpoints"
        there = [p.name for p in folders(run)]
        remedy = f"begin it again from its config.toml with `{resume_command(run)}`"
        if there:
            remedy = f"choose from: {', '.join(there)}"
        message = f"{run} holds no {which}; {remedy}"
        raise CheckpointError(message)
    return paths[-1]


def require_manifest(run: Path, name: str | None = None) -> None:
    """Refuses a checkpoint whose manifest `load` would refuse, before anything is loaded for it.

    Raises:
        CheckpointError: as `load`, or there is no run; no error if it has no checkpoint yet.
    """
    if folders(run) or not (Path(run) / CONFIG).exists():
        _described(run, name)


def _described(run: Path, name: str | None) -> tuple[Path, dict[str, Any], str]:
    """The newest checkpoint or the one called `name`, its manifest, and what to do without it."""
    path = find(run, name)
    others = [p.name for p in folders(run) if p != path]
    remedy = (
        f"use --checkpoint {others[-1]} instead"
        if others
        else "there is no older checkpoint; train again from the start"
    )
    try:
        return path, manifest.read(path / MANIFEST), remedy
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:
        message = damaged(f"checkpoint {path}", error, remedy)
        raise CheckpointError(message) from error


def load(run: Path, name: str | None = None, *, of_party: bool = False) -> Checkpoint:
    """Reads the newest checkpoint of a run, or the one called `name` ("00000120" or "120").

    Args:
        run: its folder.
        name: of the checkpoint; None = the newest.
        of_party: whether it may be that of a party, which holds one agent of a run.

    Raises:
        CheckpointError: the checkpoint is missing, damaged (checksum, format, missing file) or of
            a newer format; the message names the file and an older checkpoint to load instead.
            Or it is that of a party.
    """
    path, values, remedy = _described(Path(run), name)
    if "party" in values["extra"] and not of_party:
        message = (
            f"{path} is of the party {values['extra']['party']!s:.80}, one agent of a run; go on "
            "with `ascore party run`, or give a folder written by `ascore train`"
        )
        raise CheckpointError(message)
    try:
        data = tensorfile.read(path / TENSORS)
    except (OSError, ValueError) as error:
        message = damaged(f"checkpoint {path}", error, remedy)
        raise CheckpointError(message) from error
    if hashlib.sha256(data).hexdigest() != values["sha256"]:
        message = (
            f"checkpoint {path / TENSORS} is damaged ({len(data)} bytes, wrong checksum); {remedy}"
        )
        raise CheckpointError(message)
    try:
        return Checkpoint(
            path=path,
            update=values["update"],
            config=values["config"],
            spec=values["spec"],
            extra=values["extra"],
            arrays=parse(data),
        )
    except ValueError as error:
        message = damaged(f"checkpoint {path}", error, remedy)
        raise CheckpointError(message) from error


def require_like(saved: Checkpoint, expected: Arrays) -> None:
    """Refuses arrays of another type or shape than the ones that will be overwritten by them.

    Raises:
        CheckpointError: names the first that is missing or does not fit.
    """
    for name, wanted in expected.items():
        array = saved.arrays.get(name)
        if array is None or (array.dtype, array.shape) != (wanted.dtype, wanted.shape):
            actual = "is missing" if array is None else f"is {array.dtype} {[*array.shape]}"
            message = (
                f"checkpoint {saved.path} does not fit its configuration: {name} {actual}, "
                f"want {wanted.dtype} {[*wanted.shape]}"
            )
            raise CheckpointError(message)
