"""Whom the heads of every agent's actor are about: its own policy, and those of agents it meets.

N agents, H heads, the same number for all; where an agent meets fewer others, some are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ascore.algorithms.graph import Pairs

I64 = npt.NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Heads:
    """Subjects of the heads of N actors, in ascending order, so that the order is one's only.

    An agent that hears another, or is heard by it, has a head for it: the anticipation that it
    trains, or the one that it sends. With a head for everybody, head j is of agent j.

    Attributes:
        subjects: i64 [N, H], ascending; NOBODY in the empty heads, which are the last.
    """

    subjects: I64

    @classmethod
    def own(cls, num_agents: int) -> Heads:
        """One head each: the own policy."""
        return cls(np.arange(num_agents)[:, None])

    @classmethod
    def everybody(cls, num_agents: int) -> Heads:
        """A head for every agent."""
        return cls(np.tile(np.arange(num_agents), (num_agents, 1)))

    @classmethod
    def of(cls, links: Pairs) -> Heads:
        """Heads for links, in whichever direction."""
        n, both = links.num_agents, links.both
        owner = np.concatenate([both.listener, np.arange(n)])
        subject = np.concatenate([both.sender, np.arange(n)])
        order = np.lexsort((subject, owner))
        owner, subject = owner[order], subject[order]
        count = np.bincount(owner, minlength=n)
        start = np.cumsum(count) - count
        if count.max() == n:  # whoever meets everybody sets the size of all
            return cls.everybody(n)
        subjects = np.full((n, int(count.max())), NOBODY)
        subjects[owner, np.arange(len(owner)) - start[owner]] = subject
        return cls(subjects)

    def __len__(self) -> int:
        return int(self.subjects.shape[1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heads) and np.array_equal(self.subjects, other.subjects)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def for_all(self) -> bool:
        """Whether head j of every agent is of agent j."""
        n, count = self.subjects.shape
        return n == count and bool((self.subjects == np.arange(n)).all())

    @cached_property
    def table(self) -> I64 | None:
        """The subjects where they must be looked up; None where head j is of agent j.

        A single head is the agent's own and need not be looked up either.
        """
        return None if len(self) == 1 or self.for_all else self.subjects

    @cached_property
    def own_place(self) -> I64:
        """Which head is the agent's own, i64 [N]."""
        place: I64 = (self.subjects == np.arange(len(self.subjects))[:, None]).argmax(axis=1)
        return place

    @cached_property
    def back(self) -> I64:
        """Which head of its subject is of the owner, i64 [N, H]; 0 in the empty heads."""
        n, count = self.subjects.shape
        owner = np.repeat(np.arange(n), count).reshape(n, count)
        here = self.subjects != NOBODY
        back = np.zeros((n, count), dtype=np.int64)
        back[here] = self.place(self.subjects[here], owner[here])
        return back

    def place(self, owner: I64, subject: I64) -> I64:
        """Which head of an owner is of a subject, of which it has one: i64, as the arguments."""
        if self.for_all:
            return subject
        at: I64 = np.searchsorted(self._key, owner * (len(self.subjects) + 1) + subject)
        return at - owner * len(self)

    @cached_property
    def _key(self) -> I64:
        """A number for every head, ascending throughout: i64 [N * H]."""
        n = len(self.subjects)
        filled = np.where(self.subjects == NOBODY, n, self.subjects)
        key: I64 = filled + np.arange(n)[:, None] * (n + 1)
        return key.ravel()
