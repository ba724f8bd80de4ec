"""The page: a skeleton, its parts of text and tables, and the data of its charts.

A file holds all three; a served page asks for parts and data again and again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ascore.render.colours import COLOURS, OTHER
from ascore.report import curves, sections
from ascore.report.html import Markup, data, join, tag, text
from ascore.report.settings import Chapter, Setting

# Drawn one after the other; curves that share a colour differ in their dashes.
PALETTE = [*COLOURS.values(), OTHER]
DASHES: list[list[int]] = [
    [], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [12, 4, 2, 4, 2, 4], [3, 6], [16, 3],
]  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: of the document.
        parts: pieces of text by the id of their place; they change while runs go on.
        charts: what the script draws, as plain values.
        skeleton: the places of parts and charts.
    """

    title: str
    parts: dict[str, Markup]
    charts: dict[str, Any]
    skeleton: Markup

    @property
    def shape(self) -> str:
        """A name for the skeleton: pages of the same shape differ in parts and charts alone."""
        return hashlib.sha256(self.skeleton.encode()).hexdigest()[:16]


def compose(
    chapters: Sequence[Chapter],
    commands: Sequence[tuple[str, dict[str, Any]]],
    made: dict[str, Any],
    replays: dict[int, Markup] | None = None,
) -> Page:
    """The page about some chapters.

    Args:
        chapters: what to show.
        commands: path and record of every sweep.
        made: command, time and machine of the page itself.
        replays: section of a chapter, by its number.
    """
    number = sum(len(chapter.settings) for chapter in chapters)
    most = curves.points(number)
    places, charts = [], []
    parts: dict[str, Markup] = {}
    for index, chapter in enumerate(chapters):
        place, own, drawn = _chapter(index, chapter, most, (replays or {}).get(index))
        places.append(place)
        parts |= own
        charts.append(drawn)
    parts["state"] = tag("p", state(chapters))
    parts["machine"] = sections.machine(commands, made)
    names = ", ".join(dict.fromkeys(chapter.env for chapter in chapters))
    links = [
        tag("a", _heading(chapter), href=f"#chapter-{k}") for k, chapter in enumerate(chapters)
    ]
    contents = tag("nav", *links, aria_label="environments") if len(chapters) > 1 else ""
    skeleton = join(
        [
            tag("header", tag("h1", f"ascore: {names}"), _place("state"), contents),
            *places,
            _section("Where this comes from", _place("machine"), _method(most)),
        ]
    )
    return Page(f"{names} – ascore report", parts, {"chapters": charts}, skeleton)


def state(chapters: Sequence[Chapter]) -> str:
    """How many runs there are, and how far they are."""
    readings = [r for chapter in chapters for setting in chapter.settings for r in setting.readings]
    settings = sum(len(chapter.settings) for chapter in chapters)
    finished = sum(reading.status == "finished" for reading in readings)
    runs = "1 run" if len(readings) == 1 else f"{len(readings)} runs"
    of = "" if settings == 1 else f" of {settings} settings"
    words = [f"{runs}{of}", "finished" if finished == len(readings) else f"{finished} finished"]
    for status in ("unfinished", "waiting", "unreadable", "repeated"):
        count = sum(reading.status == status for reading in readings)
        words += [f"{count} {status}"] if count else []
    return ", ".join(words) + "."


def _heading(chapter: Chapter) -> str:
    params = ", ".join(f"{name} = {value}" for name, value in chapter.params.items())
    return f"{chapter.env} ({params})" if params else chapter.env


def _chapter(
    index: int, chapter: Chapter, most: int, replays: Markup | None
) -> tuple[Markup, dict[str, Markup], dict[str, Any]]:
    team, diagnostic = curves.team_curves(chapter, most), curves.diagnostic_curves(chapter, most)
    agents = [
        curves.agent_curves(setting, max(curves.FEWEST_POINTS, most // 2))
        for setting in chapter.settings
    ]
    own = {
        "summary": sections.summary(chapter),
        "wrong": sections.looks_wrong(chapter),
        "fairness": sections.fairness(chapter),
        "traffic": sections.traffic(chapter),
        "configuration": sections.configuration(chapter),
        "runs": sections.runs(chapter),
    }
    for chart in (*team, *diagnostic):
        own[f"n-{chart['id']}"] = sections.curve_table(chapter, chart)
    parts = {f"{key}-{index}": part for key, part in own.items()}
    by_agent = [
        tag(
            "details",
            tag("summary", "Over training: ", sections.name(setting)),
            _chart_place(index, chart),
            data_key=f"{chart['id']}-{index}",
        )
        for setting, chart in zip(chapter.settings, agents, strict=True)
    ]
    inside = [
        tag("h2", _heading(chapter)),
        _place(f"summary-{index}"),
        tag("div", cls="legend", data_chapter=str(index)),
        *(_figure(index, chart) for chart in team),
        _section("What looks wrong", _place(f"wrong-{index}"), level="h3"),
        _section("Agents and fairness", _place(f"fairness-{index}"), *by_agent, level="h3"),
        _section("Communication", _place(f"traffic-{index}"), level="h3"),
        _section(
            "How learning went",
            tag("div", *(_figure(index, chart) for chart in diagnostic), cls="grid"),
            level="h3",
        ),
        *([_section("Replays", replays, level="h3")] if replays is not None else []),
        _section("Configuration", _place(f"configuration-{index}"), level="h3"),
        _section("Runs", _place(f"runs-{index}"), level="h3"),
    ]
    for chart in agents:
        chart["styles"] = [_style(k, f"agent {k}") for k in range(len(chart["curves"]))]
    drawn = {"settings": _styles(chapter), "charts": [*team, *diagnostic, *agents]}
    return tag("section", *inside, id=f"chapter-{index}"), parts, drawn


def _section(title: str, *inside: Any, level: str = "h2") -> Markup:
    return tag("section", tag(level, title), *inside)


def _place(name: str) -> Markup:
    return tag("div", id=f"part-{name}")


def _figure(index: int, chart: dict[str, Any]) -> Markup:
    words = [tag("b", chart["title"]), f" {chart['unit']}"]
    note = [tag("span", f" {chart['note']}", cls="note")] if chart["note"] else []
    return tag(
        "figure",
        tag("figcaption", *words, *note),
        _chart_place(index, chart),
        _place(f"n-{chart['id']}-{index}"),
    )


def _chart_place(index: int, chart: dict[str, Any]) -> Markup:
    return tag("div", cls="chart", data_chapter=str(index), data_chart=chart["id"])


def _styles(chapter: Chapter) -> list[dict[str, Any]]:
    """Colour and dashes of each setting, and whether it is drawn at first."""
    algorithms = [setting.config.algorithm for setting in chapter.settings]
    own = len(set(algorithms)) == len(algorithms) and set(algorithms) <= COLOURS.keys()
    order = sorted(range(len(chapter.settings)), key=lambda k: _rank(chapter.settings[k]))
    shown = set(order[: curves.MOST_CURVES])
    styles = []
    for k, setting in enumerate(chapter.settings):
        style = _style(k, setting.label) | {"code": setting.code, "on": k in shown}
        styles.append(style | {"colour": COLOURS[algorithms[k]]} if own else style)
    return styles


def _style(index: int, label: str) -> dict[str, Any]:
    """Colours and dashes have cycles of different lengths: 56 curves, no two alike."""
    return {
        "code": "",
        "label": "".join(letter if letter.isprintable() else "\ufffd" for letter in label[:120]),
        "colour": PALETTE[index % len(PALETTE)],
        "dash": DASHES[index % len(DASHES)],
        "on": True,
    }


def _rank(setting: Setting) -> float:
    value = setting.team_return
    return -value.iqm if value is not None else float("inf")


def _method(most: int) -> Markup:
    sentences = (
        "Curves are moving averages over 2% of a run's updates, as ascore plot draws them, with "
        f"the interquartile mean over runs; of each curve at most {most} points are kept, evenly "
        "spaced. Shaded bands and brackets after several runs are 95% bootstrap intervals over "
        "runs; brackets after the episodes of one run are 95% intervals over these episodes. "
        "Charts are drawn by uPlot, whose licence (MIT) is in the source of this page."
    )
    return tag("p", sentences, cls="note")


# ---------------------------------------------------------------------- the document


def asset(name: str) -> str:
    """The text of a file of this room."""
    return (resources.files("ascore") / "report" / name).read_text("utf-8")


def document(page: Page, version: str = "") -> str:
    """The page as one HTML text that loads nothing.

    A policy in its head lets the browser run and style by nothing but what is written here, even
    if something got past the escaping.

    Args:
        page: what it shows.
        version: of a page that asks its server for later ones; "" = it asks nobody.
    """
    style = asset("vendor/uPlot.min.css") + asset("page.css")
    own = f'(() => {{\n"use strict";\n{asset("chart.js")}\n{asset("page.js")}}})();'
    licence = f"/*\n{asset('vendor/LICENSE.uPlot')}\n*/"
    script = "\n".join([licence, asset("vendor/uPlot.iife.min.js"), own])
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_digest(script)}",
            f"style-src {_digest(style)}",
            "img-src data:",
            "connect-src 'self'" if version else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    body = str(page.skeleton)
    for name, part in page.parts.items():
        body = body.replace(f'<div id="part-{name}"></div>', tag("div", part, id=f"part-{name}"), 1)
    noscript = "Charts need JavaScript; the tables hold the same numbers."
    values = data({**page.charts, "version": version, "shape": page.shape})
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            '<link rel="icon" href="data:,">\n',
            f"<title>{text(page.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n",
            '<a class="skip" href="#main">Skip to the content</a>\n',
            '<p id="live" role="status" hidden></p>\n',
            f"<noscript><p>{noscript}</p></noscript>\n",
            f'<main id="main">{body}</main>\n',
            f'<script type="application/json" id="data">{values}</script>\n',
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _digest(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
