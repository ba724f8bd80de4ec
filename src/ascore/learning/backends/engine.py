"""Small networks with no Python between the steps: the compiled engine and its limits.

N agents, S rows of a batch, H heads, A actions, V views, O observation entries.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore import _core
from ascore.algorithms.contract import Algorithm, Compiled
from ascore.algorithms.terms import Messages
from ascore.config import Config
from ascore.learning.agent_split import AgentSplit
from ascore.learning.anticipations import F64, meant_actions
from ascore.learning.backends.contract import Backend, Networks
from ascore.learning.batch import Rows
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.networks import ALL, LARGEST
from ascore.learning.optimizer import AgentAdam
from ascore.learning.presence import I64
from ascore.learning.private import Private

COLUMNS = len(_core.Engine.statistics)
SUMS: int = _core.Engine.num_sums
"""Sums of a step per owner that ranks add up beside the gradients."""
TOGETHER = 160_000
"""Parameters of the agents that take several steps before others do. With gradients, moments and
what the engine makes of them they take seven times as many numbers."""
_PENALTY = _core.Engine.statistics.index("penalty")
_MESSAGES = ("peer_ratio", "active_own", "active_anticipation", "discrepancy")
"""Statistics that exist only where messages were sent."""


def unsupported(algorithm: Algorithm, config: Config, largest: int) -> str | None:
    """Why the engine cannot train networks, the largest of so many parameters; None if it can."""
    if algorithm.critic_view is not None:
        return f"critics of {algorithm.name} see something else than its actors"
    if config.device != "cpu":
        return f"device = {config.device}"
    if largest > LARGEST:
        return f"a network has {largest:,} parameters, more than {LARGEST:,}"
    if len(config.actor_hidden) > 7 or len(config.critic_hidden) > 7:
        return "a network has more than seven hidden layers"
    if config.message_refresh == "minibatch":
        return "message_refresh = minibatch sends from within an iteration"
    return None


class EngineBackend(Backend):
    """The engine on a learner's buffers; it writes parameters, gradients and moments in place.

    Where agents are split among ranks, this rank computes its own. Of the others it gets the
    values, and of what they say what its own agents hear.

    Args:
        compiled: which loss.
        config: of the run.
        networks: what learns.
        gradients: where gradients lie, and how ranks add them up.
        guards: say what is not finite.
        obs_scale: of the environment.
        split: who trains whom; None = every rank trains all agents.
        private: clips, noises and counts; None = nothing is guaranteed.
    """

    def __init__(
        self,
        compiled: Compiled,
        config: Config,
        networks: Networks,
        gradients: Gradients,
        guards: Guards,
        obs_scale: float,
        split: AgentSplit | None = None,
        private: Private | None = None,
    ) -> None:
        self.config, self.compiled, self.split, self.private = config, compiled, split, private
        self.gradients, self.guards, self.obs_scale = gradients, guards, obs_scale
        self.actor = actor = networks.actor
        self._with_messages = _objective(config, compiled)
        alone = Compiled.OWN_RATIO if compiled == Compiled.ANTICIPATION else compiled
        self._without = _objective(config, alone)
        n, trunks = actor.num_agents, actor.networks_per_agent
        self._optimizers = networks.actor_adam, networks.critic_adam
        self._each = sum(adam.parameters.shape[1] for adam in self._optimizers)  # of an agent
        self._statistics = np.zeros((n, COLUMNS))
        self._parts: I64 | None = None  # minibatches in which an agent had a row, [N]
        self.heads = actor.subjects if split is None else split.heads_here(actor.subjects)
        table = self.heads.table
        self.engine = _core.Engine(
            n,
            trunks,
            actor.heads,
            actor.num_actions,
            list(actor.net.sizes),
            list(networks.critic.net.sizes),
            _buffers(networks.actor_adam, n * trunks),
            _buffers(networks.critic_adam, n),
            config.torch_threads,
            os.environ.get("ASCORE_SIMD", ""),
            None if table is None else table.astype(np.int32),
        )

    def values(self, obs: npt.NDArray[Any]) -> Tensor:
        """All critics, each on the threads of the run."""
        first, last = self._range(ALL)
        out = torch.empty(last - first, len(obs))
        self.engine.values(obs, self.obs_scale, first, last, out.numpy())
        return self._all_agents(out)

    def begin(self, rows: Rows) -> None:
        """Passes the arrays to the engine; nothing is copied."""
        self.rows = rows
        whose = {} if rows.presence is None else {"present": rows.presence.here.view(np.uint8)}
        self.engine.set_batch(
            rows.raw,
            rows.scale,
            rows.joint,
            rows.advantage.numpy(),
            rows.advantage_scale.numpy(),
            rows.normalized_return.numpy(),
            rows.legal,
            **whose,
        )

    def log_probs(self, owners: slice = ALL) -> Tensor:
        """With full batches the owners' next step starts from the activations of this pass."""
        actor, rows = self.actor, self.rows
        first, last = self._range(owners)
        out = torch.empty(last - first, len(rows.raw), actor.heads, actor.num_actions)
        # The next step of these owners comes before any change of theirs.
        keep = self.config.minibatches == 1
        self.engine.log_probs(rows.raw, rows.scale, first, last, out.numpy(), keep, rows.legal)
        return out if self.split is None else self.split.deliver(out)

    def refer(self, old: Tensor, messages: Messages | None) -> None:
        """Passes the arrays to the engine."""
        sent = heard = announced = None
        if messages is not None:
            neighbours = messages.neighbours
            fixed = neighbours.shape[1] == 1
            links = neighbours[:, 0] if fixed else neighbours.transpose(0, 1)
            heard = links.contiguous().numpy().view(np.uint8)
            sent = messages.log_probs.contiguous().numpy()
            if self.config.message_form != "full":  # else it is the same as of one's own
                announced = messages.old_policy.T.contiguous().numpy()
        self._has_messages = messages is not None
        self.engine.set_messages(old.contiguous().numpy(), sent, heard, announced)

    def anticipated(self, old: Tensor, messages: Messages, rows: Rows, env: str) -> F64:
        """In one pass over the owners of this rank; of others there is nothing to say here."""
        first, last = self._range(ALL)
        actions = meant_actions(rows.raw, rows.meant, env)
        meant = (
            np.array(actions, np.int32) if actions else np.zeros((0, *rows.joint.shape), np.int32)
        )
        sums = np.zeros((self.actor.num_agents, 2 + len(meant) + self.actor.num_actions))
        self.engine.anticipated(first, last, meant, sums[first:last])
        return sums

    def clear(self) -> None:
        """Zeroes the sums."""
        self._statistics[:] = 0.0
        self._parts = None

    def step(self, owners: slice, part: Tensor | None, total: int | I64) -> None:
        """In one call; with several ranks in two, and the sums of all ranks in between."""
        first, last = self._range(owners)
        chosen = part.numpy() if part is not None else None
        totals = np.full(last - first, total) if isinstance(total, int) else total[first:last]
        if not isinstance(total, int):
            if not totals.any():
                return  # none of the owners has a row
            if self._parts is None:
                self._parts = np.zeros(len(self._statistics), dtype=np.int64)
            self._parts[first:last] += totals > 0
        if self.private is not None:
            failure = self._private_step(self.private, first, last, totals)
        elif self.gradients.ranks.size == 1:
            failure = self.engine.minibatch(
                self._objective(), first, last, chosen, self._statistics
            )
        else:
            own = np.empty((last - first, SUMS))
            self.engine.gradient(self._objective(), first, last, chosen, totals, own)
            sums = self.gradients.sums[owners, :SUMS]
            sums.copy_(torch.from_numpy(own))
            self.gradients.add_up(owners)
            failure = self.engine.finish(
                self._objective(), first, last, totals, sums.double().numpy(), self._statistics
            )
        if failure is not None:
            agent, quantity, value = failure
            self.guards.fail(_core.Engine.quantities[quantity], agent, value)

    def _private_step(self, private: Private, first: int, last: int, totals: I64) -> Any:
        """A step on the gradients that may be released, of episodes that were clipped."""
        owners, objective = slice(first, last), self._objective()
        gradients = [adam.gradients[owners].numpy() for adam in self._optimizers]
        actor, critic = (np.empty(each.shape) for each in gradients)
        sums, clipped = np.empty((last - first, SUMS)), np.zeros((last - first, 2))
        self.engine.episode_gradients(
            objective, first, last, private.episodes, private.clip, actor, critic, clipped, sums
        )
        private.clipped[owners] += clipped
        for rest, release in zip(gradients, private.released((actor, critic)), strict=True):
            rest[:] = release + rest / private.episodes  # of what rewards have no part in
        # Losses are for the metrics; that one is not finite must not end the run, which is seen.
        sums = np.nan_to_num(sums)
        return self.engine.finish(objective, first, last, totals, sums, self._statistics)

    def groups(self, owners: slice) -> Sequence[slice]:
        """So many agents that what belongs to them stays in the caches from step to step."""
        first, last = self._range(owners)
        step = max(TOGETHER // self._each, self.config.torch_threads, 1)
        alone = self.gradients.ranks.size == 1 and self.config.minibatches > 1
        if not alone or last - first <= step:
            return (owners,)
        count = -(-(last - first) // step)
        bounds = [first + (last - first) * k // count for k in range(count + 1)]
        return [slice(*pair) for pair in itertools.pairwise(bounds)]

    def statistics(self) -> dict[str, Tensor]:
        """Sums divided by the number of minibatches in which an agent had a row."""
        first, last = self._range(ALL)
        parts = self.config.minibatches if self._parts is None else self._parts[first:last, None]
        with np.errstate(invalid="ignore"):  # 0 / 0 where it had none
            mine = self._statistics[first:last] / parts
        mean = self._all_agents(torch.from_numpy(mine)).numpy().T
        weighted = mean[_PENALTY] * self.config.penalty_weight
        mean[_PENALTY] = weighted * self.rows.advantage_scale.numpy()
        left_out = ("",) if self._has_messages else ("", *_MESSAGES)
        rows = zip(_core.Engine.statistics, torch.from_numpy(mean).float(), strict=True)
        return {name: row for name, row in rows if name not in left_out}

    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """The engine has its own copy."""
        self.engine.set_rates(actor_lr, critic_lr)

    def _range(self, owners: slice) -> tuple[int, int]:
        """The owners among these whose networks this rank computes: of all of them, its own."""
        mine = self.split.mine if self.split is not None and owners == ALL else owners
        first, last, _ = mine.indices(self.actor.num_agents)
        return first, last

    def _all_agents(self, mine: Tensor) -> Tensor:
        return mine if self.split is None else self.split.all_agents(mine)

    def _objective(self) -> _core.Objective:
        return self._with_messages if self._has_messages else self._without


def _objective(config: Config, compiled: Compiled) -> _core.Objective:
    held = config.peer_ratio_clip
    return _core.Objective(
        kind=int(compiled),
        clip_epsilon=config.clip_epsilon,
        peer_low=max(1.0 - held, 0.0) if held > 0 else 0.0,
        peer_high=1.0 + held if held > 0 else math.inf,
        entropy_bonus=config.entropy_bonus,
        penalty_weight=config.penalty_weight,
        printed=config.peer_ratio_reference == "anticipated",
        kl=config.discrepancy == "kl",
        gated=config.penalty_gate == "indicator",
        corrects=compiled == Compiled.ANTICIPATION and config.anticipation == "correction",
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
