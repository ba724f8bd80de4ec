"""A Python environment in which nothing happens, so that what is timed is all around it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

AGENTS = ("left", "right")


class Idle(ParallelEnv[str, Any, int]):
    """Two agents, three actions, four float32 numbers to observe; no masks and no neighbours.

    Args:
        work: seconds of processor time that a step takes beyond that.
        horizon: steps until both agents are truncated.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "idle"}

    def __init__(self, work: float = 0.0, horizon: int = 1000) -> None:
        self.possible_agents = list(AGENTS)
        self.work, self.horizon, self.time = work, horizon, 0
        self.seen = spaces.Box(0.0, 1.0, (4,), np.float32)
        self.choice = spaces.Discrete(3)
        self.obs = {agent: np.full(4, 0.5, np.float32) for agent in AGENTS}
        self.reward = dict.fromkeys(AGENTS, 1.0)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in AGENTS}
        self.no, self.yes = dict.fromkeys(AGENTS, False), dict.fromkeys(AGENTS, True)

    def observation_space(self, agent: str) -> Any:
        return self.seen

    def action_space(self, agent: str) -> Any:
        return self.choice

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self.agents, self.time = list(AGENTS), 0
        return self.obs, self.infos

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        if self.work:
            end = time.thread_time() + self.work
            while time.thread_time() < end:
                pass
        self.time += 1
        over = self.time == self.horizon
        if over:
            self.agents = []
        return self.obs, self.reward, self.no, self.yes if over else self.no, self.infos
