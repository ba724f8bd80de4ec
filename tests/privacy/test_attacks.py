"""Attacks find a leak that was planted, and nothing where nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest

from ascore.privacy.attacks import Judgement, Ridge, Spread, auc, bits_at_least, judge_all
from ascore.privacy.preferences import Prior

BLOCKS, GAMES, AGENTS = 5, 40, 2
PRIOR = Prior(0.5, 1.5)
SIZE = BLOCKS * GAMES * AGENTS
WEIGHT = np.concatenate([PRIOR.draw(seed, AGENTS) for seed in range(BLOCKS * GAMES)])
BLOCK = np.repeat(np.arange(BLOCKS), GAMES * AGENTS)
NOISE = np.random.default_rng(5).normal(size=(SIZE, 30))


def judged(**attacks: np.ndarray) -> list[Judgement]:
    return judge_all(attacks, WEIGHT, BLOCK, PRIOR)


def planted(strength: float) -> np.ndarray:
    features = NOISE.copy()
    features[:, 7] += strength * (WEIGHT - 1)
    return features


def test_a_message_that_holds_the_weight_gives_all_away() -> None:
    for judgement in judged(messages=planted(100.0)):
        assert judgement.auc > 0.99
        assert judgement.r2 > 0.98
        assert judgement.bits > 2.5


def test_messages_that_do_not_depend_on_the_weight_tell_nothing() -> None:
    judgements = judged(messages=NOISE)
    spread = Spread.of([j.auc for j in judgements])
    assert spread.low < 0.5 < spread.high
    assert Spread.of([j.r2 for j in judgements]).mean < 0.05
    assert [j.bits for j in judgements] == [0.0] * BLOCKS


def test_a_leak_in_noise_is_found_as_far_as_the_noise_lets_it() -> None:
    """Noise of variance 1 on 4 (w - 1), whose variance is 4/3, leaves R2 = 4/7 at most."""
    spread = Spread.of([j.r2 for j in judged(messages=planted(4.0))])
    assert 0.42 < spread.mean < 0.6
    assert Spread.of([j.auc for j in judged(messages=planted(4.0))]).low > 0.75


def test_the_better_attack_is_chosen_without_looking_at_the_block_that_is_judged() -> None:
    assert {j.attack for j in judged(public=NOISE, messages=planted(4.0))} == {"messages"}
    cheating = NOISE.copy()
    cheating[BLOCK == 2] += 100 * (WEIGHT[BLOCK == 2, None] - 1)  # of one block alone
    assert judged(messages=planted(4.0), one_block=cheating)[2].attack == "messages"


def test_features_that_do_not_vary_do_not_matter() -> None:
    still = np.hstack([planted(4.0), np.full((SIZE, 3), 7.0)])
    one, other = judged(messages=still), judged(messages=planted(4.0))
    assert [j.auc for j in one] == [j.auc for j in other]


def test_auc_counts_pairs() -> None:
    high = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 1.0]), high) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert auc(np.ones(4), high) == 0.5
    assert np.isnan(auc(np.ones(2), np.array([True, True])))


def test_ridge_is_the_solution_of_its_equations() -> None:
    x, y = NOISE[:60, :4], WEIGHT[:60]
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    slopes = np.linalg.solve(scaled.T @ scaled + 60 * np.eye(4), scaled.T @ (y - y.mean()))
    np.testing.assert_allclose(Ridge(x, y).predict(x)[:, 3], y.mean() + scaled @ slopes)


def test_bits_are_those_of_the_bound() -> None:
    """Guesses that halve an interval tell one bit of a uniform number; the bound says 0.75."""
    assert bits_at_least(1.0) == 0.0
    assert bits_at_least(0.25) == pytest.approx(1 - 0.2546, abs=1e-3)
    assert bits_at_least(1 / 16) - bits_at_least(1 / 4) == pytest.approx(1.0)
    assert bits_at_least(0.0) < 14


def test_an_interval_is_students() -> None:
    """Of 1, 2, 3: 2 +- 4.303 / sqrt 3."""
    spread = Spread.of([1.0, 2.0, 3.0])
    assert spread.mean == 2.0
    assert spread.high - 2.0 == pytest.approx(4.303 / np.sqrt(3))
    assert spread.high - 2.0 == pytest.approx(2.0 - spread.low)
