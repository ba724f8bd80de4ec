"""What an algorithm is: one record that says what is seen, learned, sent and minimised.

T steps, B environments, N agents, M rows, V views, O observation entries, H heads, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ascore.algorithms import ledger
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.algorithms.terms import Batch, Inbox, LossTerms
from ascore.coercion import coerce
from ascore.config import Config
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import ConfigError

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Keys = TypeVar("Keys")

Objective = Callable[[Batch, Tensor, "Inbox | None", Config], LossTerms]
"""(rows, log_probs [n, M, H, A], inbox, config) -> loss terms.

Of other agents it reads what the inbox holds, and nothing else.
"""

Rewards = Callable[[F32, U8, "Links | None", Config], F32]
"""(own rewards [T, B, N], where an episode ended [T, B], links, config) -> rewards that train.

Links are None when nothing is sent; then nobody knows another's reward.
"""

Estimate = Callable[[F32, F32], Targets]
"""(value [T+1, B, N], final_value [T, B, N]) -> targets of Eq. 17-18 on what `rewards` gave."""

Advantages = Callable[[Estimate, F32, F32, "Links | None", Config], Targets]
"""(estimate, value, final_value, links, config) -> targets; links are None when nothing is sent."""


class Compiled(IntEnum):
    """The losses that are compiled, each equal to an objective in PyTorch."""

    OWN_RATIO = 0
    """Clipped surrogate on the own policy's ratio: `ippo.objective`."""
    JOINT_RATIO = 1
    """Clipped surrogate on one ratio over all heads: `ps.objective`."""
    ANTICIPATION = 2
    """Eq. 13-16: `anticipation.objective`; without messages as OWN_RATIO."""


Mixed = Callable[[F32, F32, U8, Links, Config], F32]
"""(own rewards [T, B, N], inferred ones [T, B, L], where an episode ended [T, B], links, config) ->
[T, B, N]."""


Coefficient = Callable[[F32, F32, U8, "U8 | None", Links, Config], F32]
"""(own rewards, inferred ones, where an episode ended, which rows are whose u8 [T, B, N] or None =
all are everybody's, links, config) -> [T, B, N]."""


def own_rewards(reward: F32, ended: U8, links: Links | None, config: Config) -> F32:
    """Every agent learns from its own rewards."""
    return reward


def own_values(
    estimate: Estimate, value: F32, final_value: F32, links: Links | None, config: Config
) -> Targets:
    """Every agent's advantages use its own values."""
    return estimate(value, final_value)


@dataclass(frozen=True)
class View:
    """The environment as the learner sees it.

    Attributes:
        spec: sizes the learner sees, from those of the environment.
        env: the environment the learner sees, from the real one.
    """

    spec: Callable[[Spec, Config], Spec]
    env: Callable[[VecEnv], VecEnv]


LOCAL = View(spec=lambda spec, config: spec, env=lambda env: env)
"""Agents see the environment as it is."""


@dataclass(frozen=True)
class CriticView:
    """What critics see, if it differs from what actors see.

    Attributes:
        size: entries of one view, from the sizes of the environment.
        obs: [M, V, O] of the environment -> [M, 1 or N, size], of the same dtype.
    """

    size: Callable[[Spec], int]
    obs: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True)
class Inference:
    """How an agent values what it takes others to earn, by a model of its own rewards.

    Every agent i fits f_i(o, a, o') to its own rewards, and asks it about what those do whom it
    hears: f_i(o_j, a_j, o_j'). Of them it sees observations and actions, and nothing that they
    earn.

    Attributes:
        kept: how many transitions an agent keeps in which its reward was not 0.
        warmup: steps of all environments before which nothing that is inferred counts.
        rewards: what trains in place of own rewards; None = these.
        bonus: added to the advantages, in units of their spread; None = nothing.
    """

    kept: Callable[[Config], int]
    warmup: Callable[[Config], int]
    rewards: Mixed | None = None
    bonus: Coefficient | None = None


class GraphKeys:
    """Keys of the configuration that an algorithm reads if it sends something over links."""

    graph: str
    graph_matrix: str
    graph_degree: int
    graph_redraw: bool
    communicate_every: int


class NoKeys:
    """An algorithm that reads no key but those that every algorithm reads."""


@dataclass(frozen=True)
class Algorithm:
    """The defaults are independent PPO; other algorithms set what differs.

    Only `view`, `critic_view`, `rewards`, `advantages`, the message step that `sends_policies`
    switches on, and `mixes` read across the agent axis: that is the privacy boundary. An objective
    never does.

    Attributes:
        name: in the configuration.
        summary: one line for help texts.
        objective: what the actor minimises.
        compiled: which compiled loss equals the objective; None = PyTorch trains it.
        keys: a class whose annotations name the keys that this algorithm reads and others may not.
            Those that `Config` does not have are its own, with defaults as attributes of the
            class; their values stand in `Config.algorithm_params`, and `own_keys` reads them.
        view: whether the agents are seen as they are, or as one centre that acts for all.
        head_per_agent: the actor grows one head per agent: anticipations, or a joint policy.
        by_link: the objective reads heads and inbox by `Batch.places`, so that an actor needs heads
            only for the agents that it hears, and those that hear it.
        has_links: the graph matters: something is sent over its links.
        sends_policies: own policies and anticipations are sent before the loss.
        critic_view: what critics see; None = what actors see.
        rewards: whose rewards are learned from, and in which mixture.
        advantages: whose values an advantage is made of.
        infers: what comes of what agents take others to earn; None = they infer nothing.
        mixes: which parameters are averaged with the neighbours' after a step.
        sends: the ledger of an update.
    """

    name: str
    summary: str
    objective: Objective
    compiled: Compiled | None = None
    keys: type = NoKeys
    view: View = LOCAL
    head_per_agent: bool = False
    by_link: bool = False
    has_links: bool = False
    sends_policies: bool = False
    critic_view: CriticView | None = None
    rewards: Rewards = own_rewards
    advantages: Advantages = own_values
    infers: Inference | None = None
    mixes: Literal["nothing", "actor", "critic"] = "nothing"
    sends: ledger.Sends = ledger.nothing


def own_keys(config: Config, keys: type[Keys]) -> Keys:
    """The keys of an algorithm with their values.

    Args:
        config: of the run.
        keys: the algorithm's class of keys; a dataclass if it has keys that `Config` has not.

    Raises:
        ConfigError: `algorithm_params` holds a key that the algorithm does not have, or a value of
            another type.
    """
    hints = get_type_hints(keys)
    own = own_names(keys)
    values = {}
    for name, value in config.algorithm_params.items():
        if name not in own:
            options = f"its keys are {', '.join(own)}" if own else "it has no keys of its own"
            message = f"{config.algorithm} has no key {name!r} (algorithm_params); {options}"
            raise ConfigError(message)
        values[name] = coerce(name, value, hints[name])
    return keys(**values)


def own_names(keys: type) -> list[str]:
    """Names of the keys in a class of keys that `Config` does not have."""
    return [name for name in get_type_hints(keys) if name not in Config.names()]
