"""Environments of any spaces, and of episodes whose length nobody states, for tests to name."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import (
    aec_to_parallel_wrapper,
    parallel_to_aec_wrapper,
    turn_based_aec_to_parallel,
)
from python_envs import Meadow, Queue

QUICK: dict[str, Any] = {
    "episodes": 8,
    "num_envs": 2,
    "minibatches": 1,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
}
"""Keys of a run that is over at once."""

ACTIONS: dict[str, spaces.Space[Any]] = {
    "two": spaces.Discrete(2),
    "from five": spaces.Discrete(3, start=5),
    "multi": spaces.MultiDiscrete([3, 2]),
    "table": spaces.MultiDiscrete([[2, 3], [1, 2]]),
    "narrow": spaces.MultiDiscrete([2, 2], dtype=np.int8),
    "binary": spaces.MultiBinary(3),
    "square": spaces.MultiBinary([2, 2]),
    "one": spaces.Box(-1, 1, (1,)),
    "plane": spaces.Box(np.float32([-1, 0]), np.float32([1, 5])),
    "double": spaces.Box(-0.1, 0.3, (1, 2), np.float64),
    "half": spaces.Box(-1, 1, (2,), np.float16),
    "scalar": spaces.Box(0, 1, ()),
    "whole": spaces.Box(0, 3, (2,), np.int32),
    "byte": spaces.Box(0, 255, (1,), np.uint8),
    "flag": spaces.Box(0, 1, (2,), np.bool_),
    "fixed": spaces.Box(np.float32([0, 2]), np.float32([1, 2])),
    # Refused:
    "wide": spaces.MultiDiscrete([9, 9, 9]),
    "very wide": spaces.MultiBinary(20_000),
    "endless": spaces.Box(np.float32([0, -np.inf]), np.float32([1, np.inf])),
    "largest": spaces.Box(-1.7e308, 1.7e308, (1,), np.float64),
    "arms": spaces.Box(-1, 1, (9,)),
    "four": spaces.Box(-1, 1, (4,)),
    "pair": spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1))),
    "words": spaces.Text(3),
}

OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-1, 1, (3,)),
    "scalar": spaces.Box(0, 1, ()),
    "matrix": spaces.Box(0, 1, (2, 3)),
    "half": spaces.Box(-1, 1, (2,), np.float16),
    "double": spaces.Box(-1, 1, (2,), np.float64),
    "flags": spaces.Box(0, 1, (3,), np.bool_),
    "ints": spaces.Box(-9, 9, (2,), np.int64),
    "shorts": spaces.Box(0, 9, (2,), np.uint16),
    "picture": spaces.Box(0, 255, (4, 4, 3), np.uint8),
    "bits": spaces.Box(0, 1, (4,), np.uint8),
    "discrete": spaces.Discrete(4),
    "from two": spaces.Discrete(3, start=2),
    "multi": spaces.MultiDiscrete([2, 3]),
    "table": spaces.MultiDiscrete([[2, 1], [4, 3]]),
    "binary": spaces.MultiBinary(3),
    "square": spaces.MultiBinary([2, 2]),
    "dict": spaces.Dict({"b": spaces.Discrete(3, start=1), "a": spaces.Box(0, 1, (2,))}),
    "tuple": spaces.Tuple((spaces.MultiBinary(2), spaces.Discrete(2))),
    "nested": spaces.Dict(
        {
            "eyes": spaces.Tuple((spaces.Box(0, 255, (2, 2), np.uint8), spaces.Discrete(2))),
            "self": spaces.Dict({"x": spaces.Box(-1, 1, (1,), np.float64)}),
        }
    ),
    # Refused:
    "text": spaces.Text(5),
    "sequence": spaces.Sequence(spaces.Discrete(2)),
    "graph": spaces.Graph(spaces.Box(0, 1, (2,)), spaces.Discrete(2)),
    "deep": spaces.Dict({"ears": spaces.Tuple((spaces.Discrete(2), spaces.Text(3)))}),
    "nothing": spaces.Box(0, 1, (0,)),
    # What their remedies say, in the same order:
    "text as numbers": spaces.MultiDiscrete([27] * 5),
    "padded sequence": spaces.Tuple((spaces.MultiDiscrete([2] * 4), spaces.MultiBinary(4))),
    "padded graph": spaces.Dict(
        {"nodes": spaces.Box(0, 1, (3, 2)), "linked": spaces.MultiBinary([3, 3])}
    ),
    "all alternatives": spaces.Dict(
        {"a": spaces.Discrete(2), "b": spaces.Box(0, 1, (2,)), "which": spaces.Discrete(2)}
    ),
    "constant": spaces.Box(1, 1, (1,)),
}
if hasattr(spaces, "OneOf"):
    OBSERVATIONS["one of"] = spaces.OneOf((spaces.Discrete(2), spaces.Box(0, 1, (2,))))


class Hall(ParallelEnv[str, Any, Any]):
    """Takes actions of any spaces, and refuses what is no element of them; shows any observations.

    Args:
        act: names of the agents' action spaces.
        see: names of the agents' observation spaces.
        mask: "parts" = a mask per entry of an action; "flat" = one per combination, which forbids
            the same; "ragged" = parts of a wrong length.
        where: of the mask, "obs" or "info".
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "hall"}
    render_mode = None

    def __init__(
        self, act: Any = ("two", "two"), see: Any = (), mask: str = "", where: str = "info",
        horizon: int = 4,
    ) -> None:  # fmt: skip
        self.possible_agents = [f"guest_{i}" for i in range(len(act))]
        seen = tuple(see) or ("box",) * len(act)
        pairs = zip(self.possible_agents, act, seen, strict=True)
        self.spaces = {agent: (ACTIONS[a], copy.deepcopy(OBSERVATIONS[s])) for agent, a, s in pairs}
        self.mask, self.where, self.horizon = mask, where, horizon

    def action_space(self, agent: str) -> Any:
        return self.spaces[agent][0]

    def observation_space(self, agent: str) -> Any:
        seen = self.spaces[agent][1]
        if not self.mask or self.where != "obs":
            return seen
        return spaces.Dict({"observation": seen, "action_mask": spaces.MultiBinary(1)})

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.agents, self.time = list(self.possible_agents), 0
        for k, (_, seen) in enumerate(self.spaces.values()):
            seen.seed(None if seed is None else (seed + k) % 2**31)
        return self.state(self.agents)

    def state(self, agents: list[str]) -> tuple[Any, Any]:
        obs = {agent: self.spaces[agent][1].sample() for agent in agents}
        infos: dict[str, Any] = {agent: {} for agent in agents}
        for agent in agents if self.mask else []:
            if self.where == "obs":
                obs[agent] = {"observation": obs[agent], "action_mask": self.allowed(agent)}
            else:
                infos[agent]["action_mask"] = self.allowed(agent)
        return obs, infos

    def allowed(self, agent: str) -> Any:
        """The last value of every entry is forbidden in odd steps."""
        sizes = self.spaces[agent][0].nvec.tolist()
        parts = []
        for size in sizes:
            part = np.ones(size, np.int8)
            part[-1] = self.time % 2 == 0
            parts.append(part)
        if self.mask == "ragged":
            return ([1, 1, 1, 1], *parts[1:])
        return tuple(parts) if self.mask == "parts" else np.multiply.outer(*parts).reshape(-1)

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        acted, reward = self.agents, {}
        for i, (agent, action) in enumerate(actions.items()):
            space = self.action_space(agent)
            assert space.contains(action), f"{action!r} is not in {space}"
            if not isinstance(space, spaces.Discrete):
                assert action.dtype == space.dtype
                assert action.shape == space.shape
                if self.mask and self.time % 2:
                    assert (action < space.nvec - 1).all()
            reward[agent] = float(np.sum(action, dtype=np.float64)) * (1 - 2 * (i % 2))
            if not isinstance(space, spaces.Discrete):
                action[...] = 0  # it is the environment's own
        self.time += 1
        late = dict.fromkeys(acted, self.time == self.horizon)
        self.agents = [] if self.time == self.horizon else acted
        obs, infos = self.state(acted)
        return obs, reward, dict.fromkeys(acted, False), late, infos

    def render(self) -> Any:
        return f"{len(self.possible_agents)} guests"


class Listless(Meadow):
    """Keeps no list of agents."""

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        results = super().reset(seed)
        del self.agents
        return results


class Straying(Meadow):
    """Does not say how long its episodes are: they end at random, or after `fixed` steps, or never.

    Args:
        fixed: steps of every episode; 0 = random, -1 = endless.
        fail: raises an error in the third step.
    """

    def __init__(self, fixed: int = 0, fail: bool = False) -> None:
        super().__init__()
        del self.horizon
        self.fixed, self.fail = fixed, fail

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        self.horizon = self.fixed if self.fixed > 0 else 10**9
        obs, reward, out, late, infos = super().step(actions)
        del self.horizon
        if self.fail and self.time == 3:
            message = "out of hay"
            raise RuntimeError(message)
        if self.fixed == 0 and self.rng.random() < 0.2:
            self.agents, out = [], dict.fromkeys(actions, True)
        return obs, reward, out, late, infos


class Levers(Queue):
    """As `Queue`, with two switches to say how many loaves are taken."""

    def action_space(self, agent: str) -> Any:
        return spaces.MultiBinary(2)

    def allowed(self) -> Any:
        return (np.array([0, 1, 1, 2]) <= self.left).astype(np.int8)

    def step(self, action: Any) -> None:
        assert action is None or (action.dtype == np.int8 and action.shape == (2,))
        super().step(None if action is None else int(action.sum()))


class Same(Meadow):
    """All cows get the same."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        return obs, dict.fromkeys(reward, sum(reward.values())), out, late, infos


class Rivals(Meadow):
    """What one cow gets the other loses."""

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, reward, out, late, infos = super().step(actions)
        first, second = reward
        return obs, {first: reward[first], second: -reward[first]}, out, late, infos


def at_once() -> Any:
    """A parallel environment that PettingZoo has turned around twice."""
    return aec_to_parallel_wrapper(parallel_to_aec_wrapper(Meadow()))


def turns_at_once(where: str = "obs") -> Any:
    """A game of turns that PettingZoo has wrapped as a parallel environment."""
    queue: AECEnv[Any, Any, Any] = Queue(where)
    return turn_based_aec_to_parallel(queue)
