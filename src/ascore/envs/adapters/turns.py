"""Environments whose agents take turns (PettingZoo's AEC), as those in which all act at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from ascore.envs.adapters.choices import combinations
from ascore.envs.adapters.masks import MASK
from ascore.envs.adapters.spaces import of_gymnasium
from ascore.envs.adapters.wrapper import Wrapper

TURNS_MADE_PARALLEL = "turn_based_aec_to_parallel_wrapper"
"""PettingZoo's own wrapper; it does not say that whoever waits has no choice."""


def taking_turns(env: Any, action_bins: int = 0) -> Any:
    """The environment as a ParallelEnv.

    One that says in `metadata["is_parallelizable"]` that its agents may act at once is converted
    by PettingZoo; in any other, every step is the turn of one agent.
    """
    from pettingzoo.utils.conversions import aec_to_parallel

    if dict(getattr(env, "metadata", None) or {}).get("is_parallelizable", False):
        return aec_to_parallel(env)
    return Turns(env, action_bins)


def all_at_once(env: Any, action_bins: int = 0) -> Any:
    """A ParallelEnv as it is, or the environment of turns that PettingZoo has wrapped as one."""
    wrapped = type(env).__name__ == TURNS_MADE_PARALLEL
    return Turns(env.aec_env, action_bins) if wrapped else env


class Turns(Wrapper):
    """A turn-based environment in which the others wait: their only legal action is the first.

    What a turn earns, for whomever, is the reward of that step.
    """

    def __init__(self, env: Any, action_bins: int = 0) -> None:
        super().__init__(env, env.possible_agents)
        self._action_bins = action_bins

    def observation_space(self, agent: Any) -> Any:
        """That of the agent."""
        return self.env.observation_space(agent)

    def action_space(self, agent: Any) -> Any:
        """That of the agent."""
        return self.env.action_space(agent)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        """As the environment."""
        self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.agents)
        return self._seen(self.agents)

    def step(self, actions: Mapping[Any, Any]) -> tuple[Any, ...]:
        """Takes the turn of the agent whose turn it is; the actions of the others are not read."""
        env, acted = self.env, self.agents
        env.step(actions[env.agent_selection])
        rewards = {agent: env.rewards.get(agent, 0.0) for agent in acted}
        ended = [{a: bool(flags.get(a, True)) for a in acted} for flags in self._flags()]
        # Agents that are done are stepped once more with no action, which removes them.
        while env.agents and any(flags[env.agent_selection] for flags in self._flags()):
            env.step(None)
        self.agents = [agent for agent in acted if not (ended[0][agent] or ended[1][agent])]
        observations, infos = self._seen(acted)
        return observations, rewards, *ended, infos

    def _flags(self) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
        return self.env.terminations, self.env.truncations

    def _seen(self, agents: list[Any]) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Observations and infos, with a mask that lets only the agent act whose turn it is."""
        observations, infos = {}, {}
        turn = self.env.agent_selection if self.env.agents else None
        for agent in agents:
            seen = self.env.observe(agent)
            info = dict(self.env.infos.get(agent, {}))
            if agent != turn:
                waiting = np.zeros(self._count(agent), dtype=np.int8)
                waiting[:1] = 1
                if isinstance(seen, Mapping) and MASK in seen:
                    seen = {**seen, MASK: waiting}
                else:
                    info[MASK] = waiting
            observations[agent], infos[agent] = seen, info
        return observations, infos

    def _count(self, agent: Any) -> int:
        space = of_gymnasium(self.env.action_space(agent))
        if isinstance(space, spaces.Discrete):
            return int(space.n)
        several = None if space is None else combinations(space, self._action_bins)
        return 1 if several is None else several.count
