"""Shows the progress of training that was started from Python: in a notebook, or on a terminal."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from html import escape
from typing import Any

from ascore.runs.record import Record, Report
from ascore.runtime.progress import Progress

PAUSE = 0.25  # seconds between two changes of a bar


@contextlib.contextmanager
def showing(name: str, report: Report | None, *, progress: bool) -> Iterator[Report | None]:
    """A callback that shows the progress of a run, if wanted, and then calls `report`.

    Args:
        name: of the run.
        report: the user's callback.
        progress: whether to show anything.
    """
    if not progress:
        yield report
        return
    with contextlib.ExitStack() as held:
        show = _Bar(name).update if in_notebook() else held.enter_context(_lines(name))

        def both(done: int, total: int, record: Record) -> None:
            show(done, total, record)
            if report is not None:
                report(done, total, record)

        yield both


def in_notebook() -> bool:
    """Whether this process serves a notebook, Jupyter's or Colab's."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def _lines(name: str) -> Iterator[Report]:
    with Progress() as bars:
        yield lambda done, total, record: bars.update(name, done, total, record)


class _Bar:
    """A bar in the output of a notebook's cell, changed in place."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None
        self._start, self._last = time.monotonic(), -math.inf

    def update(self, done: int, total: int, record: Record) -> None:
        now = time.monotonic()
        if now - self._last < PAUSE and done < total:
            return
        self._last = now
        from IPython.display import HTML, display

        page = HTML(self._html(done, total, record, now - self._start))
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def _html(self, done: int, total: int, record: Record, seconds: float) -> str:
        value = record.get("team_return")
        known = value is not None and math.isfinite(value)
        shown = f"team return {value:.2f}" if known else "no episode has ended yet"
        left = seconds / done * (total - done)
        text = f"{self._name}: update {done:,} of {total:,}, {shown}, {seconds:.0f} s"
        text += f", about {left:.0f} s left" if done < total else ", finished"
        bar = f'<progress value="{done}" max="{total}" aria-label="updates done"></progress>'
        return f"<div>{bar} {escape(text)}</div>"
