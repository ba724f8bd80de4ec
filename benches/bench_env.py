"""Speed of environment steps: the compiled core with one and two threads against its Python twin,
and the cost of a call for a batch of one.

All take the same actions from the same seed, and every buffer is compared before the timing.
`ascore bench` measures the same environments against their bars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ascore import _core
from ascore.benchmark.workloads import WORKLOADS, Workload, actions_for, player, require_equal
from ascore.envs.table import ENVIRONMENTS

PRESENT = [workload for workload in WORKLOADS if workload.env in ENVIRONMENTS]
NUM_ENVS = 256
STEPS = 8
CHECKED = 32
"""Number of compared steps, more than an episode of C. Predation."""
SIDES = {"1-thread": 1, "2-threads": 2, "reference": 0}


def side(workload: Workload, name: str) -> Any:
    threads = SIDES[name]
    return workload.compiled(NUM_ENVS, threads) if threads else workload.twin(NUM_ENVS)


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("workload", PRESENT, ids=lambda workload: workload.name)
def test_step(benchmark: Callable[..., Any], workload: Workload, name: str) -> None:
    timer: Any = benchmark
    timer.group = f"step-{workload.name}"
    timer.extra_info["env_steps_per_round"] = NUM_ENVS
    env, one = side(workload, name), workload.compiled(NUM_ENVS)
    if name != "1-thread":
        require_equal(one, env, actions_for(one, CHECKED), workload.name)
    play = player(env, actions_for(one, STEPS))
    rounds = (5, 1) if name == "reference" else (1000, 100)
    timer.pedantic(play, rounds=rounds[0], warmup_rounds=rounds[1])


@pytest.mark.parametrize("workload", PRESENT, ids=lambda workload: workload.name)
def test_one_environment(benchmark: Callable[..., Any], workload: Workload) -> None:
    timer: Any = benchmark
    timer.group = "call"
    single, batch = workload.compiled(1), workload.compiled(4)
    actions = actions_for(batch, STEPS)
    for action in actions:  # an environment must not depend on its batch
        single.step(action[:1].copy())
        batch.step(action)
    assert single.obs.tobytes() == batch.obs[:1].tobytes()
    play = player(single, actions_for(single, STEPS))
    timer.pedantic(play, rounds=1000, iterations=10, warmup_rounds=10)


def test_yardstick(benchmark: Callable[..., Any]) -> None:
    timer: Any = benchmark
    timer.group = "bound"
    timer.extra_info["agent_steps_per_round"] = NUM_ENVS * _core.HarvestYardstick.num_agents
    yardstick = _core.HarvestYardstick(NUM_ENVS, 0)
    timer.pedantic(yardstick.run, (1,), rounds=1000, warmup_rounds=100)
    assert yardstick.eaten > 0
