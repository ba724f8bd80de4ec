"""Interquartile means and their intervals, compared with all possible resamples."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ascore.runs.statistics import band, estimate, iqm


def slow_iqm(values: list[float]) -> float:
    kept = sorted(values)
    for _ in range(len(values) // 4):
        kept = kept[1:-1]
    return math.fsum(kept) / len(kept)


def every_resample(strata: list[list[float]]) -> list[float]:
    """Means of all equally likely ways to draw from each stratum with replacement."""
    ways = (itertools.product(stratum, repeat=len(stratum)) for stratum in strata)
    return [
        slow_iqm([v for stratum in drawn for v in stratum]) for drawn in itertools.product(*ways)
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 11, 40])
def test_iqm_cuts_a_quarter_off_at_either_end(n: int):
    values = np.random.default_rng(n).normal(size=(3, n))
    assert iqm(values).tolist() == pytest.approx([slow_iqm(list(row)) for row in values], rel=1e-12)
    assert iqm(values.T, axis=0).tolist() == pytest.approx(iqm(values).tolist(), rel=1e-12)


def test_iqm_of_known_numbers():
    assert iqm([1.0, 2.0, 3.0, 4.0]) == 2.5
    assert iqm([9.0, -100.0, 4.0, 5.0, 1000.0]) == 6.0
    assert iqm([1.0, 5.0]) == 3.0


@pytest.mark.parametrize(
    "sizes", [(5,), (4,), (3, 3), (2, 3, 2)], ids=lambda s: "+".join(map(str, s))
)
def test_intervals_are_those_of_all_resamples(sizes: tuple[int, ...]):
    """The share of resamples below a limit is known to 0.7 points (two standard errors at 5,000),
    so the exact percentiles 1.8 to 3.2 and 96.8 to 98.2 contain the limits."""
    rng = np.random.default_rng(sum(sizes))
    strata = [list(rng.normal(size=n)) for n in sizes]
    result = estimate(strata)
    assert result.iqm == pytest.approx(slow_iqm([v for s in strata for v in s]), rel=1e-12)
    assert result.n == min(sizes)
    assert result.ci95 is not None
    resamples = every_resample(strata)
    for limit, shares in zip(result.ci95, ([1.8, 3.2], [96.8, 98.2]), strict=True):
        low, high = np.percentile(resamples, shares)
        assert low - 1e-12 <= limit <= high + 1e-12


def test_strata_are_drawn_within_themselves():
    """Constant returns in two environments give an interval of width zero."""
    result = estimate([[0.0] * 5, [100.0] * 5])
    assert result.ci95 == (50.0, 50.0)
    assert estimate([[0.0, 100.0] * 5]).ci95 != (50.0, 50.0)


def test_intervals_contain_the_truth_about_as_often_as_stated():
    """Coverage over 400 samples of 20 runs: 95%, less the known bias of a percentile bootstrap."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        low, high = estimate([rng.normal(size=20)], resamples=400).ci95 or (0.0, 0.0)
        covered += low <= 0.0 <= high
    assert 0.89 <= covered / 400 <= 0.98


def test_one_run_has_no_interval_and_none_no_estimate():
    assert estimate([[3.0]]).ci95 is None
    assert estimate([[3.0], [4.0, 5.0]]).ci95 is None
    for strata in ([], [[]], [[1.0], []]):
        with pytest.raises(ValueError, match="at least one run"):
            estimate(strata)


def test_bands_are_estimates_point_by_point():
    curves = np.random.default_rng(7).normal(size=(5, 4))
    middle, low, high = band(curves, resamples=5000)
    for point in range(4):
        alone = estimate([curves[:, point]])
        assert middle[point] == alone.iqm
        spread = np.std(curves[:, point])
        assert (low[point], high[point]) == pytest.approx(alone.ci95, abs=0.1 * spread)
    middle, low, high = band(curves[:1])
    assert middle.tolist() == curves[0].tolist()
    assert np.isnan([low, high]).all()


def test_the_same_numbers_give_the_same_interval():
    values = np.random.default_rng(2).normal(size=9)
    assert estimate([values]) == estimate([values])
