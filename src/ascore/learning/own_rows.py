"""Rows of this rank's own agents: nobody else's rows or networks are here.

Every rank steps all environments, which draw the same numbers everywhere (`stepping`). Of other
ranks' agents it knows what they do, and what they say to its own.

R ranks, N agents, n = N/R of this rank, K of whom it knows: its own, then the others whom these
hear or are heard by. S rows, H heads, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.graph import Pairs
from ascore.algorithms.heads import NOBODY, Heads
from ascore.learning.agent_split import AgentSplit
from ascore.learning.metrics import Metrics
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class KnownHeads(Heads):
    """The heads of the agents that a rank knows of, who are numbered by their places among these.

    Attributes:
        members: i64 [K], which of all agents they are: this rank's n, then the others.
        place: i64 [N + 1], where every agent stands among them, and NOBODY.
        whole: the heads of all agents.
    """

    members: I64
    place_of: I64
    whole: Heads

    @classmethod
    def by(cls, whole: Heads, own: slice) -> KnownHeads:
        """Those of some agents, and of the agents that their heads are about."""
        mine = np.arange(own.start, own.stop)
        others = np.setdiff1d(whole.subjects[own], np.append(mine, NOBODY))
        members = np.concatenate([mine, others])
        place_of = np.full(len(whole.subjects) + 1, NOBODY)
        place_of[members] = np.arange(len(members))
        return cls(place_of[whole.subjects[members]], members, place_of, whole)

    @cached_property
    def for_all(self) -> bool:
        """Never: what is looked up are places among the members."""
        return False

    @cached_property
    def own_place(self) -> I64:
        """Which head is a member's own, i64 [K]."""
        place: I64 = self.whole.own_place[self.members]
        return place

    @cached_property
    def back(self) -> I64:
        """Which head of its subject is of the owner, i64 [K, H]; 0 in the empty heads."""
        back: I64 = np.where(self.subjects == NOBODY, 0, self.whole.back[self.members])
        return back


class OwnRows(AgentSplit):
    """The agents of this rank, whose rows and networks alone are here.

    Attributes:
        mine: all that are here.
        agents: which of all agents they are.
        bytes_acted: how many bytes this rank has sent to others for them to know what was done.
    """

    bytes_acted = 0

    def __init__(self, ranks: Ranks, num_agents: int) -> None:
        super().__init__(ranks, num_agents)
        self.agents = self.mine
        self.mine = slice(0, self.agents.stop - self.agents.start)
        self._known = KnownHeads.by(Heads.own(num_agents), self.agents)

    def heads_here(self, heads: Heads) -> Heads:
        """The heads of the agents that this rank knows of from now on."""
        if self._known.whole is not heads:
            self._known = KnownHeads.by(heads, self.agents)
        return self._known

    def of_known(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Of what all agents did [S, N], that of those who are known [S, K]."""
        return actions.take(self._known.members, axis=1)

    def of_mine(self, rows: Tensor) -> Tensor:
        """Of all agents' [N, ...], those of this rank's [n, ...]."""
        return rows[self.agents]

    def actions(self, mine: npt.NDArray[np.int32], num_actions: int) -> npt.NDArray[np.int32]:
        """What all agents do, i32 [B, N], from what those of this rank do, i32 [B, n].

        A bit for each where there are two actions, else a byte. All ranks must call it together.
        """
        b, n = mine.shape
        few = num_actions <= 2
        chosen = mine.reshape(-1).astype(np.uint8)
        sent = torch.from_numpy(np.packbits(chosen) if few else chosen)
        self.bytes_acted += (self.ranks.size - 1) * sent.nbytes
        all_ranks = self.ranks.concatenated(sent).numpy().reshape(self.ranks.size, -1)
        if few:
            all_ranks = np.unpackbits(all_ranks, axis=1, count=b * n)
        by_env = all_ranks.reshape(-1, b, n).swapaxes(0, 1)
        return by_env.reshape(b, -1).astype(np.int32)

    def whole(self, rollout: Rollout) -> Rollout:
        """The rollout as it is."""
        return rollout

    def route(self, links: Pairs | None, heads: Heads) -> None:
        """As where all rows are here."""
        self.heads_here(heads)
        super().route(links, heads)

    def _number_here(self, agents: Tensor) -> Tensor:
        """Their places among those that are known."""
        return torch.from_numpy(self._known.place_of)[agents]

    def deliver(self, mine: Tensor) -> Tensor:
        """As where all rows are here, f32 [K, S, H, A]."""
        return self._delivered(mine, len(self._known.members))

    def all_agents(self, mine: Tensor) -> Tensor:
        """The rows as they are."""
        return mine

    def fill(self, rows: Tensor) -> None:
        """Leaves the rows as they are."""

    def of_everybody(self, mine: Metrics) -> Metrics:
        """On rank 0 lists of N; elsewhere those of this rank's agents."""
        lists = {key: np.array(x, np.float64) for key, x in mine.items() if isinstance(x, list)}
        table = [x.reshape(self.mine.stop, -1) for x in lists.values()]
        ends = np.cumsum([x.shape[1] for x in table])[:-1]
        columns = np.split(self.together(np.concatenate(table, axis=1)), ends, axis=1)
        every = {
            key: column.reshape(-1, *x.shape[1:]).tolist()
            for (key, x), column in zip(lists.items(), columns, strict=True)
        }
        return {**mine, **every, "team_return": float(np.sum(every["return"]))}

    def together(self, mine: npt.NDArray[Any], axis: int = 0) -> npt.NDArray[Any]:
        """On rank 0 the arrays of all ranks, one behind the other; elsewhere this rank's."""
        parts = self.ranks.gather(np.ascontiguousarray(np.moveaxis(mine, axis, 0)))
        return np.moveaxis(np.concatenate(parts), 0, axis) if parts else mine

    def own(self, everything: npt.NDArray[Any], axis: int = 0) -> npt.NDArray[Any]:
        """This rank's part along an axis that has so many places for every agent."""
        each = everything.shape[axis] // self.num_agents
        part = np.arange(self.agents.start * each, self.agents.stop * each)
        return everything.take(part, axis)
