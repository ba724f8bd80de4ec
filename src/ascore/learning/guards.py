"""Stops a run at non-finite numbers; errors name the agent, the quantity and a remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from ascore.algorithms.targets import Targets
from ascore.config import Config
from ascore.errors import NonFiniteError
from ascore.learning.optimizer import AgentAdam
from ascore.learning.rollout import Rollout


class Guards:
    """Checks of rewards, values, losses, gradients and parameters; all raise NonFiniteError.

    Args:
        config: configuration of the run, for the remedies.
        has_peer_ratio: whether the objective multiplies ratios of peers, which can explode.
        first: number of the first agent whose numbers are checked.
    """

    def __init__(self, config: Config, has_peer_ratio: bool, first: int = 0) -> None:
        self.config, self.first = config, first
        self.has_peer_ratio = has_peer_ratio

    def targets(self, rollout: Rollout, targets: Targets) -> None:
        """Checks rewards, values and advantages of a batch.

        Not where these are guaranteed to be private: that a run ends is seen. An episode whose
        gradient is not finite then counts nothing.
        """
        if self.config.dp != "none":
            return
        quantities = {
            "reward": (rollout.reward, "check the environment"),
            "value": (targets.value, self._remedy("value")),
            "advantage": (targets.advantage, self._remedy("value")),
        }
        for name, (array, remedy) in quantities.items():
            if np.isfinite(array.sum(dtype=np.float64)):  # the sum is finite if all numbers are
                continue
            finite = np.isfinite(array).all(axis=(0, 1))
            if not finite.all():
                agent = self.first + int(np.flatnonzero(~finite)[0])
                message = f"{name} of agent {agent} is not finite; {remedy}"
                raise NonFiniteError(message)

    def step(self, agents: Tensor, quantities: Mapping[str, Tensor]) -> None:
        """Checks losses and gradient norms, [n] each, of some agents before an optimiser step.

        As `targets`, not where rewards are private.
        """
        if self.config.dp != "none":
            return
        if torch.isfinite(torch.stack([q.detach() for q in quantities.values()]).sum()):
            return
        for name, value in quantities.items():
            bad = (~torch.isfinite(value.detach())).nonzero().flatten()
            if len(bad):
                self.fail(name, int(agents[bad[0]]), float(value.detach()[bad[0]]))

    def fail(self, name: str, agent: int, value: float) -> NoReturn:
        """Raises the error for a non-finite loss or gradient of an agent."""
        message = f"{name} of agent {self.first + agent} is {value}; {self._remedy(name)}"
        raise NonFiniteError(message)

    def parameters(self, networks: Mapping[str, Tensor]) -> None:
        """Checks parameters [N, P], by the kind of network: policy or value."""
        for name, rows in networks.items():
            self._rows(f"a {name} parameter", rows)

    def moments(self, optimizers: Mapping[str, AgentAdam]) -> None:
        """Checks Adam's moments, by the kind of network.

        The square of a gradient of 1e20 is infinite in float32, so its parameter stops moving.
        """
        for name, adam in optimizers.items():
            self._rows(f"a mean of {name} gradients", adam.first)
            self._rows(f"a mean of squared {name} gradients", adam.second)

    def _rows(self, quantity: str, rows: Tensor) -> None:
        """Raises the error for the first agent with a number that is not finite in [N, P]."""
        if math.isfinite(float(rows.sum())):
            return
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero().flatten()
        if len(bad):
            agent = self.first + int(bad[0])
            message = f"{quantity} of agent {agent} is not finite; {self._remedy(quantity)}"
            raise NonFiniteError(message)

    def _remedy(self, name: str) -> str:
        if self.config.dp != "none":  # its noise is a multiple of what gradients are clipped to
            value = "value" in name
            clip, rate = ("critic_clip_norm", "critic_lr") if value else ("clip_norm", "actor_lr")
            now = getattr(self.config, clip)
            return f"lower {clip} (now {now:g}), of which the noise is a multiple, or {rate}"
        if "value" in name:
            return f"lower critic_lr (now {self.config.critic_lr:g}) or set max_grad_norm"
        if self.has_peer_ratio and self.config.peer_ratio_clip == 0:
            return "set peer_ratio_clip (start with 0.2), or lower actor_lr or penalty_weight"
        return f"lower actor_lr (now {self.config.actor_lr:g}) or set max_grad_norm"
