"""Who may connect to whom: the graph of the run is the list."""

from __future__ import annotations

import numpy as np

from ascore.algorithms import graph
from ascore.algorithms.table import get_algorithm
from ascore.config import Config


def linked(config: Config, num_agents: int, agent: int) -> list[int]:
    """The agents that an agent may ever hear or be heard by.

    Graphs that change, at every step or every update, may link any two.

    Raises:
        ConfigError: a matrix of another size than the agents.
    """
    if not get_algorithm(config.algorithm).has_links:
        return []
    if config.graph in ("environment", "contacts", "random_one"):
        return [other for other in range(num_agents) if other != agent]
    mask = graph.neighbours(
        config.graph,
        num_agents,
        seed=config.seed,
        matrix=config.graph_matrix,
        degree=config.graph_degree,
    )
    return [int(j) for j in np.flatnonzero(mask[agent] | mask[:, agent])]
