"""Measures of how a team's return is shared out, against values known on paper and slow loops."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_run

import ascore
from ascore.errors import RunError
from ascore.runs import fairness
from ascore.runs.course import shared_out


def slow_nash_welfare(returns: list[float], shift: float) -> float:
    product = 1.0
    for value in returns:
        product *= 1.0 + max(value + shift, 0.0)
    return float(product ** (1 / len(returns)) - 1)


def slow_gini(returns: list[float]) -> float:
    apart = sum(abs(a - b) for a, b in itertools.product(returns, returns))
    return apart / (2 * len(returns) * sum(returns))


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_measures_are_those_of_the_loops(shift: float) -> None:
    rng = np.random.default_rng(0)
    returns = rng.gamma(1.0, 20.0, (7, 5))
    for row in returns:
        assert fairness.lowest(row) == min(row)
        assert fairness.nash_welfare(row, shift) == pytest.approx(slow_nash_welfare(row, shift))
        assert fairness.gini(row) == pytest.approx(slow_gini(list(row)))
    assert fairness.lowest(returns).shape == fairness.gini(returns).shape == (7,)


@pytest.mark.parametrize(
    ("returns", "shift", "expected"),
    [
        ([3.0, 3.0], 0.0, 3.0),
        ([0.0, 8.0], 0.0, 2.0),  # sqrt(1 * 9) - 1
        ([-7.0, 8.0], 0.0, 2.0),  # what is lost counts as nothing
        (
            [-1.0, -1.0, -1.0, 10.0, 10.0],
            5.0,
            math.exp((3 * math.log(5) + 2 * math.log(16)) / 5) - 1,
        ),
        ([0.0] * 5, 5.0, 5.0),
    ],
)
def test_nash_welfare_on_paper(returns: list[float], shift: float, expected: float) -> None:
    assert fairness.nash_welfare(returns, shift) == pytest.approx(expected)


def test_of_equal_sums_the_one_that_is_shared_is_worth_most() -> None:
    sums = [[12.0, 12.0, 12.0], [6.0, 12.0, 18.0], [0.0, 0.0, 36.0]]
    welfare = fairness.nash_welfare(sums)
    assert list(welfare) == sorted(welfare, reverse=True)
    np.testing.assert_allclose(fairness.gini(sums), [0, 2 / 9, 2 / 3])


def test_there_is_no_share_of_a_loss_or_of_nothing() -> None:
    assert np.isnan(fairness.gini([-1.0, 5.0]))
    assert np.isnan(fairness.gini([0.0, 0.0]))
    assert fairness.measures([-1.0, 5.0], "exchange-v1")["gini"] is None


def test_a_record_says_by_how_much_welfare_is_shifted() -> None:
    roles = [-1.0, -1.0, -1.0, 10.0, 10.0]
    assert fairness.measures(roles, "escape-v1") == {
        "lowest_return": -1.0,
        "nash_welfare": pytest.approx(slow_nash_welfare(roles, 5.0)),
        "gini": None,
    }
    assert fairness.welfare_shift("my_games:Orchard") == 0.0
    with pytest.raises(ValueError, match="measure = 'mean' is not one of lowest_return, nash"):
        fairness.measure("mean", roles, "escape-v1")


def test_an_evaluation_measures_the_mean_returns(tmp_path: Path) -> None:
    config = ascore.Config(env="escape-v1", num_envs=4, episodes=8)
    run = ascore.train(config, tmp_path / "run")
    result = ascore.evaluate(run, episodes=20)
    agents = result.agent_return
    assert result.lowest_return == min(agents)
    assert result.nash_welfare == pytest.approx(slow_nash_welfare(agents, 5.0))
    assert math.isnan(result.gini) == (min(agents) < 0)
    stated = result.to_dict()
    assert stated["lowest_return"] == result.lowest_return
    assert stated["nash_welfare"] == result.nash_welfare


def test_a_course_measures_the_smoothed_returns(tmp_path: Path) -> None:
    """Agents that take turns are not poor: the measure is that of their means."""
    run = made_run(tmp_path / "run", [2.0] * 100)
    for k, record in enumerate(run.metrics):
        record["return"] = [2.0, 0.0] if k % 2 else [0.0, 2.0]
    assert shared_out(run, "lowest_return")[10:].tolist() == [1.0] * 90
    assert shared_out(run, "gini")[10:] == pytest.approx(0.0)
    for record in run.metrics:
        record["return"] = [2.0]
    with pytest.raises(RunError, match=r"nash_welfare of .*run is unknown: as records what all"):
        shared_out(run, "nash_welfare")
    losing = made_run(tmp_path / "losing", [-60.0] * 10)
    with pytest.raises(
        RunError, match=r"gini of .*losing is unknown throughout: an agent's return"
    ):
        shared_out(losing, "gini")


@pytest.mark.parametrize("measure", ["lowest_return", "nash_welfare", "gini"])
def test_measures_are_drawn(measure: str, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", [4.0] * 10)
    axes = ascore.plot(run, against="episodes", measure=measure).axes[0]
    name = {"lowest_return": "lowest return", "nash_welfare": "Nash", "gini": "Gini"}[measure]
    assert axes.get_ylabel().startswith(name)
