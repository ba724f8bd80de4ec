"""Curves of settings: as `ascore plot` draws them, at few points.

U updates, P points, n runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ascore.report.settings import Chapter, Setting
from ascore.report.sources import SENT, Reading
from ascore.report.values import F64
from ascore.runs.course import common, smoothed
from ascore.runs.statistics import band, iqm

MOST_POINTS, FEWEST_POINTS = 200, 40
ALL_POINTS = 48_000
"""Points of all curves of a page together; with many settings, each curve has fewer."""

MOST_CURVES = 8
"""Settings that are drawn at first, the best ones; the legend switches on the others."""

AGENT_CURVES = 8
"""Agents whose returns are drawn."""

Extract = Callable[[Reading], F64]
Curve = dict[str, Any]
"""x, mid, low, high: lists of P numbers; low and high are None without a band."""

NO_CURVE: Curve = {"x": [], "mid": [], "low": None, "high": None}


@dataclass(frozen=True)
class Kind:
    """A chart.

    Attributes:
        key: metric of an update.
        title: heading.
        unit: of the vertical axis.
        marks: horizontal lines to compare with.
        range: vertical axis where it is not that of the curves; values beyond are not drawn.
        note: what it shows.
    """

    key: str
    title: str
    unit: str
    marks: tuple[tuple[str, float], ...] = ()
    range: tuple[float, float] | None = None
    note: str = ""


CLIPPED_TOO_OFTEN = 0.3

DIAGNOSTICS = (
    Kind("entropy", "Entropy", "nats", note="How undecided the policies are."),
    Kind("kl", "Change of the policy", "KL, nats", note="How far one update moves a policy."),
    Kind(
        "clip_fraction",
        "Clip fraction",
        "share of rows",
        marks=(("too high", CLIPPED_TOO_OFTEN),),
        note="Rows whose ratio has left the trust interval.",
    ),
    Kind(
        "explained_variance",
        "Explained variance",
        "1 = all",
        marks=(("none", 0.0),),
        range=(-1.0, 1.0),
        note="What the critics know of the returns; below −1 it is not drawn.",
    ),
    Kind(
        "discrepancy",
        "Discrepancy",
        "distance",
        note="Between what agents do and what others hope they do.",
    ),
)


def points(settings: int) -> int:
    """P for a page with so many settings."""
    each = ALL_POINTS // max(1, settings * (len(DIAGNOSTICS) + 2))
    return max(FEWEST_POINTS, min(MOST_POINTS, each))


def team_curves(chapter: Chapter, most: int) -> list[dict[str, Any]]:
    """Team return against episodes and against bytes sent, one curve with its band per setting."""
    by_episodes, by_bytes = [], []
    for setting in chapter.settings:
        by_episodes.append(_curve(setting, _team_return, most, banded=True))
        by_bytes.append(_against_bytes(setting, most))
    charts = [_chart("return", "Team return", "per episode", by_episodes, marks=chapter.anchors)]
    if any(curve["x"] for curve in by_bytes):
        chart = _chart("bytes", "Team return for bytes sent", "per episode", by_bytes)
        pairs = zip(chapter.settings, by_bytes, strict=True)
        silent = [setting.code for setting, curve in pairs if setting.drawn and not curve["x"]]
        if silent:
            chart["note"] = f"Not drawn, as nothing is sent: {', '.join(silent)}."
        charts.append(chart | {"log": True, "xlabel": "bytes sent by all agents so far"})
    return charts


def diagnostic_curves(chapter: Chapter, most: int) -> list[dict[str, Any]]:
    """One chart per metric that any run has, one curve per setting."""
    charts = []
    for kind in DIAGNOSTICS:
        curves = [
            _curve(setting, lambda reading, key=kind.key: reading.team[key], most)  # type: ignore[misc]
            for setting in chapter.settings
        ]
        values = [value for curve in curves for value in curve["mid"]]
        if not any(values):  # none, or a distance that no algorithm here computes
            continue
        chart = _chart(kind.key, kind.title, kind.unit, curves, marks=list(kind.marks))
        if kind.key == "entropy":
            chart["marks"] = _uniform(chapter)
        charts.append(chart | {"range": kind.range, "note": kind.note})
    return charts


def agent_curves(setting: Setting, most: int) -> dict[str, Any]:
    """Return of each agent, one curve per agent."""
    count = max((reading.agents["return"].shape[1] for reading in setting.drawn), default=0)
    curves = []
    for agent in range(min(count, AGENT_CURVES)):

        def own(reading: Reading, agent: int = agent) -> F64:
            table = reading.agents["return"]
            missing = np.full(len(table), np.nan)
            return table[:, agent] if agent < table.shape[1] else missing

        curves.append(_curve(setting, own, most))
    return _chart(f"agents-{setting.code}", "Return of each agent", "per episode", curves)


def _team_return(reading: Reading) -> F64:
    return reading.team["team_return"]


def _uniform(chapter: Chapter) -> list[tuple[str, float]]:
    values = [r.entropy_uniform for setting in chapter.settings for r in setting.drawn]
    return [("uniform", value) for value in sorted({round(v, 6) for v in values if v == v})]


def _chart(
    name: str,
    title: str,
    unit: str,
    curves: list[Curve],
    marks: Sequence[tuple[str, float]] = (),
) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "unit": unit,
        "xlabel": "training episodes",
        "log": False,
        "marks": list(marks),
        "range": None,
        "note": "",
        "curves": curves,
    }


def _curve(setting: Setting, extract: Extract, most: int, banded: bool = False) -> Curve:
    """The course of a metric over training episodes."""
    lines = [_line(reading.team["episodes"], extract(reading)) for reading in setting.drawn]
    return _joint(lines, most, banded=banded)


def _against_bytes(setting: Setting, most: int) -> Curve:
    """Team return over bytes sent by all agents; no points if nothing is sent."""
    sent = [np.cumsum(np.nansum(reading.agents[SENT], axis=1)) for reading in setting.drawn]
    if not any(total[-1] > 0 for total in sent):
        return dict(NO_CURVE)
    returns = [reading.team["team_return"] for reading in setting.drawn]
    return _joint(list(map(_line, sent, returns)), most, banded=True, logarithmic=True)


def _line(across: F64, values: F64) -> tuple[F64, F64]:
    """Where the smoothed metric of a run is known, and its values."""
    known = smoothed(values)
    usable = np.isfinite(known) & np.isfinite(across)
    return across[usable], known[usable]


def _joint(
    lines: list[tuple[F64, F64]], most: int, *, banded: bool, logarithmic: bool = False
) -> Curve:
    """Interquartile mean of several runs at common places, up to the end of the shortest."""
    if not lines or not all(len(x) and (np.diff(x) >= 0).all() for x, _ in lines):
        return dict(NO_CURVE)
    x = common([x for x, _ in lines], most, logarithmic=logarithmic)
    values = np.array([np.interp(x, at, value) for at, value in lines])
    curve = {**NO_CURVE, "x": rounded(x), "mid": rounded(iqm(values, axis=0))}
    if banded and len(values) > 1:
        _, low, high = band(values)
        curve |= {"low": rounded(low), "high": rounded(high)}
    return curve


def rounded(values: F64) -> list[float]:
    """Six significant digits: less than a pixel, and a third of the size."""
    return [float(f"{value:.6g}") for value in values]
