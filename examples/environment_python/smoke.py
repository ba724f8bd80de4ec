"""Factories round a ring: producing dirtily pays most, and the smoke goes to both neighbours."""

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

IDLE, CLEAN, DIRTY = range(3)


class Smoke(ParallelEnv):
    def __init__(self, factories=4, horizon=50):
        self.possible_agents = [f"factory_{i}" for i in range(factories)]
        self.horizon = horizon
        self.box, self.choice = Box(0.0, 5.0, (2,), np.float32), Discrete(3)

    def observation_space(self, agent):
        return self.box

    def action_space(self, agent):
        return self.choice

    def reset(self, seed=None, options=None):
        if seed is not None or not hasattr(self, "random"):
            self.random = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        self.smoke = np.zeros(len(self.agents), np.float32)
        return self.observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        acted, self.time = self.agents, self.time + 1
        action = np.array([actions[agent] for agent in acted])
        earned = np.where(action == IDLE, 0.0, self.price - 0.4 * (action == CLEAN))
        dirty = (action == DIRTY).astype(np.float32)
        self.smoke = 0.5 * self.smoke + np.roll(dirty, 1) + np.roll(dirty, -1)
        reward = dict(zip(acted, (earned - 0.25 * self.smoke).tolist(), strict=True))
        over, obs = self.time == self.horizon, self.observe()
        self.agents = [] if over else acted
        no, end = dict.fromkeys(acted, False), dict.fromkeys(acted, over)
        return obs, reward, no, end, {agent: {} for agent in acted}

    def observe(self):  # the price of its own order, and the smoke over itself: nobody sees others
        self.price = self.random.uniform(0.5, 1.5, len(self.agents)).astype(np.float32)
        seen = np.stack([self.price, self.smoke], axis=1)
        return {agent: seen[i] for i, agent in enumerate(self.agents)}
