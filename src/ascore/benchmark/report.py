"""Formats the results as text tables or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ascore.benchmark.suite import BenchResults, Skipped
from ascore.benchmark.timing import Result

HEAD = ("case", "against", "ratio", "spread", "bar", "met", "ns", "per")
LEFT = (0, 1, 7)
"""Left-aligned columns, those of words."""


def as_text(bench: BenchResults) -> str:
    """Formats a table per group, then the skipped and differing cases."""
    rows = [_row(result) for result in bench.results]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = [machine_line(bench.machine, bench.quick)]
    group = ""
    for result, row in zip(bench.results, rows, strict=True):
        if result.group != group:
            group = result.group
            lines += ["", group, "  " + _align(HEAD, widths)]
        lines.append("  " + _align(row, widths))
    notes = dict.fromkeys(f"{r.baseline}: {r.note}" for r in bench.results if r.note)
    if notes:
        lines += ["", "notes", *(f"  {note}" for note in notes)]
    lines += _listed("skipped", bench.skipped) + _listed("DIFFERING", bench.differing)
    bars = [result for result in bench.results if result.met is not None]
    met = sum(result.met is True for result in bars)
    return "\n".join([*lines, "", f"{met} of {len(bars)} bars met"])


def as_markdown(bench: BenchResults) -> str:
    """Formats the same as Markdown tables."""
    lines = [machine_line(bench.machine, bench.quick)]
    rule = ["---" if column in LEFT else "---:" for column in range(len(HEAD))]
    for group in dict.fromkeys(result.group for result in bench.results):
        lines += ["", f"### {group}", "", _piped(HEAD), _piped(rule)]
        lines += [_piped(_row(result)) for result in bench.results if result.group == group]
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


def _row(result: Result) -> tuple[str, ...]:
    low, high = result.spread
    return (
        result.name,
        result.baseline,
        number(result.ratio),
        f"{number(low)}..{number(high)}",
        "" if result.bar is None else number(result.bar),
        {True: "yes", False: "NO", None: ""}[result.met],
        number(result.candidate_ns),
        result.unit,
    )


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    sides = (
        cell.ljust(width) if column in LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(sides).rstrip()


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listed(title: str, entries: Sequence[Skipped]) -> list[str]:
    if not entries:
        return []
    return ["", title, *(f"  {entry.group}, {entry.name}: {entry.reason}" for entry in entries)]
