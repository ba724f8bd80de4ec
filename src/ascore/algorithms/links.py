"""The links of one update: who hears whom at every state, and how strongly parameters mix.

T steps, B environments, N agents, S = T*B rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms import graph
from ascore.config import Config
from ascore.envs.presence import TERMINATED

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Links:
    """Who hears whom; [..., i, j] is true where i hears j.

    Attributes:
        states: bool [T+1, B, N, N], at every state of a rollout and after its last step. A graph
            that does not change is a broadcast view.
        fixed: bool [N, N] if the graph is the same at every state, else None.
        gone: bool [T, B, N], who was terminated with a step; None = only all at once.
    """

    states: npt.NDArray[np.bool_]
    fixed: npt.NDArray[np.bool_] | None
    gone: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, seen: U8, last: U8, ended: U8, config: Config, number: int) -> Links:
        """Links of an update.

        Args:
            seen: u8 [T, B, N, N], neighbourhoods of the environment at every step.
            last: u8 [B, N, N], after the last step.
            ended: u8 [T, B], where an episode ended with the step.
            config: which graph.
            number: of the update, from 0.

        Raises:
            ConfigError: a matrix of another size than the agents.
        """
        steps, b, n, _ = seen.shape
        if config.graph in ("environment", "contacts"):
            every = np.concatenate([seen, last[None]])
            return cls(graph.neighbours(config.graph, n, from_env=every, ended=ended), None)
        redrawn = config.graph == "random_one" and config.graph_redraw
        update = number if redrawn else 0
        shape = steps + 1, b, n, n
        return _still(config.graph, config.graph_matrix, config.seed, update, shape)

    def among(self, present: U8, left: U8) -> Links:
        """Those of agents that are there: present u8 [T+1, B, N], left u8 [T, B, N]."""
        there = present != 0
        states = self.states & there[..., :, None] & there[..., None, :]
        return Links(states, None, left == TERMINATED)

    @property
    def closing(self) -> npt.NDArray[np.bool_]:
        """Whom i hears about the state after a step that was its last, bool [T, B, N, N].

        Those it heard before; not those that the same step has terminated.
        """
        return self.rows if self.gone is None else self.rows & ~self.gone[..., None, :]

    @property
    def rows(self) -> npt.NDArray[np.bool_]:
        """The states in which an action was taken, bool [T, B, N, N]."""
        return self.states[:-1]

    def tensor(self) -> Tensor:
        """The rows owner first, bool [N, S, N], or [N, 1, N] when the graph does not change."""
        if self.fixed is not None:
            return torch.from_numpy(self.fixed)[:, None, :]
        steps, b, n, _ = self.rows.shape
        return torch.from_numpy(self.rows.reshape(steps * b, n, n)).transpose(0, 1)

    @cached_property
    def heard(self) -> npt.NDArray[np.int64]:
        """At how many rows i heard j, i64 [N, N] at [j, i]."""
        steps, b = self.rows.shape[:2]
        count = self.rows.sum(axis=(0, 1)) if self.fixed is None else self.fixed * (steps * b)
        rows: npt.NDArray[np.int64] = count.T.astype(np.int64)
        return rows

    @cached_property
    def linked(self) -> npt.NDArray[np.bool_]:
        """Bool [N, N]: i and j could speak at some row, in one direction or the other."""
        met = self.fixed if self.fixed is not None else self.rows.any(axis=(0, 1))
        return np.logical_or(met, met.T)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """Consensus weights W, f64 [N, N], averaged over the rows."""
        return graph.consensus(self.rows if self.fixed is None else self.fixed)


@lru_cache(maxsize=4)
def _still(
    kind: str, matrix: str, seed: int, update: int, shape: tuple[int, int, int, int]
) -> Links:
    """Links that are the same at every state; what they imply is computed once for all updates."""
    mask = graph.neighbours(kind, shape[-1], seed=seed, update=update, matrix=matrix)
    return Links(np.broadcast_to(mask, shape), mask)
