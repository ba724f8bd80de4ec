"""The timed environments, their bars, and their Python twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.benchmark.timing import Differs, Missing
from ascore.envs.factory import make
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import VecEnv
from ascore.reference import VecEnv as TwinVecEnv

BUFFERS = ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated", "episode", "time")

YARDSTICK_NS = 63.0
"""Nanoseconds per agent-step of the hand-written yardstick on the machine the bars were set on.

A bar of X ns is a ratio of YARDSTICK_NS / X to the yardstick of any machine. Source:
docs/performance.md."""


@dataclass(frozen=True)
class Peer:
    """Another engine and its time per agent-step as a multiple of the hand-written yardstick's.

    The multiples were measured with the engines themselves, interleaved with the yardstick, on the
    machine of `YARDSTICK_NS`; docs/performance.md lists them.
    """

    name: str
    multiple: float
    bar: float


CPR = Peer("PufferLib 3.0 cpr", 25, 4)
SOCIAL_JAX_HARVEST = Peer("SocialJax harvest", 800, 500)
SOCIAL_JAX_CLEANUP = Peer("SocialJax clean_up", 1_100, 500)
SSD_HARVEST = Peer("original SSD Harvest", 1_700, 1_000)
SSD_CLEANUP = Peer("original SSD Cleanup", 1_500, 1_000)
# Environments without a counterpart are compared with the faster of the two games.
ELSEWHERE = (CPR, SOCIAL_JAX_HARVEST, SSD_CLEANUP)


@dataclass(frozen=True)
class Workload:
    """An environment with parameters.

    Attributes:
        env: full name of the environment.
        params: parameters that differ from the defaults.
        threaded_envs: batch size with a millisecond of work per step for each of two threads.
        twin_bar: minimum ratio to the Python twin.
        limit_ns: maximum nanoseconds per `unit`, on a machine whose yardstick takes YARDSTICK_NS.
        unit: unit of `limit_ns`, agent-step or env-step.
        peers: engines to compare with, per agent-step.
    """

    env: str
    params: dict[str, Any] = field(default_factory=dict)
    threaded_envs: int = 32_768
    twin_bar: float | None = None
    limit_ns: float | None = None
    unit: str = "env-step"
    peers: tuple[Peer, ...] = ELSEWHERE

    @property
    def name(self) -> str:
        """Name with parameters, such as "predation-v1 num_agents=8"."""
        return " ".join([self.env, *(f"{key}={value}" for key, value in self.params.items())])

    def require(self) -> None:
        """Raises Missing if this build has no such environment."""
        if self.env not in ENVIRONMENTS:
            message = f"{self.env} is not among the environments: {', '.join(ENVIRONMENTS)}"
            raise Missing(message)

    def compiled(self, num_envs: int, num_threads: int = 1) -> VecEnv:
        """Creates and resets a batch of the environment."""
        self.require()
        env = make(self.env, num_envs, num_threads=num_threads, **self.params)
        env.reset()
        return env

    def twin(self, num_envs: int) -> TwinVecEnv:
        """Creates and resets a batch of its Python twin."""
        self.require()
        twin = ENVIRONMENTS[self.env].load_twin()
        constants = twin.Params(**self.params)
        env = TwinVecEnv([twin(constants) for _ in range(num_envs)], 0)
        env.reset()
        return env


# Sizes and bars of their own.
PROMISED = (
    Workload("escape-v1", limit_ns=200),
    Workload("exchange-v1", limit_ns=150),
    Workload("navigation-v1", limit_ns=150),
    Workload("predation-v1", {"num_agents": 8}, limit_ns=350),
    Workload("cleanup-v1", {"num_agents": 2}, 8_192, limit_ns=400, peers=(CPR,)),
    # The peers run Cleanup with five and seven agents, and agents share part of a step's cost.
    Workload(
        "cleanup-v1",
        {"num_agents": 5, "map": "cleanup_mid"},
        8_192,
        peers=(CPR, SOCIAL_JAX_CLEANUP, SSD_CLEANUP),
    ),
    Workload(
        "harvest-v1",
        {"num_agents": 5},
        8_192,
        twin_bar=800,
        limit_ns=150,
        unit="agent-step",
        peers=(CPR, SOCIAL_JAX_HARVEST, SSD_HARVEST),
    ),
)


@dataclass(frozen=True)
class Variant:
    """An environment with parameters that cost time, and what it is compared with.

    Attributes:
        env: the environment.
        params: parameters that both have.
        dearer: those of the variant.
        plain: those that it is compared with.
        largest_cost: how many times as long a step of the variant may take.
    """

    env: str
    params: dict[str, Any]
    dearer: dict[str, Any]
    plain: dict[str, Any]
    largest_cost: float = 1.5


FIRE = {"fire": True}, {"fire": False}
CENTRED = {"obs_mode": "centred"}, {"obs_mode": "local"}
"""Both show every agent a view of its own."""
VARIANTS = tuple(
    Variant(env, params, *keys)
    for env, params in (
        ("cleanup-v1", {"num_agents": 2}),
        ("cleanup-v1", {"num_agents": 5, "map": "cleanup_full"}),
        ("harvest-v1", {"num_agents": 5}),
        ("harvest-v1", {"num_agents": 7, "map": "harvest_full"}),
    )
    for keys in (FIRE, CENTRED)
)

WORKLOADS = (
    *PROMISED,
    *(Workload(name) for name in ENVIRONMENTS if all(name != timed.env for timed in PROMISED)),
)

Actions = npt.NDArray[np.int32]


def draw_actions(num_envs: int, num_agents: int, num_actions: int, steps: int) -> Actions:
    """Uniform actions i32 [steps, B, N], the same in every call."""
    shape = (steps, num_envs, num_agents)
    return np.random.default_rng(0).integers(0, num_actions, shape, dtype=np.int32)


def actions_for(env: VecEnv, steps: int) -> Actions:
    """Uniform actions for a compiled batch, i32 [steps, B, N]."""
    return draw_actions(env.num_envs, env.spec.num_agents, env.spec.num_actions, steps)


def player(env: Any, actions: Actions) -> Callable[[], None]:
    """A call that takes one step, cycling through the actions."""
    upcoming: Iterator[Actions] = cycle(list(actions))
    step = env.step
    return lambda: step(next(upcoming))


def require_equal(ours: Any, theirs: Any, actions: Actions, what: str) -> None:
    """Steps both and compares every buffer bit for bit.

    Raises:
        Differs: a buffer differs; the message names it and the step.
    """
    for step, action in enumerate(actions):
        ours.step(action)
        theirs.step(action)
        for buffer in BUFFERS:
            mine, other = getattr(ours, buffer), getattr(theirs, buffer)
            if mine.tobytes() != other.tobytes():
                message = f"{what}: {buffer} differs after {step + 1} steps"
                raise Differs(message)
