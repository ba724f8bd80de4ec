"""The compiled random numbers against `numpy.random.Philox`, an implementation we did not write."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ascore import _core
from ascore.reference import Stream

DYNAMICS, ACTIONS = 0, 1


def philox(seed: int, env_id: int, step: int, episode: int, domain: int) -> np.random.Philox:
    return np.random.Philox(
        key=np.array([seed, env_id], np.uint64),
        counter=np.array([0, step, episode, domain], np.uint64),
    )


def chi_square(observed: NDArray[Any]) -> float:
    """Pearson's statistic of counts against equal expectation."""
    expected = observed.sum() / observed.size
    return float(((observed - expected) ** 2 / expected).sum())


# Values a chi-square variable exceeds with probability 0.001, by degrees of freedom.
CRITICAL = {1: 10.83, 4: 18.47, 5: 20.52, 19: 43.82, 23: 49.73, 24: 51.18}


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 12345, 2**64 - 1])
@pytest.mark.parametrize("first_env", [0, 1000])
def test_uniforms_are_the_top_24_bits_of_numpy(seed: int, first_env: int) -> None:
    env = _core.PredationV1(3, seed, first_env=first_env, params={"num_agents": 11, "horizon": 4})
    env.reset()
    uniforms = np.empty((3, 11), np.float32)
    for played in range(10):
        env.uniforms(uniforms)
        assert env.episode.tolist() == [played // 4] * 3
        for b in range(3):
            words = philox(seed, first_env + b, played % 4, played // 4, ACTIONS).random_raw(11)
            expected = np.ldexp((words >> np.uint64(40)).astype(np.float64), -24)
            assert uniforms[b].tolist() == expected.tolist()
        env.step(np.zeros((3, 11), np.int32))


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_predation_starts_are_numpy_doubles(seed: int) -> None:
    """NumPy's own `Generator.random` turns the same words into the same doubles."""
    env = _core.PredationV1(4, seed, first_env=2, params={"obs_scale": 1.0})
    for episode in range(3):
        env.reset()
        for b in range(4):
            draws = np.random.Generator(philox(seed, 2 + b, 0, episode, DYNAMICS)).random(9)
            expected = (30.0 * draws[1:] - 30.0 * draws[0]).astype(np.float32)
            assert env.obs[b, 0].tolist() == expected.tolist()


def test_exchange_starts_are_a_shuffle_of_numpy_words() -> None:
    env = _core.ExchangeV1(4, 21)
    for episode in range(3):
        env.reset()
        for b in range(4):
            words = philox(21, b, 0, episode, DYNAMICS)
            cells = list(range(25))
            for d in range(6):
                j = d + (int(words.random_raw()) * (25 - d) >> 64)
                cells[d], cells[j] = cells[j], cells[d]
            boxes, agents = cells[:3], cells[3:6]
            expected = [c for cell in agents + boxes for c in (cell % 5 / 4, cell // 5 / 4)]
            assert env.obs[b, 0].tolist() == expected


@pytest.mark.parametrize("landmarks", ["per_episode", "fixed"])
def test_navigation_starts_are_two_shuffles_of_numpy_words(landmarks: str) -> None:
    env = _core.NavigationV1(4, 21, first_env=9, params={"landmarks": landmarks})

    def check(seed: int, episode: int) -> None:
        for b in range(4):
            here = [first_three(words := philox(seed, 9 + b, 0, episode, DYNAMICS))]
            here.append(first_three(words))
            if landmarks == "fixed":
                here[0] = first_three(philox(seed, 9 + b, 0, 0, DYNAMICS))
            goals, agents = here
            expected = [c for cell in agents + goals for c in (cell % 5 / 4, cell // 5 / 4)]
            assert env.obs[b, 0].tolist() == expected

    for episode in range(3):
        env.reset()
        check(21, episode)
    env.reset(seed=22)
    check(22, 0)
    saved = env.save_state()
    env.reset()
    check(22, 1)
    env.load_state(saved)
    for _ in range(100):
        env.step(np.zeros((4, 3), np.int32))
    check(22, 1)


def first_three(words: np.random.Philox) -> list[int]:
    """Three of 25 cells, from the next three words."""
    cells = list(range(25))
    for d in range(3):
        j = d + (int(words.random_raw()) * (25 - d) >> 64)
        cells[d], cells[j] = cells[j], cells[d]
    return cells[:3]


def test_a_stream_of_another_episode_begins_anew() -> None:
    stream = Stream(3, 4, 5, 6, ACTIONS)
    stream.word()
    again = stream.of_episode(2)
    assert [again.word() for _ in range(9)] == philox(3, 4, 6, 2, ACTIONS).random_raw(9).tolist()


@pytest.mark.parametrize("n", [2, 5, 6, 20, 24, 25])
def test_below_is_uniform(n: int) -> None:
    stream = Stream(seed=3, env_id=0, episode=0, step=0)
    draws = [stream.below(n) for _ in range(20_000)]
    counts = np.bincount(draws, minlength=n)
    assert counts.size == n
    assert chi_square(counts) < CRITICAL[n - 1]


def test_below_of_one_is_zero_and_takes_a_word() -> None:
    ours, plain = Stream(3, 0, 0, 0), Stream(3, 0, 0, 0)
    assert ours.below(1) == 0
    plain.word()
    assert ours.word() == plain.word()


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 40, 58])
def test_bytes_are_those_of_numpy_words(n: int) -> None:
    ours, plain = Stream(3, 4, 5, 6), philox(3, 4, 6, 5, DYNAMICS)
    words = plain.random_raw((n + 7) // 8).astype("<u8")
    assert ours.bytes(n) == words.view(np.uint8).tolist()[:n]
    assert ours.word() == plain.random_raw()


@pytest.mark.parametrize(("n", "orders"), [(2, 2), (3, 6), (4, 24)])
def test_perm_is_uniform(n: int, orders: int) -> None:
    stream = Stream(seed=4, env_id=0, episode=0, step=0)
    counts = Counter(tuple(stream.perm(n)) for _ in range(20_000))
    assert all(sorted(order) == list(range(n)) for order in counts)
    assert len(counts) == orders
    assert chi_square(np.array(list(counts.values()))) < CRITICAL[orders - 1]


def test_sample_is_uniform_over_ordered_pairs() -> None:
    stream = Stream(seed=5, env_id=0, episode=0, step=0)
    counts = Counter(tuple(stream.sample("abcde", 2)) for _ in range(20_000))
    assert all(first != second for first, second in counts)
    assert len(counts) == 20
    assert chi_square(np.array(list(counts.values()))) < CRITICAL[19]


@pytest.mark.parametrize("item", range(6))
def test_exchange_starts_are_uniform_over_the_grid(item: int) -> None:
    env = _core.ExchangeV1(20_000, 6)
    env.reset()
    x, y = (np.rint(4 * env.obs[:, 0, 2 * item + k]).astype(int) for k in (0, 1))
    assert chi_square(np.bincount(5 * y + x, minlength=25)) < CRITICAL[24]


def test_predation_starts_are_uniform_on_the_line() -> None:
    # Where all predators walked into the left wall, the observation is minus the prey's position.
    env = _core.PredationV1(20_000, 6, params={"horizon": 40, "num_agents": 2})
    env.reset()
    for _ in range(30):
        env.step(np.zeros((20_000, 2), np.int32))
    prey = -env.obs[:, 0, 0]
    assert prey.min() >= 0
    assert prey.max() < 1
    assert chi_square(np.bincount((prey * 25).astype(int), minlength=25)) < CRITICAL[24]


def test_contests_are_won_evenly() -> None:
    """Agents 0 and 1 stand on box 2 and open it together; who pays is a fair draw."""
    payers = contest_payers("random")
    assert payers.sum() == 4_000
    assert chi_square(payers) < CRITICAL[1]


def test_lowest_index_wins_when_told_so() -> None:
    assert contest_payers("lowest").tolist() == [4_000, 0]


def contest_payers(contest: str) -> NDArray[np.int64]:
    """Return how often agent 0, and agent 1, paid for box 2 that both opened."""
    env = _core.ExchangeV1(4_000, 8, params={"contest": contest, "time_cost": 0.0})
    env.reset()
    stay, left, right, down, up, open_box = range(6)
    for _ in range(8):  # the longest way across a 5 x 5 grid
        place = np.rint(4 * env.obs[:, 0]).astype(int).reshape(-1, 6, 2)
        way = place[:, 5, None] - place[:, :2]
        action = np.full((4_000, 3), stay, np.int32)
        action[:, :2] = np.select(
            [way[..., 0] < 0, way[..., 0] > 0, way[..., 1] > 0, way[..., 1] < 0],
            [left, right, down, up],
            stay,
        )
        env.step(action)
    env.step(np.tile(np.array([open_box, open_box, stay], np.int32), (4_000, 1)))
    assert env.reward[:, 2].tolist() == [10.0] * 4_000
    assert env.reward[:, :2].sum(axis=1).tolist() == [-5.0] * 4_000
    payers: NDArray[np.int64] = (env.reward[:, :2] == -5.0).sum(axis=0)
    return payers
