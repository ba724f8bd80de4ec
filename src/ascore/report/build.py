"""Writes a page about runs and sweeps into one file."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascore.errors import AscoreError, RunError
from ascore.report import page
from ascore.report.concerns import Concern, concerns
from ascore.report.replays import replays
from ascore.report.settings import Chapter, chapters
from ascore.report.sources import Reading, Shelf, command_of, entries
from ascore.runs.evaluation import evaluate
from ascore.runs.files import as_path, require_writable, write_out

ENDINGS = (".html", ".htm")

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """The result of `report`.

    Attributes:
        path: the file.
        size: its bytes.
        runs: number of runs on it.
        concerns: what looks wrong.
    """

    path: Path
    size: int
    runs: int
    concerns: list[Concern]


def report(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    command: str,
    machine: dict[str, Any],
    episodes: int = 200,
    with_replays: bool = False,
    trust: bool = False,
    progress: Report | None = None,
    drawing: Report | None = None,
) -> Written:
    """Writes a page that opens without a network.

    Args:
        paths: folders of runs and sweeps, or folders that hold runs.
        out: file to write, ending in .html.
        command: what made the page; the page says it.
        machine: where it was made, as `ascore doctor` describes it.
        episodes: evaluation episodes of finished runs that no sweep has evaluated; 0 = none.
        with_replays: embed an episode of a run of each setting.
        trust: whether environments MODULE:CALLABLE that runs name may be imported to evaluate them.
        progress: called with evaluation episodes that have ended and their number.
        drawing: called with frames of a replay that are drawn and their number.

    Raises:
        RunError: a path holds no run, none of the runs can be read, or `out` cannot be written.
        ValueError: `out` has another ending, or `episodes` is negative.
    """
    out = as_path(out)
    if out.suffix.lower() not in ENDINGS:
        message = f"out = {out} is no name for a page; choose one that ends in .html"
        raise ValueError(message)
    if episodes < 0:
        message = f"evaluate = {episodes} is not allowed; it must be at least 0"
        raise ValueError(message)
    require_writable(out)
    folders = [as_path(path) for path in paths]
    shelf = Shelf()
    readings = [shelf.read(entry) for entry in entries(folders)]
    require_readable(readings)
    if episodes:
        readings = _with_evaluations(readings, episodes, trust, progress)
    sorted_out = chapters(readings)
    shown = replays(sorted_out, drawing) if with_replays else {}
    made = {"command": command, "time": now(), "machine": machine}
    composed = page.compose(sorted_out, commands(folders), made, shown)
    data = page.document(composed).encode()
    write_out(out, data)
    return Written(out, len(data), len(readings), _all_concerns(sorted_out))


def require_readable(readings: Sequence[Reading]) -> None:
    """Raises RunError if all runs are damaged; the message is that of the first."""
    problems = [reading.problem for reading in readings if reading.status == "unreadable"]
    if problems and len(problems) == len(readings):
        raise RunError(problems[0])


def commands(folders: Sequence[Path]) -> list[tuple[str, dict[str, Any]]]:
    """Path and record of every sweep that says by which command it was made."""
    records = [(str(folder), command_of(folder)) for folder in folders]
    return [(name, record) for name, record in records if record is not None]


def now() -> str:
    """The time with its zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


def _with_evaluations(
    readings: Sequence[Reading], episodes: int, trust: bool, progress: Report | None
) -> list[Reading]:
    """The same, finished runs evaluated; `progress` counts the episodes of all together."""
    made = list(readings)
    lacking = [k for k, r in enumerate(made) if r.status == "finished" and r.evaluation is None]
    for before, k in enumerate(lacking):

        def report(done: int, total: int, before: int = before) -> None:
            if progress is not None:
                progress(before * total + done, len(lacking) * total)

        made[k] = _evaluated(made[k], episodes, trust, report)
    return made


def _evaluated(reading: Reading, episodes: int, trust: bool, progress: Report) -> Reading:
    """A finished run with its evaluation, or with the reason why it has none."""
    try:
        result = evaluate(reading.entry.folder, episodes=episodes, trust=trust, report=progress)
    except (AscoreError, OSError, ValueError, TypeError, MemoryError) as error:
        return dataclasses.replace(reading, problem=f"not evaluated: {error}")
    return dataclasses.replace(reading, evaluation=result.to_dict())


def _all_concerns(sorted_out: Sequence[Chapter]) -> list[Concern]:
    return [
        c
        for chapter in sorted_out
        for setting in chapter.settings
        for c in concerns(chapter, setting)
    ]
