"""What the agents of a run are made of: networks, optimisers, and what computes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import Algorithm
from ascore.algorithms.graph import Pairs
from ascore.algorithms.heads import Heads
from ascore.algorithms.links import Links
from ascore.config import Config
from ascore.envs.vec_env import Spec
from ascore.learning.agent_split import AgentSplit, OneAgent
from ascore.learning.backends.choose import choose, choose_split
from ascore.learning.backends.contract import Networks
from ascore.learning.backends.engine import COLUMNS
from ascore.learning.exchange import MessageExchange
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.networks import ALL, Actor, Critic, StackedMLP
from ascore.learning.optimizer import AgentAdam
from ascore.learning.own_rows import OwnRows
from ascore.learning.private import Private
from ascore.learning.rollout import Rollout
from ascore.learning.seats import drawn_anew, first_heads
from ascore.learning.stored_heads import (
    StoredHeads,
    head_size,
    keep_trained,
    reseat,
    validated,
)
from ascore.runtime.ranks import Ranks


class AgentNetworks:
    """N agents that share no parameters.

    Args:
        algorithm: what they learn by.
        config: of the run.
        spec: sizes as the learner sees them.
        device: where PyTorch computes.
        everybody: the ranks that train together.
        alone: which agent this process trains, where others are with parties; None = all.

    Attributes:
        actor, critic: the networks.
        actor_adam, critic_adam: their optimisers.
        backend: what computes them.
        exchange: what is sent before a loss.
        guards: stop at what is not finite.
        split: which agents this rank trains; None = all, on its own rows.
        ranks: those whose rows count together.
        members: whose networks are here.
        stored: heads that are not in use, where links are drawn anew; else None.
        private: clips, noises and counts; None where nothing is guaranteed.

    Raises:
        ConfigError: a backend or ranks that cannot train this.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        config: Config,
        spec: Spec,
        device: torch.device,
        everybody: Ranks,
        alone: int | None = None,
    ) -> None:
        self.algorithm, self.config, self.spec, self.device = algorithm, config, spec, device
        n, size = spec.num_agents, int(np.prod(spec.obs_shape))
        self.split = choose_split(algorithm, config, spec, everybody)
        if alone is not None:
            self.split = OneAgent(alone, n)
        self.members = members = self.split.agents if isinstance(self.split, OwnRows) else ALL
        self.actor = Actor(
            size,
            config.actor_hidden,
            n,
            spec.num_actions,
            head_per_agent=algorithm.head_per_agent,
            layout=config.actor,
            seed=config.seed,
            device=device,
            action_counts=spec.action_counts,
            # What a party sends and keeps does not depend on what others hear.
            subjects=first_heads(algorithm, config, n) if alone is None else None,
            members=members,
        )
        view = algorithm.critic_view
        seen = size if view is None else view.size(spec)
        self.critic = Critic(
            seen, config.critic_hidden, n, seed=config.seed, device=device, members=members
        )
        self.private = Private.of(config, algorithm, spec, everybody)
        # Where agents are split, every rank has all rows of its own and nothing is added up.
        self.ranks = everybody if self.split is None else Ranks()
        self.actor_adam = self._optimizer(self.actor.net, config.actor_lr)
        self.critic_adam = self._optimizer(self.critic.net, config.critic_lr)
        self.guards = Guards(config, algorithm.sends_policies, self.actor.first)
        self.exchange = MessageExchange(algorithm, config, self.ranks)
        self.stored: StoredHeads | None = None
        if drawn_anew(algorithm, config, n) and alone is None:
            self.stored = StoredHeads(n, head_size(self.actor))
        self._assemble()

    def _optimizer(self, net: StackedMLP, rate: float) -> AgentAdam:
        limits = self.config.adam_epsilon, self.config.max_grad_norm
        return AgentAdam(net, self.actor.num_agents, rate, *limits)

    @property
    def heads(self) -> Heads:
        """The heads of the agents whose messages have a place here, as these are numbered."""
        heads = self.actor.subjects
        return heads if self.split is None else self.split.heads_here(heads)

    def _assemble(self) -> None:
        """Gives the networks, as they are now, places for gradients and a backend."""
        nets = self.actor.net, self.critic.net
        gradients = Gradients(self.ranks, nets, self.actor.num_agents, COLUMNS)
        for adam, net in zip((self.actor_adam, self.critic_adam), nets, strict=True):
            adam.gradients = net.grad.view(self.actor.num_agents, -1)
        self.exchange.refer(self.heads, self.device)
        self.backend = choose(
            self.algorithm,
            self.config,
            Networks(self.actor, self.critic, self.actor_adam, self.critic_adam),
            self.exchange,
            gradients,
            self.guards,
            self.spec.obs_scale,
            self.split,
            self.private,
        )

    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """Learning rates from now on."""
        self.actor_adam.set_rate(actor_lr)
        self.critic_adam.set_rate(critic_lr)
        self.backend.set_rates(actor_lr, critic_lr)

    def seat(self, links: Pairs) -> None:
        """Gives the actors the heads of an update, where its links were drawn for it."""
        if self.stored is None:
            return
        heads = Heads.of(links)
        stored, optimizer = self.stored, partial(self._optimizer, rate=self.actor_adam.lr)
        self.actor_adam = reseat(self.actor, self.actor_adam, heads, links, stored, optimizer)
        self._assemble()

    def route(self, links: Links | None) -> None:
        """Says what ranks that share out the agents send each other in an update."""
        if self.split is None or not self.algorithm.sends_policies:
            return
        pairs = None if links is None else links.pairs
        if pairs is not None and self.exchange.corrects:  # replies refer to either end
            pairs = pairs.both
        self.split.route(pairs, self.actor.subjects)

    def keep(self, links: Pairs) -> None:
        """Keeps the heads that an update has trained, before others are drawn."""
        if self.stored is not None:
            keep_trained(self.actor, self.actor_adam, links, self.stored)

    # ------------------------------------------------------------------ privacy

    def begin(self, rollout: Rollout, number: int) -> None:
        """Counts an update, where something is guaranteed, before anything of it is learned."""
        if self.private is not None:
            self.private.begin(rollout, number)

    def exhausted(self, done: int) -> bool:
        """Whether another update, after so many, would cost more than is guaranteed."""
        return self.private is not None and self.private.budget.exhausted(done)

    def spent(self) -> dict[str, Tensor]:
        """What the guarantee has cost with this update, [N] each."""
        return {} if self.private is None else self.private.metrics()

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Tensor]:
        """Parameters, moments and heads as they are, as named tensors.

        All ranks must call it together. Where each has its own agents alone, rank 0 gets those of
        all, and the others get theirs.
        """
        if isinstance(self.split, OwnRows):
            together = self.split.together
            own = {**self._of_agents(), **self._of_heads()}
            tensors = {key: torch.from_numpy(together(x.numpy())) for key, x in own.items()}
            return {**tensors, **self._seating()}
        if self.split is not None:
            self._complete(self.split)
        return {**self._of_agents(), **self._of_heads(), **self._seating()}

    def layout(self) -> dict[str, Tensor]:
        """Tensors of the types and shapes of `state()` for all agents, without their numbers."""
        times = self.split.ranks.size if isinstance(self.split, OwnRows) else 1
        whole = {
            key: torch.zeros((), dtype=x.dtype).expand(times * len(x), *x.shape[1:])
            for key, x in self._of_agents().items()
        }
        return {**whole, **self._of_heads(), **self._seating()}

    def _of_agents(self) -> dict[str, Tensor]:
        """What every agent here has as much of as any other."""
        tensors = {"actor": self.actor.net.flat.detach(), "critic": self.critic.net.flat.detach()}
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            moments = {"exp_avg": adam.first, "exp_avg_sq": adam.second, "step": adam.steps}
            tensors |= {f"{name}.{key}": value for key, value in moments.items()}
        if self.private is not None:
            tensors["privacy.spent"] = torch.from_numpy(self.private.state())
        return tensors

    def _of_heads(self) -> dict[str, Tensor]:
        """Heads that are not in use."""
        if self.stored is None:
            return {}
        return {f"heads.{key}": value for key, value in self.stored.state().items()}

    def _seating(self) -> dict[str, Tensor]:
        """Whom the heads of all agents are about."""
        if self.stored is None and self.actor.subjects.table is None:
            return {}
        return {"actor.subjects": torch.from_numpy(self.actor.subjects.subjects)}

    @torch.no_grad()
    def _complete(self, split: AgentSplit) -> None:
        """What only the ranks of the agents have kept up to date."""
        split.fill(self.critic_adam.parameters)
        for adam in (self.actor_adam, self.critic_adam):
            for part in (adam.first, adam.second, adam.steps):
                split.fill(part.view(self.spec.num_agents, -1))
        if self.stored is not None:
            self.stored.complete(split.ranks, split.mine)

    def adopt(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes the layout of a state that is loaded next.

        A run keeps the heads with which it began: in earlier versions, one for everybody.

        Raises:
            ValueError: what is said of the heads cannot be.
        """
        if not self.algorithm.head_per_agent:
            return
        n, listed = self.spec.num_agents, tensors.get("actor.subjects")
        if listed is not None:
            heads = validated(listed, n)
        elif len(tensors.get("actor", ())) and self._own_alone(tensors["actor"]):
            heads = Heads.own(n)
        else:
            heads = Heads.everybody(n)
        if "heads.key" not in tensors:
            self.stored = None
        if heads != self.actor.subjects:
            self.actor.replace_heads(heads)
            self.actor_adam = self._optimizer(self.actor.net, self.config.actor_lr)
            self._assemble()
        if self.stored is not None:
            self.stored.resize(tensors["heads.key"])

    def _own_alone(self, actor: npt.NDArray[Any]) -> bool:
        """Whether parameters [K, P] are of one head each, as where nobody hears anybody."""
        return self.actor.heads == 1 and actor.shape == tuple(self.actor.net.flat.shape)

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores `state()` of all agents, whose layout was adopted."""
        own = self.split if isinstance(self.split, OwnRows) else None

        def mine(key: str) -> Tensor:
            whole = tensors[key]
            return whole if own is None else torch.from_numpy(own.own(whole.numpy()))

        self.actor.net.flat.copy_(mine("actor"))
        self.critic.net.flat.copy_(mine("critic"))
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            adam.load_state({k: mine(f"{name}.{k}") for k in ("exp_avg", "exp_avg_sq", "step")})
        if self.private is not None:
            self.private.load_state(tensors["privacy.spent"].numpy())
        if self.stored is not None:
            kept = {key.partition(".")[::2]: value for key, value in tensors.items()}
            self.stored.load_state({key: v for (part, key), v in kept.items() if part == "heads"})
            if own is not None:
                self.stored.keep_only(own.agents)
