"""Cleanup as attackers see it: who eats is seen by all, what an apple is worth is not."""

from __future__ import annotations

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.errors import ConfigError
from ascore.privacy.games import F32, I32, AnyArray

WASTE, APPLES, AGENTS = 0, 1, 2  # planes


class CleanupGame:
    """See `Insight`."""

    def __init__(self, env: VecEnv) -> None:
        for key, value in {"obs_mode": "planes", "profile": "ssd"}.items():
            if env.params[key] != value:
                message = (
                    f"the attacks on Cleanup read {key} = {value}, not {env.params[key]}; "
                    f"leave out {key}"
                )
                raise ConfigError(message)
        env.reset()
        water = env.inspect(0)["river"]
        self._cells, self._agents = water.size, env.spec.num_agents
        self._actions = env.spec.num_actions
        # The half of the map with the river, whose last column divides it.
        _, columns = np.nonzero(water)
        self._wet = np.arange(water.size) % water.shape[1] <= columns.max()

    def _plane(self, obs: AnyArray, number: int) -> AnyArray:
        return obs[:, 0, number * self._cells : (number + 1) * self._cells]

    def _wet_at(self, obs: AnyArray, agent: int) -> AnyArray:
        """Whether an agent is beside the river, bool [S]."""
        wet: AnyArray = (self._plane(obs, AGENTS + agent) * self._wet).any(axis=1)
        return wet

    def acts(self, obs: AnyArray, agent: int) -> F32:
        """Each action beside the river, then each action in the orchard."""
        acts = np.zeros((len(obs), 2, self._actions, self._actions), dtype=np.float32)
        wet = self._wet_at(obs, agent)
        acts[wet, 0] = np.eye(self._actions)
        acts[~wet, 1] = np.eye(self._actions)
        return acts.reshape(len(obs), 2 * self._actions, self._actions)

    def situations(self, obs: AnyArray, agent: int) -> F32:
        """Whether the agent is beside the river; how much waste and how many apples there are."""
        wet = self._wet_at(obs, agent)
        waste = self._plane(obs, WASTE).sum(axis=1, dtype=np.float32)
        apples = self._plane(obs, APPLES).sum(axis=1, dtype=np.float32)
        return np.stack([np.ones(len(obs)), wet, waste, apples], axis=1).astype(np.float32)

    def unit(self, obs: AnyArray, after: AnyArray, action: I32) -> F32:
        """1 to the agents that come to stand on what was an apple: they eat it."""
        apples = self._plane(obs, APPLES)
        stood = [(apples * self._plane(after, AGENTS + i)).any(axis=1) for i in range(self._agents)]
        return np.stack(stood, axis=1).astype(np.float32)
