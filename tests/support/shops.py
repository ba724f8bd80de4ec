"""Environments whose agents differ and may not do all, that tests name as MODULE:CALLABLE."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

WORTH = np.array([0.2, 1.0, -0.5, 0.7, 0.1, 0.4])


class Shop(ParallelEnv[str, Any, int]):
    """Clerks sell one of their goods in every step; what is worth most depends on the hour.

    Args:
        counts: goods that each clerk can sell.
        extra: goods behind those that a clerk knows of and may never sell; a mask says so.
        where: of the mask: "obs", "info" or "" for none.
        luck: whether the mask forbids at random, all but one good at most.
        sold_out: the step from which on clerk 1 has nothing legal; 0 = never.
        mask: what is given as the mask in every step in place of the right one.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "shop"}
    render_mode = None

    def __init__(
        self,
        counts: Any = (3, 2),
        extra: Any = (),
        where: str = "",
        luck: bool = False,
        sold_out: int = 0,
        mask: Any = None,
        horizon: int = 6,
    ) -> None:
        self.counts, self.where, self.luck, self.mask = tuple(counts), where, luck, mask
        self.sold_out, self.horizon = sold_out, horizon
        more = tuple(extra) or (0,) * len(self.counts)
        self.known = [count + each for count, each in zip(self.counts, more, strict=True)]
        self.possible_agents = [f"clerk_{i}" for i in range(len(self.counts))]

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        seen = spaces.Box(-1, 1, (3,))
        if self.where != "obs":
            return seen
        size = self.known[self.possible_agents.index(agent)]
        return spaces.Dict({"observation": seen, "action_mask": spaces.MultiBinary(size)})

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(self.known[self.possible_agents.index(agent)], start=3)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.rng, self.luck_rng = np.random.default_rng(seed), np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self.state()

    def state(self) -> tuple[Any, Any]:
        self.hour = self.rng.uniform(-1, 1, 3).astype(np.float32)
        self.masks = [self.legal(i) for i in range(len(self.counts))]
        obs: dict[str, Any] = dict.fromkeys(self.possible_agents, self.hour)
        infos: dict[str, Any] = {agent: {} for agent in self.possible_agents}
        for agent, mask in zip(self.possible_agents, self.masks, strict=True):
            given = mask if self.mask is None else self.mask
            if self.where == "obs":
                obs[agent] = {"observation": self.hour, "action_mask": given}
            elif self.where == "info":
                infos[agent]["action_mask"] = given
        return obs, infos

    def legal(self, i: int) -> Any:
        mask = np.zeros(self.known[i], dtype=np.int8)
        mask[: self.counts[i]] = 1
        if self.luck:
            mask[: self.counts[i]] = self.luck_rng.integers(0, 2, self.counts[i])
            mask[self.luck_rng.integers(self.counts[i])] = 1
        if i == 1 and self.sold_out and self.time >= self.sold_out:
            mask[:] = 0
        return mask

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        goods = [actions[agent] - 3 for agent in self.possible_agents]
        for good, mask in zip(goods, self.masks, strict=True):
            assert mask[good] == 1, f"{good} is not legal"
        self.time += 1
        sold = [float(WORTH[good] * self.hour[i % 3]) for i, good in enumerate(goods)]
        reward = {a: sold[i] - 0.1 * sum(sold) for i, a in enumerate(self.possible_agents)}
        over = self.time >= self.horizon
        obs, infos = self.state()
        out = dict.fromkeys(self.possible_agents, False)
        late = dict.fromkeys(self.possible_agents, over)
        if over:
            self.agents = []
        return obs, reward, out, late, infos
