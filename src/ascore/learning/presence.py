"""Which rows are whose, where agents have left before the others or entered after them.

T steps, B environments of all ranks, N agents; S rows of this rank, S' of all ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks

Bool = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Presence:
    """The rows in which an agent was there are its rows; of the others it learns nothing.

    Attributes:
        here: bool [S, N], of this rank.
        everywhere: bool [S', N], rows t B + b of all ranks.
        ranks: the processes of the run.
    """

    here: Bool
    everywhere: Bool
    ranks: Ranks

    @classmethod
    def of(cls, rollout: Rollout, ranks: Ranks) -> Presence | None:
        """Who was there in a batch; None where all agents always were, on all ranks."""
        if not rollout.may_leave or not ranks.any(rollout.present is not None):
            return None
        n = rollout.action.shape[2]
        present = rollout.present[:-1] if rollout.present is not None else None
        mine = np.ones(rollout.action.shape, np.uint8) if present is None else present
        # Ranks have equally many environments, and gather arrays along the first axis.
        by_env = np.ascontiguousarray(mine.swapaxes(0, 1))
        all_envs = np.concatenate(ranks.everywhere(by_env)).swapaxes(0, 1)
        return cls(mine.reshape(-1, n) != 0, all_envs.reshape(-1, n) != 0, ranks)

    def rows(self, agent: int, part: Tensor | None) -> Tensor:
        """The agent's among some rows of this rank, i64 [m]; None = among all."""
        mine = torch.from_numpy(self.here[:, agent])
        if part is None:
            return mine.nonzero()[:, 0]
        return part[mine.to(part.device)[part]]

    def counts(self, part: I64 | None = None) -> I64:
        """How many of some rows of all ranks every agent has, i64 [N]; None = of all rows."""
        chosen = self.everywhere if part is None else self.everywhere[part]
        count: I64 = chosen.sum(axis=0, dtype=np.int64)
        return count

    def mean(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Mean over every agent's rows on all ranks: [N, S, ...] -> [N, ...]; 0 over no rows."""
        mine = self.here.T.reshape(*values.shape[:2], *(1,) * (values.ndim - 2))
        total = self.ranks.total(np.where(mine, values, 0).sum(axis=1, dtype=values.dtype))
        count = np.maximum(self.counts(), 1).reshape(-1, *(1,) * (values.ndim - 2))
        mean: npt.NDArray[Any] = (total / count).astype(values.dtype)
        return mean
