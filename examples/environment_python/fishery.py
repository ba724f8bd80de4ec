"""Fish grow back from those that are left; who casts a net today leaves less for all tomorrow."""

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv


class Fishery(ParallelEnv):
    def __init__(self, boats=2, horizon=25):
        self.possible_agents = [f"boat_{i}" for i in range(boats)]
        self.horizon = horizon  # steps of the longest episode
        self.box, self.choice = Box(0.0, 1.0, (2,), np.float32), Discrete(2)

    def observation_space(self, agent):
        return self.box

    def action_space(self, agent):
        return self.choice

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        self.fish = np.random.default_rng(seed).uniform(0.5, 1.0)
        return self.observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        acted, self.time = self.agents, self.time + 1
        catch = {agent: 0.3 * self.fish * actions[agent] for agent in acted}
        left = max(self.fish - sum(catch.values()), 0.0)
        self.fish = min(left + 0.6 * left * (1 - left), 1.0)
        over, obs = self.time == self.horizon, self.observe()
        self.agents = [] if over else acted
        no, end = dict.fromkeys(acted, False), dict.fromkeys(acted, over)
        return obs, catch, no, end, {agent: {} for agent in acted}

    def observe(self):
        seen = np.array([self.fish, self.time / self.horizon], dtype=np.float32)
        return {agent: seen for agent in self.agents}
