"""Small networks without an interpreter between the steps: the compiled engine and its limits.

N agents, S rows of a batch, H heads, A actions, V views, O observation entries.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore import _core
from ascore.config import Config
from ascore.networks import ALL, LARGEST, Actor, Critic
from ascore.optimizer import AgentAdam
from ascore.runtime.split import AgentSplit

# Places in the statistics of a minibatch, as `nn::Outcome` lays them out.
_SUMS = (
    "policy_loss", "penalty", "entropy", "_", "_", "_", "_", "peer_ratio", "kl", "clip_fraction",
    "active_own", "active_anticipation", "discrepancy", "value_loss", "policy_grad_norm",
    "value_grad_norm",
)  # fmt: skip
COLUMNS = len(_SUMS)
_PENALTY = _SUMS.index("penalty")
SUMS: int = _core.Engine.num_sums
"""Sums of a step per owner that processes add up beside the gradients."""
_MESSAGES = ("peer_ratio", "active_own", "active_anticipation", "discrepancy")

QUANTITIES = ("policy loss", "value loss", "policy gradient", "value gradient")
"""What can turn out not to be finite, by the number that the engine reports."""


def unsupported(config: Config, actor: Actor, critic: Critic) -> str | None:
    """Why the engine cannot train these networks; None if it can."""
    if config.device != "cpu":
        return f"device = {config.device}"
    largest = max(net.flat.shape[1] for net in (actor.net, critic.net))
    if largest > LARGEST:
        return f"a network has {largest:,} parameters, more than {LARGEST:,}"
    if len(config.actor_hidden) > 7 or len(config.critic_hidden) > 7:
        return "a network has more than seven hidden layers"
    if config.message_refresh == "minibatch":
        return "message_refresh = minibatch sends from within an iteration"
    if actor.padding is not None:
        return "agents have different numbers of actions"
    return None


class Fused:
    """The engine on a learner's buffers; it writes parameters, gradients and moments in place.

    Where agents are split among ranks, whoever asks for all agents gets all of them, and this rank
    computes its own.
    """

    def __init__(
        self,
        config: Config,
        actor: Actor,
        critic: Critic,
        actor_adam: AgentAdam,
        critic_adam: AgentAdam,
        kind: int,
        split: AgentSplit | None = None,
    ) -> None:
        self.config, self.actor, self.kind, self.split = config, actor, kind, split
        self._speaking, self._silent = _objective(config, kind), _objective(config, OWN)
        n = actor.num_agents
        trunks = actor.networks_per_agent
        sizes = list(actor.net.sizes)
        self.engine = _core.Engine(
            n,
            trunks,
            actor.heads,
            actor.num_actions,
            sizes,
            list(critic.net.sizes),
            _buffers(actor_adam, n * trunks),
            _buffers(critic_adam, n),
            config.torch_threads,
            os.environ.get("ASCORE_SIMD", ""),
        )

    def log_probs(
        self, obs: npt.NDArray[Any], scale: float, owners: slice, keep: bool = False
    ) -> Tensor:
        """Log pi^{ij}(.|s): obs [S, V, O] of the environment -> f32 [n, S, H, A].

        With `keep` the owners' next step starts from the activations of this pass, if it is on all
        of these rows; the actors' parameters must not change before it.
        """
        actor = self.actor
        first, last = self._range(owners)
        out = torch.empty(last - first, len(obs), actor.heads, actor.num_actions)
        self.engine.log_probs(obs, scale, first, last, out.numpy(), keep)
        return self._all_agents(out)

    def values(self, obs: npt.NDArray[Any], scale: float) -> Tensor:
        """Normalised values: obs [S, V, O] -> f32 [N, S]."""
        first, last = self._range(ALL)
        out = torch.empty(last - first, len(obs))
        self.engine.values(obs, scale, first, last, out.numpy())
        return self._all_agents(out)

    def begin(
        self,
        obs: npt.NDArray[Any],
        scale: float,
        action: npt.NDArray[np.int32],
        advantage: Tensor,
        advantage_scale: Tensor,
        target: Tensor,
    ) -> None:
        """Takes a batch: obs [S, V, O], action i32 [S, N], f32 [N, S], [N], [N, S]."""
        self.engine.set_batch(
            obs, scale, action, advantage.numpy(), advantage_scale.numpy(), target.numpy()
        )

    def hear(self, old: Tensor, sent: Tensor | None, neighbours: Tensor | None) -> None:
        """What ratios and penalties refer to from now on.

        Args:
            old: f32 [N, S, H], log of the old probability of the actions taken.
            sent: f32 [N, S, N, A], log-probabilities last sent; None = nothing is sent.
            neighbours: bool [N, S, N], or [N, 1, N] when the graph is the same at every row.
        """
        heard = None
        if neighbours is not None:
            fixed = neighbours.shape[1] == 1
            links = neighbours[:, 0] if fixed else neighbours.transpose(0, 1)
            heard = links.contiguous().numpy().view(np.uint8)
        said = sent.contiguous().numpy() if sent is not None else None
        self.speaks = sent is not None
        self.engine.set_messages(old.contiguous().numpy(), said, heard)

    def step(
        self, owners: slice, part: Tensor | None, statistics: npt.NDArray[np.float64]
    ) -> tuple[int, int, float] | None:
        """One gradient step of some owners on some rows, None = all.

        Adds to statistics f64 [N, COLUMNS].

        Returns:
            None, or (agent, which of QUANTITIES, value) of what is not finite: nothing moved.
        """
        chosen = part.numpy() if part is not None else None
        return self.engine.minibatch(self._objective(), *self._range(owners), chosen, statistics)

    def gradient(self, owners: slice, part: Tensor | None, total: int) -> Tensor:
        """What some rows of a minibatch of `total` contribute to its gradients, left in place.

        Returns:
            f32 [n, SUMS], what they contribute to the sums of the step.
        """
        first, last = self._range(owners)
        sums = np.empty((last - first, SUMS))
        chosen = part.numpy() if part is not None else None
        self.engine.gradient(self._objective(), first, last, chosen, total, sums)
        return torch.from_numpy(sums).float()

    def finish(
        self, owners: slice, total: int, sums: Tensor, statistics: npt.NDArray[np.float64]
    ) -> tuple[int, int, float] | None:
        """The rest of a step on gradients and sums of the whole minibatch; results as `step`."""
        whole = sums.double().numpy()
        return self.engine.finish(self._objective(), *self._range(owners), total, whole, statistics)

    def _range(self, owners: slice) -> tuple[int, int]:
        """Those of some owners that are computed here."""
        mine = owners if self.split is None else self.split.mine
        first, last, _ = mine.indices(self.actor.num_agents)
        return first, last

    def _all_agents(self, mine: Tensor) -> Tensor:
        return mine if self.split is None else self.split.all_agents(mine)

    def _objective(self) -> _core.Objective:
        return self._silent if self.kind == ANTICIPATION and not self.speaks else self._speaking

    def metrics(
        self, statistics: npt.NDArray[np.float64], advantage_scale: Tensor
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Averages over the minibatches of what `step` gathered, f32 [N] each."""
        first, last = self._range(ALL)
        sums = self._all_agents(torch.from_numpy(statistics[first:last])).numpy()
        mean = sums.T / self.config.minibatches
        weighted = mean[_PENALTY] * self.config.penalty_weight
        mean[_PENALTY] = weighted * advantage_scale.numpy()
        left_out = ("_",) if self.speaks else ("_", *_MESSAGES)
        rows = zip(_SUMS, mean.astype(np.float32), strict=True)
        return {name: row for name, row in rows if name not in left_out}


OWN, JOINT, ANTICIPATION = range(3)
"""Objectives of the engine: the own head alone, all heads as one ratio, Eq. 13-16."""


def _objective(config: Config, kind: int) -> _core.Objective:
    held = config.peer_ratio_clip
    return _core.Objective(
        kind=kind,
        clip=config.clip_epsilon,
        peer_low=max(1.0 - held, 0.0) if held > 0 else 0.0,
        peer_high=1.0 + held if held > 0 else math.inf,
        bonus=config.entropy_bonus,
        penalty=config.penalty_weight,
        printed=config.peer_ratio_reference == "anticipated",
        kl=config.discrepancy == "kl",
        gated=config.penalty_gate == "indicator",
        corrects=kind == ANTICIPATION and config.anticipation == "correction",
    )


def _buffers(adam: AgentAdam, networks: int) -> dict[str, Any]:
    shape = (networks, -1)
    return {
        "parameter": adam.parameters.detach().view(shape).numpy(),
        "gradient": adam.gradients.view(shape).numpy(),
        "first": adam.first.view(shape).numpy(),
        "second": adam.second.view(shape).numpy(),
        "steps": adam.steps.numpy(),
        "lr": adam.lr,
        "eps": adam.eps,
        "max_norm": adam.max_norm,
    }
