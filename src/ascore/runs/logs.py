"""Writes the metrics of a run: JSON Lines, CSV and, when enabled, TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ascore.errors import ConfigError, RunError
from ascore.reading import read_regular, unreadable
from ascore.runs import manifest
from ascore.runs.files import json_text, sync, unwritable

METRICS, TABLE = "metrics.jsonl", "metrics.csv"


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
        """Opens the logs.

        Args:
            run: the run folder.
            tensorboard: whether to write events too.
            positions: what a checkpoint stored of `positions`, and its `update`; None = begin. A
                file that it does not name begins anew.
        """
        self.files: dict[str, tuple[Path, BinaryIO]] = {}
        self._columns: list[str] | None = None
        self._board: Any = None
        positions = positions or {"update": 0}
        try:
            for name in (METRICS, TABLE):
                self._open(run / name, positions.get(name, 0))
            if positions.get(TABLE):
                with open(run / TABLE, encoding="utf-8", newline="") as text:
                    self._columns = next(csv.reader(text))
            if tensorboard:
                self._board = _tensorboard(run, positions["update"])
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, size: int) -> None:
        """Opens a regular file and cuts it to `size` bytes."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = open(os.open(path, flags, 0o666), "r+b", buffering=0)  # noqa: SIM115 (kept open)
            self.files[path.name] = (path, file)
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                message = f"{path} is not a regular file; remove it"
                raise RunError(message)
            file.truncate(size)
            file.seek(size)
        except OSError as error:
            if isinstance(error, RunError):
                raise
            raise unwritable(path, error) from error

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
                sync(file.fileno())
            except OSError as error:
                raise unwritable(path, error) from error
            sizes[name] = file.tell()
        if self._board is not None:
            self._board.flush()  # a killed process would lose what it has in memory
        return sizes

    def close(self) -> None:
        """Closes the log files."""
        for _, file in self.files.values():
            file.close()
        if self._board is not None:
            self._board.close()


def damage(run: Path, positions: Mapping[str, int], *, gaps: bool = False) -> dict[str, str]:
    """What is wrong with metrics that end where a checkpoint was written, by file; {} = nothing.

    Args:
        run: the run folder.
        positions: sizes of the files in bytes, and `update`, the number of the last record.
        gaps: whether updates may be missing, as in the metrics of a party that was away.
    """
    wrong = {}
    for name, read in ((METRICS, _numbers_of_lines), (TABLE, _numbers_of_rows)):
        path, size, last = run / name, positions.get(name, 0), positions["update"]
        try:
            data = read_regular(path)
        except OSError as error:
            wrong[name] = f"{path} cannot be read: {error.strerror or error}"
            continue
        if len(data) < size:
            wrong[name] = f"{path} has {len(data)} bytes, the checkpoint was written at {size}"
            continue
        try:
            numbers = read(data[:size], not gaps)
            usual = list(range(last - len(numbers) + 1, last + 1))
            if gaps and numbers and numbers[-1] == last and len(set(numbers)) == len(numbers):
                usual = sorted(numbers)
            if numbers != usual:
                message = f"its records do not number on to {last}, where the checkpoint is"
                raise ValueError(message)
        except (ValueError, RecursionError) as error:
            wrong[name] = f"{path} is damaged ({error})"
    return wrong


def unfinished(run: Path, every: int) -> dict[str, str]:
    """What is wrong with metrics of a run that was killed before its first checkpoint, by file.

    Args:
        run: the run folder.
        every: updates until the first checkpoint.
    """
    path = run / METRICS
    try:
        numbers = [record["update"] for record in read_records(path)] if path.exists() else []
    except RunError as error:
        return {METRICS: str(error)}
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) > every:
        last = f" goes to update {numbers[-1]}, but the checkpoints until then are missing"
        return {METRICS: f"{path}{last}"}
    return {}


def set_log_aside(path: Path) -> None:
    """Renames a log, if it is there, so that a new one can begin.

    Raises:
        RunError: it cannot be renamed.
    """
    number, aside = 1, path.with_name(f"{path.name}.old")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.old-{number}")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, aside)
    except OSError as error:
        raise unwritable(aside, error) from error


def read_records(path: Path, *, of_run: bool = True) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`; a last line that was not written to its end is left out.

    Args:
        path: of the file.
        of_run: whether it must have what is drawn of a run; a party's has not.

    Raises:
        RunError: it is missing, or a line is damaged.
    """
    try:
        return _records(read_regular(path), of_run=of_run)
    except OSError as error:
        message = unreadable(path, error, "restore it")
        raise RunError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path} is damaged ({error}); restore it or remove the line"
        raise RunError(message) from error


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


_RUN: dict[str, manifest.Rule] = {
    "episodes": manifest.is_number,
    "team_return": lambda value: value is None or _number(value),
    "entropy": lambda value: (
        isinstance(value, list) and all(each is None or _number(each) for each in value)
    ),
    "bytes_sent": lambda value: isinstance(value, list) and all(map(_number, value)),
}
"""What summaries and pictures read of a run's records."""


def _records(data: bytes, *, of_run: bool = True) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or type(record.get("update")) is not int:
            message = f"line {number} is no record"
            raise ValueError(message)
        manifest.require(record, _RUN if of_run else {}, f"line {number}")
        records.append(record)
    return records


def _numbers_of_lines(data: bytes, of_run: bool) -> list[int]:
    if data and not data.endswith(b"\n"):
        message = "it ends within a line"
        raise ValueError(message)
    return [record["update"] for record in _records(data, of_run=of_run)]


def _numbers_of_rows(data: bytes, of_run: bool) -> list[int]:
    if not data:
        return []
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    except csv.Error as error:
        raise ValueError(error) from error
    if "update" not in rows[0]:
        message = "line 1 does not name the columns"
        raise ValueError(message)
    column, numbers = rows[0].index("update"), []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]) or not row[column].isdecimal():
            message = f"line {number} is no record"
            raise ValueError(message)
        numbers.append(int(row[column]))
    return numbers


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


def _tensorboard(run: Path, done: int) -> Any:
    """A writer of events; it voids earlier processes' events of updates after `done`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        message = (
            "tensorboard = true needs the package tensorboard: pip install 'ascore[tensorboard]'"
        )
        raise ConfigError(message) from error
    return SummaryWriter(str(run / "tensorboard"), purge_step=done + 1)
