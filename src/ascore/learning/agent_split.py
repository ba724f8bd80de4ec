"""Splits the agents of a run among its ranks: each rank trains some agents on the rows of all.

Agents depend on each other only through their messages, so ranks exchange little: the collected
rows, once per update; values and messages, which are small; and actors, once per update. Summing
gradients instead would send as much as all networks in every step. The results of a rank are
bit-identical to those of a single process for the same agents.

R ranks, N agents, n = N/R agents per rank.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ascore.runtime.ranks import Ranks


class AgentSplit:
    """The agents of this rank, and functions that gather the results of all ranks.

    Args:
        ranks: the ranks; their number divides N.
        num_agents: N.

    Attributes:
        ranks: the ranks.
        mine: agents of this rank.
    """

    def __init__(self, ranks: Ranks, num_agents: int) -> None:
        self.ranks = ranks
        count = num_agents // ranks.size
        self.mine = slice(ranks.rank * count, (ranks.rank + 1) * count)

    def all_agents(self, mine: Tensor) -> Tensor:
        """Gathers the rows of all agents from the ranks, [n, ...] -> [N, ...]."""
        return self.ranks.concatenated(mine)

    @torch.no_grad()
    def fill(self, rows: Tensor) -> None:
        """Fills in the rows of the other ranks' agents, in place: [N, ...]."""
        rows.copy_(self.all_agents(rows[self.mine]))


class OneAgent(AgentSplit):
    """The agent of a party, which knows nothing of the others but their messages.

    Args:
        agent: which one.
        num_agents: N.
    """

    def __init__(self, agent: int, num_agents: int) -> None:
        self.ranks, self.num_agents = Ranks(), num_agents
        self.mine = slice(agent, agent + 1)

    def all_agents(self, mine: Tensor) -> Tensor:
        """The agent's row among zeros, [1, ...] -> [N, ...]; nothing is asked of anybody."""
        rows = mine.new_zeros(self.num_agents, *mine.shape[1:])
        rows[self.mine] = mine
        return rows

    def fill(self, rows: Tensor) -> None:
        """Leaves the rows of the others as they are."""
