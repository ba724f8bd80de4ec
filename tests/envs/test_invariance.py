"""Results depend on seed, environment number and actions, and on nothing else."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from cases import case
from numpy.typing import NDArray

import ascore
from ascore.runtime.processors import usable_processors

COMPILED: dict[str, Any] = {name: row.core for name, row in ascore.ENVIRONMENTS.items()}
NAMES = sorted(COMPILED)
STEPS = 60
BUFFERS = (
    "obs",
    "final_obs",
    "reward",
    "neighbours",
    "terminated",
    "truncated",
    "episode",
    "time",
)
Trajectory = dict[str, NDArray[Any]]


def make(name: str, num_envs: int, seed: int = 5, **options: Any) -> Any:
    return COMPILED[name](num_envs, seed, params=case(name).short, **options)


def snapshot(env: Any) -> Trajectory:
    return {buffer: getattr(env, buffer).copy() for buffer in BUFFERS}


def advance(env: Any, steps: int = STEPS) -> Trajectory:
    """Play on with actions drawn from the environments' own numbers.

    Returns:
        Every buffer with the steps in front, and the numbers under "uniforms".
    """
    uniforms = np.empty((env.num_envs, env.num_agents), np.float32)
    rows: list[Trajectory] = []
    for _ in range(steps):
        env.uniforms(uniforms)
        env.step((uniforms * env.num_actions).astype(np.int32))
        rows.append(snapshot(env) | {"uniforms": uniforms.copy()})
    return {buffer: np.stack([row[buffer] for row in rows]) for buffer in rows[0]}


def play(name: str, num_envs: int, **options: Any) -> Trajectory:
    env = make(name, num_envs, **options)
    env.reset()
    return advance(env)


@functools.cache
def played_by_one(name: str) -> Trajectory:
    """64 environments, stepped by one thread."""
    return play(name, 64, num_threads=1)


def rows(trajectory: Trajectory, first: int, last: int) -> Trajectory:
    return {buffer: array[:, first:last] for buffer, array in trajectory.items()}


def assert_same(ours: Trajectory, theirs: Trajectory) -> None:
    assert ours.keys() == theirs.keys()
    for buffer, array in ours.items():
        assert array.shape == theirs[buffer].shape, buffer
        assert array.tobytes() == theirs[buffer].tobytes(), buffer


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("num_envs", [1, 5, 64])
@pytest.mark.parametrize("name", NAMES)
def test_threads_and_batch_size_change_nothing(name: str, num_envs: int, threads: int) -> None:
    whole = played_by_one(name)
    assert whole["episode"].max() >= 3
    assert make(name, num_envs, num_threads=threads).num_threads == min(threads, num_envs)
    assert_same(play(name, num_envs, num_threads=threads), rows(whole, 0, num_envs))


@pytest.mark.parametrize("name", NAMES)
def test_automatic_threads_change_nothing(name: str) -> None:
    num_envs = 1
    while usable_processors() > 1 and make(name, num_envs).num_threads == 1:
        num_envs *= 2  # until more than one thread is worth it
    outcomes = []
    for threads in (0, 1):
        env = make(name, num_envs, num_threads=threads)
        env.reset()
        outcomes.append(advance(env, steps=3))
    assert_same(*outcomes)


@pytest.mark.parametrize("first_env", [1, 3, 60])
@pytest.mark.parametrize("name", NAMES)
def test_first_env_picks_rows_of_a_larger_batch(name: str, first_env: int) -> None:
    part = play(name, 4, first_env=first_env)
    assert_same(part, rows(played_by_one(name), first_env, first_env + 4))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("played", [0, 1, 16, 17, 40])
@pytest.mark.parametrize("name", NAMES)
def test_restored_state_continues_identically(name: str, played: int, threads: int) -> None:
    env = make(name, 5)
    env.reset()
    if played:
        advance(env, played)
    before = snapshot(env)
    state = env.save_state()
    assert state.dtype == np.uint8
    assert state.ndim == 1
    continued = advance(env)

    env.load_state(state)
    assert_same(snapshot(env), before)
    assert_same(advance(env), continued)

    fresh = make(name, 5, num_threads=threads)
    fresh.load_state(state)
    assert_same(snapshot(fresh), before)
    assert_same(advance(fresh), continued)


@pytest.mark.parametrize("name", NAMES)
def test_restored_state_goes_on_counting_episodes(name: str) -> None:
    env = make(name, 5)
    env.reset()
    advance(env)
    state = env.save_state()
    env.reset()
    after_reset = snapshot(env)
    fresh = make(name, 5)
    fresh.load_state(state)
    fresh.reset()
    for buffer in ("obs", "neighbours", "episode", "time"):
        assert getattr(fresh, buffer).tobytes() == after_reset[buffer].tobytes(), buffer


@pytest.mark.parametrize("name", NAMES)
def test_state_saved_before_the_first_reset_restores_that(name: str) -> None:
    env = make(name, 5)
    before, state = snapshot(env), env.save_state()
    env.reset()
    first = advance(env, 20)
    env.load_state(state)
    assert_same(snapshot(env), before)
    with pytest.raises(ValueError, match="before the first reset"):
        env.step(np.zeros((5, env.num_agents), np.int32))
    env.reset()
    assert_same(advance(env, 20), first)


@pytest.mark.parametrize("name", NAMES)
def test_saving_moves_nothing(name: str) -> None:
    env = make(name, 5)
    env.reset()
    advance(env, 20)
    before = snapshot(env)
    first = env.save_state()
    assert_same(snapshot(env), before)
    assert first.tobytes() == env.save_state().tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_reset_with_a_seed_starts_over(name: str) -> None:
    env = make(name, 5, seed=5)
    env.reset()
    start = {b: getattr(env, b).copy() for b in ("obs", "neighbours", "episode", "time")}
    first = advance(env)
    env.reset(seed=99)
    other = advance(env)
    env.reset(seed=5)
    for buffer, array in start.items():
        assert getattr(env, buffer).tobytes() == array.tobytes(), buffer
    again = advance(env)
    for buffer in ("obs", "reward", "neighbours", "terminated", "truncated", "episode", "time"):
        assert first[buffer].tobytes() == again[buffer].tobytes(), buffer
    assert other["obs"].tobytes() != first["obs"].tobytes()
    assert other["uniforms"].tobytes() != first["uniforms"].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_reset_without_a_seed_begins_the_next_episode(name: str) -> None:
    env = make(name, 5)
    env.reset()
    first = env.obs.copy()
    assert env.episode.tolist() == [0] * 5
    env.reset()
    assert env.episode.tolist() == [1] * 5
    assert env.time.tolist() == [0] * 5
    assert (env.obs.tobytes() == first.tobytes()) == case(name).starts_alike


@pytest.mark.parametrize("name", NAMES)
def test_episodes_end_at_the_horizon_with_their_last_state(name: str) -> None:
    """Same-step reset: flags and reward of the old episode, observation of the new one."""
    params = {"horizon": 4}
    env = COMPILED[name](3, 1, params=params)
    longer = COMPILED[name](3, 1, params={"horizon": 5})
    env.reset()
    longer.reset()
    for t in range(1, 5):
        action = np.full((3, env.num_agents), t % env.num_actions, np.int32)
        env.step(action)
        longer.step(action)
        assert env.truncated.tolist() == [int(t == 4)] * 3
        assert env.terminated.tolist() == [0] * 3
        if t < 4:
            assert not env.final_obs.any()
    # The same world with a longer horizon shows what the last state was.
    same = env.final_obs.tobytes() == longer.obs.tobytes()
    assert same == (not case(name).sees_horizon)
    assert env.reward.tobytes() == longer.reward.tobytes()
    assert env.episode.tolist() == [1] * 3
    assert env.time.tolist() == [0] * 3
    longer.reset()
    assert env.obs.tobytes() == longer.obs.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_no_two_environments_seeds_or_episodes_share_a_stream(name: str) -> None:
    starts: list[bytes] = []
    numbers: list[bytes] = []
    for seed in range(8):
        env = make(name, 8, seed=seed)
        uniforms = np.empty((8, env.num_agents), np.float32)
        for _episode in range(4):
            env.reset()
            starts += [row.tobytes() for row in env.obs]
            for t in range(3):
                env.uniforms(uniforms)
                numbers += [row.tobytes() for row in uniforms]
                env.step(np.zeros((8, env.num_agents), np.int32))
                assert env.time.tolist() == [t + 1] * 8
    assert len(starts) == 8 * 8 * 4
    different = 1 if case(name).starts_alike else len(starts)
    assert len(set(starts)) == different, "see `short` and `starts_alike` in tests/envs/cases"
    assert len(numbers) == len(set(numbers)) == 8 * 8 * 4 * 3


@pytest.mark.parametrize("name", NAMES)
def test_buffers_are_read_only_views_of_one_memory(name: str) -> None:
    env = make(name, 3)
    env.reset()
    for buffer in BUFFERS:
        array = getattr(env, buffer)
        assert array is getattr(env, buffer), buffer
        assert array.base is env, buffer
        assert array.flags.c_contiguous, buffer
        assert not array.flags.writeable, buffer
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("name", NAMES)
def test_buffers_outlive_the_variable_that_held_the_environment(name: str) -> None:
    env = make(name, 3)
    env.reset()
    obs, expected = env.obs, env.obs.copy()
    del env
    assert obs.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_arrays_fetched_once_follow_everything_that_happens(name: str) -> None:
    env = make(name, 3)
    held = {buffer: getattr(env, buffer) for buffer in BUFFERS}

    def shown() -> Trajectory:
        return {buffer: array.copy() for buffer, array in held.items()}

    env.reset()
    advance(env, 20)
    state, before = env.save_state(), shown()
    assert before["time"].any()
    assert before["final_obs"].any()
    advance(env, 5)
    assert_same(shown(), snapshot(env))
    assert shown()["time"].tobytes() != before["time"].tobytes()
    env.load_state(state)
    assert_same(shown(), before)
    env.reset(seed=9)
    assert_same(shown(), snapshot(env))
    assert not held["time"].any()
    assert not held["episode"].any()
