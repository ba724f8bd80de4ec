"""Formats the results as text tables or Markdown."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

from ascore.benchmark.suite import BenchResults, Skipped
from ascore.benchmark.timing import Result

HEAD = ("case", "against", "ratio", "spread", "bar", "met", "ns", "per")
LEFT = (0, 1, 7)
"""Left-aligned columns, those of words."""


BUSY = 0.5
"""Load per core at the start from which a missed bar says nothing."""
COLUMNS = 100
NARROWEST = 12
"""Columns of a case's and a baseline's name at least."""


def as_text(bench: BenchResults, columns: int = COLUMNS) -> str:
    """Formats a table per group, then the skipped and differing cases, in so many columns."""
    rows = [_row(result, is_busy(bench.machine)) for result in bench.results]
    widths = _fitted([max(map(len, column)) for column in zip(HEAD, *rows, strict=True)], columns)
    lines = textwrap.wrap(machine_line(bench.machine, bench.quick), columns)
    group = ""
    for result, row in zip(bench.results, rows, strict=True):
        if result.group != group:
            group = result.group
            lines += ["", group, *_align(HEAD, widths)]
        lines += _align(row, widths)
    notes = dict.fromkeys(f"{r.baseline}: {r.note}" for r in bench.results if r.note)
    lines += ["", "notes"] if notes else []
    for note in notes:
        lines += textwrap.wrap(note, columns, initial_indent="  ", subsequent_indent="    ")
    lines += _listed("skipped", bench.skipped) + _listed("DIFFERING", bench.differing)
    bars = [result for result in bench.results if result.met is not None]
    met = sum(result.met is True for result in bars)
    if is_busy(bench.machine) and met < len(bars):
        warning = (
            f"The load was {bench.machine['load']:.1f} on {bench.machine['cores']} cores at the "
            "start: bars marked ? were missed, but on a busy machine that says nothing."
        )
        lines += ["", *textwrap.wrap(warning, columns)]
    return "\n".join([*lines, "", f"{met} of {len(bars)} bars met"])


def is_busy(machine: dict[str, Any]) -> bool:
    """Whether others were at work when the measurement began."""
    return machine["load"] is not None and machine["load"] > BUSY * machine["cores"]


def as_markdown(bench: BenchResults) -> str:
    """Formats the same as Markdown tables."""
    lines = [machine_line(bench.machine, bench.quick)]
    rule = ["---" if column in LEFT else "---:" for column in range(len(HEAD))]
    for group in dict.fromkeys(result.group for result in bench.results):
        lines += ["", f"### {group}", "", _piped(HEAD), _piped(rule)]
        lines += [
            _piped(_row(result, is_busy(bench.machine)))
            for result in bench.results
            if result.group == group
        ]
    for title, entries in (("skipped", bench.skipped), ("differing", bench.differing)):
        if entries:
            lines += ["", f"### {title}", ""]
            lines += [f"- {entry.group}, {entry.name}: {entry.reason}" for entry in entries]
    return "\n".join(lines)


def machine_line(machine: dict[str, Any], quick: bool) -> str:
    """Describes the machine in one line."""
    packages = ", ".join(f"{k} {v or 'missing'}" for k, v in machine["packages"].items())
    load = "unknown" if machine["load"] is None else f"{machine['load']:.1f}"
    line = (
        f"{machine['cpu']}, {machine['cores']} cores usable, load {load} at the start, "
        f"{machine['system']}, Python {machine['python']}, ascore {machine['ascore']}, {packages}"
    )
    return line + (" (quick: small batches, few repeats)" if quick else "")


def number(value: float) -> str:
    """Formats a number with three significant digits, from 100 on without decimals."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(result: Result, busy: bool) -> tuple[str, ...]:
    low, high = result.spread
    return (
        result.name,
        result.baseline,
        number(result.ratio),
        f"{number(low)}..{number(high)}",
        "" if result.bar is None else number(result.bar),
        {True: "yes", False: "?" if busy else "NO", None: ""}[result.met],
        number(result.candidate_ns),
        result.unit,
    )


def _fitted(widths: list[int], columns: int) -> list[int]:
    """Widths of the columns, those of case and baseline narrowed until all fit."""
    widths = list(widths)
    room = columns - 2 - 2 * (len(widths) - 1) - sum(widths[2:])
    while widths[0] + widths[1] > room and max(widths[:2]) > NARROWEST:
        widths[int(widths[1] > widths[0])] -= 1
    return widths


def _align(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Lines of a row, whose words are wrapped within their columns."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for line in itertools.zip_longest(*wrapped, fillvalue=""):
        sides = (
            cell.ljust(width) if column in LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append(("  " + "  ".join(sides)).rstrip())
    return lines


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listed(title: str, entries: Sequence[Skipped]) -> list[str]:
    if not entries:
        return []
    return ["", title, *(f"  {entry.group}, {entry.name}: {entry.reason}" for entry in entries)]
