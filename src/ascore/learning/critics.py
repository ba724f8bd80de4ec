"""Critics and their targets: values, advantages and normalised returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import Algorithm
from ascore.algorithms.links import Links
from ascore.algorithms.targets import (
    Counted,
    Targets,
    ValueNormalizer,
    compute_targets,
    moments,
    with_bonus,
)
from ascore.config import Config
from ascore.envs.presence import TERMINATED, TRUNCATED
from ascore.learning.agent_split import AgentSplit
from ascore.learning.backends.contract import Backend
from ascore.learning.exchange import Watch, unwatched
from ascore.learning.networks import Critic
from ascore.learning.own_rows import OwnRows
from ascore.learning.presence import Presence
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks


class Valuation:
    """N critics in normalised units, and the moments that convert their outputs to reward units.

    Attributes:
        critic: V_i, normalised.
        normalizer: mean and standard deviation per agent; 0 and 1 without normalisation.
        watch: is shown values and parameters as others get them.
    """

    watch: Watch = staticmethod(unwatched)

    def __init__(
        self,
        critic: Critic,
        backend: Backend,
        config: Config,
        num_agents: int,
        ranks: Ranks,
        split: AgentSplit | None = None,
    ) -> None:
        self.critic, self.backend, self.config, self.ranks = critic, backend, config, ranks
        self._own = split if isinstance(split, OwnRows) else None
        self.normalizer = ValueNormalizer(num_agents)

    def state(self) -> dict[str, Tensor]:
        """The normaliser of all agents, as named tensors; of those of this rank except on rank 0.

        All ranks must call it together where each has its own agents alone.
        """
        state = self.normalizer.state()
        if self._own is not None:
            state["sums"] = self._own.together(state["sums"], axis=1)
        return {f"normalizer.{key}": torch.from_numpy(x) for key, x in state.items()}

    def layout(self) -> dict[str, Tensor]:
        """Tensors of the types and shapes of `state()` of all agents."""
        state = self.normalizer.state()
        if self._own is not None:
            state["sums"] = np.zeros((2, self._own.num_agents))
        return {f"normalizer.{key}": torch.from_numpy(x) for key, x in state.items()}

    def load_state(self, state: dict[str, npt.NDArray[np.float64]]) -> None:
        """Restores `state()` of all agents, without the prefix."""
        if self._own is not None:
            state["sums"] = self._own.own(state["sums"], axis=1)
        self.normalizer.load_state(state)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the targets, f32 [N, 1] each."""
        mean, std = self._there(self.normalizer.mean), self._there(self.normalizer.std)
        return mean[:, None], std[:, None]

    def _there(self, x: npt.NDArray[np.float64]) -> Tensor:
        """Converts to f32 on the device of the critics."""
        return torch.from_numpy(x).float().to(self.critic.net.flat.device)

    @torch.no_grad()
    def values(self, obs: npt.NDArray[Any]) -> Tensor:
        """V_i(s) in reward units: obs [M, V, O] of the environment -> f32 [N, M], on the CPU."""
        mean, std = self.moments()
        return (self.backend.values(obs) * std + mean).cpu()

    @torch.no_grad()
    def targets(
        self,
        rollout: Rollout,
        algorithm: Algorithm,
        links: Links | None,
        presence: Presence | None = None,
        counted: Counted | None = None,
    ) -> Targets:
        """Computes advantages and returns in reward units; updates the normaliser.

        Args:
            rollout: the collected batch.
            algorithm: determines whose rewards and values are used.
            links: links over which rewards and values may be sent; None = nothing is sent.
            presence: which rows are whose; None = all rows are everybody's.
            counted: what comes of what agents take others to earn; None = nothing.
        """
        config = self.config
        over = rollout.terminated | rollout.truncated
        reward = algorithm.rewards(rollout.reward, over, links, config)
        if counted is not None and counted.rewards is not None:
            reward = counted.rewards
        steps, b, n = rollout.reward.shape
        closing = [*rollout.final, *rollout.cut]
        ended = [obs for _, _, obs in closing]
        parts = [rollout.obs.reshape(steps * b, *rollout.obs.shape[2:]), rollout.last_obs, *ended]
        all_values = self.values(np.concatenate(parts))
        self.watch("value", all_values)
        values = all_values.T.numpy()
        value = np.ascontiguousarray(values[: (steps + 1) * b].reshape(steps + 1, b, n))
        final_value = np.zeros((steps, b, n), dtype=np.float32)
        at = (steps + 1) * b
        for t, envs, obs in closing:
            final_value[t, envs] = values[at : at + len(obs)]
            at += len(obs)
        terminated, truncated = rollout.terminated, rollout.truncated
        if rollout.left is not None:  # every agent is closed at its own end
            terminated, truncated = (
                (rollout.left == how).view(np.uint8) for how in (TERMINATED, TRUNCATED)
            )

        def estimate(
            value: npt.NDArray[np.float32], final_value: npt.NDArray[np.float32]
        ) -> Targets:
            return compute_targets(
                reward,
                value,
                terminated,
                truncated,
                final_value,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                time_limit=config.time_limit,
                value_target=config.value_target,
            )

        targets = algorithm.advantages(estimate, value, final_value, links, config)
        if counted is not None and counted.bonus is not None:
            there = None if rollout.present is None else rollout.present[:-1]
            weighed = with_bonus(targets.advantage, counted.bonus, there)
            targets = replace(targets, advantage=weighed)
        if config.value_normalization:
            self._renormalize(targets, presence)
        return targets

    def _renormalize(self, targets: Targets, presence: Presence | None) -> None:
        """Updates the moments and rescales the last layer, which keeps V in reward units."""
        normalizer, first = self.normalizer, self.normalizer.weight == 0
        mean, std = normalizer.mean, normalizer.std
        if presence is None:
            normalizer.update(self.ranks.mean(moments(targets.returns)))
        else:
            returns = targets.returns.reshape(-1, len(mean)).T.astype(np.float64)
            both = presence.mean(returns), presence.mean(np.square(returns))
            normalizer.update(np.stack(both), presence.counts() > 0)
        if first.all():
            return  # an untrained critic starts at the mean of the targets instead
        ratio = self._there(np.where(first, 1.0, std / normalizer.std))
        shift = self._there(np.where(first, 0.0, (mean - normalizer.mean) / normalizer.std))
        weight, bias = self.critic.net.layers[-1]
        weight.mul_(ratio[:, None, None])
        bias.mul_(ratio[:, None]).add_(shift[:, None])

    @torch.no_grad()
    def mix(self, weights: Tensor) -> None:
        """Averages critics, theta_i <- sum_j W_ij theta_j, in reward units.

        Agents normalise by the moments of their own rewards, so they exchange networks whose last
        layer is rescaled to reward units.

        Args:
            weights: W, f32 [N, N], maybe sparse.
        """
        mean, std = self.moments()
        flat, (weight, bias) = self.critic.net.flat, self.critic.net.layers[-1]
        before = flat.clone()
        weight.mul_(std[:, :, None])
        bias.mul_(std).add_(mean)
        self.watch("critic", flat)
        mixed = weights @ flat
        flat.copy_(mixed)
        bias.sub_(mean).div_(std)
        weight.div_(std[:, :, None])
        if weights.is_sparse:
            isolated = torch.bincount(weights.indices()[0], minlength=len(flat)) == 1
        else:
            isolated = weights.diagonal() == 1.0
        flat[isolated] = before[isolated]  # keeps them bit-identical: the conversion rounds
