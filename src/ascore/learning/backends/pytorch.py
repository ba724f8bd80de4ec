"""The reference: PyTorch's products, the objective as it is written, gradients by autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import Algorithm
from ascore.algorithms.terms import Batch, LossTerms, Messages, Places
from ascore.config import Config
from ascore.envs.legal import ILLEGAL
from ascore.learning.backends.contract import Backend, Networks
from ascore.learning.batch import Rows
from ascore.learning.exchange import MessageExchange
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.networks import ALL
from ascore.learning.presence import I64
from ascore.learning.rollout import per_agent_view

PER_LINK = ("active_anticipation", "active_own", "discrepancy")
"""Statistics that are averages over links, all others over rows."""


class PyTorchBackend(Backend):
    """Any device, any objective.

    Args:
        algorithm: its objective is what trains.
        config: of the run.
        networks: what learns.
        exchange: the message step, for messages that are sent anew for every minibatch.
        gradients: where gradients lie, and how ranks add them up.
        guards: refuse what is not finite.
        obs_scale: of the environment.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        config: Config,
        networks: Networks,
        exchange: MessageExchange,
        gradients: Gradients,
        guards: Guards,
        obs_scale: float,
    ) -> None:
        self.algorithm, self.config, self.networks = algorithm, config, networks
        self.exchange, self.gradients, self.guards = exchange, gradients, guards
        self.obs_scale = obs_scale
        actor, critic = networks.actor, networks.critic
        self.heads = actor.subjects
        self.device = actor.net.flat.device
        self._agents = torch.arange(actor.num_agents, device=self.device)
        nets = (actor.net, critic.net)
        self._leaves = [leaf for net in nets for layer in net.layers for leaf in layer]
        self._places = [place for net in nets for layer in net.gradients for place in layer]
        self._names: list[str] = []
        self._totals = torch.zeros(0)
        self._parts: Tensor | None = None  # minibatches in which an agent had a row, f32 [N]

    def values(self, obs: npt.NDArray[Any]) -> Tensor:
        """All critics at once."""
        view = self.algorithm.critic_view
        seen = torch.from_numpy(obs if view is None else view.obs(obs)).to(self.device)
        with torch.no_grad():
            return self.networks.critic(per_agent_view(seen, self.obs_scale))

    def begin(self, rows: Rows) -> None:
        """Keeps a reference."""
        self.rows = rows

    def log_probs(self, owners: slice = ALL) -> Tensor:
        """Without a graph."""
        obs, rows = self.rows.obs, self.rows
        with torch.no_grad():
            logits = self.networks.actor.logits(obs if obs.dim() == 2 else obs[owners], owners)
            agents = self._agents[owners]
            logits = without_illegal(logits, rows.forbidden, agents, self._whose(agents))
            return torch.log_softmax(logits, dim=-1)

    def _whose(self, agents: Tensor) -> Places | None:
        """Whose the heads of some agents are."""
        places = self.exchange.places
        return None if places is None else places.of(agents)

    def refer(self, old: Tensor, messages: Messages | None) -> None:
        """Keeps references."""
        self.old, self.messages = old, messages

    def clear(self) -> None:
        """Statistics have as many columns as the next step names."""
        self._names, self._parts = [], None

    def step(self, owners: slice, part: Tensor | None, total: int | I64) -> None:
        """Gradients of this rank's rows, added up over the ranks, then a step of the optimisers."""
        sums = self.gradients.sums[owners]
        who = None
        if isinstance(total, np.ndarray):
            who = (total > 0).tolist()
            names = self._one_by_one(owners, part, total, sums)
            if not names:
                return  # none of the owners has a row
        else:
            names = self.differentiate(owners, part, total, sums)
        self.gradients.add_up(owners)
        values = dict(zip(names, sums.T, strict=False))
        links = values.pop("links").clamp(min=1.0)
        for key in PER_LINK:
            if key in values:
                values[key] = values[key] / links
        actor_adam, critic_adam = self.networks.actor_adam, self.networks.critic_adam
        actor_norm, critic_norm = actor_adam.norms(owners), critic_adam.norms(owners)
        self.guards.step(
            self._agents[owners],
            {
                "policy loss": values.pop("loss"),
                "value loss": values["value_loss"],
                "policy gradient": actor_norm,
                "value gradient": critic_norm,
            },
        )
        actor_adam.step(owners, actor_norm, who)
        critic_adam.step(owners, critic_norm, who)
        values |= {"policy_grad_norm": actor_norm, "value_grad_norm": critic_norm}
        if not self._names:
            self._names = list(values)
            self._totals = torch.zeros(len(values), len(self._agents), device=self.device)
        self._totals[:, owners] += torch.stack(list(values.values())) / self.config.minibatches
        if who is not None:
            if self._parts is None:
                self._parts = torch.zeros(len(self._agents), device=self.device)
            self._parts[owners] += torch.tensor(who, device=self.device)[owners]

    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """Nothing to do: the optimisers are PyTorch's."""

    def statistics(self) -> dict[str, Tensor]:
        """One row per name."""
        if self._parts is None:
            return dict(zip(self._names, self._totals, strict=True))
        means = self._totals * (self.config.minibatches / self._parts)
        return dict(zip(self._names, means, strict=True))

    def _one_by_one(
        self, owners: slice, part: Tensor | None, totals: I64, sums: Tensor
    ) -> list[str]:
        """As `differentiate`, each owner on its own rows; nothing of one that has none."""
        presence, names = self.rows.presence, []
        sums.zero_()
        for place in self._places:
            place.zero_()
        for k, i in enumerate(range(len(self._agents))[owners]):
            if totals[i] > 0 and presence is not None:
                own = presence.rows(i, part)
                alone = slice(i, i + 1)
                names = self.differentiate(alone, own, int(totals[i]), sums[k : k + 1], add=True)
        return names

    def differentiate(
        self, owners: slice, part: Tensor | None, total: int, sums: Tensor, *, add: bool = False
    ) -> list[str]:
        """What this rank's rows contribute to gradients, left in place, and to the sums of a step.

        Args:
            owners: which agents.
            part: rows of the minibatch, i64 [m]; None = all.
            total: rows of the minibatch on all ranks.
            sums: out, as `losses` writes them.
            add: whether gradients are added to those in place.

        Returns:
            Names of the columns.
        """
        share = (len(self.rows.action) if part is None else len(part)) / total
        actor_loss, _, value_loss, names = self.losses(owners, part, total, sums)
        loss = (actor_loss.sum() + value_loss.sum()) * share
        gradients = torch.autograd.grad(loss, self._leaves)
        for place, gradient in zip(self._places, gradients, strict=True):
            place.copy_(place + gradient if add else gradient)
        return names

    def losses(
        self, owners: slice, part: Tensor | None, total: int, sums: Tensor
    ) -> tuple[Tensor, LossTerms, Tensor, list[str]]:
        """What some rows of this rank lose.

        Args:
            owners: which agents.
            part: rows of the minibatch, i64 [m]; None = all.
            total: rows of the minibatch on all ranks.
            sums: out, f32 [n, columns]: the loss, its terms and statistics, each times this rank's
                share of the rows; those of PER_LINK times its number of `links`.

        Returns:
            Loss of the actors [n], its terms, loss of the critics [n], and names of the columns.
        """
        rows = self.rows
        share = (len(rows.action) if part is None else len(part)) / total
        chosen = part if share > 0 else self._agents[:1] * 0  # any row, weighted with 0

        def pick(x: Tensor, dim: int) -> Tensor:
            return x if chosen is None else x.index_select(dim, chosen)

        agents, actor = self._agents[owners], self.networks.actor
        obs = rows.obs if rows.obs.dim() == 2 else rows.obs[owners]
        obs = pick(obs, obs.dim() - 2)
        batch = Batch(
            action=pick(rows.action, 0),
            advantage=pick(rows.advantage[owners], 1),
            advantage_scale=rows.advantage_scale[owners],
            old_log_probs=pick(self.old[owners], 1),
            owners=agents,
            places=self._whose(agents),
        )
        logits = actor.logits(obs, owners)
        forbidden = rows.forbidden if rows.forbidden is None else pick(rows.forbidden, 0)
        heard, links = None, torch.zeros(len(agents), device=self.device)
        if self.messages is not None:
            sent = pick(self.messages.log_probs, 1)
            if self.config.message_refresh == "minibatch":
                every = obs if len(logits) == len(sent) else pick(rows.obs, rows.obs.dim() - 2)
                with torch.no_grad():
                    everybody = self._agents
                    fresh = actor.logits(every)
                    fresh = without_illegal(fresh, forbidden, everybody, self.exchange.places)
                    sent = self.exchange.reply(torch.log_softmax(fresh, dim=-1)).contiguous()
            linked = self.messages.neighbours[owners]
            linked = pick(linked, 1) if linked.shape[1] > 1 else linked
            old_policy, places = pick(self.messages.old_policy, 0), self.messages.places
            heard = Messages(sent, old_policy, linked, places)
            if share > 0:
                links = linked.expand(-1, len(batch.action), -1).sum(dim=(1, 2)).float()
            if self.exchange.corrects:
                logits = logits + self.exchange.base(sent, agents)
        logits = without_illegal(logits, forbidden, agents, batch.places)
        actor_loss, terms = self.loss(logits, batch, heard)
        if self.algorithm.critic_view is not None:
            obs = rows.critic_obs if rows.critic_obs.dim() == 2 else rows.critic_obs[owners]
            obs = pick(obs, obs.dim() - 2)
        error = self.networks.critic(obs, owners) - pick(rows.normalized_return[owners], 1)
        value_loss = error.square().mean(dim=1)
        values = {
            "loss": actor_loss,
            "policy_loss": terms.policy,
            "penalty": terms.penalty,
            "value_loss": value_loss,
            "entropy": terms.entropy,
            **terms.statistics,
        }
        sums.zero_()
        for column, (key, value) in enumerate(values.items()):
            sums[:, column] = value.detach() * (links if key in PER_LINK else share)
        sums[:, len(values)] = links
        return actor_loss, terms, value_loss, [*values, "links"]

    def loss(
        self, logits: Tensor, batch: Batch, messages: Messages | None
    ) -> tuple[Tensor, LossTerms]:
        """Loss of the actors, f32 [n], and its terms: logits [n, M, H, A]."""
        return objective_loss(self.algorithm, logits, batch, messages, self.config)


def without_illegal(
    logits: Tensor, forbidden: Tensor | None, owners: Tensor, places: Places | None = None
) -> Tensor:
    """Logits whose softmax gives actions that are not legal the probability 0, and no gradient.

    Args:
        logits: [n, M, H, A]; a head is of the actions of its subject.
        forbidden: bool [M, N, A]; None = every action is legal.
        owners: i64 [n].
        places: whose the owners' heads are; None = head j is of agent j, or the only one one's own.
    """
    if forbidden is None:
        return logits
    if logits.shape[2] == 1:
        return logits.masked_fill(forbidden[:, owners].transpose(0, 1).unsqueeze(2), ILLEGAL)
    where = forbidden if places is None else forbidden[:, places.subjects].transpose(0, 1)
    return logits.masked_fill(where, ILLEGAL)


def objective_loss(
    algorithm: Algorithm, logits: Tensor, batch: Batch, messages: Messages | None, config: Config
) -> tuple[Tensor, LossTerms]:
    """The objective as it is written, minus the entropy bonus.

    Args:
        algorithm: whose objective.
        logits: f32 or f64 [n, M, H, A].
        batch: the rows.
        messages: what was sent; None = nothing.
        config: of the run.

    Returns:
        Loss [n], differentiable by the logits; its terms, with `kl` and `clip_fraction` among the
        statistics.
    """
    inbox = messages.inbox(batch.owners) if messages is not None else None
    terms = algorithm.objective(batch, torch.log_softmax(logits, dim=-1), inbox, config)
    loss = terms.policy + terms.penalty
    if config.entropy_bonus > 0:
        loss = loss - config.entropy_bonus * terms.entropy
    change = terms.own_log_ratio
    ratio = change.exp()
    statistics = {
        "kl": (ratio - 1 - change).mean(dim=1),
        "clip_fraction": ((ratio - 1).abs() > config.clip_epsilon).float().mean(dim=1),
        **terms.statistics,
    }
    return loss, LossTerms(terms.policy, terms.penalty, terms.entropy, change, statistics)
