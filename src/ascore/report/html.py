"""Pieces of a page; every text is escaped here, as names and values may come from anybody."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ascore.runs.files import json_text

LONGEST = 5000
"""Characters of a text that is shown; the ends of longer ones are left out."""

MINUS = "−"


class Markup(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """A value as HTML: escaped, without control characters, not longer than LONGEST."""
    if isinstance(value, Markup):
        return value
    words = str(value)
    if len(words) > LONGEST:
        words = words[:LONGEST] + "…"
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    return Markup(html.escape(shown, quote=True))


def tag(name: str, *inside: Any, **attributes: str) -> Markup:
    """An element: `tag("p", "a < b", cls="note")`; names of attributes have _ for -."""
    named = {"class" if key == "cls" else key.replace("_", "-"): v for key, v in attributes.items()}
    head = "".join(f' {key}="{text(value)}"' for key, value in named.items())
    return Markup(f"<{name}{head}>{''.join(map(text, inside))}</{name}>")


def join(parts: Iterable[Any]) -> Markup:
    """Pieces one after the other."""
    return Markup("".join(map(text, parts)))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], caption: str, words: int = 1
) -> Markup:
    """A table that scrolls sideways where it is too wide.

    Args:
        heads: of the columns.
        rows: cells of each row; the first is its head.
        caption: what it shows.
        words: columns from the left that hold words; the others hold numbers.
    """

    def kind(column: int) -> str:
        return "word" if column < words else "num"

    top = join(tag("th", head, scope="col", cls=kind(k)) for k, head in enumerate(heads))
    body = join(
        tag(
            "tr",
            tag("th", row[0], scope="row", cls="word"),
            *(tag("td", cell, cls=kind(k)) for k, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    )
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", top)), tag("tbody", body))
    return tag("div", whole, cls="wide", tabindex="0", role="region", aria_label=caption)


def decimal(value: float, digits: int = 2) -> str:
    """A number with a true minus sign; a dash for one that is not known."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}".replace("-", MINUS)


def interval(middle: float, ends: tuple[float, float] | None) -> str:
    """A number and its interval, as in the tables of sweeps."""
    if ends is None or not all(map(math.isfinite, ends)):
        return decimal(middle)
    return f"{decimal(middle)} [{decimal(ends[0])}, {decimal(ends[1])}]"


def size(count: float) -> str:
    """A number of bytes with its unit."""
    if not math.isfinite(count):
        return "–"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def data(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element or begin a comment."""
    escapes = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&'"}
    return json_text(value).translate(escapes)
