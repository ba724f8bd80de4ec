"""Writes and reads checkpoints: a folder with safetensors and a JSON manifest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore._core import __version__
from ascore.errors import CheckpointError
from ascore.runs.files import json_text, sync_folder, unwritable
from ascore.runs.tensorfile import parse

FORMAT = 1
MANIFEST, TENSORS = "manifest.json", "state.safetensors"

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

    Raises:
        RunError: disk full or folder unwritable; older checkpoints are untouched.
    """
    from safetensors.numpy import save as to_safetensors

    data = to_safetensors({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    manifest = {
        "format": FORMAT,
        "ascore": __version__,
        "update": update,
        "sha256": hashlib.sha256(data).hexdigest(),
        "spec": spec,
        "extra": extra,
        "config": config,
    }
    parent = run / "checkpoints"
    target = parent / f"{update:08d}"
    part = parent / f".{update:08d}.part"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name, content in ((TENSORS, data), (MANIFEST, json_text(manifest, indent=1).encode())):
            with open(part / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
        sync_folder(parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise unwritable(target, error) from error
    for old in folders(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def folders(run: Path) -> list[Path]:
    """Checkpoint folders of a run, oldest first."""
    parent = run / "checkpoints"
    return sorted(p for p in parent.glob("[0-9]*") if p.is_dir()) if parent.is_dir() else []


def find(run: Path, name: str | None = None) -> Path:
    """Folder of the newest checkpoint of a run, or of the one called `name`.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    run = Path(run)
    if not run.is_dir():
        message = f"{run} is not a run folder; give the folder printed by `ascore train`"
        raise CheckpointError(message)
    paths = folders(run)
    if name is not None:
        paths = [p for p in paths if p.name == name.zfill(8)]
    if not paths:
        which = f"checkpoint {name}" if name else "checkpoints"
        message = f"{run} holds no {which}; give a folder written by `ascore train`"
        raise CheckpointError(message)
    return paths[-1]


def load(run: Path, name: str | None = None) -> Checkpoint:
    """Reads the newest checkpoint of a run, or the one called `name` ("00000120" or "120").

    Raises:
        CheckpointError: the checkpoint is missing, damaged (checksum, format, missing file) or of
            a newer format; the message names the file and an older checkpoint to load instead.
    """
    run = Path(run)
    path = find(run, name)
    others = [p.name for p in folders(run) if p != path]
    remedy = (
        f"use --checkpoint {others[-1]} instead"
        if others
        else "there is no older checkpoint; train again from the start"
    )
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        data = (path / TENSORS).read_bytes()
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"checkpoint {path} is damaged ({error}); {remedy}"
        raise CheckpointError(message) from error
    if version != FORMAT:
        message = (
            f"checkpoint {path} has format {version}, this version reads {FORMAT}; "
            f"install ascore {manifest.get('ascore')}"
        )
        raise CheckpointError(message)
    if hashlib.sha256(data).hexdigest() != manifest.get("sha256"):
        message = (
            f"checkpoint {path / TENSORS} is damaged ({len(data)} bytes, wrong checksum); {remedy}"
        )
        raise CheckpointError(message)
    try:
        return Checkpoint(
            path=path,
            update=manifest["update"],
            config=manifest["config"],
            spec=manifest["spec"],
            extra=manifest["extra"],
            arrays=parse(data),
        )
    except (ValueError, KeyError) as error:
        message = f"checkpoint {path} is damaged ({error}); {remedy}"
        raise CheckpointError(message) from error
