"""The look of charts: curves told apart by colour, line and marker, labels beside them, anchors.

Sizes are those of a printed column; text stays readable there and in grey.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import offset_copy

from ascore.errors import RunError
from ascore.render.colours import COLOURS, OTHER
from ascore.runs.files import require_writable, write_out

F64 = npt.NDArray[np.float64]

COLUMN, PAGE = 3.3, 6.8  # widths in inches: one column, and two with the gap between them
DPI = 200
SMALL, NORMAL, LARGE = 6.5, 7.5, 8.5  # sizes of text in points
LETTERS = 20  # of small text per inch

CYCLE = (*dict.fromkeys(COLOURS.values()), OTHER)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
OWN_MARKERS = {"as": "o", "ippo": "v", "cppo": "P", "vps": "s", "vs": "^", "ps": "D"}
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1.5, 1)))
MARKS = 5  # markers along a curve

QUIET = "0.35"
STEADY_SHARE = 0.2  # the last part of a curve, which has to be on the picture
MOST_CUT = 3.0  # curves are shown whole if that makes the axis at most so many times as long


class Picture(Figure):
    """A matplotlib figure that notebooks show, whichever backend is in use or none."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=DPI)
        return data.getvalue()


@dataclass(frozen=True)
class Look:
    """Colour, marker and line style of a series; each alone tells it from its neighbours."""

    colour: str
    marker: str
    line: Any


def looks(algorithms: Sequence[str]) -> list[Look]:
    """A look per series: colours by algorithm if several differ, else by series.

    Of each algorithm the first series has the marker that it has in all pictures.

    Args:
        algorithms: the algorithm of each series.
    """
    several = len(set(algorithms)) > 1
    made: list[Look] = []
    count = dict.fromkeys(algorithms, 0)
    kept = {OWN_MARKERS[name] for name in algorithms if name in OWN_MARKERS}
    free = [marker for marker in MARKERS if marker not in kept]
    for index, name in enumerate(algorithms):
        own = count[name]
        count[name] += 1
        first = own == 0 and name in OWN_MARKERS
        taken = sum(look.marker not in kept for look in made)
        marker = OWN_MARKERS[name] if first else free[taken % len(free)]
        colour = COLOURS.get(name, OTHER) if several else CYCLE[index % len(CYCLE)]
        line = LINES[own % len(LINES)] if several else LINES[index // len(CYCLE) % len(LINES)]
        made.append(Look(colour, marker, line))
    return made


def figure(
    rows: int, columns: int, height: float, *, sharey: bool | Literal["row"] = False
) -> tuple[Picture, Any]:
    """A figure of panels, each as wide as a column, and its grid of axes [rows, columns].

    Args:
        rows: rows of panels.
        columns: columns of panels.
        height: of the figure, inches.
        sharey: whether all panels, or those of a row, have the same vertical axis.
    """
    width = COLUMN if columns == 1 else PAGE / 2 * columns
    made = Picture(figsize=(width, height), layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False, sharey=sharey)
    for axes in grid.flat:
        axes.tick_params(labelsize=SMALL, length=2.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.set_axisbelow(True)
    return made, grid


# ---------------------------------------------------------------------- curves and axes


def draw_curve(
    axes: Any, x: F64, band: tuple[F64, F64, F64], look: Look, place: tuple[int, int], label: str
) -> None:
    """Draws a mean with its band; markers stand at other places than those of other curves.

    Args:
        axes: panel.
        x: f64 [P], ascending.
        band: mean, low and high, f64 [P] each.
        look: of the series.
        place: index of the series and number of series.
        label: name of the series.
    """
    middle, low, high = band
    axes.plot(
        x, middle, color=look.colour, linestyle=look.line, linewidth=1.3, label=label, zorder=3,
        marker=look.marker, markersize=3.6, markerfacecolor="white", markeredgewidth=0.9,
        markevery=_marked(x, axes.get_xscale() == "log", *place),
    )  # fmt: skip
    axes.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0, zorder=1)


def _marked(x: F64, logarithmic: bool, index: int, count: int) -> list[int]:
    """Indices of the points that carry a marker, evenly spaced along the axis."""
    at = np.log(np.maximum(x, x[x > 0].min())) if logarithmic and (x > 0).any() else x
    shares = (np.arange(MARKS) + (index + 0.5) / count) / MARKS
    wanted = at[0] + shares * (at[-1] - at[0])
    return sorted({int(np.abs(at - value).argmin()) for value in wanted})


def show_what_counts(
    axes: Any, curves: Sequence[F64], anchors: Mapping[str, float]
) -> dict[str, float]:
    """Sets the vertical axis so that final returns and anchors can be told apart.

    The last part of every curve and the anchors are on it, except random play, which may be far
    off. Where curves begin far away the axis is cut, and an arrow says where they begin; what
    comes after a curve has first come there is on it.

    Args:
        axes: panel.
        curves: mean curves, f64 [P] each.
        anchors: returns by label.

    Returns:
        The anchors that are on the axis.
    """
    ends = [curve[int((1 - STEADY_SHARE) * len(curve)) :] for curve in curves]
    needed = [value for label, value in anchors.items() if label != "random"]
    needed += [float(value) for end in ends for value in (end.min(), end.max())]
    low, high = min(needed), max(needed)
    whole = [*needed, *(float(value) for c in curves for value in (c.min(), c.max()))]
    span = max(high - low, 1e-3 * max(abs(high), abs(low), 1e-9))
    later = []
    for curve in curves:
        far = not low - span <= curve[0] <= high + span
        later.append(curve[((curve >= low) & (curve <= high)).argmax() :] if far else curve)
    low, high = min(low, *map(np.min, later)), max(high, *map(np.max, later))
    span = max(span, high - low)
    if max(whole) - min(whole) <= MOST_CUT * span:
        low, high = min(whole), max(whole)
    else:
        _say_what_is_cut(
            axes,
            min(whole) if min(whole) < low - span else None,
            max(whole) if max(whole) > high + span else None,
        )
    random = anchors.get("random")
    if random is not None and max(high, random) - min(low, random) <= 1.5 * (high - low):
        low, high = min(low, random), max(high, random)
    margin = 0.07 * max(high - low, span)
    axes.set_ylim(low - margin, high + margin)
    return {k: v for k, v in anchors.items() if low - margin <= v <= high + margin}


def _say_what_is_cut(axes: Any, lowest: float | None, highest: float | None) -> None:
    """Writes into the left corners from which returns curves come that begin beyond the axis."""
    for value, arrow, height in (
        (lowest, "\N{UPWARDS ARROW}", 0.04),
        (highest, "\N{DOWNWARDS ARROW}", 0.91),
    ):
        if value is not None:
            axes.text(
                0.03, height, f"{arrow} from {number(round(value))}", transform=axes.transAxes,
                fontsize=SMALL, color=QUIET, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9},
            )  # fmt: skip


def label_right(
    axes: Any,
    series: Sequence[tuple[float, str, Look]],
    anchors: Mapping[str, float],
    height: float,
) -> None:
    """Names curves and anchors beside the right end of a panel, none over another.

    Args:
        axes: panel whose vertical limits are final.
        series: height on the axis, name and look of each curve at its end.
        anchors: returns by label; each gets a line behind the curves.
        height: of the panel, inches.
    """
    low, high = axes.get_ylim()
    for value in anchors.values():
        axes.axhline(value, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    entries: list[tuple[float, str, Look | None]] = [(y, name, look) for y, name, look in series]
    entries += [(value, f"{label} {number(value)}", None) for label, value in anchors.items()]
    entries = [((min(max(y, low), high) - low) / (high - low), t, k) for y, t, k in entries]
    entries.sort(key=lambda entry: entry[0])
    places = spread([share for share, _, _ in entries], 1.25 * NORMAL / 72 / height)
    names, marks = (offset_copy(axes.transAxes, axes.figure, x, units="points") for x in (15, 9))
    for place, (share, text, look) in zip(places, entries, strict=True):
        axes.annotate(
            text, (1.0, share), (1.0, place), xycoords="axes fraction", textcoords=names,
            va="center", ha="left", annotation_clip=False,
            fontsize=SMALL if look is None else NORMAL,
            fontweight="normal" if look is None else "bold",
            color=QUIET if look is None else look.colour,
            arrowprops={
                "arrowstyle": "-", "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0,
                "color": "0.6" if look is None else look.colour,
            },
        )  # fmt: skip
        if look is not None:
            axes.plot(
                1.0, place, look.marker, color=look.colour, markerfacecolor="white",
                markersize=3.6, markeredgewidth=0.9, transform=marks, clip_on=False,
            )  # fmt: skip


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Ascending values moved apart to at least `gap`, as little as possible."""
    blocks: list[list[float]] = []  # [sum of the wanted places of the first entry, entries]
    for value in values:
        blocks.append([value, 1.0])
        while len(blocks) > 1:
            (total, count), (before, size) = blocks[-1], blocks[-2]
            if total / count >= before / size + size * gap:
                break
            # Merged: the wanted place of the first follows from each member's own.
            blocks[-2:] = [[before + total - count * size * gap, size + count]]
    places: list[float] = []
    for total, count in blocks:
        places += [total / count + k * gap for k in range(int(count))]
    return places


MEASURED = {
    "team_return": "team return per episode",
    "lowest_return": "lowest return of an agent",
    "nash_welfare": "Nash welfare of returns",
    "gini": "Gini coefficient of returns",
}


def name_axes(axes: Any, quantity: str, measure: str = "team_return", *, left: bool) -> None:
    """Names the axes with their units; only the leftmost panel of a row names the vertical one."""
    names = {"episodes": "training episodes", "bytes": "bytes sent by all agents"}
    axes.set_xlabel(names[quantity], fontsize=NORMAL)
    if left:
        axes.set_ylabel(MEASURED[measure], fontsize=NORMAL)
    if quantity == "episodes":
        axes.xaxis.set_major_formatter(_thousands)
        axes.xaxis.get_major_locator().set_params(nbins=5)
    else:
        axes.xaxis.set_major_formatter(_units)
        if axes.get_xscale() == "log":
            low, high = axes.get_xlim()
            axes.xaxis.set_major_locator(_locator(math.log10(high / low)))
            axes.xaxis.set_minor_formatter(NullFormatter())


def _locator(decades: float) -> Locator:
    """Few ticks on a logarithmic axis that is so many powers of ten long."""
    if decades < 0.7:
        return MaxNLocator(3)
    subs = (1.0, 2.0, 5.0) if decades < 1.5 else (1.0, 3.0) if decades < 2.5 else (1.0,)
    return LogLocator(subs=subs, numticks=9)


def _units(value: float, position: int | None = None) -> str:
    """A number of bytes as on an axis: 500 B, 20 kB, 1.5 MB."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B" if value else "0"


def _thousands(value: float, position: int | None = None) -> str:
    """A number of episodes as on an axis: 500, 4k, 12k."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def number(value: float) -> str:
    """A return with a minus sign, not a hyphen, and at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.0f}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def caption(picture: Figure, text: str) -> None:
    """Writes how a picture was made below it, in small letters."""
    lines = textwrap.fill(text, int(LETTERS * picture.get_figwidth()))
    picture.supxlabel(lines, fontsize=SMALL, color=QUIET)


# ---------------------------------------------------------------------- files


def encoded(picture: Figure, suffix: str) -> bytes:
    """The bytes of a picture in the format of a suffix such as ".png"; the same each time.

    Raises:
        ValueError: there is no such format.
    """
    dates = {".pdf": "CreationDate", ".svg": "Date"}
    metadata = {dates[suffix]: None} if suffix in dates else None
    data = io.BytesIO()
    with rc_context({"svg.hashsalt": "ascore"}):
        picture.savefig(data, dpi=DPI, format=suffix.lstrip(".") or "png", metadata=metadata)
    return data.getvalue()


def require_place(out: Path) -> None:
    """Refuses a picture that could not be saved, before it is drawn.

    Raises:
        RunError: as `save`.
    """
    known = FigureCanvasBase.get_supported_filetypes()
    if out.suffix and out.suffix.lower().lstrip(".") not in known:
        message = f"cannot write {out}: its ending names no format; choose .png, .pdf or .svg"
        raise RunError(message)
    require_writable(out)


def save(picture: Figure, out: Path) -> None:
    """Writes a picture, in a folder that is created; the suffix sets the format.

    Raises:
        RunError: the format is unknown, or the file cannot be written.
    """
    require_place(out)
    write_out(out, encoded(picture, out.suffix.lower()))


def height_of(labels: int) -> float:
    """Height in inches of a panel with so many labels beside it."""
    return max(2.3, math.ceil(10 * (0.5 + 0.14 * labels)) / 10)
