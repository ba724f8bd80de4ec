"""The links of one update: who hears whom at every state, and how strongly parameters mix.

T steps, B environments, N agents, L links, S = T*B rows. Whatever concerns a pair of agents is
kept per link: a graph in which everybody hears a few others takes memory and time in proportion to
N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms import graph
from ascore.algorithms.graph import I64, Pairs
from ascore.algorithms.heads import Heads
from ascore.config import Config
from ascore.envs.presence import TERMINATED

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

FEW = 64
"""Agents up to which sums over links are products of matrices. They are quick for few agents, and
have been taken so since the first version: another order of summation would have other bits."""

Gather = Callable[[I64], list[I64]]
"""The arrays of all ranks."""


@dataclass(frozen=True)
class Links:
    """Who hears whom.

    Attributes:
        pairs: the L links that there are at some state.
        steps: T.
        envs: B.
        active: bool [T+1, B, L], which of them there are at every state of a rollout and after its
            last step; None = all, always.
        gone: bool [T, B, N], who was terminated with a step; None = only all at once.
    """

    pairs: Pairs
    steps: int
    envs: int
    active: Bool | None = None
    gone: Bool | None = None

    @classmethod
    def of(
        cls,
        seen: U8 | None,
        last: U8 | None,
        ended: U8,
        config: Config,
        number: int,
        num_agents: int = 0,
        gather: Gather = lambda keys: [keys],
    ) -> Links:
        """Links of an update.

        Args:
            seen: u8 [T, B, N, N], neighbourhoods of the environment at every step; needed by the
                graphs that ask it.
            last: u8 [B, N, N], after the last step; likewise.
            ended: u8 [T, B], where an episode ended with the step.
            config: which graph.
            number: of the update, from 0.
            num_agents: N; needed where `seen` is None.
            gather: collects the links of all ranks.

        Raises:
            ConfigError: a matrix of another size than the agents, or a degree that is too high.
        """
        if config.graph in ("environment", "contacts"):
            if seen is None or last is None:
                message = f"graph = {config.graph} needs what the environment says; record it"
                raise ValueError(message)
            met = np.concatenate([seen, last[None]])
            links = cls.met(met, gather)
            if config.graph == "contacts" and links.active is not None:
                links = replace(links, active=graph.contacts(links.active, ended.astype(np.bool_)))
            return links
        n = num_agents if seen is None else seen.shape[2]
        redrawn = config.graph == "random_one" and config.graph_redraw
        update = number if redrawn else 0
        pairs = _still(
            config.graph, config.graph_matrix, config.graph_degree, config.seed, update, n
        )
        return cls(pairs, *ended.shape)

    @classmethod
    def met(cls, states: npt.NDArray[np.uint8] | Bool, gather: Gather = lambda k: [k]) -> Links:
        """Links of masks [T+1, B, N, N], one for every state.

        Of few agents, all pairs are listed.
        """
        steps, envs, n, _ = states.shape
        if n <= FEW:
            pairs = _still("complete", "", 2, 0, 0, n)
        else:
            ever = np.flatnonzero(states.any(axis=(0, 1)))
            keys = np.unique(np.concatenate(gather(ever)))
            pairs = Pairs.of(n, keys // n, keys % n)
        active = states[:, :, pairs.listener, pairs.sender] != 0
        return cls(pairs, steps - 1, envs, active)

    def among(self, present: U8, left: U8) -> Links:
        """Those of agents that are there: present u8 [T+1, B, N], left u8 [T, B, N]."""
        there = present != 0
        active = there[..., self.pairs.listener] & there[..., self.pairs.sender]
        if self.active is not None:
            active &= self.active
        return replace(self, active=active, gone=left == TERMINATED)

    # ------------------------------------------------------------------ as matrices

    @property
    def fixed(self) -> Bool | None:
        """Bool [N, N] if the graph is the same at every state, else None."""
        return self.pairs.mask if self.active is None else None

    @property
    def states(self) -> Bool:
        """At every state and after the last step, bool [T+1, B, N, N], true where i hears j."""
        return self._matrices(self.active, self.steps + 1)

    @property
    def rows(self) -> Bool:
        """The states in which an action was taken, bool [T, B, N, N]."""
        return self.states[:-1]

    @property
    def closing(self) -> Bool:
        """Whom i hears about the state after a step that was its last, bool [T, B, N, N].

        Those it heard before; not those that the same step has terminated.
        """
        return self._matrices(self._closing, self.steps)

    def _matrices(self, active: Bool | None, steps: int) -> Bool:
        n = self.pairs.num_agents
        shape = steps, self.envs, n, n
        if active is None:
            return np.broadcast_to(self.pairs.mask, shape)
        matrices = np.zeros(shape, dtype=np.bool_)
        matrices[:, :, self.pairs.listener, self.pairs.sender] = active
        return matrices

    # ------------------------------------------------------------------ over links

    @cached_property
    def _closing(self) -> Bool | None:
        """`closing` of every link, bool [T, B, L]; None = all, always."""
        if self.gone is None:
            return None if self.active is None else self.active[:-1]
        there = ~self.gone[..., self.pairs.sender]
        return there if self.active is None else there & self.active[:-1]

    def mean_at_rows(self, own: F32) -> F32:
        """Mean over {i} and those i hears in every row: f32 [T, B, N] -> f32 [T, B, N]."""
        return self._mean(own, None if self.active is None else self.active[:-1])

    def mean_at_states(self, own: F32) -> F32:
        """The same at every state and after the last step: f32 [T+1, B, N] -> f32 [T+1, B, N]."""
        return self._mean(own, self.active)

    def mean_at_closing(self, own: F32) -> F32:
        """The same where a step was the last: see `closing`."""
        return self._mean(own, self._closing)

    def _mean(self, own: F32, active: Bool | None) -> F32:
        pairs = self.pairs
        if pairs.num_agents <= FEW:
            return average(own, self._matrices(active, len(own)))
        total, count = self.sum_heard(own[..., pairs.sender], active)
        mean: F32 = ((own + total) / (1.0 + count)).astype(np.float32)
        return mean

    def sum_heard(
        self, values: npt.NDArray[np.floating], active: Bool | None
    ) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        """Sums over those whom every agent hears, and how many they are.

        Args:
            values: [..., L], of every link.
            active: bool [..., L]; None = all.

        Returns:
            [..., N] and [..., N] or [N].
        """
        n, offsets = self.pairs.num_agents, self.pairs.offsets
        hears = np.flatnonzero(np.diff(offsets))
        begin = offsets[hears]
        weight = np.ones(len(self.pairs), values.dtype) if active is None else active
        total = np.zeros((*values.shape[:-1], n), values.dtype)
        count = np.zeros((*weight.shape[:-1], n), values.dtype)
        if len(begin):
            values = values if active is None else np.where(active, values, 0)
            total[..., hears] = np.add.reduceat(values, begin, axis=-1)
            count[..., hears] = np.add.reduceat(weight.astype(values.dtype), begin, axis=-1)
        return total, count

    def tensor(self, heads: Heads | None = None) -> Tensor:
        """The rows, owner first: bool [N, S, H], or [N, 1, H] when the graph does not change.

        Args:
            heads: of whom the heads are; None = one of every agent. There is one for every link.
        """
        pairs = self.pairs
        heads = Heads.everybody(pairs.num_agents) if heads is None else heads
        place = heads.place(pairs.listener, pairs.sender)
        rows = 1 if self.active is None else self.steps * self.envs
        mask = np.zeros((pairs.num_agents, rows, len(heads)), dtype=np.bool_)
        if self.active is None:
            mask[pairs.listener, 0, place] = True
        else:
            mask[pairs.listener, :, place] = self.active[:-1].reshape(rows, len(pairs)).T
        return torch.from_numpy(mask)

    @cached_property
    def on_rows(self) -> I64:
        """At how many rows there was each link, i64 [L]."""
        if self.active is None:
            return np.full(len(self.pairs), self.steps * self.envs)
        count: I64 = self.active[:-1].sum(axis=(0, 1), dtype=np.int64)
        return count

    def on_states(self, which: Bool, *, last: bool) -> I64:
        """At how many of some states there was each link, i64 [L].

        Args:
            which: bool [T, B], those before each step, or [B], those after the last; or with an
                axis N more, of every listener.
            last: whether those after the last step are meant; of the others, `closing` counts.
        """
        active = self.active[-1] if last and self.active is not None else None
        active = active if last else self._closing
        if which.ndim == (2 if last else 3):
            which = which[..., self.pairs.listener]
        elif active is None:
            return np.full(len(self.pairs), int(which.sum()))
        else:
            which = which[..., None]
        both = which if active is None else which & active
        count: I64 = both.sum(axis=tuple(range(both.ndim - 1)), dtype=np.int64)
        return count

    def weights(self, mean: Callable[[graph.F64], graph.F64] = lambda x: x) -> Tensor:
        """Consensus weights W, averaged over the rows.

        Args:
            mean: over the ranks.

        Returns:
            f32 [N, N]; of many agents, sparse.
        """
        pairs = self.pairs
        n = pairs.num_agents
        if n <= FEW:
            fixed = self.fixed
            weights = graph.consensus(self.rows if fixed is None else fixed)
            return torch.from_numpy(mean(weights)).float()
        both, active = pairs.both, None
        if self.active is not None:
            rows = self.active[:-1].reshape(self.steps * self.envs, len(pairs))
            active = np.zeros((len(rows), len(both)), dtype=np.bool_)
            active[:, both.place(pairs.listener, pairs.sender)] = rows
            active[:, both.place(pairs.sender, pairs.listener)] |= rows
        each = mean(graph.consensus_over(both, active))
        own = 1.0 - np.bincount(both.listener, weights=each, minlength=n)
        index = np.arange(n)
        i, j = np.append(both.listener, index), np.append(both.sender, index)
        order = np.lexsort((j, i))
        place, value = np.stack([i, j])[:, order], np.append(each, own)[order]
        return torch.sparse_coo_tensor(
            torch.from_numpy(place),
            torch.from_numpy(value).float(),
            (n, n),
            is_coalesced=True,
            check_invariants=True,
        )


def average(own: F32, heard: Bool) -> F32:
    """Mean over {i} and those i hears: own f32 [..., N], heard bool [..., N, N] -> f32 [..., N]."""
    total = own + np.einsum("...ij,...j->...i", heard.astype(np.float32), own)
    mean: F32 = (total / (1.0 + heard.sum(axis=-1))).astype(np.float32)
    return np.ascontiguousarray(mean)


@lru_cache(maxsize=4)
def _still(kind: str, matrix: str, degree: int, seed: int, update: int, n: int) -> Pairs:
    """Links that are the same at every state; what they imply is computed once for all updates."""
    return graph.pairs(kind, n, seed=seed, update=update, matrix=matrix, degree=degree)
