"""What an observer proves about epsilon is below the claim, and above it where noise is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ascore.config import Config
from ascore.dp import noise
from ascore.errors import ConfigError
from ascore.privacy.audit import Audit, lower_bound

CANARIES, RUNS = 1000, 20
CONFIG = Config(
    env_params={"num_agents": 2, "horizon": 4},
    num_envs=CANARIES,
    minibatches=1,
    episodes=CANARIES,
    dp="episode",
    epsilon=2.0,
    advantage_scale="unit",
    penalty_gate="always",
    value_normalization=False,
    actor_hidden=(32, 32),
    critic_hidden=(32, 32),
)


@pytest.fixture(scope="module")
def audit() -> Audit:
    return Audit(CONFIG)


def test_what_is_proven_is_below_the_claim_in_all_of_twenty_runs(audit: Audit) -> None:
    results = [audit.run(seed) for seed in range(RUNS)]
    assert {result.canaries for result in results} == {CANARIES}
    assert [result.bound for result in results if not result.bound <= result.claimed] == []
    # The observer is no straw man: over all runs it guesses better than by chance.
    correct, guesses = sum(r.correct for r in results), sum(r.guesses for r in results)
    assert correct / guesses > 0.5 + 3 * 0.5 / math.sqrt(guesses)


def test_without_noise_it_is_above_the_claim(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "normal", lambda *shape: np.zeros(shape))
    result = audit.run(0, noise_multiplier=0.0)
    assert result.bound > result.claimed


def test_with_a_thousandth_of_the_noise_it_is_above_the_claim(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = noise.normal
    monkeypatch.setattr(noise, "normal", lambda *shape: 0.001 * normal(*shape))
    result = audit.run(0, noise_multiplier=0.006)
    assert result.bound > result.claimed


def test_bounds_are_those_of_the_paper() -> None:
    """Without delta: the share of correct guesses is at most e^epsilon / (1 + e^epsilon)."""
    assert lower_bound(1000, 200, 100, 0.0) == 0.0
    for correct in (130, 180, 200):
        bound = lower_bound(200, 200, correct, 0.0)
        share = 1 / (1 + math.exp(-bound))
        tail = sum(
            math.comb(200, k) * share**k * (1 - share) ** (200 - k) for k in range(correct, 201)
        )
        assert tail == pytest.approx(0.05, rel=1e-3)
    # Delta takes something away.
    assert lower_bound(1000, 200, 180, 1e-5) < lower_bound(1000, 200, 180, 0.0)
    assert lower_bound(1000, 200, 180, 1e-2) == 0.0


def test_there_is_nothing_to_audit_without_a_guarantee() -> None:
    with pytest.raises(ConfigError, match="nothing to audit: dp = none"):
        Audit(CONFIG.replace(dp="none", epsilon=0.0))
