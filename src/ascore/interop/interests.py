"""Whether the interests of agents conflict, as far as rewards under random play show it.

T steps, N agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.interop.findings import Report

# Agents whose rewards are correlated this much, or more, compete.
OPPOSED = -0.7
# Fewer steps say little, and so does a correlation with fewer in which rewards are unusual.
FEWEST_STEPS, FEWEST_UNUSUAL = 30, 10
# Sums and differences of rewards that are smaller than this part of them are rounding.
ROUNDING = 1e-6


def interests(result: Report, agents: Sequence[Any], reward: npt.NDArray[np.float32]) -> None:
    """Says what Anticipation Sharing can bring for rewards f32 [T, N].

    Nothing is said where a single agent acts, or where rewards hardly ever change.
    """
    wide = reward.astype(np.float64)
    steps, n = wide.shape
    if n < 2 or steps < FEWEST_STEPS or (wide == wide[0]).all():
        return
    tiny = ROUNDING * float(np.abs(wide).max())
    if (np.ptp(wide, axis=1) <= tiny).all():
        result.add(
            "interests",
            "advice",
            f"all agents got the same reward in each of {steps} random steps: nobody loses by what "
            "helps another, so AS has nothing to bring beyond IPPO",
            "train with --algorithm ippo, which sends nothing; or give each agent its own reward",
        )
        return
    unusual = (wide != np.median(wide, axis=0)).sum(axis=0)
    lively = np.flatnonzero(unusual >= FEWEST_UNUSUAL)
    between: npt.NDArray[np.float64] = np.eye(len(lively))
    if len(lively) > 1:
        between = np.asarray(np.corrcoef(wide[:, lively].T))
    i, j = np.unravel_index(int(between.argmin()), between.shape) if len(lively) else (0, 0)
    rivals = None
    if np.ptp(wide.sum(axis=1)) <= n * tiny:
        rivals = "in every step the agents' rewards have the same sum: one gains what others lose"
    elif len(lively) > 1 and between[i, j] <= OPPOSED:
        first, second = agents[lively[i]], agents[lively[j]]
        rivals = f"{first} mostly gains when {second} loses (correlation {between[i, j]:.2f})"
    if rivals is not None:
        result.add(
            "interests",
            "advice",
            f"agents compete: {rivals}; AS maximises the sum of all rewards, so it makes rivals a "
            "team",
            "train with --algorithm ippo if each is to play for itself",
        )
    elif len(lively) > 1:
        apart = between[np.triu_indices(len(lively), 1)]
        low, high = f"{apart.min():.2f}", f"{apart.max():.2f}"
        result.add(
            "interests",
            "good",
            "rewards differ between agents, and none gains just what others lose: in "
            f"{steps} random steps the correlation between agents is "
            + (low if low == high else f"{low} to {high}"),
        )
