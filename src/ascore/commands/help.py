"""Lays out help, as wide as the terminal: what a command does, its words, its options in groups."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any

from ascore.commands.parser import LONGEST, Line, Option, options_of

NARROWEST, WIDEST = 40, 100
LEFT = 26
"""Columns of the names; a longer name has a line of its own."""

ENDINGS = {"Output": 2, "Options": 1}
"""Groups that come after the others, in this order."""


def width() -> int:
    """Columns to write in: those of the terminal within bounds, 80 where there is none."""
    return max(NARROWEST, min(shutil.get_terminal_size((80, 24)).columns, WIDEST))


def fits(line: str) -> bool:
    """Whether a line of results is not too long for the terminal; without one, any is."""
    return len(line) <= shutil.get_terminal_size((len(line), 24)).columns


def command_help(
    kind: type[Line], defaults: object | None = None, note: str = "", columns: int = 0
) -> str:
    """The help of a command.

    Args:
        kind: dataclass of its options; the docstring says what the command does.
        defaults: values to show in place of those of `kind`, as attributes.
        note: a sentence about the defaults.
        columns: to write in; 0 = `width()`.
    """
    columns = columns or width()
    listed = options_of(kind)
    words = [option for option in listed if option.mark.positional]
    groups: dict[str, list[Option]] = {}
    for option in listed:
        if not option.mark.positional:
            groups.setdefault(option.group or "Options", []).append(option)
    lines = [f"usage: ascore {kind.usage} [options]", ""]
    for paragraph in (kind.__doc__ or "").split("\n\n"):
        lines += [*textwrap.wrap(" ".join(paragraph.split()), columns), ""]
    for option in words:
        lines += entry(option.name, option.text, columns)
    lines += [""] if words else []
    lines += [*textwrap.wrap(note, columns), ""] if note else []
    for title in sorted(groups, key=lambda each: ENDINGS.get(each, 0)):
        lines.append(heading(title))
        for option in groups[title]:
            value = getattr(defaults, option.key, option.default)
            lines += entry(*_described(option, value), columns)
        lines.append("")
    lines += entry("  -h, --help", "Show this help.", columns)
    return "\n".join(lines) + "\n"


def _described(option: Option, value: Any) -> tuple[str, str]:
    """An option as typed, and its sentence with the default."""
    if option.flag:
        shown = f"  --no-{option.name[2:]}" if value is True else f"  {option.name}"
        return shown, option.text + (" (default: on)" if value is True else "")
    several = " ..." if option.many and not option.mark.repeated else ""
    listed = "|".join(option.choices)
    choices = f" Choose from: {', '.join(option.choices)}." if len(listed) > LONGEST else ""
    text = f"{option.text}{choices}{_default(option, value)}"
    return f"  {option.name} {option.value}{several}", text


def _default(option: Option, value: Any) -> str:
    """The default in brackets; "" if the sentence says it, or there is none."""
    empty = value is None or value is MISSING or value in ("", ())
    if empty or option.mark.repeated or "efault:" in option.text:
        return ""
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
    return f" (default: {shown})"


def entry(name: str, text: str, columns: int, left: int = LEFT) -> list[str]:
    """Lines of a name and its text beside it, or below it on narrow terminals."""
    if columns < 2 * left:
        return [
            *textwrap.wrap(name, columns, subsequent_indent=" " * 4),
            *textwrap.wrap(text, columns, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    lines = textwrap.wrap(text, columns - left) or [""]
    first = [name.ljust(left) + lines[0]] if len(name) < left - 1 else [name, " " * left + lines[0]]
    return [line.rstrip() for line in [*first, *(" " * left + line for line in lines[1:])]]


def heading(title: str) -> str:
    """A title, bold on a terminal that can show it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("", "dumb")
    return title if plain or not sys.stdout.isatty() else f"\x1b[1m{title}\x1b[0m"


def listing(groups: dict[str, dict[str, str]], left: int = 20) -> Iterator[str]:
    """Lines of titled lists of names, `left` columns wide, with their sentences."""
    for title, rows in groups.items():
        yield from ("", heading(title))
        for name, text in rows.items():
            yield from entry(f"  {name}", text, width(), left)
