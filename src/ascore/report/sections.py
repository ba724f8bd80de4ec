"""The sections of a page that hold text and tables; the charts are drawn from data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ascore.experiments.tables import few_runs
from ascore.report.concerns import CHECKED, FEWEST_UPDATES, concerns, too_short
from ascore.report.configuration import command, differences
from ascore.report.html import Markup, decimal, interval, join, size, table, tag
from ascore.report.settings import Chapter, Setting, agent_means, spread
from ascore.report.sources import Reading
from ascore.report.values import mean
from ascore.runs.statistics import FEW

COLUMNS_OF_AGENTS = 8
"""With more agents, a table shows the lowest, the middle and the highest return."""

ROWS_OF_CURVES = 12


def name(setting: Setting) -> Markup:
    """Code and label of a setting."""
    return join([tag("b", setting.code, cls="code"), " ", setting.label])


def summary(chapter: Chapter) -> Markup:
    """Final returns, best first, with the anchors."""
    begun = [setting for setting in chapter.settings if setting.team_return is not None]
    begun.sort(key=lambda setting: -_iqm(setting))
    if not begun:
        return tag("p", "No episode has ended so far.")
    rows = []
    for setting in begun:
        middle, ends, over = _outcome(setting)
        returns = setting.returns
        entropy = mean([reading.final.entropy for reading in setting.drawn])
        uniform = mean([reading.entropy_uniform for reading in setting.drawn])
        rows.append(
            [
                name(setting), interval(middle, ends), over,
                decimal(min(returns)), decimal(max(returns)),
                f"{decimal(entropy, 3)} of {decimal(uniform, 3)}",
            ]
        )  # fmt: skip
    heads = ["setting", "team return", "over", "worst run", "best run", "entropy, nats"]
    parts = [table(heads, rows, "Team return per episode at the end")]
    if chapter.anchors:
        anchors = ", ".join(f"{label} {decimal(value)}" for label, value in chapter.anchors)
        parts.append(tag("p", f"Anchors, the returns of known play: {anchors}.", cls="note"))
    counts = [len(setting.returns) for setting in begun]
    if max(counts) > 1 and min(counts) < FEW:
        parts.append(tag("p", few_runs(min(counts)), cls="note"))
    if not all(setting.evaluated for setting in begun):
        parts.append(
            tag(
                "p", "Training: mean over the last tenth of the updates, not evaluated.", cls="note"
            )
        )
    return join(parts)


def _iqm(setting: Setting) -> float:
    value = setting.team_return
    return value.iqm if value is not None else float("-inf")


def _outcome(setting: Setting) -> tuple[float, tuple[float, float] | None, str]:
    """Return, interval, and what the interval is over: runs, or the episodes of the only run."""
    value = setting.team_return
    assert value is not None
    if not setting.evaluated:
        runs = "1 run" if value.n == 1 else f"{value.n} runs"
        return value.iqm, value.ci95, f"{runs}, training"
    if value.n > 1:
        return value.iqm, value.ci95, f"{value.n} runs"
    only = next(r.final for r in setting.drawn if r.final.team_return == r.final.team_return)
    return only.team_return, only.ci95, f"{only.episodes:,} episodes"


def looks_wrong(chapter: Chapter) -> Markup:
    """What looks wrong, one sentence each."""
    items, judged, short = [], 0, 0
    for setting in chapter.settings:
        listed = concerns(chapter, setting)
        short += len(too_short(setting))
        judged += len(setting.begun) - len(too_short(setting))
        for _, group in itertools.groupby(listed, key=lambda concern: concern.kind):
            same = list(group)
            others = ""
            if len(same) > 1:
                more = len(same) - 1
                others = f" {more} more run{'s' if more > 1 else ''} of this setting likewise."
            items.append(
                tag("li", name(setting), f", seed {same[0].seed}: ", same[0].sentence, others)
            )
    parts: list[Any] = []
    if items:
        parts.append(tag("ul", *items, cls="wrong"))
    elif judged:
        runs = "the run" if judged == 1 else f"any of {judged} runs"
        parts.append(tag("p", f"Nothing looks wrong in {runs}. Checked: {CHECKED}.", cls="right"))
    if short:
        runs = "One run has" if short == 1 else f"{short} runs have"
        parts.append(
            tag("p", f"{runs} fewer than {FEWEST_UPDATES} updates, too few to judge.", cls="note")
        )
    return join(parts)


def fairness(chapter: Chapter) -> Markup:
    """Returns of the agents, the lowest one, and how unequal they are."""
    settings = [setting for setting in chapter.settings if any(agent_means(setting))]
    settings = [s for s in settings if not all(np.isnan(agent_means(s)))]
    if not settings:
        return tag("p", "No episode has ended so far.")
    count = max(len(agent_means(setting)) for setting in settings)
    rows = []
    for setting in settings:
        means = agent_means(setting)
        spreads = np.array([spread(reading) for reading in setting.drawn])
        low, gap, gini = (mean(column) for column in spreads.T)
        shown = _by_agent(means, count)
        rows.append([name(setting), *shown, decimal(low), decimal(gap), decimal(gini, 3)])
    each = [f"agent {k}" for k in range(count)]
    heads = each if count <= COLUMNS_OF_AGENTS else ["lowest", "median", "highest"]
    columns = ["setting", *heads, "lowest in a run", "highest less lowest", "Gini"]
    return join(
        [
            table(columns, rows, "Return of each agent per episode, mean over runs"),
            tag(
                "p",
                "Lowest, difference and Gini coefficient (0 = all earn the same) are computed in "
                "each run and then averaged. The coefficient compares shares, so there is none "
                "where an agent's return is negative.",
                cls="note",
            ),
        ]
    )


def _by_agent(means: list[float], count: int) -> list[str]:
    if count <= COLUMNS_OF_AGENTS:
        return [decimal(value) for value in means] + ["–"] * (count - len(means))
    usable = [value for value in means if value == value] or [float("nan")]
    return [decimal(min(usable)), decimal(float(np.median(usable))), decimal(max(usable))]


def traffic(chapter: Chapter) -> Markup:
    """Bytes sent per agent, by kind of message."""
    rows = []
    for setting in chapter.settings:
        sent = [_totals(reading) for reading in setting.drawn]
        if not sent:
            continue
        kinds = sorted({kind for totals in sent for kind in totals})
        updates = mean([float(reading.updates) for reading in setting.drawn])
        sums = [_sum(totals) or [0.0] for totals in sent]
        per_agent = mean([mean(total) for total in sums])
        rows.append(
            [
                name(setting), ", ".join(kinds) or "nothing", size(per_agent),
                size(max(map(max, sums))),
                size(per_agent / max(updates, 1.0)),
                size(mean([sum(total) for total in sums])),
            ]
        )  # fmt: skip
    if not rows:
        return tag("p", "No update has been made so far.")
    heads = ["setting", "what", "per agent", "most by one agent", "per agent and update", "in all"]
    return table(heads, rows, "Bytes sent in training, mean over runs", words=2)


def _totals(reading: Reading) -> dict[str, list[float]]:
    return {kind: [float(v) for v in each] for kind, each in reading.sent.items() if any(each)}


def _sum(totals: dict[str, list[float]]) -> list[float]:
    count = max(map(len, totals.values()), default=0)
    return [sum(each[k] for each in totals.values() if k < len(each)) for k in range(count)]


def configuration(chapter: Chapter) -> Markup:
    """Each setting as what differs from the nearest preset, and the command that trains it."""
    parts = []
    for setting in chapter.settings:
        preset, changes = differences(setting.config)
        base = f"preset {preset}" if preset else "the defaults"
        head = tag("h4", name(setting))
        if changes:
            rows = [
                [tag("code", key), _value(after), _value(before)]
                for key, (before, after) in changes.items()
            ]
            keys = "1 key differs" if len(rows) == 1 else f"{len(rows)} keys differ"
            caption = f"{keys} from {base}"
            body = table(["key", "here", base], rows, caption, words=3)
        else:
            body = tag("p", f"As {base} has it, in every key.")
        line = tag("pre", tag("code", command(setting.config)), tabindex="0")
        parts.append(tag("div", head, body, line))
    note = tag(
        "p",
        "Each command trains the first run of its setting again. Keys that say where and how fast "
        "a run is computed are left out.",
        cls="note",
    )
    return join([*parts, note])


def _value(value: Any) -> str:
    return "not set" if value is None else str(value)


def runs(chapter: Chapter) -> Markup:
    """Every run: how far it is, how long it took, what it earned."""
    rows = []
    for setting in chapter.settings:
        for reading in setting.readings:
            final = reading.final if reading.updates else None
            earned = interval(final.team_return, final.ci95) if final is not None else "–"
            rows.append(
                [
                    reading.entry.name, setting.code, str(reading.entry.config.seed),
                    reading.status, f"{reading.updates:,}",
                    _whole(reading.last("episodes")), _whole(reading.last("seconds")), earned,
                ]
            )  # fmt: skip
    heads = ["run", "setting", "seed", "state", "updates", "episodes", "seconds", "team return"]
    parts = [table(heads, rows, "Each run, and its return at the end")]
    problems = [
        tag("li", reading.entry.name, ": ", reading.problem)
        for setting in chapter.settings
        for reading in setting.readings
        if reading.problem
    ]
    if problems:
        parts.append(tag("ul", *problems, cls="wrong"))
    left_out = sum(len(setting.begun) - len(setting.drawn) for setting in chapter.settings)
    if left_out:
        count = "One unfinished run is" if left_out == 1 else f"{left_out} unfinished runs are"
        note = f"{count} not in curves and tables, as others of the same setting have finished."
        parts.append(tag("p", note, cls="note"))
    return join(parts)


def _whole(value: float) -> str:
    return decimal(value, 0)


def curve_table(chapter: Chapter, chart: dict[str, Any]) -> Markup:
    """A chart's numbers at a few places, for those who do not see it."""
    labels = [setting.code for setting in chapter.settings]
    if len(labels) != len(chart["curves"]):
        labels = [f"agent {k}" for k in range(len(chart["curves"]))]
    pairs = [(label, curve) for label, curve in zip(labels, chart["curves"], strict=True)]
    pairs = [(label, curve) for label, curve in pairs if curve["x"]]
    if not pairs:
        return Markup("")
    across = sorted({x for _, curve in pairs for x in curve["x"]})
    at = [across[k] for k in np.unique(np.linspace(0, len(across) - 1, ROWS_OF_CURVES).astype(int))]
    rows = [[decimal(x, 0), *(_at(curve, x) for _, curve in pairs)] for x in at]
    heads = [chart["xlabel"], *(label for label, _ in pairs)]
    inside = table(heads, rows, f"{chart['title']}, {chart['unit']}", words=0)
    return tag("details", tag("summary", "Numbers"), inside, data_key=f"n-{chart['id']}")


def _at(curve: dict[str, Any], x: float) -> str:
    """The value at the last point that is not beyond x."""
    at = int(np.searchsorted(curve["x"], x, side="right")) - 1
    if at < 0 or (at == len(curve["x"]) - 1 and x > curve["x"][-1]):
        return "–"
    ends = (curve["low"][at], curve["high"][at]) if curve["low"] is not None else None
    return interval(curve["mid"][at], ends)


def machine(commands: Sequence[tuple[str, dict[str, Any]]], made: dict[str, Any]) -> Markup:
    """Where the runs and the page come from.

    Args:
        commands: path and record of every sweep.
        made: the command that wrote the page, its time, and the machine.
    """
    parts = []
    for path, record in commands:
        parts.append(tag("p", "Sweep ", tag("code", path), " was made by"))
        parts.append(tag("pre", tag("code", record["command"]), tabindex="0"))
        described = _described(record.get("machine"))
        commit = record.get("commit")
        if described or isinstance(commit, str):
            origin = f"Commit {commit}" if isinstance(commit, str) else ""
            parts.append(tag("p", "; ".join(filter(None, [described, origin])), ".", cls="note"))
    parts.append(tag("p", f"This page was made at {made['time']} by"))
    parts.append(tag("pre", tag("code", made["command"]), tabindex="0"))
    parts.append(tag("p", _described(made["machine"]), ".", cls="note"))
    return join(parts)


def _described(machine: Any) -> str:
    if not isinstance(machine, dict):
        return ""
    packages = machine.get("packages")
    listed = packages.items() if isinstance(packages, dict) else ()
    versions = [f"{name} {version}" for name, version in listed if version]
    parts = [
        str(machine.get("cpu", "")),
        f"{machine.get('cores')} cores" if machine.get("cores") else "",
        str(machine.get("system", "")),
        f"ascore {machine['ascore']}" if machine.get("ascore") else "",
        *versions,
    ]
    return ", ".join(part for part in parts if part)
