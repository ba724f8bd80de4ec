"""Environment steps per second: the compiled core beside its Python twin.

Both play the same actions from the same seed; every buffer is compared before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ascore import _core
from ascore.reference import TWINS, VecEnv

COMPILED = {
    "exchange-v1": _core.ExchangeV1,
    "navigation-v1": _core.NavigationV1,
    "predation-v1": _core.PredationV1,
}
GROUP = {
    "exchange-v1": "step-exchange",
    "navigation-v1": "step-navigation",
    "predation-v1": "step-predation",
}
NUM_ENVS = 256
STEPS = 8
"""Per round; one round is NUM_ENVS * STEPS environment steps."""
BUFFERS = ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated", "episode", "time")

Actions = NDArray[np.int32]


def draw_actions(twin: VecEnv, steps: int) -> Actions:
    rng = np.random.default_rng(0)
    shape = (steps, twin.num_envs, twin.num_agents)
    return rng.integers(0, twin.num_actions, shape, dtype=np.int32)


def play(env: Any, actions: Actions) -> None:
    for action in actions:
        env.step(action)


def pair(name: str) -> tuple[Any, VecEnv]:
    """Return both environments, found equal after more steps than a Predation episode has."""
    compiled = COMPILED[name](NUM_ENVS, 0, num_threads=1)
    twin = VecEnv([TWINS[name]() for _ in range(NUM_ENVS)], 0)
    compiled.reset()
    twin.reset()
    for action in draw_actions(twin, 32):
        compiled.step(action)
        twin.step(action)
        for buffer in BUFFERS:
            ours, theirs = getattr(compiled, buffer), getattr(twin, buffer)
            assert ours.tobytes() == theirs.tobytes(), buffer
    return compiled, twin


@pytest.fixture(scope="module", params=sorted(GROUP))
def world(request: pytest.FixtureRequest) -> tuple[str, Any, VecEnv]:
    return request.param, *pair(request.param)


@pytest.mark.parametrize("side", ["compiled", "reference"])
def test_step(benchmark: Callable[..., Any], world: tuple[str, Any, VecEnv], side: str) -> None:
    name, compiled, twin = world
    timer: Any = benchmark
    timer.group = GROUP[name]
    timer.extra_info["env_steps_per_round"] = NUM_ENVS * STEPS
    actions = draw_actions(twin, STEPS)
    if side == "compiled":
        timer.pedantic(play, (compiled, actions), rounds=200, warmup_rounds=20)
    else:
        timer.pedantic(play, (twin, actions), rounds=5, warmup_rounds=1)
