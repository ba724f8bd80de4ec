"""What looks wrong in a run, in a plain sentence with the number, the limit and a remedy.

U updates, N agents. Every check compares stretches of training, of which each run has STRETCHES.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ascore.report.curves import CLIPPED_TOO_OFTEN
from ascore.report.settings import Chapter, Setting
from ascore.report.sources import Reading
from ascore.report.values import F64, mean

STRETCHES = 20
FEWEST_UPDATES = 2 * STRETCHES
"""Runs with fewer updates are not judged."""

AT_UNIFORM = 0.97  # share of the entropy of uniform play
DETERMINED, EARLY = 0.05, 0.25  # share of that entropy, and of training
NEAR_BEST = 0.9  # share of the way from random to cooperative play
LOST = 0.5  # share of what was gained
NOISE = 4.0  # standard errors
STILL = 0.9  # share of the largest discrepancy of any stretch
SMALL = 0.01  # discrepancies that do not matter
CONSTANT = -100.0  # explained variance of returns that do not vary: it says nothing

CHECKED = (
    "entropy at uniform or gone early, collapse of the return, clip fraction, discrepancy, "
    "explained variance"
)


@dataclass(frozen=True)
class Concern:
    """Something that looks wrong.

    Attributes:
        kind: what was checked.
        run: name of the run.
        seed: its seed.
        sentence: what is wrong, with numbers and a remedy.
    """

    kind: str
    run: str
    seed: int
    sentence: str


def concerns(chapter: Chapter, setting: Setting) -> list[Concern]:
    """What looks wrong in the runs of a setting, by kind and then by run."""
    listed = [
        Concern(kind, reading.entry.name, reading.entry.config.seed, sentence)
        for reading in setting.begun
        if reading.updates >= FEWEST_UPDATES
        for kind, sentence in _checks(chapter, reading)
    ]
    order = list(dict.fromkeys(concern.kind for concern in listed))
    return sorted(listed, key=lambda concern: order.index(concern.kind))


def too_short(setting: Setting) -> list[Reading]:
    """Runs that have begun and are not judged yet."""
    return [reading for reading in setting.begun if reading.updates < FEWEST_UPDATES]


def _checks(chapter: Chapter, reading: Reading) -> Iterator[tuple[str, str]]:
    checks = {
        "entropy": _entropy,
        "return": _return,
        "clip fraction": _clip_fraction,
        "discrepancy": _discrepancy,
        "explained variance": _explained_variance,
    }
    for kind, check in checks.items():
        sentence = check(reading, chapter)
        if sentence:
            yield kind, sentence


def stretches(values: F64) -> F64:
    """Means over equal stretches of training, f64 [STRETCHES]; NaN for one without a value."""
    return np.array([mean(part) for part in np.array_split(values, STRETCHES)])


def _entropy(reading: Reading, chapter: Chapter) -> str:
    uniform = reading.entropy_uniform
    if not uniform > 0:
        return ""
    course = stretches(reading.team["entropy"])
    last = course[-1]
    if last >= AT_UNIFORM * uniform:
        return (
            f"Entropy is at uniform: {last:.3f} of {uniform:.3f} nats over the last twentieth of "
            "training, so the agents act almost at random. Raise actor_lr, or train longer."
        )
    gone = np.flatnonzero(course < DETERMINED * uniform)
    if len(gone) and gone[0] < EARLY * STRETCHES and not _near_best(reading, chapter):
        return (
            f"Entropy collapsed early: below {DETERMINED:.0%} of uniform play after "
            f"{(gone[0] + 1) / STRETCHES:.0%} of training, and what is not tried is not learned. "
            "Raise entropy_bonus, or lower actor_lr."
        )
    return ""


def _near_best(reading: Reading, chapter: Chapter) -> bool:
    anchors = dict(chapter.anchors)
    if not {"random", "cooperative"} <= anchors.keys():
        return False
    way = anchors["cooperative"] - anchors["random"]
    return reading.final.team_return - anchors["random"] >= NEAR_BEST * way


def _return(reading: Reading, chapter: Chapter) -> str:
    values = reading.team["team_return"]
    course = stretches(values)
    if not np.isfinite(course).all():
        return ""
    first, last, best = course[0], course[-1], course.max()
    tail = values[-max(2, len(values) // STRETCHES) :]
    noise = NOISE * float(np.nanstd(tail)) / math.sqrt(len(tail)) + 1e-9 * abs(last)
    if best - last > max(noise, LOST * (best - first)) and best - first > noise:
        at = (int(course.argmax()) + 1) / STRETCHES
        return (
            f"The team return collapsed: {best:.2f} after {at:.0%} of training, {last:.2f} at its "
            "end. Lower actor_lr, or let it fall with lr_decay = linear."
        )
    if first - last > max(noise, LOST * np.ptp(course)):
        return (
            f"The team return fell: {first:.2f} at the beginning, {last:.2f} at the end. If the "
            "agents are selfish by design this is the dilemma; otherwise lower actor_lr."
        )
    return ""


def _clip_fraction(reading: Reading, chapter: Chapter) -> str:
    agents = reading.agents["clip_fraction"]
    late = [mean(column) for column in agents[len(agents) // 2 :].T]
    high = [value for value in late if value > CLIPPED_TOO_OFTEN]
    if not high:
        return ""
    agent = late.index(max(high))
    return (
        f"Clip fraction is too high: {late[agent]:.2f} for agent {agent} over the second half of "
        f"training (limit {CLIPPED_TOO_OFTEN:g}), so updates leave the trust interval. Lower "
        "actor_lr or iterations."
    )


def _discrepancy(reading: Reading, chapter: Chapter) -> str:
    course = stretches(reading.team["discrepancy"])
    if not np.isfinite(course).all() or course[-1] <= SMALL or course[-1] < STILL * course.max():
        return ""
    return (
        f"Discrepancy is not falling: {course[-1]:.3g} at the end, {course.max():.3g} at its "
        "highest, so agents do not do what others hope. Raise penalty_weight, or train longer."
    )


def _explained_variance(reading: Reading, chapter: Chapter) -> str:
    agents = reading.agents["explained_variance"]
    late = agents[-max(1, len(agents) // STRETCHES) :]
    if not len(late) or not np.isfinite(late).any(axis=0).all():
        return ""
    middle = np.nanmedian(late, axis=0)
    worst = int(middle.argmin()) if len(middle) else -1
    if worst < 0 or not CONSTANT < middle[worst] <= 0.0:
        return ""
    return (
        f"Explained variance is {middle[worst]:.2f} for agent {worst} at the end, no more than 0: "
        "the critic knows no better than the mean return. Raise critic_lr, or train longer."
    )
