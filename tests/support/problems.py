"""Random policies, messages and advantages, with their losses from the float64 reference."""

from __future__ import annotations

import numpy as np
import torch

from ascore.algorithms.graph import neighbours
from ascore.algorithms.table import get_algorithm
from ascore.algorithms.terms import Batch, Inbox, LossTerms
from ascore.config import Config
from ascore.envs.legal import ILLEGAL
from ascore.learning.backends.pytorch import without_illegal
from ascore.reference import losses

GRAPHS = ("complete", "chain", "ring", "random_one", "none", "per_row")


class Problem:
    """Random policies, messages and advantages of N agents on M rows, in float64.

    With `masked`, some actions are not legal, `forbidden` bool [M, N, A]; policies give them 0.
    """

    def __init__(
        self,
        n: int,
        a: int,
        m: int,
        seed: int,
        graph: str = "complete",
        spread: float = 1.0,
        masked: bool = False,
    ):
        rng = np.random.default_rng(seed)
        self.n, self.a, self.m = n, a, m
        self.logits = rng.normal(0.0, spread, (n, m, n, a))
        self.old_logits = self.logits + rng.normal(0.0, 0.3, self.logits.shape)
        self.sent_logits = self.logits + rng.normal(0.0, 0.3, self.logits.shape)
        self.action = rng.integers(0, a, (m, n))
        self.advantage = rng.normal(0.0, 2.0, (n, m))
        self.forbidden: torch.Tensor | None = None
        if masked:
            forbidden = rng.random((m, n, a)) < 0.5
            np.put_along_axis(forbidden, self.action[..., None], False, axis=-1)
            self.forbidden = torch.from_numpy(forbidden)
            for logits in (self.logits, self.old_logits, self.sent_logits):
                logits[np.broadcast_to(forbidden, logits.shape)] = ILLEGAL
        if graph == "per_row":
            mask = rng.random((m, n, n)) < 0.5
            mask &= ~np.eye(n, dtype=bool)
        else:
            mask = np.broadcast_to(neighbours(graph, n, seed=seed), (m, n, n))
        self.heard = np.ascontiguousarray(mask.transpose(1, 0, 2))  # [owner, row, subject]

    def messages(self, owners: np.ndarray) -> Inbox:
        sent = log_softmax(self.sent_logits)
        old = log_softmax(self.old_logits)
        return Inbox(
            policy=torch.from_numpy(np.stack([sent[j, :, j] for j in range(self.n)])),
            anticipation=torch.from_numpy(
                np.stack([sent[:, :, i].transpose(1, 0, 2) for i in owners])
            ),
            old_policy=torch.from_numpy(
                np.stack(
                    [old[j, np.arange(self.m), j, self.action[:, j]] for j in range(self.n)], axis=1
                )
            ),
            neighbours=torch.from_numpy(self.heard[owners]),
        )

    def batch(self, owners: np.ndarray) -> Batch:
        old = log_softmax(self.old_logits)
        taken = np.take_along_axis(
            old, np.broadcast_to(self.action[None, :, :, None], (*old.shape[:3], 1)), 3
        )
        return Batch(
            action=torch.from_numpy(self.action),
            advantage=torch.from_numpy(self.advantage[owners]),
            advantage_scale=torch.from_numpy(np.abs(self.advantage[owners]).mean(axis=1)),
            old_log_probs=torch.from_numpy(taken[owners, :, :, 0]),
            owners=torch.from_numpy(owners),
        )

    def loss(
        self, config: Config, logits: torch.Tensor, owners: np.ndarray | None = None
    ) -> LossTerms:
        owners = np.arange(self.n) if owners is None else owners
        allowed = without_illegal(logits, self.forbidden, torch.from_numpy(owners))
        log_probs = torch.log_softmax(allowed, dim=-1)
        return get_algorithm("as").objective(
            self.batch(owners), log_probs, self.messages(owners), config
        )

    def reference(self, config: Config, owner: int) -> tuple[float, float]:
        now, old, sent = (log_softmax(x) for x in (self.logits, self.old_logits, self.sent_logits))
        rows = np.arange(self.m)
        printed = config.peer_ratio_reference == "anticipated"
        source = [owner if printed else j for j in range(self.n)]
        return losses.anticipation_sharing(
            owner,
            now[owner],
            self.action,
            self.advantage[owner],
            float(np.abs(self.advantage[owner]).mean()),
            old[owner, rows, owner, self.action[:, owner]],
            np.stack([old[source[j], rows, j, self.action[:, j]] for j in range(self.n)], axis=1),
            np.stack([sent[j, :, j] for j in range(self.n)]),
            np.stack([sent[j, :, owner] for j in range(self.n)], axis=1),
            self.heard[owner],
            penalty_weight=config.penalty_weight,
            clip_epsilon=config.clip_epsilon,
            gated=config.penalty_gate == "indicator",
            kl=config.discrepancy == "kl",
        )


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
