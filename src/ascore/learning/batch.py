"""A rollout as the iterations of an update read it.

T steps, B environments, N agents, S = T*B rows, V views, O observation entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import Algorithm, CriticView
from ascore.algorithms.heads import Heads
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.learning.agent_split import AgentSplit
from ascore.learning.presence import Presence
from ascore.learning.rollout import Rollout, per_agent_view
from ascore.runtime.ranks import Ranks


@dataclass(frozen=True)
class Rows:
    """A batch flattened to S rows, as tensors on the device of the networks.

    With several ranks, B and so S count the environments of one of them.
    """

    raw: npt.NDArray[Any]  # [S, V, O], observations as the environment gave them
    scale: float  # what networks see is observations times this
    joint: npt.NDArray[np.int32]  # [S, N], actions; of all whom messages are of
    advantage: Tensor  # f32 [N, S]
    advantage_scale: Tensor  # f32 [N]
    normalized_return: Tensor  # f32 [N, S]
    neighbours: Tensor | None  # bool [N, S or 1, H]; None when no policy is sent in this update
    weights: Tensor | None  # f32 [N, N], maybe sparse, consensus; None when no parameter is sent
    legal: npt.NDArray[np.uint8] | None = None  # [S, N, A], legal actions; None = all
    presence: Presence | None = None  # which rows are whose; None = all rows are everybody's
    critic_view: CriticView | None = None  # what critics see of `raw`; None = what actors see
    meant: list[npt.NDArray[Any]] | None = None  # as `Rollout.meant`, [S, N]; as `joint`
    log_probs: Tensor | None = None  # f32 [N, S, 1, A], of those who acted; None = not kept

    def policies(self, iteration: int, compute: Callable[[], Tensor]) -> Tensor:
        """Log-probabilities [N, S, H, A] that an iteration begins with; the first may have them."""
        return compute() if iteration or self.log_probs is None else self.log_probs

    @cached_property
    def obs(self) -> Tensor:
        """Observations as networks see them, f32 [S, O] or [N, S, O]."""
        return per_agent_view(torch.from_numpy(self.raw).to(self.advantage.device), self.scale)

    @cached_property
    def critic_obs(self) -> Tensor:
        """Observations as critics see them, f32 [S, O'] or [N, S, O']."""
        if self.critic_view is None:
            return self.obs
        seen = torch.from_numpy(self.critic_view.obs(self.raw))
        return per_agent_view(seen.to(self.advantage.device), self.scale)

    @cached_property
    def forbidden(self) -> Tensor | None:
        """Actions that were not legal, bool [S, N, A]; None if all were."""
        if self.legal is None:
            return None
        return torch.from_numpy(self.legal == 0).to(self.advantage.device)

    @cached_property
    def action(self) -> Tensor:
        """Actions as PyTorch's indices, i64 [S, N]."""
        return torch.from_numpy(self.joint.astype(np.int64)).to(self.advantage.device)


def rows_of(
    rollout: Rollout,
    targets: Targets,
    links: Links | None,
    moments: tuple[Tensor, Tensor],
    obs_scale: float,
    algorithm: Algorithm,
    config: Config,
    ranks: Ranks,
    presence: Presence | None = None,
    heads: Heads | None = None,
    split: AgentSplit | None = None,
) -> Rows:
    """The batch of an update.

    Args:
        rollout: what this rank has collected.
        targets: what is learned from it.
        links: who hears whom; None = nothing is sent in this update.
        moments: mean and deviation of the value targets, f32 [N, 1] each.
        obs_scale: of the environment.
        algorithm: what is sent over the links.
        config: normalisation and minibatches.
        ranks: whose batches count together.
        presence: which rows are whose; None = all rows are everybody's.
        heads: of whom the agents' heads are; None = one of everybody.
        split: whose rows are here; None = everybody's.

    Raises:
        ConfigError: fewer rows than minibatches.
    """
    steps, b, n = rollout.reward.shape
    rows = steps * b
    if config.minibatches > rows * ranks.size:
        message = (
            f"minibatches = {config.minibatches} exceeds the {rows * ranks.size} rows of a batch; "
            "lower it or raise num_envs or rollout_steps"
        )
        raise ConfigError(message)
    mean, std = moments
    advantage = torch.from_numpy(targets.advantage.reshape(rows, n)).T.contiguous()
    if config.advantage_normalization:
        advantage = normalized(advantage, ranks, presence)
    scale = advantage_scale(advantage, config.advantage_scale, ranks, presence)
    returns = torch.from_numpy(targets.returns.reshape(rows, n)).T.to(mean.device)
    neighbours = weights = None
    if links is not None and algorithm.sends_policies:
        neighbours = links.tensor(heads).to(mean.device)
        neighbours = neighbours if split is None else split.of_mine(neighbours)
    if links is not None and algorithm.mixes != "nothing":
        weights = links.weights(ranks.mean).to(mean.device)

    def known(actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        flat = actions.reshape(rows, -1)
        return flat if split is None else split.of_known(flat)

    return Rows(
        raw=rollout.obs.reshape(rows, *rollout.obs.shape[2:]),
        scale=obs_scale,
        joint=known(rollout.action).astype(np.int32, copy=False),
        advantage=advantage.to(mean.device),
        advantage_scale=scale.to(mean.device),
        normalized_return=((returns - mean) / std).contiguous(),
        neighbours=neighbours,
        weights=weights,
        legal=rollout.legal.reshape(rows, n, -1) if rollout.legal is not None else None,
        presence=presence,
        critic_view=algorithm.critic_view,
        meant=None if rollout.meant is None else [known(x) for x in rollout.meant],
        log_probs=None if rollout.log_probs is None else _by_agent(rollout.log_probs),
    )


def _by_agent(log_probs: npt.NDArray[np.float32]) -> Tensor:
    """[T, B, N, A] -> [N, S, 1, A], laid out as a backend does: sums over rows depend on it."""
    by_row = torch.from_numpy(log_probs).flatten(0, 1)
    return by_row.transpose(0, 1).unsqueeze(2).contiguous()


def normalized(advantage: Tensor, ranks: Ranks, presence: Presence | None = None) -> Tensor:
    """Advantages f32 [N, S] with mean 0 and deviation 1 per agent over the rows of all ranks."""
    if presence is not None:
        own = advantage - torch.from_numpy(presence.mean(advantage.numpy()))[:, None]
        variance = torch.from_numpy(presence.mean(own.square().numpy()))
        count = torch.from_numpy(presence.counts())
        deviation = torch.from_numpy(
            np.sqrt((variance * (count / (count - 1).clamp(min=1))).numpy())
        ).float()
        return own / (deviation[:, None] + 1e-8)
    total = advantage.shape[1] * ranks.size
    centre = ranks.mean(advantage.mean(dim=1).numpy())
    centred = advantage - torch.from_numpy(centre)[:, None]
    square = ranks.mean(centred.square().mean(dim=1).numpy())
    # Not by PyTorch, whose square roots differ between processors in their last bit.
    spread = torch.from_numpy(np.sqrt(square * (total / max(total - 1, 1))))
    return centred / (spread[:, None] + 1e-8)


def advantage_scale(
    advantage: Tensor, rule: str, ranks: Ranks, presence: Presence | None = None
) -> Tensor:
    """Kappa of every agent over the batches of all ranks.

    Args:
        advantage: f32 [N, S], of this rank.
        rule: "mean" or "max" of the absolute advantages, or "unit".
        ranks: the processes of the run.
        presence: which rows are whose; None = all rows are everybody's.

    Returns:
        f32 [N], units of reward; 0 for an agent without a row, unless it is "unit".
    """
    size = advantage.abs()
    if rule == "unit":
        return torch.ones(len(size))
    if rule == "mean" and presence is not None:
        return torch.from_numpy(presence.mean(size.numpy()))
    if rule == "mean":
        return torch.from_numpy(ranks.mean(size.mean(dim=1).numpy()))
    if presence is not None:
        size = size * torch.from_numpy(presence.here.T)
    return torch.from_numpy(ranks.largest(size.amax(dim=1).numpy()))
