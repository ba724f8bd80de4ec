"""Epsilon is never below what others compute for the same noise, and hardly above."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from ascore.dp.accountant import delta_of, epsilon_of, mu_of, zcdp_epsilon
from ascore.dp.budget import NETWORKS, REPLACED, Budget
from ascore.errors import ConfigError


def table() -> list[dict[str, float]]:
    """What dp-accounting computes; `make_table.py` wrote it."""
    with Path(__file__).with_name("dp_accounting.csv").open(newline="") as file:
        return [{key: float(x) for key, x in row.items()} for row in csv.DictReader(file)]


def mu_of_row(row: dict[str, float]) -> float:
    return math.sqrt(row["releases"]) / row["noise"]


def test_epsilon_is_that_of_dp_accounting_or_up_to_one_percent_above() -> None:
    """The analytic Gaussian mechanism, to which releases without sampling compose exactly."""
    rows = table()
    assert len(rows) == 200
    for row in rows:
        ours = epsilon_of(mu_of_row(row), row["delta"])
        assert row["gaussian"] <= ours <= 1.01 * row["gaussian"], row


def test_epsilon_is_that_of_privacy_loss_distributions_and_below_looser_bounds() -> None:
    """The first are composed step by step, and round up; those of Rényi and zCDP are looser."""
    for row in table():
        mu = mu_of_row(row)
        ours = epsilon_of(mu, row["delta"])
        assert row["pld"] <= ours <= 1.01 * row["pld"], row
        assert ours <= min(row["rdp"], zcdp_epsilon(mu, row["delta"])), row


def test_far_tails_are_exact() -> None:
    """Against Mills' inequalities, x / (x^2 + 1) < (1 - Phi(x)) / phi(x) < 1 / x, at mu = 80."""
    for mu in (20.0, 80.0, 300.0):
        epsilon = epsilon_of(mu, 1e-5)
        assert mu * mu / 2 < epsilon < mu * mu / 2 + 5 * mu
        assert delta_of(mu, epsilon) <= 1e-5 < delta_of(mu, epsilon * (1 - 1e-4))


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 2.0, 16.0, 100.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5, 1e-3])
def test_a_budget_is_kept_and_used(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert 0.999 * epsilon < epsilon_of(mu, delta) <= epsilon


def test_nothing_released_costs_nothing_and_no_noise_everything() -> None:
    assert epsilon_of(0.0, 1e-5) == 0.0
    assert epsilon_of(1e-7, 1e-5) == 0.0  # delta alone pays for it
    assert epsilon_of(math.inf, 1e-5) == math.inf


def test_an_episode_costs_what_its_update_costs() -> None:
    budget = Budget("episode", 2.0, 1e-5, 0.0, steps=8, updates=50)
    for done in range(50):
        assert not budget.exhausted(done)
        budget.take(budget.noise(done))
    episode, environment = budget.epsilons()
    assert 1.999 < episode <= 2.0
    # 50 updates one after the other: mu grows by the root of 50.
    assert environment == pytest.approx(
        epsilon_of(math.sqrt(50) * mu_of(2.0, 1e-5), 1e-5), rel=1e-6
    )
    assert budget.largest == pytest.approx(NETWORKS * 8 * (REPLACED / budget.noise(0)) ** 2)


def test_an_environment_costs_all_updates_and_the_noise_lets_the_last_one_be_taken() -> None:
    budget = Budget("environment", 2.0, 1e-5, 0.0, steps=3, updates=20)
    for done in range(20):
        assert not budget.exhausted(done)
        budget.take(budget.noise(done))
    assert 1.999 < budget.epsilons()[1] <= 2.0
    assert budget.exhausted(20)


def test_a_run_that_grows_longer_gets_no_more() -> None:
    budget = Budget("environment", 2.0, 1e-5, 0.0, steps=3, updates=20)
    for done in range(10):
        budget.take(budget.noise(done))
    longer = Budget("environment", 2.0, 1e-5, 0.0, steps=3, updates=100)
    longer.spent, longer.largest = budget.spent, budget.largest
    assert longer.noise(10) > 2 * budget.noise(10)
    for done in range(10, 100):
        longer.take(longer.noise(done))
    assert 1.999 < longer.epsilons()[1] <= 2.0


def test_with_noise_of_ones_own_the_budget_ends_the_run_in_time() -> None:
    budget = Budget("environment", 2.0, 1e-5, 40.0, steps=3, updates=10_000)
    done = 0
    while not budget.exhausted(done):
        budget.take(budget.noise(done))
        done += 1
    assert 1 < done < 10_000
    assert budget.epsilons()[1] <= 2.0
    budget.take(budget.noise(done))
    assert budget.epsilons()[1] > 2.0


def test_noise_that_breaks_the_budget_at_once_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"noise_multiplier = 1 lets one .* = \d.*set it to"):
        Budget("episode", 2.0, 1e-5, 1.0, steps=8, updates=1)
    with pytest.raises(ConfigError, match="dp needs noise: set epsilon"):
        Budget("episode", 0.0, 1e-5, 0.0, steps=8, updates=1)
