"""How a team's return is shared out: the lowest return, Nash welfare, and the Gini coefficient.

They are measures of the agents' *mean* returns over episodes: who earns nothing in one episode and
much in the next is not poor. N agents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.table import ENVIRONMENTS

F64 = npt.NDArray[np.float64]

MEASURES = ("lowest_return", "nash_welfare", "gini")
"""Names of the measures, in this order everywhere."""


def lowest(returns: npt.ArrayLike) -> F64:
    """Return of the agent that earns least: [..., N] -> f64 [...]."""
    return np.asarray(np.min(_known(returns), axis=-1))


def nash_welfare(returns: npt.ArrayLike, shift: float = 0.0) -> F64:
    """Geometric mean of what agents earn: [..., N] -> f64 [...].

        exp(mean_i log(1 + max(R_i + c, 0))) - 1

    It is 0 if all earn -c or less, and of equal sums the one that is shared equally is worth most.

    Args:
        returns: R_i, undiscounted, mean over episodes.
        shift: c, such that agents can be compared where returns are negative; see
            `Environment.welfare_shift`.
    """
    gains = np.maximum(_known(returns) + shift, 0.0)
    return np.asarray(np.expm1(np.log1p(gains).mean(axis=-1)))


def gini(returns: npt.ArrayLike) -> F64:
    """Gini coefficient, 0 if all earn the same and (N - 1) / N if one earns all: [..., N] -> [...].

        sum_ij |R_i - R_j| / (2 N sum_i R_i)

    It compares shares of a whole, so it is NaN where an agent's return is negative, or all are 0.
    """
    ranked = np.sort(_known(returns), axis=-1)
    n, total = ranked.shape[-1], ranked.sum(axis=-1)
    above = (ranked * (2 * np.arange(1, n + 1) - n - 1)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = above / (n * total)
    return np.asarray(np.where((ranked[..., 0] >= 0) & (total > 0), shares, np.nan))


def welfare_shift(env: str) -> float:
    """C of Nash welfare for an environment: of its record, 0 for one of your own."""
    return ENVIRONMENTS[env].welfare_shift if env in ENVIRONMENTS else 0.0


def measure(name: str, returns: npt.ArrayLike, env: str) -> F64:
    """One of `MEASURES` by its name: [..., N] -> f64 [...].

    Raises:
        ValueError: there is no such measure.
    """
    if name == "lowest_return":
        return lowest(returns)
    if name == "nash_welfare":
        return nash_welfare(returns, welfare_shift(env))
    if name == "gini":
        return gini(returns)
    message = f"measure = {name!r} is not one of {', '.join(MEASURES)}"
    raise ValueError(message)


def measures(returns: npt.ArrayLike, env: str) -> dict[str, float | None]:
    """All measures of returns [N] as plain values; None where there is none."""
    values: dict[str, Any] = {name: float(measure(name, returns, env)) for name in MEASURES}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _known(returns: npt.ArrayLike) -> F64:
    return np.asarray(returns, dtype=np.float64)
