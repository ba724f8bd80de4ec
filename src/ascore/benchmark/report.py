"""Formats the results as text tables or Markdown."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

from ascore.benchmark.suite import BenchResults, Skipped
from ascore.benchmark.timing import Result

HEAD = ("case", "against", "ratio", "spread", "bar", "met", "ns", "per")
WORDS = ("case", "against", "per")
"""Left-aligned columns."""

BUSY = 0.5
"""Load per core at the start from which a missed bar says nothing."""
COLUMNS = 100
INDENT = " " * 4
NARROWEST = 12
"""Columns of a baseline's name and of a unit at least."""


def as_text(bench: BenchResults, columns: int = COLUMNS) -> str:
    """Formats a table per group, then the skipped and differing cases, in so many columns.

    A case has a line of its own, above those of its baselines.
    """
    lines = textwrap.wrap(machine_line(bench.machine, bench.quick), columns)
    for group, results in itertools.groupby(bench.results, lambda result: result.group):
        rows = [_row(result, is_busy(bench.machine)) for result in results]
        cells = [HEAD[1:], *(row[1:] for row in rows)]
        widths = _fitted([max(map(len, column)) for column in zip(*cells, strict=True)], columns)
        lines += ["", group, *_align(HEAD[1:], widths)]
        for case, beside in itertools.groupby(rows, lambda row: row[0]):
            lines += textwrap.wrap(case, columns, initial_indent="  ", subsequent_indent="    ")
            for row in beside:
                lines += _align(row[1:], widths)
    notes = dict.fromkeys(f"{r.baseline}: {r.note}" for r in bench.results if r.note)
    lines += ["", "notes"] if notes else []
    for note in notes:
        lines += textwrap.wrap(note, columns, initial_indent="  ", subsequent_indent="    ")
    for title, entries in (("skipped", bench.skipped), ("DIFFERING", bench.differing)):
        lines += _listed(title, entries, columns)
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
    rule = ["---" if name in WORDS else "---:" for name in HEAD]
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
    """Widths of the columns, those of baseline and unit narrowed until all fit."""
    widths = list(widths)
    while len(INDENT) + sum(widths) + 2 * (len(widths) - 1) > columns:
        wider = 0 if widths[0] >= widths[-1] else -1
        if widths[wider] <= NARROWEST:
            break
        widths[wider] -= 1
    return widths


def _align(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Lines of a row, whose words are wrapped within their columns."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for line in itertools.zip_longest(*wrapped, fillvalue=""):
        sides = (
            cell.ljust(width) if name in WORDS else cell.rjust(width)
            for name, cell, width in zip(HEAD[1:], line, widths, strict=True)
        )
        lines.append((INDENT + "  ".join(sides)).rstrip())
    return lines


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listed(title: str, entries: Sequence[Skipped], columns: int) -> list[str]:
    if not entries:
        return []
    lines = ["", title]
    for entry in entries:
        text = f"{entry.group}, {entry.name}: {entry.reason}"
        lines += textwrap.wrap(text, columns, initial_indent="  ", subsequent_indent="    ")
    return lines
