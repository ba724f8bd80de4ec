"""Replays for a page: one episode of a run of each setting, as a GIF within the page."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ascore.envs.factory import is_external
from ascore.errors import AscoreError
from ascore.report.html import Markup, join, size, tag, text
from ascore.report.sections import name
from ascore.report.settings import Chapter, Setting

ROOM = 1_500_000
"""Bytes of all GIFs of a page as they are embedded; a page has at most twice as many."""

STEPS = 100
"""Most steps of a replay; an episode of 300 has a megabyte."""

Report = Callable[[int, int], None]


def replays(chapters: Sequence[Chapter], report: Report | None = None) -> dict[int, Markup]:
    """A section per chapter, by its number; what cannot be shown is said there.

    Args:
        chapters: of the page.
        report: called with frames drawn and their number, for each replay anew.
    """
    left = ROOM
    sections = {}
    for index, chapter in enumerate(chapters):
        parts: list[Any] = []
        for setting in chapter.settings:
            if not setting.drawn:
                continue
            gif, why = _gif(chapter.env, setting.drawn[0].entry.folder, left, report)
            if not gif:
                parts.append(tag("p", name(setting), f" has no replay: {why}.", cls="note"))
                continue
            left -= len(gif)
            parts.append(_shown(setting, gif))
        sections[index] = join(parts)
    return sections


def _shown(setting: Setting, gif: str) -> Markup:
    """Closed at first: nothing moves on the page before somebody asks for it."""
    run = setting.drawn[0].entry.name
    words = text(f"First evaluation episode of {run}, at most {STEPS} steps")
    image = Markup(f'<img src="data:image/gif;base64,{gif}" alt="{words}">')
    summary = tag("summary", "Play: ", name(setting), f", {run}")
    return tag("details", summary, image, data_key=f"replay-{setting.code}")


def _gif(env: str, folder: Path, left: int, report: Report | None) -> tuple[str, str]:
    """A replay in base64, or "" and the reason why there is none."""
    if is_external(env):
        return "", "only built-in environments have scenes"
    from ascore.render.replay import replay  # needs Pillow

    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "replay.gif"
        try:
            replay(folder, out, steps=STEPS, report=report)
        except (AscoreError, ValueError) as error:
            return "", str(error)
        data = base64.b64encode(out.read_bytes()).decode("ascii")
    if len(data) > left:
        return "", f"its {size(len(data))} exceed what is left of {size(ROOM)} for replays"
    return data, ""
