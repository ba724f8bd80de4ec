"""What leaked, as a table, as CSV and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from ascore.privacy.attacks import Spread
from ascore.privacy.leakage import CEILING, LABELS, Row
from ascore.render import charts

HEAD = ("game", "algorithm", "audience", "AUC", "lift", "R²", "bits", "team return", "bytes")


def shown(spread: Spread, digits: int = 2) -> str:
    """A mean and its interval."""
    return f"{spread.mean:.{digits}f} [{spread.low:.{digits}f}, {spread.high:.{digits}f}]"


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|---|---|---|" + "---:|" * (len(HEAD) - 3)]
    for row in rows:
        cells = [row.game, LABELS.get(row.algorithm, row.algorithm), row.audience]
        cells += [shown(row.auc), shown(row.lift), shown(row.r2), shown(row.bits)]
        sent = "–" if row.algorithm == CEILING else f"{row.bytes_sent:,.0f}"
        cells += [shown(row.team_return, 1), sent]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """The same with all digits; of an interval, three columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, row in enumerate(rows):
        head, line = [], []
        for field in fields(row):
            value = getattr(row, field.name)
            if isinstance(value, Spread):
                head += [field.name, f"{field.name}_low", f"{field.name}_high"]
                line += [f"{x:.6g}" for x in (value.mean, value.low, value.high)]
            else:
                head.append(field.name)
                line.append(f"{value:.6g}" if isinstance(value, float) else value)
        if number == 0:
            writer.writerow(head)
        writer.writerow(line)
    return text.getvalue()


def picture(rows: Sequence[Row]) -> charts.Picture:
    """AUC by algorithm, a panel per game: 0.5 is knowing nothing, 1 is knowing all."""
    games = list(dict.fromkeys(row.game for row in rows))
    names = [name for name in LABELS if any(row.algorithm == name for row in rows)]
    names += sorted({row.algorithm for row in rows} - set(names))
    audiences = list(dict.fromkeys(row.audience for row in rows))
    figure, grid = charts.figure(1, len(games), 0.9 + 0.27 * len(names), sharey=True)
    lowest = max(0.0, min(0.45, *(row.auc.low for row in rows)))
    looks = dict(zip(names, charts.looks(names), strict=True))
    for axes, game in zip(grid[0], games, strict=True):
        axes.axvline(0.5, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)))
        for row in (row for row in rows if row.game == game):
            look, alone = looks[row.algorithm], row.audience == audiences[0]
            height = names.index(row.algorithm) + (0.0 if alone else 0.25)
            axes.plot([row.auc.low, row.auc.high], [height, height], color=look.colour, lw=1.2)
            axes.plot(
                row.auc.mean, height, look.marker, color=look.colour, markersize=4.5,
                markerfacecolor=look.colour if alone else "white",
            )  # fmt: skip
        axes.set_title(game, fontsize=charts.LARGE, loc="left")
        axes.set_xlabel("AUC of guessing a weight", fontsize=charts.NORMAL)
        axes.set_xlim(lowest - 0.03, 1.03)
    grid[0][0].set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    grid[0][0].set_ylim(len(names) - 0.5, -0.5)
    text = "Lines: 95 % intervals over blocks of games. Dashed: knowing nothing."
    if len(audiences) > 1:
        text += f" Filled: {audiences[0]}; open: {audiences[1]}, together."
    charts.caption(figure, text)
    return figure


def save_picture(rows: Sequence[Row], out: Path) -> None:
    """Writes the picture."""
    charts.save(picture(rows), out)
