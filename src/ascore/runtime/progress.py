"""Shows the progress of training on standard error: live on a terminal, as lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Any

LINE_SECONDS = 5.0
SPARSE_SECONDS = 60.0
PATIENCE_SECONDS = 2.0
FIRST_SECONDS = 1.0  # nobody should wait longer for a first sign


class Progress:
    """Progress of named runs; use as a context manager and call `update` as often as you like.

    Args:
        quiet: whether to show nothing.
        total: number of runs if only a few run at a time; finished runs are then counted and
            removed from the view. 0 = all runs are in progress together.
    """

    def __init__(self, *, quiet: bool = False, total: int = 0) -> None:
        self.quiet, self.total = quiet, total
        self.ended = 0
        self.live = sys.stderr.isatty() and not quiet
        self._rich: Any = None
        self._tasks: dict[str, Any] = {}
        self._last: dict[str, float] = {}
        self._steps: dict[str, tuple[float, float]] = {}  # first step of the update, last line
        self._start = time.monotonic()

    def __enter__(self) -> Progress:
        if self.live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._rich = RichProgress(
                TextColumn("[bold]{task.description:<14}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._rich.start()
            if self.total:
                self._tasks[""] = self._rich.add_task("runs", total=self.total, detail="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def update(self, name: str, done: int, total: int, record: dict[str, Any] | None) -> None:
        """Shows that `done` of `total` updates of run `name` are finished."""
        if self._rich is not None:
            if name not in self._tasks:
                self._tasks[name] = self._rich.add_task(name, total=total, detail="")
            self._rich.update(
                self._tasks[name], completed=done, total=total, detail=_detail(record)
            )
            return
        now = time.monotonic()
        if self.total and name not in self._last:
            self._last[name] = now
        pause = SPARSE_SECONDS if self.total else LINE_SECONDS
        due = now - self._last.get(name, -math.inf) >= pause
        first_or_last = not self.total and (name not in self._last or done == total)
        if not self.quiet and (due or (first_or_last and done > 0)) and record is not None:
            self._last[name] = now if done < total else math.inf
            line = f"{name}: update {done}/{total}, {_detail(record)}, {now - self._start:.0f} s"
            print(line, file=sys.stderr, flush=True)

    def step(self, name: str, done: int, total: int) -> None:
        """Shows that `done` of `total` steps of the next update of run `name` are taken.

        The first update of a slow environment would otherwise pass in silence.
        """
        now = time.monotonic()
        began, shown = self._steps.get(name, (now, -math.inf))
        if done <= 1:
            began = now
        due = now - max(self._last.get(name, self._start), shown)
        if self.quiet or self.total or due < (LINE_SECONDS if shown > 0 else FIRST_SECONDS):
            self._steps[name] = (began, shown)
            return
        self._steps[name] = (began, now)
        rate = (done - 1) / (now - began) if now > began else 0.0
        text = f"step {done} of {total} before the next update, {rate:.1f} steps/s"
        if self._rich is None:
            print(f"{name}: {text}", file=sys.stderr, flush=True)
            return
        if name not in self._tasks:
            self._tasks[name] = self._rich.add_task(name, total=None, detail="")
        self._rich.update(self._tasks[name], detail=text)

    def end(self, name: str, text: str) -> None:
        """Shows how run `name` ended and removes it from the view; does nothing without a total."""
        if not self.total or self.quiet:
            return
        self.ended += 1
        line = f"{self.ended}/{self.total} {name}: {text}"
        if self._rich is None:
            print(f"{line}, {time.monotonic() - self._start:.0f} s", file=sys.stderr, flush=True)
            return
        self._rich.console.print(line, highlight=False, markup=False)
        self._rich.update(self._tasks[""], completed=self.ended)
        if name in self._tasks:
            self._rich.remove_task(self._tasks.pop(name))

    def skip(self, count: int) -> None:
        """Counts runs that were finished before."""
        self.ended += count
        if count and not self.quiet:
            text = f"{count} of {self.total} runs were already done"
            if self._rich is None:
                print(text, file=sys.stderr, flush=True)
            else:
                self._rich.console.print(text, highlight=False)
                self._rich.update(self._tasks[""], completed=self.ended)


class Patience:
    """Reports the progress of a job on standard error: after a second, then every two."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._due: float | None = None

    def update(self, done: int, total: int) -> None:
        """Reports that `done` of `total` are finished; call it as often as you like."""
        now = time.monotonic()
        if self._due is None:
            self._due = now + FIRST_SECONDS
        if now >= self._due:
            self._due = now + PATIENCE_SECONDS
            print(f"{done} of {total} {self.what}", file=sys.stderr, flush=True)


def _detail(record: dict[str, Any] | None) -> str:
    if not record:
        return ""
    value = record["team_return"]
    shown = "no episode yet" if value is None or math.isnan(value) else f"team return {value:.2f}"
    entropy = sum(record["entropy"]) / len(record["entropy"])
    return f"{shown}, entropy {entropy:.2f}"
