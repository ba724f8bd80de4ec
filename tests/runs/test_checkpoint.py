"""What a checkpoint promises to whoever loses power, or its folder, while it is written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ascore.errors import RunError
from ascore.runs import checkpoint


def save(run: Path) -> Path:
    return checkpoint.save(run, 3, {}, {}, {}, {"x": np.arange(5.0)}, keep=2)


def test_all_that_is_written_reaches_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, {}

    def fsync(file: int) -> None:
        at = os.fstat(file)
        synced[at.st_ino] = at.st_size
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    files = [file for file in save(tmp_path).iterdir() if file.stat().st_size > 0]
    assert len(files) == 2
    assert all(synced[file.stat().st_ino] == file.stat().st_size for file in files)


def test_a_file_in_the_way_of_all_checkpoints_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*00000003.*choose another place"):
        save(tmp_path)
