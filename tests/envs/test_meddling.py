"""Another thread writes to the arrays that a call reads: the call may refuse them, no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ascore

CALLS = 3000
MESSAGE = r"action\[\d+, \d+\] = -?\d+ is outside 0\.\.\d+; "
# Large enough for a step to last: the thread is to write while it runs.
NUM_ENVS = 256


@contextmanager
def meddling(action: NDArray[np.int32]) -> Iterator[None]:
    """Flips actions between 0 and what is far beyond all tables."""
    done = threading.Event()

    def flip() -> None:
        while not done.is_set():
            for value in (0, 2**30, 0, -(2**31)):
                action.fill(value)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def played_or_refused(call: Any) -> bool:
    """Whether a call went through; anything but a refusal of the actions is let out."""
    try:
        call()
    except ValueError as error:
        if "is outside 0.." not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("name", sorted(ascore.ENVIRONMENTS))
def test_actions_that_change_while_a_step_runs_are_played_or_refused(name: str) -> None:
    env = ascore.make(name, num_envs=NUM_ENVS, seed=0, num_threads=1)
    env.reset()
    action = np.zeros((NUM_ENVS, env.spec.num_agents), np.int32)
    before = env.time.sum(), env.episode.sum()
    with meddling(action):
        played = sum(played_or_refused(lambda: env.step(action)) for _ in range(CALLS))
    steps = env.time + env.episode.astype(np.int64) * env.spec.horizon
    assert before == (0, 0)
    assert (steps == played).all()  # all environments, or none
    action.fill(0)
    env.step(action)
    action.fill(2**30)
    with pytest.raises(ValueError, match=MESSAGE):
        env.step(action)


def test_actions_that_change_while_an_environment_is_inspected() -> None:
    env = ascore.make("harvest-v1", num_envs=NUM_ENVS, seed=0, num_threads=1)
    env.reset()
    action = np.zeros((NUM_ENVS, env.spec.num_agents), np.int32)
    before = env.save_state()
    with meddling(action):
        for _ in range(CALLS):
            played_or_refused(lambda: env.inspect(0, action))
    assert (env.save_state() == before).all()
