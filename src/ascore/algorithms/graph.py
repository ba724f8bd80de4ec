"""Who hears whom: links from a listener i to a sender j, never from an agent to itself.

Also how strongly parameters mix over such links.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ascore.config import read_matrix
from ascore.errors import ConfigError
from ascore.streams import STREAM_GRAPH, generator

Mask = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """A list of L links among N agents, in the order of listeners, then of senders.

    Attributes:
        num_agents: N.
        listener: i64 [L], i: who hears.
        sender: i64 [L], j: who is heard.
    """

    num_agents: int
    listener: I64
    sender: I64

    @classmethod
    def of(cls, num_agents: int, listener: I64, sender: I64) -> Pairs:
        """The links in their order, each once.

        Raises:
            ValueError: an agent hears itself.
        """
        if (listener == sender).any():
            agent = int(listener[listener == sender][0])
            message = f"agent {agent} hears itself; leave that link out"
            raise ValueError(message)
        key = np.unique(listener.astype(np.int64) * num_agents + sender)
        return cls(num_agents, key // num_agents, key % num_agents)

    @classmethod
    def from_mask(cls, mask: Mask) -> Pairs:
        """The links of a mask bool [N, N], [i, j] true where i hears j."""
        listener, sender = np.nonzero(mask)
        return cls.of(len(mask), listener, sender)

    def __len__(self) -> int:
        return len(self.sender)

    @cached_property
    def offsets(self) -> I64:
        """Where each listener's links begin, and L: i64 [N + 1]."""
        bounds: I64 = np.searchsorted(self.listener, np.arange(self.num_agents + 1))
        return bounds

    @cached_property
    def both(self) -> Pairs:
        """Links in both directions wherever there is one in either."""
        ends = self.listener, self.sender
        return Pairs.of(self.num_agents, np.concatenate(ends), np.concatenate(ends[::-1]))

    def place(self, listener: I64, sender: I64) -> I64:
        """Where links stand in this list, each of which must be there: i64, as the arguments."""
        key = self.listener * self.num_agents + self.sender
        at: I64 = np.searchsorted(key, listener * self.num_agents + sender)
        return at

    @cached_property
    def mask(self) -> Mask:
        """Bool [N, N], [i, j] true where i hears j."""
        mask = np.zeros((self.num_agents, self.num_agents), dtype=np.bool_)
        mask[self.listener, self.sender] = True
        return mask


def pairs(
    kind: str,
    num_agents: int,
    *,
    seed: int = 0,
    update: int = 0,
    matrix: str = "",
    degree: int = 2,
) -> Pairs:
    """The links of one update of a graph that is the same at every state.

    Args:
        kind: complete, chain, ring, nearest, random_one, matrix or none.
        num_agents: N.
        seed: keys the draws of `random_one`.
        update: number of the update; `random_one` draws anew for each.
        matrix: text of the links, as `read_matrix` takes it; for `matrix`.
        degree: how many agents each hears; for `nearest`.

    Raises:
        ValueError: another kind.
        ConfigError: a matrix of another size, or a degree of N or more.

    Source: algorithm specification, section 4; `random_one` is the paper's section 5.3.
    """
    n = num_agents
    index = np.arange(n)
    if kind == "complete":
        listener, place = np.divmod(np.arange(n * (n - 1)), max(n - 1, 1))
        return Pairs.of(n, listener, place + (place >= listener))
    if kind == "none":
        return Pairs.of(n, index[:0], index[:0])
    if kind == "chain":
        return Pairs.of(n, np.append(index[:-1], index[1:]), np.append(index[1:], index[:-1]))
    if kind in ("ring", "nearest"):
        if kind == "nearest" and degree > max(n - 1, 0):
            message = (
                f"graph_degree = {degree} is for more than {degree} agents, the environment has "
                f"{n}; set graph_degree to at most {n - 1}, or graph = complete"
            )
            raise ConfigError(message)
        steps = nearest_steps(degree if kind == "nearest" else min(2, n - 1))
        return Pairs.of(n, np.repeat(index, len(steps)), (index[:, None] + steps).ravel() % n)
    if kind == "random_one":
        if n == 1:
            return Pairs.of(n, index[:0], index[:0])
        pick = generator(seed, STREAM_GRAPH, update).integers(0, n - 1, size=n)
        return Pairs.of(n, index, pick + (pick >= index))
    if kind == "matrix":
        links = read_matrix(matrix)
        if len(links) != n:
            message = (
                f"graph_matrix = {matrix!r:.60} is for {len(links)} agents, the environment has "
                f"{n}; give {n} rows of {n} digits"
            )
            raise ConfigError(message)
        return Pairs.from_mask(links)
    message = (
        f"unknown graph {kind!r}; use complete, environment, contacts, chain, ring, nearest, "
        "random_one, matrix or none"
    )
    raise ValueError(message)


def nearest_steps(degree: int) -> I64:
    """Steps around a ring to the nearest by number: 1, -1, 2, -2, and so on, i64 [degree]."""
    number = np.arange(degree)
    steps: I64 = (number // 2 + 1) * np.where(number % 2, -1, 1)
    return steps


def neighbours(
    kind: str,
    num_agents: int,
    *,
    seed: int = 0,
    update: int = 0,
    from_env: npt.NDArray[np.uint8] | None = None,
    ended: npt.NDArray[np.uint8] | None = None,
    matrix: str = "",
    degree: int = 2,
) -> Mask:
    """Neighbour mask of one update, for few agents.

    Args:
        kind: as in `pairs`, or environment or contacts.
        num_agents: N.
        seed: as in `pairs`.
        update: as in `pairs`.
        from_env: u8 [T+1, B, N, N], what the environment said at every state; for `environment` and
            `contacts`.
        ended: u8 [T, B], where an episode ended with the step; for `contacts`.
        matrix: as in `pairs`.
        degree: as in `pairs`.

    Returns:
        bool [N, N], or [T+1, B, N, N] for `environment` and `contacts`. Links are directed.

    Raises:
        ValueError: unknown kind; `environment` without from_env, `contacts` without it or ended.
        ConfigError: as `pairs`.
    """
    if kind not in ("environment", "contacts"):
        links = pairs(kind, num_agents, seed=seed, update=update, matrix=matrix, degree=degree)
        return links.mask.copy()
    if from_env is None or (kind == "contacts" and ended is None):
        needs = "from_env and ended" if kind == "contacts" else "from_env"
        also = " and where episodes end" if kind == "contacts" else ""
        message = f"graph {kind!r} needs the masks of the environment{also}; pass {needs}"
        raise ValueError(message)
    met = from_env.astype(np.bool_)
    return met if ended is None or kind == "environment" else contacts(met, ended.astype(np.bool_))


def contacts(met: Mask, ended: Mask) -> Mask:
    """Links that last: an agent hears those it has met until the episode ends.

    Args:
        met: bool [T+1, B, ...], links of the environment at every state. What was before the first
            state is forgotten.
        ended: bool [T, B], where the step after a state ended the episode.

    Returns:
        bool [T+1, B, ...].
    """
    known = met.copy()
    for t, over in enumerate(ended):
        known[t + 1] |= known[t] & ~over.reshape(-1, *(1,) * (met.ndim - 2))
    return known


def metropolis(links: Mask) -> F64:
    """Metropolis weights on the symmetrised graph: doubly stochastic, every W_ii > 0.

        W_ij = 1 / (1 + max(d_i, d_j)) on links,   W_ii = 1 - sum of the others

    Args:
        links: bool [..., N, N].

    Returns:
        f64 [..., N, N].

    Source: Xiao, Boyd and Lall 2005, Eq. 9, with d_i the number of neighbours.
    """
    both = np.logical_or(links, np.swapaxes(links, -1, -2))
    degree = both.sum(axis=-1)
    largest = np.maximum(degree[..., :, None], degree[..., None, :])
    weights: F64 = both / (1.0 + largest)
    index = np.arange(links.shape[-1])
    weights[..., index, index] = 1.0 - weights.sum(axis=-1)
    return weights


def consensus(links: Mask) -> F64:
    """Mean Metropolis weights over all states: agents linked for longer average more.

    A mean of doubly stochastic matrices is one, so the agents' average is kept.

    Args:
        links: bool [..., N, N].

    Returns:
        f64 [N, N].
    """
    n = links.shape[-1]
    patterns, counts = np.unique(links.reshape(-1, n * n), axis=0, return_counts=True)
    each = metropolis(patterns.reshape(-1, n, n))
    mean: F64 = np.tensordot(counts / counts.sum(), each, axes=1)
    return mean


def consensus_over(links: Pairs, active: Mask | None) -> F64:
    """As `consensus`, of a list of links in both directions (`Pairs.both`).

    Args:
        links: the L links.
        active: bool [S, L], the links at S states, alike in both directions; None = all, always.

    Returns:
        f64 [L], W of each link; the rest of a row is the agent's own.
    """
    active = np.ones((1, len(links)), dtype=np.bool_) if active is None else active
    total = np.zeros(len(links))
    for now in active:
        degree = np.bincount(links.listener[now], minlength=links.num_agents)
        largest = np.maximum(degree[links.listener], degree[links.sender])
        total += now / (1.0 + largest)
    mean: F64 = total / len(active)
    return mean
