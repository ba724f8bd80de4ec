"""Which heads the actors of a run have, before its first update and from then on.

A graph that does not change needs heads for its links alone. Where the environment says who hears
whom, everybody may meet everybody. Where links are drawn anew, each update has heads for its own.
"""

from __future__ import annotations

import math

import numpy as np

from ascore.algorithms import graph
from ascore.algorithms.contract import Algorithm
from ascore.algorithms.heads import Heads
from ascore.config import Config
from ascore.envs.vec_env import Spec


def asks_environment(algorithm: Algorithm, config: Config) -> bool:
    """Whether the environment says who hears whom."""
    return algorithm.has_links and config.graph in ("environment", "contacts")


def drawn_anew(algorithm: Algorithm, config: Config, num_agents: int) -> bool:
    """Whether heads change from update to update; of two agents, each always draws the other."""
    redrawn = config.graph == "random_one" and config.graph_redraw and num_agents > 2
    return algorithm.head_per_agent and algorithm.by_link and redrawn


def first_heads(algorithm: Algorithm, config: Config, num_agents: int) -> Heads:
    """Heads at the start of a run.

    Raises:
        ConfigError: a matrix of another size than the agents, or a degree that is too high.
    """
    if not algorithm.head_per_agent or drawn_anew(algorithm, config, num_agents):
        return Heads.own(num_agents)
    asked = config.graph in ("environment", "contacts")
    if asked or config.graph == "complete" or not algorithm.by_link:
        return Heads.everybody(num_agents)
    return Heads.of(_still(config, num_agents))


def heads_needed(algorithm: Algorithm, config: Config, num_agents: int) -> int:
    """H of a run, counted without making them; of an update of drawn links, that of the first."""
    if drawn_anew(algorithm, config, num_agents):
        return len(Heads.of(_still(config, num_agents)))
    everybody = config.graph in ("environment", "contacts", "complete") or not algorithm.by_link
    if algorithm.head_per_agent and everybody:
        return num_agents
    return len(first_heads(algorithm, config, num_agents))


def layers(algorithm: Algorithm, config: Config, spec: Spec) -> tuple[list[int], list[int]]:
    """Sizes of the layers of one network of an actor, input first, and of a critic."""
    seen = math.prod(spec.obs_shape)
    heads = 1 if config.actor == "separate" else heads_needed(algorithm, config, spec.num_agents)
    valued = seen if algorithm.critic_view is None else algorithm.critic_view.size(spec)
    actor = [seen, *config.actor_hidden, heads * spec.num_actions]
    return actor, [valued, *config.critic_hidden, 1]


def links_needed(algorithm: Algorithm, config: Config, num_agents: int) -> int:
    """L of an update, counted without making them; all pairs where the environment is asked."""
    if not algorithm.has_links:
        return 0
    if config.graph in ("environment", "contacts", "complete"):
        return num_agents * (num_agents - 1)
    return len(_still(config, num_agents))


def others_met(algorithm: Algorithm, config: Config, num_agents: int, agents: slice) -> int:
    """How many others some agents hear or are heard by; in an update of drawn links, the first."""
    if not algorithm.head_per_agent:
        return 0
    ends = _still(config, num_agents)
    among = [(at >= agents.start) & (at < agents.stop) for at in (ends.listener, ends.sender)]
    far = (ends.sender[among[0] & ~among[1]], ends.listener[among[1] & ~among[0]])
    return len(np.unique(np.concatenate(far)))


def _still(config: Config, num_agents: int) -> graph.Pairs:
    """The links of the first update."""
    return graph.pairs(
        config.graph,
        num_agents,
        seed=config.seed,
        matrix=config.graph_matrix,
        degree=config.graph_degree,
    )
