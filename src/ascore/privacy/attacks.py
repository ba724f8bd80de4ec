"""Attacks that learn from games the attacker has played itself, and how good they are.

n agents whose weight is sought, F features, R blocks of games.

An attacker knows the rules, the algorithm and the prior. So it can train as many games as it likes
with weights that it has drawn itself (*shadow* games), and learn what weights look like from what a
neighbour receives. A ridge regression is learned on all blocks but one and judged on that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ascore.privacy.preferences import Prior

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PENALTIES = 10.0 ** np.arange(-3, 4)
"""Ridge penalties, in units of one feature's variance summed over the games learned from."""

EXACT = 1e-8
"""Share of the variance below which nothing more is told apart."""


@dataclass(frozen=True)
class Judgement:
    """How well a block's weights were guessed.

    Attributes:
        auc: probability that of two agents, one with a weight above the prior's mean and one below,
            the former is guessed to have the higher weight; 0.5 = nothing is known.
        r2: share of the weights' variance that is explained; below 0 = worse than the prior's mean.
        bits: information about a weight that the guesses hold at least; 0 where so little is known
            that the bound says nothing.
        attack: which one was used.
    """

    auc: float
    r2: float
    bits: float
    attack: str


def auc(score: F64, high: npt.NDArray[np.bool_]) -> float:
    """Area under the curve of scores [n] that should be higher where `high` holds."""
    above, below = score[high], score[~high]
    if not len(above) or not len(below):
        return float("nan")
    order = np.sort(below)
    wins = np.searchsorted(order, above, "left") + np.searchsorted(order, above, "right")
    return float(wins.mean() / (2 * len(below)))


class Ridge:
    """Ridge regressions of y [n] on standardised features x [n, F], for all penalties at once."""

    def __init__(self, x: F64, y: F64) -> None:
        self._mean, spread = x.mean(axis=0), x.std(axis=0)
        self._spread = np.where(spread > 1e-9 * (1 + np.abs(self._mean)), spread, np.inf)
        self._centre = float(y.mean())
        u, s, self._vt = np.linalg.svd((x - self._mean) / self._spread, full_matrices=False)
        shrunk = s[:, None] / (s[:, None] ** 2 + len(x) * PENALTIES)
        self._slopes = shrunk * (u.T @ (y - self._centre))[:, None]

    def predict(self, x: F64) -> F64:
        """Guesses for each penalty, f64 [n, P]."""
        scaled = np.clip((x - self._mean) / self._spread, -10, 10)
        guesses: F64 = self._centre + scaled @ self._vt.T @ self._slopes
        return guesses


def out_of_block(x: F64, y: F64, block: I64) -> F64:
    """Guesses for every row by regressions that were not shown its block, f64 [n, P]."""
    guesses = np.empty((len(y), len(PENALTIES)))
    for held in np.unique(block):
        out = block == held
        guesses[out] = Ridge(x[~out], y[~out]).predict(x[out])
    return guesses


def bits_at_least(unexplained: float) -> float:
    """Information about a uniform number that guesses hold which leave a share of its variance.

    A uniform number of variance v has differential entropy log2(12 v) / 2. Given the guess, that of
    the error is at most a normal one's of the same variance, log2(2 pi e u v) / 2. The difference
    is information that the guess must hold (Cover and Thomas 2006, theorem 8.6.6).
    """
    left = max(unexplained, EXACT)
    return max(0.0, 0.5 * float(np.log2(12 / (2 * np.pi * np.e * left))))


def judge(
    attacks: Mapping[str, F64], weight: F64, block: I64, held: int, prior: Prior
) -> Judgement:
    """The best attack by the shadow games alone, judged on a block that it was not shown.

    Args:
        attacks: features f64 [n, F] of each.
        weight: f64 [n], what is sought.
        block: i64 [n], of the games; those of one game are in one block.
        held: the block to judge on; all others are shadow games.
        prior: of the weights.
    """
    out = block == held
    best: tuple[float, str, int] | None = None
    for name, x in attacks.items():
        guesses = out_of_block(x[~out], weight[~out], block[~out])
        errors = ((guesses - weight[~out, None]) ** 2).mean(axis=0)
        penalty = int(errors.argmin())
        if best is None or errors[penalty] < best[0]:
            best = float(errors[penalty]), name, penalty
    assert best is not None
    _, name, penalty = best
    x, target = attacks[name], weight[out]
    guess = Ridge(x[~out], weight[~out]).predict(x[out])[:, penalty]
    error = float(((target - guess) ** 2).mean())
    return Judgement(
        auc=auc(guess, target > prior.mean),
        r2=float(1 - error / ((target - prior.mean) ** 2).mean()),
        bits=bits_at_least(error / prior.variance),
        attack=name,
    )


def judge_all(attacks: Mapping[str, F64], weight: F64, block: I64, prior: Prior) -> list[Judgement]:
    """`judge` on every block in turn."""
    return [judge(attacks, weight, block, int(b), prior) for b in np.unique(block)]


# Quantiles 0.975 of Student's distribution with 1, 2, ... degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
      2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)  # fmt: skip
MOST_BLOCKS = len(_T) + 1


@dataclass(frozen=True)
class Spread:
    """A mean over blocks and its 95 % interval by Student's t."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Spread:
        """Of two to `MOST_BLOCKS` values."""
        x = np.asarray(values, dtype=np.float64)
        half = _T[len(x) - 2] * x.std(ddof=1) / np.sqrt(len(x))
        return cls(float(x.mean()), float(x.mean() - half), float(x.mean() + half))
