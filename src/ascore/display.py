"""Small tables as text and as HTML, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = "text-align: left; padding: 0 1em 0 0"


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns; columns of numbers are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [bool(rows) and all(_numeric(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if aligned else cell.ljust(width)
            for cell, width, aligned in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def html_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """A table for a notebook; all text is escaped.

    Args:
        title: line above the table.
        head: names of the columns; none = a table without them.
        rows: cells.
        notes: lines below the table.
    """
    lines = [f"<div><strong>{escape(title)}</strong>", "<table>"]
    if head:
        cells = "".join(f'<th style="{_STYLE}">{escape(name)}</th>' for name in head)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        cells = "".join(f'<td style="{_STYLE}">{escape(cell)}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table>")
    lines += [f"<small>{escape(note)}</small><br>" for note in notes]
    return "\n".join([*lines, "</div>"])


def _numeric(text: str) -> bool:
    try:
        float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return text in ("", "\N{EN DASH}")
    return True
