"""Splits the agents of a run among its ranks: each rank trains some of them.

Agents depend on each other only through their messages, so ranks never exchange gradients. Summing
those would send as much as all networks in every step. The results of a rank are bit-identical to
those of a single process for the same agents.

Here, each rank collects in some of the environments with everybody's actors. Then the ranks
exchange the rows, once per update, and actors and values. `own_rows` has the other way.

R ranks, N agents, n = N/R agents per rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.graph import Pairs
from ascore.algorithms.heads import Heads
from ascore.learning.metrics import Metrics
from ascore.learning.rollout import Rollout
from ascore.learning.rows import whole
from ascore.runtime.ranks import Ranks

Places = tuple[Tensor, Tensor]
"""Heads, as owners i64 [E] and places among their heads i64 [E]."""


class AgentSplit:
    """The agents of this rank, and functions that gather the results of all ranks.

    Args:
        ranks: the ranks; their number divides N.
        num_agents: N.

    Attributes:
        ranks: the ranks.
        mine: agents of this rank.
        bytes_heard: how many bytes this rank has sent to others for their agents to hear.
    """

    bytes_heard = 0

    def __init__(self, ranks: Ranks, num_agents: int) -> None:
        self.ranks, self.num_agents = ranks, num_agents
        count = num_agents // ranks.size
        self.mine = slice(ranks.rank * count, (ranks.rank + 1) * count)
        self._links: Pairs | None = None
        self._heads: Heads | None = None
        self._sent: dict[int, Places] = {}
        self._received: dict[int, Places] = {}

    def whole(self, rollout: Rollout) -> Rollout:
        """The rows that are learned from, where this rank has collected some."""
        return whole(self.ranks, rollout) if self.ranks.size > 1 else rollout

    def heads_here(self, heads: Heads) -> Heads:
        """The heads of all agents, as rows and messages here number agents."""
        return heads

    def of_known(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the agents did whom rows and messages here number, from what all did [S, N]."""
        return actions

    def of_mine(self, rows: Tensor) -> Tensor:
        """What is learned from, of all agents' [N, ...]."""
        return rows

    def of_everybody(self, mine: Metrics) -> Metrics:
        """The metrics of all agents, from what is known here."""
        return mine

    def route(self, links: Pairs | None, heads: Heads) -> None:
        """Says what ranks send each other from now on: what their agents hear, and nothing else.

        Args:
            links: who hears whom; None = nothing is sent.
            heads: of whom the agents' heads are.
        """
        if links is self._links and heads is self._heads:
            return  # as they are
        self._links, self._heads = links, heads
        self._sent, self._received = {}, {}
        if links is None or len(links) == 0:
            return
        count, here = self.num_agents // self.ranks.size, self.ranks.rank
        to, by = links.listener // count, links.sender // count
        for other in range(self.ranks.size):
            for places, chosen in (
                (self._sent, (by == here) & (to == other)),
                (self._received, (by == other) & (to == here)),
            ):
                if other != here and chosen.any():
                    owner, place = _heads_sent(links, chosen, heads)
                    places[other] = self._number_here(owner), place

    def _number_here(self, agents: Tensor) -> Tensor:
        """By which numbers messages here know some of all agents."""
        return agents

    def deliver(self, mine: Tensor) -> Tensor:
        """What this rank's agents have said, and what they hear from the agents of other ranks.

        Args:
            mine: f32 [n, S, H, A].

        Returns:
            f32 [N, S, H, A]; 0 where nobody here hears it.
        """
        return self._delivered(mine, self.num_agents)

    def _delivered(self, mine: Tensor, agents: int) -> Tensor:
        """What so many agents have said, of whom this rank's are `mine`."""
        everything = mine.new_zeros(agents, *mine.shape[1:])
        everything[self.mine] = mine
        sent = {
            other: everything[owner, :, place].contiguous()
            for other, (owner, place) in self._sent.items()
        }
        received = {
            other: mine.new_empty(len(owner), mine.shape[1], mine.shape[3])
            for other, (owner, _) in self._received.items()
        }
        self.ranks.exchange(sent, received)
        self.bytes_heard += sum(x.nbytes for x in sent.values())
        for other, (owner, place) in self._received.items():
            everything[owner, :, place] = received[other]
        return everything

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

    def route(self, links: Pairs | None, heads: Heads) -> None:
        """Does nothing: what is heard comes by letters."""

    def deliver(self, mine: Tensor) -> Tensor:
        """The agent's row among zeros."""
        return self.all_agents(mine)


def _heads_sent(links: Pairs, chosen: npt.NDArray[np.bool_], heads: Heads) -> Places:
    """The heads that go over some links: the senders' own, and theirs for the listeners."""
    sender, listener = links.sender[chosen], links.listener[chosen]
    once = np.unique(sender)
    own, theirs = heads.own_place[once], heads.place(sender, listener)
    owner, place = np.append(once, sender), np.append(own, theirs)
    return torch.from_numpy(owner), torch.from_numpy(place)
