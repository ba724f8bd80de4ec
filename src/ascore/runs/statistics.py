"""Estimates from few runs: interquartile means with intervals by stratified bootstrap.

R resamples, n runs, P points of a curve.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ascore.streams import STREAM_BOOTSTRAP, generator

F64 = npt.NDArray[np.float64]

RESAMPLES = 5000
FEW = 10
"""With fewer runs, a bootstrap interval contains the true value less often than 95%."""


@dataclass(frozen=True)
class Estimate:
    """An interquartile mean, its 95% interval (None for a single run), and the number of runs."""

    iqm: float
    ci95: tuple[float, float] | None
    n: int


def iqm(values: npt.ArrayLike, axis: int = -1) -> F64:
    """Interquartile mean: drops a quarter of the values, rounded down, at either end.

    Args:
        values: f64 with n entries along `axis`; with n < 4 no value is dropped.
        axis: axis to average over.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=axis)
    n = ordered.shape[axis]
    cut = n // 4
    kept = ordered.take(range(cut, n - cut), axis=axis)
    mean: F64 = kept.mean(axis=axis)
    return mean


def estimate(strata: Sequence[npt.ArrayLike], resamples: int = RESAMPLES) -> Estimate:
    """Interquartile mean over all runs of all strata; runs are resampled within each stratum.

    Args:
        strata: one f64 [n] per task, such as an environment; one stratum gives a plain bootstrap.
        resamples: R.

    Returns:
        The estimate with its percentile interval; n is the number of runs in the smallest stratum.

    Raises:
        ValueError: a stratum is empty.
    """
    groups = [np.asarray(values, dtype=np.float64) for values in strata]
    n = min((len(group) for group in groups), default=0)
    if n == 0:
        message = "an estimate needs at least one run in every stratum"
        raise ValueError(message)
    point = float(iqm(np.concatenate(groups)))
    if n == 1:
        return Estimate(point, None, n)
    random = generator(0, STREAM_BOOTSTRAP)
    drawn = [group[random.integers(0, len(group), (resamples, len(group)))] for group in groups]
    low, high = np.percentile(iqm(np.concatenate(drawn, axis=1)), [2.5, 97.5])
    return Estimate(point, (float(low), float(high)), n)


def band(curves: npt.ArrayLike, resamples: int = 1000) -> tuple[F64, F64, F64]:
    """Pointwise interquartile mean of curves f64 [n, P]: (mean, low, high), f64 [P] each.

    Whole curves are resampled, which keeps the correlation along each curve. With one run, low and
    high are NaN.
    """
    values = np.asarray(curves, dtype=np.float64)
    n = len(values)
    middle = iqm(values, axis=0)
    if n < 2:
        nothing = np.full_like(middle, np.nan)
        return middle, nothing, nothing
    drawn = generator(0, STREAM_BOOTSTRAP).integers(0, n, (resamples, n))
    low, high = np.percentile(iqm(values[drawn], axis=1), [2.5, 97.5], axis=0)
    return middle, low, high
