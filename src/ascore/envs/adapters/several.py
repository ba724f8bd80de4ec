"""Gymnasium environments of several agents as PettingZoo's: one space, one entry per agent.

Level-Based Foraging, the multi-robot warehouse and their like: `action_space` is a Tuple, a Dict or
a list with a space per agent, and so are actions, observations and rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from ascore.envs.adapters.choices import FEWEST_BINS, combinations
from ascore.envs.adapters.foreign import shown
from ascore.envs.adapters.spaces import of_gymnasium
from ascore.envs.adapters.wrapper import Wrapper


def several(env: Any) -> Several | None:
    """The environment as a ParallelEnv; None where its action_space has no space per agent."""
    actions = _by_agent(getattr(env, "action_space", None))
    methods = (getattr(env, "reset", None), getattr(env, "step", None))
    if actions is None or not all(callable(method) for method in methods):
        return None
    observations = _by_agent(getattr(env, "observation_space", None))
    if observations is None:  # all agents have the same
        observations = dict.fromkeys(actions, env.observation_space)
    if len(observations) != len(actions):
        message = f"{len(actions)} action spaces and {len(observations)} observation spaces"
        raise ValueError(message)
    if observations.keys() != actions.keys():  # of two kinds, in one order
        observations = dict(zip(actions, observations.values(), strict=True))
    return Several(env, actions, observations)


class Several(Wrapper):
    """A gymnasium environment with a space per agent, step by step as it is.

    Agents are called as in its Dict, else "agent_0" and on. One whose own flag says that it has
    ended leaves `agents`; until the last has, the environment is given the first action for it.
    One that is shown nothing in its last step (mobile-env) keeps what it saw before.
    """

    def __init__(self, env: Any, actions: dict[Any, Any], observations: dict[Any, Any]) -> None:
        super().__init__(env, actions)
        self.action_spaces, self.observation_spaces = actions, observations
        self._seen: dict[Any, Any] = {}
        self._named = isinstance(of_gymnasium(env.action_space), spaces.Dict)

    def observation_space(self, agent: Any) -> Any:
        """That of the agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: Any) -> Any:
        """That of the agent."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        """As the environment."""
        obs, info = self.env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        self._seen = self._split("observations", obs)
        return self._seen, self._infos(info)

    def step(self, actions: Mapping[Any, Any]) -> tuple[Any, ...]:
        """As the environment, which gets one action per agent in the form of its space."""
        chosen = {
            agent: actions[agent] if agent in actions else self._first(agent)
            for agent in self.possible_agents
        }
        results = self.env.step(chosen if self._named else tuple(chosen.values()))
        obs, rewards, terminated, truncated, info = results
        acted = self.agents
        ended = [self._flags(flags) for flags in (terminated, truncated)]
        self.agents = [agent for agent in acted if not (ended[0][agent] or ended[1][agent])]
        left = {a: self._seen[a] for a in acted if a not in self.agents and a in self._seen}
        self._seen = {**left, **self._split("observations", obs)}
        outcome = (self._seen, self._split("rewards", rewards), *ended)
        kept = tuple({a: each[a] for a in acted if a in each} for each in outcome)
        return (*kept, self._infos(info))

    def _first(self, agent: Any) -> Any:
        """What the environment is given for an agent that has left."""
        space = of_gymnasium(self.action_spaces[agent])
        several = None if space is None else combinations(space, FEWEST_BINS)
        return int(getattr(space, "start", 0)) if several is None else several[0]

    def _split(self, kind: str, values: Any) -> dict[Any, Any]:
        """One entry per agent, by name."""
        if isinstance(values, Mapping):
            return dict(values)
        if not _is_list(values):
            message = f"the {kind} are {shown(values)}, one for all; return one per agent"
            raise TypeError(message)
        if len(values) != len(self.possible_agents):
            message = f"there are {len(values)} {kind} for {len(self.possible_agents)} agents"
            raise ValueError(message)
        return dict(zip(self.possible_agents, values, strict=True))

    def _flags(self, values: Any) -> dict[Any, bool]:
        """One flag per agent; a single one is for all, and so is "__all__"."""
        if not isinstance(values, Mapping) and not _is_list(values):
            return dict.fromkeys(self.possible_agents, bool(values))
        flags = self._split("flags", values)
        over = bool(flags.get("__all__", False))
        return {agent: over or bool(flags.get(agent, False)) for agent in self.possible_agents}

    def _infos(self, info: Any) -> dict[Any, dict[str, Any]]:
        """The info of each agent, if there is one per agent; else nothing."""
        by_agent = info if isinstance(info, Mapping) else {}
        infos_by_agent = {agent: by_agent.get(agent) for agent in self.possible_agents}
        return {
            a: dict(each) if isinstance(each, Mapping) else {} for a, each in infos_by_agent.items()
        }


def _is_list(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return isinstance(values, Sequence) and not isinstance(values, str)


def _by_agent(space: Any) -> dict[Any, Any] | None:
    """The spaces of a Dict, a Tuple or a list by agent; None for anything else."""
    if isinstance(space, (list, tuple)):
        parts = list(space)
    else:
        whole = of_gymnasium(space)
        if isinstance(whole, spaces.Dict):
            return dict(whole.spaces)
        if not isinstance(whole, spaces.Tuple):
            return None
        parts = list(whole.spaces)
    return {f"agent_{i}": part for i, part in enumerate(parts)} if parts else None
