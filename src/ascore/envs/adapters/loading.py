"""Creates a Python environment and reads its layout: agents, spaces and horizon."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces.utils import flatdim

from ascore.envs.adapters.locate import crash
from ascore.errors import AscoreWarning, EnvError

LONGEST = 2**31 - 1
"""Largest allowed horizon in steps."""

# Attributes that may hold the horizon of an environment; the second is PettingZoo's convention.
HORIZON_NAMES = ("horizon", "max_cycles")


@dataclass(frozen=True)
class Layout:
    """Properties of an environment that training needs before its first step.

    Attributes:
        agents: names of the N agents, in the order of `possible_agents`.
        num_actions: A.
        first_action: number of each agent's first action, [N]; 0 without `Discrete(start=...)`.
        obs_spaces: observation space of each agent, [N].
        obs_sizes: number of entries of each agent's flattened observation, [N].
        horizon: maximum number of steps of an episode.
    """

    agents: tuple[Any, ...]
    num_actions: int
    first_action: tuple[int, ...]
    obs_spaces: tuple[spaces.Space[Any], ...]
    obs_sizes: tuple[int, ...]
    horizon: int


def build(create: Callable[..., Any], target: str, params: Mapping[str, Any]) -> Any:
    """Creates an environment and checks that it has the methods that training calls.

    Raises:
        EnvError: the callable fails or returns something else.
    """
    arguments = ", ".join(f"{key}={value!r}" for key, value in params.items())
    try:
        env = create(**params)
    except Exception as error:
        raise EnvError(
            topic="loading",
            found=f"{target}({arguments}) fails: {crash(error)}",
            remedy="fix it, or give its arguments with --env-param NAME=VALUE",
        ) from error
    try:
        _require_parallel(env, f"{target}({arguments})")
    except BaseException:
        close(env)
        raise
    return env


def _require_parallel(env: Any, call: str) -> None:
    """Raises EnvError unless an object has the methods of a ParallelEnv."""
    if callable(getattr(env, "agent_iter", None)):
        raise EnvError(
            topic="API",
            found=f"{call} returns a turn-based environment (AECEnv)",
            remedy="return pettingzoo.utils.aec_to_parallel(env) if its agents can act at once",
        )
    needed = ("reset", "step", "observation_space", "action_space")
    missing = [name for name in needed if not callable(getattr(env, name, None))]
    if missing:
        raise EnvError(
            topic="API",
            found=f"{call} returns a {type(env).__name__} without the methods {', '.join(missing)}",
            remedy="return a pettingzoo.ParallelEnv",
        )


def close(env: Any) -> None:
    """Closes one environment; warns where its own code fails."""
    try:
        method = getattr(env, "close", None)
        if callable(method):
            method()
    except Exception as error:
        message = f"close() of {type(env).__name__} fails: {crash(error)}; it may leave things open"
        warnings.warn(message, AscoreWarning, stacklevel=2)


def layout(env: Any) -> Layout:
    """Reads the layout of an environment.

    Raises:
        EnvError: a property is missing or not supported; names the first one.
    """
    agents = agent_names(env)
    num_actions, first_action = action_range(env, agents)
    obs_spaces = observation_spaces(env, agents)
    return Layout(
        agents=agents,
        num_actions=num_actions,
        first_action=first_action,
        obs_spaces=obs_spaces,
        obs_sizes=tuple(int(flatdim(space)) for space in obs_spaces),
        horizon=horizon(env),
    )


def agent_names(env: Any) -> tuple[Any, ...]:
    """Names of all agents that may ever act."""
    names = getattr(env, "possible_agents", None)
    if not isinstance(names, (list, tuple)) or not names:
        raise EnvError(
            topic="agents",
            found=f"possible_agents is {names!r}",
            remedy="set it in the constructor to the list of all agents that may ever act",
        )
    if len(set(names)) < len(names):
        raise EnvError(
            topic="agents",
            found=f"possible_agents = {names!r} repeats a name",
            remedy="list each name once",
        )
    return tuple(names)


def action_range(env: Any, agents: tuple[Any, ...]) -> tuple[int, tuple[int, ...]]:
    """Number of actions of all agents, and the number of each agent's first action."""
    spaces_of = {agent: _space(env, "action_space", agent) for agent in agents}
    for agent, space in spaces_of.items():
        if not isinstance(space, spaces.Discrete):
            raise EnvError(
                topic="actions",
                found=f"agent {agent!r} has the action space {space}",
                remedy="make it Discrete(n): a choice among n actions",
            )
    sizes = {agent: int(space.n) for agent, space in spaces_of.items()}
    if len(set(sizes.values())) > 1:
        text = ", ".join(f"{agent!r} has {size}" for agent, size in sizes.items())
        raise EnvError(
            topic="actions",
            found=f"agents have different numbers of actions: {text}",
            remedy=f"give every agent Discrete({max(sizes.values())}); extra ones may do nothing",
        )
    return next(iter(sizes.values())), tuple(int(space.start) for space in spaces_of.values())


def observation_spaces(env: Any, agents: tuple[Any, ...]) -> tuple[spaces.Space[Any], ...]:
    """Observation space of each agent, checked to be flattenable."""
    obs_spaces = tuple(_space(env, "observation_space", agent) for agent in agents)
    for agent, space in zip(agents, obs_spaces, strict=True):
        if isinstance(space, spaces.Dict) and "action_mask" in space.spaces:
            raise EnvError(
                topic="observations",
                found=f"the observation of agent {agent!r} holds an action_mask, but policies "
                "here choose among all actions",
                remedy="let a forbidden action do nothing, and omit the mask",
            )
        if not isinstance(space, spaces.Space) or not space.is_np_flattenable or not flatdim(space):
            raise EnvError(
                topic="observations",
                found=f"agent {agent!r} has the observation space {space}, which has no "
                "fixed number of entries above 0",
                remedy="use Box, Discrete, MultiDiscrete, MultiBinary, or Dict and Tuple of them",
            )
    return obs_spaces


def horizon(env: Any) -> int:
    """Maximum number of steps of an episode."""
    for holder in (env, getattr(env, "unwrapped", env)):
        for name in HORIZON_NAMES:
            value = getattr(holder, name, None)
            if value is None:
                continue
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or not 1 <= value <= LONGEST:
                raise EnvError(
                    topic="horizon",
                    found=f"{name} = {value!r}",
                    remedy=f"set it to the number of steps of the longest episode, 1..{LONGEST}",
                )
            return int(value)
    raise EnvError(
        topic="horizon",
        found=f"the environment has neither {' nor '.join(HORIZON_NAMES)}",
        remedy="give it an attribute `horizon`: the number of steps of the longest episode",
    )


def _space(env: Any, method: str, agent: Any) -> Any:
    try:
        return getattr(env, method)(agent)
    except Exception as error:
        raise EnvError(
            topic="API",
            found=f"{method}({agent!r}) fails: {crash(error)}",
            remedy="return that agent's space",
        ) from error
