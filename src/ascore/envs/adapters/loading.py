"""Creates a Python environment and reads its layout: agents, spaces and horizon."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from ascore.envs.adapters.choices import Numbered, numbered, refusal
from ascore.envs.adapters.foreign import FAILURES, asking, class_name, crash, shown, waiting_for
from ascore.envs.adapters.horizon import find_horizon
from ascore.envs.adapters.masks import has_mask, without_mask
from ascore.envs.adapters.sizes import Sizes
from ascore.envs.adapters.spaces import (
    Space,
    holds_bytes,
    of_gymnasium,
    scale_of_bytes,
    size_of,
    unreadable,
)
from ascore.errors import AscoreWarning, EnvError

NEEDED = ("reset", "step", "observation_space", "action_space")
"""Methods of a ParallelEnv that training calls."""


@dataclass(frozen=True)
class Layout:
    """Properties of an environment that training needs before its first step.

    Attributes:
        agents: names of the N agents, in the order of `possible_agents`.
        action_counts: number of actions of each agent, [N].
        first_action: number of each agent's first action, [N]; 0 without `Discrete(start=...)`.
        obs_spaces: observation space of each agent, [N], without its action_mask.
        masks: whether each agent's observations carry an action_mask, [N].
        obs_sizes: number of entries of each agent's flattened observation, [N].
        horizon: maximum number of steps of an episode.
        divided: whether an action is a choice among values of what is continuous.
    """

    agents: tuple[Any, ...]
    action_counts: tuple[int, ...]
    first_action: tuple[int, ...]
    obs_spaces: tuple[Space, ...]
    masks: tuple[bool, ...]
    obs_sizes: tuple[int, ...]
    horizon: int
    divided: bool = False

    @property
    def num_actions(self) -> int:
        """A, the largest number of actions."""
        return max(self.action_counts)

    @property
    def obs_dtype(self) -> str:
        """uint8 where all observations are bytes, as in pictures, else float32."""
        return "uint8" if all(holds_bytes(space) for space in self.obs_spaces) else "float32"

    @property
    def obs_scale(self) -> float:
        """What networks multiply observations by."""
        if self.obs_dtype != "uint8":
            return 1.0
        return min(scale_of_bytes(space) for space in self.obs_spaces)

    @property
    def sizes(self) -> Sizes:
        """What a batch must know."""
        size = max(self.obs_sizes)
        n, counts = len(self.agents), self.action_counts
        return Sizes(n, counts, size, self.obs_dtype, self.obs_scale, self.horizon, self.divided)

    def difference(self, other: Layout) -> str | None:
        """The first property that is not the same, with both values."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                return f"{field.name} is {shown(theirs)}, not {shown(mine)}"
        return None


def build(
    create: Callable[..., Any], target: str, params: Mapping[str, Any], action_bins: int = 0
) -> Any:
    """Creates an environment and checks that it has the methods that training calls.

    One of gymnasium with a space per agent, or whose agents take turns, is made to look like a
    ParallelEnv, and actions that consist of several choices are numbered.

    Args:
        create: the callable.
        target: MODULE:CALLABLE, for messages.
        params: its keyword arguments.
        action_bins: values that each entry of a continuous action can have; 0 = none.

    Raises:
        EnvError: the callable fails or returns something else.
    """
    call = f"{target}({', '.join(f'{key}={shown(value)}' for key, value in params.items())})"
    remedy = "fix it, or give its arguments with --env-param NAME=VALUE"
    with asking(call, "loading", remedy), waiting_for(call):
        env = create(**params)
    try:
        with asking(f"looking at what {call} returns", "API"):
            return numbered(_as_parallel(env, call, action_bins), action_bins)
    except BaseException:
        close(env)
        raise


def _as_parallel(env: Any, call: str, action_bins: int) -> Any:
    """An object with the methods of a ParallelEnv; raises EnvError if it cannot be one."""
    with warnings.catch_warnings():
        # Gymnasium's wrappers before 1.0 warn where somebody looks inside.
        warnings.simplefilter("ignore")
        turns = callable(getattr(env, "agent_iter", None))
        missing = [name for name in NEEDED if not callable(getattr(env, name, None))]
    if turns:
        from ascore.envs.adapters.turns import taking_turns

        return taking_turns(env, action_bins)
    if not missing:
        from ascore.envs.adapters.turns import all_at_once

        return all_at_once(env, action_bins)
    from ascore.envs.adapters.several import several

    wrapped = several(env)
    if wrapped is None:
        raise EnvError(
            topic="API",
            found=f"{call} returns a {type(env).__name__} without the methods {', '.join(missing)}",
            remedy="return a pettingzoo.ParallelEnv, or a gymnasium environment whose action_space "
            "has one space per agent (Tuple or Dict)",
        )
    return wrapped


def close(env: Any) -> None:
    """Closes one environment; warns where its own code fails."""
    try:
        method = getattr(env, "close", None)
        if callable(method):
            method()
    except FAILURES as error:
        message = f"close() of {class_name(env)} fails: {crash(error)}; it may leave things open"
        warnings.warn(message, AscoreWarning, stacklevel=2)


def layout(env: Any, horizon: int = 0, action_bins: int = 0) -> Layout:
    """Reads the layout of an environment.

    Args:
        env: the environment, from `build`.
        horizon: steps after which its episodes are to be truncated; 0 = as it says.
        action_bins: as in `build`.

    Raises:
        EnvError: a property is missing or not supported; names the first one.
    """
    agents = agent_names(env)
    action_counts, first_action = action_range(env, agents, action_bins)
    seen = observation_spaces(env, agents)
    obs_spaces = tuple(without_mask(space) for space in seen)
    return Layout(
        agents=agents,
        action_counts=action_counts,
        first_action=first_action,
        obs_spaces=obs_spaces,
        masks=tuple(has_mask(space) for space in seen),
        obs_sizes=tuple(size_of(space) for space in obs_spaces),
        horizon=horizon or find_horizon(env)[0],
        divided=isinstance(env, Numbered) and env.divided,
    )


def agent_names(env: Any) -> tuple[Any, ...]:
    """Names of all agents that may ever act."""
    with asking("possible_agents", "agents"):
        names = getattr(env, "possible_agents", None)
        if not isinstance(names, (list, tuple)) or not names:
            raise EnvError(
                topic="agents",
                found=f"possible_agents is {shown(names)}",
                remedy="set it in the constructor to the list of all agents that may ever act",
            )
        if len(set(names)) < len(names):
            raise EnvError(
                topic="agents",
                found=f"possible_agents = {shown(names)} repeats a name",
                remedy="list each name once",
            )
    with asking("repr of the names in possible_agents", "agents", "name agents by strings"):
        repr(names)
    return tuple(names)


def action_range(
    env: Any, agents: tuple[Any, ...], action_bins: int = 0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Number of actions of every agent, and the number of its first action."""
    spaces_of = {agent: _space(env, "action_space", agent) for agent in agents}
    for agent, space in spaces_of.items():
        with asking(f"reading the action space of agent {agent!r}", "actions"):
            refused = refusal(space, action_bins)
        if refused is not None:
            why, remedy = refused
            raise EnvError(
                topic="actions",
                found=f"agent {agent!r} has the action space {shown(space)}{why}",
                remedy=remedy,
            )
    counts = tuple(int(space.n) for space in spaces_of.values())
    return counts, tuple(int(space.start) for space in spaces_of.values())


def observation_spaces(env: Any, agents: tuple[Any, ...]) -> tuple[Space, ...]:
    """Observation space of each agent, checked to be flattenable but for its action_mask."""
    obs_spaces = tuple(_space(env, "observation_space", agent) for agent in agents)
    for agent, space in zip(agents, obs_spaces, strict=True):
        with asking(f"reading the observation space of agent {agent!r}", "observations"):
            problem = unreadable(without_mask(space))
        if problem is not None:
            why, remedy = problem
            raise EnvError(
                topic="observations",
                found=f"agent {agent!r} has the observation space {shown(space)}{why}",
                remedy=remedy,
            )
    return obs_spaces


def of_old_gym(env: Any, agents: tuple[Any, ...]) -> bool:
    """Whether a space of an environment is of the package gym and not of gymnasium."""
    return any(
        not isinstance(getattr(env, method)(agent), spaces.Space)
        for method in ("action_space", "observation_space")
        for agent in agents
    )


def _space(env: Any, method: str, agent: Any) -> Any:
    """Space of an agent; one of the old package gym as gymnasium's."""
    with asking(f"{method}({agent!r})", "API", "return that agent's space"):
        space = getattr(env, method)(agent)
        converted = of_gymnasium(space)
    return space if converted is None else converted
