"""Shows the progress of training on standard error: live on a terminal, as lines elsewhere."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

LINE_SECONDS = 5.0
SPARSE_SECONDS = 60.0
PATIENCE_SECONDS = 2.0
FIRST_SECONDS = 1.0  # nobody should wait longer for a first sign
SOON = 0.6  # early enough for that, and late enough for nothing to be said of what is quick
NARROW, WIDE = 90, 110  # columns below which a bar is short, and from which it is long


class Progress:
    """Progress of named runs; use as a context manager and call `update` as often as you like.

    Args:
        quiet: whether to show nothing.
        total: number of runs if only a few run at a time; finished runs are then counted and
            removed from the view. 0 = all runs are in progress together.
    """

    def __init__(self, *, quiet: bool = False, total: int = 0) -> None:
        self.quiet, self.total = quiet, total
        self.ended = self.skipped = 0
        self.live = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"
        self._rich: Any = None
        self._tasks: dict[str, Any] = {}
        self._last: dict[str, float] = {}
        self._steps: dict[str, tuple[float, float]] = {}  # first step of the update, last line
        self._first: dict[str, tuple[int, float]] = {}  # updates done when first seen, and when
        self._pending: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None
        self._start = time.monotonic()

    def __enter__(self) -> Progress:
        if self.live:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress
            from rich.table import Column

            console = Console(stderr=True)
            self._rich = RichProgress(
                TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True)),
                BarColumn(8 if console.width < NARROW else 16 if console.width < WIDE else 28),
                TextColumn(
                    "{task.fields[detail]}",
                    markup=False,
                    table_column=Column(no_wrap=True, overflow="ellipsis"),
                ),
                console=console,
            )
            self._rich.start()
        if self.total:
            self._count()
            self._soon(self._say_begun)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pending = None
        if self._timer is not None:
            self._timer.cancel()
        if self._rich is not None:
            self._rich.stop()

    def expect(self, names: Sequence[str], text: str = "starting") -> None:
        """Shows runs of which nothing can be reported yet, unless they fail at once."""
        if self.quiet or self.total:
            return

        def show() -> None:
            if self._rich is None:
                print(f"{', '.join(names)}: {text}", file=sys.stderr, flush=True)
            for name in names:
                self._show(name, None, None, text)

        self._soon(show)

    def _say_begun(self) -> None:
        """Says how many runs there are, where no view shows it."""
        if self._rich is None and not self.quiet:
            print(f"{self.total} runs: starting", file=sys.stderr, flush=True)

    def _soon(self, show: Callable[[], None]) -> None:
        """Calls `show` unless there is something better to show before it is due."""
        self._pending = show
        self._timer = threading.Timer(SOON, self._show_expected)
        self._timer.daemon = True
        self._timer.start()

    def _show_expected(self) -> None:
        """Shows what is expected, if that has not been done."""
        show, self._pending = self._pending, None
        if show is not None:
            show()

    def update(self, name: str, done: int, total: int, record: dict[str, Any] | None) -> None:
        """Shows that `done` of `total` updates of run `name` are finished."""
        if self._rich is not None:
            self._show_expected()  # so that rows keep their order
        if not self.total:
            self._pending = None
        now = time.monotonic()
        first, since = self._first.setdefault(name, (done, now))
        if done >= total:
            time_left = f"in {words(now - self._start)}"
        else:
            time_left = left(done - first, total - first, now - since)
        if self._rich is not None:
            self._show(name, done, total, f"{done} of {total} updates", time_left, *_detail(record))
            return
        if self.total and name not in self._last:
            self._last[name] = now
        pause = SPARSE_SECONDS if self.total else LINE_SECONDS
        due = now - self._last.get(name, -math.inf) >= pause
        first_or_last = not self.total and (name not in self._last or done == total)
        if not self.quiet and (due or (first_or_last and done > 0)) and record is not None:
            self._last[name] = now if done < total else math.inf
            parts = [f"update {done} of {total}", *_detail(record), time_left]
            line = f"{name}: {', '.join(filter(None, parts))}"
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
        self._show(name, None, None, text)

    def end(self, name: str, text: str, counted: bool = True) -> None:
        """Shows how run `name` ended and removes it from the view; does nothing without a total.

        Args:
            name: of the run.
            text: how it ended.
            counted: False if it is to be continued.
        """
        if not self.total or self.quiet:
            return
        self.ended += counted
        self._pending = None
        line = f"{self.ended}/{self.total} {name}: {text}"
        if self._rich is None:
            seconds = time.monotonic() - self._start
            parts = [line, f"{seconds:.0f} s", self._left(seconds)]
            print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)
            return
        self._rich.console.print(line, highlight=False, markup=False)
        self._count()
        if name in self._tasks:
            self._rich.remove_task(self._tasks.pop(name))

    def skip(self, count: int) -> None:
        """Counts runs that were finished before."""
        self.ended += count
        self.skipped += count
        if count and not self.quiet:
            self._pending = None
            text = f"{count} of {self.total} runs were already done"
            if self._rich is None:
                print(text, file=sys.stderr, flush=True)
            else:
                self._rich.console.print(text, highlight=False)
                self._count()

    def _count(self) -> None:
        """Shows how many runs have ended."""
        if self._rich is None:
            return
        time_left = self._left(time.monotonic() - self._start)
        self._show("runs", self.ended, self.total, f"{self.ended} of {self.total}", time_left)

    def _left(self, seconds: float) -> str:
        """How long the other runs take, if they take as long as those that ended here."""
        return left(self.ended - self.skipped, self.total - self.skipped, seconds)

    def _show(self, name: str, done: int | None, total: int | None, *parts: str) -> None:
        """Shows a row of the live view, with as many of the parts as fit."""
        if self._rich is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._rich.add_task(name, total=None, detail="")
        width = self._rich.console.width
        bar = 8 if width < NARROW else 16 if width < WIDE else 28
        room = width - max(map(len, self._tasks)) - bar - 2
        shown = ""
        for part in filter(None, parts):
            longer = f"{shown}, {part}" if shown else part
            if shown and len(longer) > room:
                break
            shown = longer
        task = self._tasks[name]
        if total is None:
            self._rich.update(task, detail=shown)
        else:
            self._rich.update(task, completed=done, total=total, detail=shown)


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

    def part(self, index: int, parts: int) -> Callable[[int, int], None]:
        """The `update` of one of several jobs of the same length, which are counted together."""
        return lambda done, total: self.update(index * total + done, parts * total)


@contextmanager
def waiting(what: str, seconds: float = SOON) -> Iterator[None]:
    """Says what is waited for, if that takes longer than `seconds`; of ranks, the first does."""

    def say() -> None:
        if os.environ.get("RANK", "").strip() in ("", "0"):
            print(f"ascore: {what}", file=sys.stderr, flush=True)

    timer = threading.Timer(seconds, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def left(done: int, total: int, seconds: float) -> str:
    """The time that is left in words, as "about 3 min left"; "" while nothing is known."""
    if done <= 0 or seconds <= 0 or done >= total:
        return ""
    rest = seconds * (total - done) / done
    return f"about {words(rest)} left" if rest >= 10 else "seconds left"


def words(seconds: float) -> str:
    """A time in words: seconds up to a minute and a half, minutes up to an hour and a half, ..."""
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def _detail(record: dict[str, Any] | None) -> list[str]:
    if not record:
        return []
    value = record["team_return"]
    shown = "no episode yet" if value is None or math.isnan(value) else f"team return {value:.2f}"
    known = [value for value in record["entropy"] if value is not None and not math.isnan(value)]
    return [shown, f"entropy {sum(known) / len(known):.2f}"]
