"""Writes the metrics of a run: JSON Lines, CSV and, when enabled, TensorBoard."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from ascore.errors import CheckpointError, ConfigError
from ascore.runs.files import json_text, unwritable


class Log:
    """A log that discards its records; every rank except the first has one."""

    def write(self, record: dict[str, Any]) -> None:
        """Discards a record."""

    def positions(self) -> dict[str, int]:
        """Sizes of the log files in bytes; empty, because there are no files."""
        return {}

    def close(self) -> None:
        """Closes the log."""


class MetricsLog(Log):
    """Appends one record per update to `metrics.jsonl` and `metrics.csv`.

    Lists become one CSV column per entry (`return_0`, `action_probs_1_0`). On resume both files
    are truncated to their sizes at the checkpoint, so that no update appears twice.
    """

    def __init__(
        self, run: Path, *, tensorboard: bool = False, positions: dict[str, int] | None = None
    ) -> None:
        self.files: dict[str, tuple[Path, BinaryIO]] = {}
        self._columns: list[str] | None = None
        self._board: Any = None
        try:
            for name in ("metrics.jsonl", "metrics.csv"):
                self._open(run / name, None if positions is None else positions[name])
            if positions is not None and positions["metrics.csv"]:
                with open(run / "metrics.csv", encoding="utf-8", newline="") as text:
                    self._columns = next(csv.reader(text))
            if tensorboard:
                self._board = _tensorboard(run, None if positions is None else positions["update"])
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, size: int | None) -> None:
        try:
            file = open(path, "wb" if size is None else "r+b", buffering=0)  # noqa: SIM115 (kept open)
        except OSError as error:
            raise unwritable(path, error) from error
        self.files[path.name] = (path, file)
        if size is not None:
            _cut(path, file, size)

    def write(self, record: dict[str, Any]) -> None:
        """Appends a record; all records must have the same keys.

        Raises:
            RunError: the disk is full; the files end with the last whole record.
        """
        self._append("metrics.jsonl", json_text(record).encode() + b"\n")
        flat = flatten(record)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self._columns is None:
            self._columns = list(flat)
            writer.writerow(self._columns)
        writer.writerow([flat.get(column, "") for column in self._columns])
        self._append("metrics.csv", text.getvalue().encode())
        if self._board is not None:
            for key, value in flat.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(key, value, record["update"])

    def _append(self, name: str, data: bytes) -> None:
        path, file = self.files[name]
        start = file.tell()
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:]) or 0
        except OSError as error:
            try:
                file.truncate(start)  # half a record would not parse
                file.seek(start)
            except OSError:
                pass
            raise unwritable(path, error) from error

    def positions(self) -> dict[str, int]:
        """Syncs the log files to disk and gives their sizes in bytes, for a checkpoint to store."""
        sizes = {}
        for name, (path, file) in self.files.items():
            try:
                if path.is_file():
                    os.fsync(file.fileno())
            except OSError as error:
                raise unwritable(path, error) from error
            sizes[name] = file.tell()
        return sizes

    def close(self) -> None:
        """Closes the log files."""
        for _, file in self.files.values():
            file.close()
        if self._board is not None:
            self._board.close()


def _cut(path: Path, file: BinaryIO, size: int) -> None:
    actual = path.stat().st_size
    if actual < size:
        message = (
            f"{path} has {actual} bytes, the checkpoint was written at {size}; "
            "restore the file, or resume from an older checkpoint"
        )
        raise CheckpointError(message)
    file.truncate(size)
    file.seek(size)


def flatten(record: dict[str, Any]) -> dict[str, Any]:
    """Numbers the entries of nested lists: {"return": [1, 2]} -> {"return_0": 1, "return_1": 2}."""
    flat: dict[str, Any] = {}

    def visit(key: str, value: Any) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                visit(f"{key}_{index}", item)
        else:
            flat[key] = value

    for key, value in record.items():
        visit(key, value)
    return flat


def _tensorboard(run: Path, purge: int | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        message = (
            "tensorboard = true needs the package tensorboard: pip install 'ascore[tensorboard]'"
        )
        raise ConfigError(message) from error
    return SummaryWriter(str(run / "tensorboard"), purge_step=purge)
