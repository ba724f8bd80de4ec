"""One run's agents shared out to its ranks: each trains some of them on the rows of all.

Agents learn independently of each other but for what they send, so ranks need little of each other:
the rows that all have collected, once per update; values and messages, small; and actors, once per
update. Adding up gradients instead costs a message as large as all networks in every step. What a
rank computes is to the bit what one process alone computes for these agents.

R ranks, N agents, n = N/R of them on each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ascore.runtime.ranks import Ranks


class AgentSplit:
    """The agents of this rank, and how the ranks put together what they have.

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
        """What every rank has for its agents, [n, ...] -> [N, ...]."""
        return self.ranks.concatenated(mine)

    @torch.no_grad()
    def fill(self, rows: Tensor) -> None:
        """Every rank gets the others' agents, in place: [N, ...]."""
        rows.copy_(self.all_agents(rows[self.mine]))
