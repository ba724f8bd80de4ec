"""The agents: networks, optimisers, and one update of K iterations over a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore import ledger
from ascore.algorithms import get_algorithm
from ascore.algorithms.contract import Algorithm
from ascore.anticipations import anticipation_metrics, anticipation_sums
from ascore.config import Config
from ascore.envs import Spec
from ascore.errors import ConfigError
from ascore.fused import COLUMNS, QUANTITIES, SUMS, Fused, unsupported
from ascore.guards import Guards
from ascore.links import Links
from ascore.networks import ALL, Actor, Critic
from ascore.objectives import (
    Batch,
    LossTerms,
    Messages,
    corrections_base,
    own_policy,
    taken,
)
from ascore.optimizer import AgentAdam
from ascore.rollout import Rollout, per_agent_view
from ascore.runtime.gradients import Gradients
from ascore.runtime.ranks import World
from ascore.runtime.rows import whole
from ascore.runtime.split import AgentSplit
from ascore.streams import STREAM_MINIBATCH, generator
from ascore.targets import Targets
from ascore.valuation import Valuation

Metrics = dict[str, Any]

Totals = dict[str, Any]
"""Statistics of an update, a tensor or an array [N] or [N, A] each."""

PER_LINK = ("active_anticipation", "active_own", "discrepancy")
"""Statistics that are averages over links, all others over rows."""


@dataclass(frozen=True)
class Rows:
    """A batch flattened to S = T*B rows, as tensors; what all iterations read.

    With several ranks, B and so S count the environments of one of them.
    """

    raw: npt.NDArray[Any]  # [S, V, O], observations as the environment gave them
    scale: float  # what networks see is observations times this
    joint: npt.NDArray[np.int32]  # [S, N], actions
    advantage: Tensor  # f32 [N, S]
    advantage_scale: Tensor  # f32 [N]
    normalized_return: Tensor  # f32 [N, S]
    neighbours: Tensor | None  # bool [N, S or 1, N]; None when no policy is sent in this update
    weights: Tensor | None  # f32 [N, N], consensus; None when no parameter is sent

    @cached_property
    def obs(self) -> Tensor:
        """Observations as networks see them, f32 [S, O] or [N, S, O]."""
        return per_agent_view(torch.from_numpy(self.raw).to(self.advantage.device), self.scale)

    @cached_property
    def action(self) -> Tensor:
        """Actions as PyTorch's indices, i64 [S, N]."""
        return torch.from_numpy(self.joint.astype(np.int64)).to(self.advantage.device)


def usable_device(config: Config, world: World) -> torch.device:
    """Where updates are computed.

    Raises:
        ConfigError: no such device here, or other keys that need the CPU.
    """
    try:
        device = torch.device(config.device)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        message = f"device = {config.device!r} is not known; it must be cpu, cuda or cuda:N"
        raise ConfigError(message)
    if device.type == "cpu":
        return device
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= there:
        message = (
            f"device = {config.device} is not there: PyTorch {torch.__version__} sees {there} "
            "GPUs; use device = cpu, or install a PyTorch built for this machine's GPU"
        )
        raise ConfigError(message)
    if config.backend in ("fused", "kernel"):
        message = f"backend = {config.backend} computes on the CPU; use auto with {config.device}"
        raise ConfigError(message)
    if world.size > 1:
        message = f"device = {config.device} trains in one process; use device = cpu with ranks"
        raise ConfigError(message)
    return device


def advantage_scale(advantage: Tensor, rule: str, world: World) -> Tensor:
    """Kappa of every agent over the batches of all processes.

    Args:
        advantage: f32 [N, S], of this process.
        rule: "mean" or "max" of the absolute advantages, or "unit".
        world: the processes of the run.

    Returns:
        f32 [N], units of reward.
    """
    size = advantage.abs()
    if rule == "unit":
        return torch.ones(len(size))
    if rule == "mean":
        return torch.from_numpy(world.mean(size.mean(dim=1).numpy()))
    return torch.from_numpy(world.largest(size.amax(dim=1).numpy()))


class Learner:
    """N agents that never share parameters, trained by one algorithm.

    Args:
        config: everything the update depends on.
        outside: sizes of the environment; `spec` is what the algorithm makes of them.
        world: the ranks that train together; None = this process alone.

    Raises:
        ConfigError: an unknown algorithm, or one that cannot act in this environment.
    """

    def __init__(self, config: Config, outside: Spec, world: World | None = None) -> None:
        self.config, self.outside = config, outside
        ranks = world or World()
        self.device = usable_device(config, ranks)
        self.algorithm: Algorithm = get_algorithm(config.algorithm)
        self.spec = self.algorithm.view.spec(outside, config)
        n, size = self.spec.num_agents, int(np.prod(self.spec.obs_shape))
        self.actor = Actor(
            size,
            config.actor_hidden,
            n,
            self.spec.num_actions,
            head_per_agent=self.algorithm.head_per_agent,
            layout=config.actor,
            seed=config.seed,
            device=self.device,
        )
        self.critic = Critic(size, config.critic_hidden, n, seed=config.seed, device=self.device)
        self.split = self._agent_split(ranks)
        # Where agents are split, every rank has all rows and there is nothing to add up.
        self.world = ranks if self.split is None else World()
        self.valuation = Valuation(self.critic, config, self.spec.obs_scale, n, self.world)
        nets = (self.actor.net, self.critic.net)
        self.gradients = Gradients(self.world, nets, n, COLUMNS)
        limits = config.adam_epsilon, config.max_grad_norm
        self.actor_adam = AgentAdam(self.actor.net, n, config.actor_lr, *limits)
        self.critic_adam = AgentAdam(self.critic.net, n, config.critic_lr, *limits)
        self.guards = Guards(config, has_peer_ratio=self.algorithm.sends_policies)
        self._agents = torch.arange(n, device=self.device)
        self._corrects = self.algorithm.sends_policies and config.anticipation == "correction"
        self.fused = self._engine()
        self.valuation.fused = self.fused
        self._leaves = [leaf for net in nets for layer in net.layers for leaf in layer]
        self._places = [place for net in nets for layer in net.gradients for place in layer]

    def _engine(self) -> Fused | None:
        """The compiled networks, where they are wanted and fit."""
        wanted = self.config.backend
        if wanted not in ("auto", "fused"):
            return None
        reason = unsupported(self.config, self.actor, self.critic)
        if reason is None:
            nets = self.actor, self.critic, self.actor_adam, self.critic_adam
            return Fused(self.config, *nets, self.algorithm.engine, self.split)
        if wanted == "fused":
            message = f"backend = fused is not possible: {reason}; use auto"
            raise ConfigError(message)
        return None

    def _agent_split(self, ranks: World) -> AgentSplit | None:
        """Who trains whom; None if every rank trains all agents on its own rows."""
        wanted = self.config.rank_split
        if ranks.size == 1 or wanted == "environments":
            return None
        reason = self._unsplittable(ranks)
        if reason is None:
            return AgentSplit(ranks, self.spec.num_agents)
        if wanted == "agents":
            message = f"rank_split = agents is not possible: {reason}; use auto"
            raise ConfigError(message)
        return None

    def _unsplittable(self, ranks: World) -> str | None:
        """Why the agents cannot be shared out; None if they can."""
        config, n = self.config, self.spec.num_agents
        if n % ranks.size:
            return f"{n} agents cannot be shared equally by {ranks.size} ranks"
        if self.algorithm.mixes != "nothing":
            return f"{config.algorithm} averages parameters"
        if config.update_order == "sequential":
            return "agents learn one after the other"
        if config.backend not in ("auto", "fused"):
            return f"backend = {config.backend}"
        return unsupported(config, self.actor, self.critic)

    # ------------------------------------------------------------------ update

    def anneal(self, share: float) -> None:
        """Sets the learning rates of the next update, when `share` of the run is over."""
        if self.config.lr_decay == "none":
            return
        factor = max(1.0 - share, 0.0)
        self.actor_adam.set_rate(self.config.actor_lr * factor)
        self.critic_adam.set_rate(self.config.critic_lr * factor)
        if self.fused is not None:
            self.fused.engine.set_rates(self.actor_adam.lr, self.critic_adam.lr)

    def update(self, rollout: Rollout, number: int) -> Metrics:
        """K iterations over a batch.

        Args:
            rollout: what was just collected, with several ranks by this one.
            number: of this update, from 0; keys minibatches, random graphs and gaps.

        Returns:
            Metrics of the update; per-agent quantities are lists of N floats. Loss statistics are
            averages over the minibatches of the last iteration.

        Raises:
            NonFiniteError: a loss, gradient or parameter is not finite; nothing non-finite is
                ever written into a parameter by a step.
        """
        if self.split is not None:
            rollout = whole(self.split.world, rollout)
        links, targets, rows = self.prepare(rollout, number)
        silent = self.algorithm.sends_policies and links is None
        if silent:  # a gap trains no anticipation (section 5.3)
            mask = self.actor.anticipation_mask().view(self.spec.num_agents, -1)
            before = self.actor_adam.parameters.detach().clone(), self.actor_adam.state()
        totals: Totals = {}
        mean_probs = self.iterate(rows, number, totals)
        if silent:
            self.actor_adam.restore(mask, *before)
        networks = {"policy": self.actor_adam.parameters, "value": self.critic_adam.parameters}
        self.guards.parameters(networks)
        if self.split is not None:
            self.split.fill(self.actor_adam.parameters)  # critics stay where they learn
        return self._metrics(rollout, targets, rows, links, totals, mean_probs)

    def prepare(self, rollout: Rollout, number: int) -> tuple[Links | None, Targets, Rows]:
        """What the iterations of an update read.

        Links are None in a gap, and where nobody ever hears anybody. Moves the value normaliser on.
        """
        links = None
        if self.algorithm.has_links and number % self.config.communicate_every == 0:
            ended = rollout.terminated | rollout.truncated
            links = Links.of(
                rollout.neighbours, rollout.last_neighbours, ended, self.config, number
            )
        targets = self.valuation.targets(rollout, self.algorithm.advantages, links)
        self.guards.targets(rollout, targets)
        return links, targets, self._rows(rollout, targets, links)

    def _rows(self, rollout: Rollout, targets: Targets, links: Links | None) -> Rows:
        """The batch as tensors."""
        config = self.config
        world = self.world
        steps, b, n = rollout.reward.shape
        rows = steps * b
        if config.minibatches > rows * world.size:
            message = (
                f"minibatches = {config.minibatches} exceeds the {rows * world.size} rows of a "
                "batch; "
                "lower it or raise num_envs or rollout_steps"
            )
            raise ConfigError(message)
        advantage = torch.from_numpy(targets.advantage.reshape(rows, n)).T.contiguous()
        if config.advantage_normalization:
            total = rows * world.size
            centre = world.mean(advantage.mean(dim=1).numpy())
            centred = advantage - torch.from_numpy(centre)[:, None]
            square = world.mean(centred.square().mean(dim=1).numpy())
            spread = torch.from_numpy(square * (total / max(total - 1, 1))).sqrt()
            advantage = centred / (spread[:, None] + 1e-8)
        scale = advantage_scale(advantage, config.advantage_scale, world)
        returns = torch.from_numpy(targets.returns.reshape(rows, n)).T.to(self.device)
        mean, std = self.valuation.moments()
        heard = weights = None
        if links is not None and self.algorithm.sends_policies:
            heard = links.tensor().to(self.device)
        if links is not None and self.algorithm.mixes != "nothing":
            weights = torch.from_numpy(world.mean(links.weights)).float().to(self.device)
        return Rows(
            raw=rollout.obs.reshape(rows, *rollout.obs.shape[2:]),
            scale=self.spec.obs_scale,
            joint=rollout.action.reshape(rows, n),
            advantage=advantage.to(self.device),
            advantage_scale=scale.to(self.device),
            normalized_return=((returns - mean) / std).contiguous(),
            neighbours=heard,
            weights=weights,
        )

    def iterate(self, rows: Rows, number: int, totals: Totals) -> Tensor:
        """Runs the K iterations; returns the mean own action probabilities before them, [N, A]."""
        config = self.config
        sequential = config.update_order == "sequential"
        groups = [slice(i, i + 1) for i in range(self.spec.num_agents)] if sequential else [ALL]
        if self.fused is not None:
            self.fused.begin(
                rows.raw, rows.scale, rows.joint, rows.advantage, rows.advantage_scale,
                rows.normalized_return,
            )  # fmt: skip
        log_probs = self._reply(self._log_probs(rows))
        own = own_policy(log_probs, self._agents).exp().mean(dim=1)
        mean_probs = torch.from_numpy(self.world.mean(own.cpu().numpy()))
        old = taken(log_probs, rows.action, self._agents)
        messages = self._messages(rows, log_probs, old)
        self._refer(old, messages)
        if messages is not None:
            env, said = self.outside.name, messages.log_probs.cpu().numpy()
            heard = messages.neighbours.cpu().numpy()
            sums = anticipation_sums(said, old.cpu().numpy(), heard, rows.raw, env)
            totals.update(anticipation_metrics(self.world.total(sums), env))
        statistics = np.zeros((self.spec.num_agents, COLUMNS))
        for iteration in range(config.iterations):
            rereference = config.ratio_reference == "iteration"
            resend = messages is not None and config.message_refresh == "iteration"
            if iteration > 0 and (rereference or resend):
                log_probs = self._reply(self._log_probs(rows))
                if rereference:
                    old = taken(log_probs, rows.action, self._agents)
                messages = self._messages(rows, log_probs, old)
                self._refer(old, messages)
            statistics[:] = 0.0
            last = iteration + 1 == config.iterations
            for position, owners in enumerate(groups):
                for part, total in self.minibatches(rows.action.shape[0], number, iteration):
                    if self.fused is not None:
                        self._step(self.fused, owners, part, total, statistics)
                    else:
                        into = totals if last else None
                        self._minibatch(rows, owners, part, total, old, messages, into)
                    if rows.weights is not None and not sequential:
                        self._mix(rows.weights)
                if sequential and messages is not None and position + 1 < len(groups):
                    # Agent i+1 already hears what agent i sends after its step (Algorithm 1).
                    log_probs = torch.cat(
                        [
                            log_probs[: owners.start],
                            self._log_probs(rows, owners),
                            log_probs[owners.stop :],
                        ]
                    )
                    messages = self._messages(rows, log_probs, old)
                    self._refer(old, messages)
            if rows.weights is not None and sequential:
                self._mix(rows.weights)
        if self.fused is not None:
            totals.update(self.fused.metrics(statistics, rows.advantage_scale))
        return mean_probs

    def minibatches(
        self, rows: int, number: int, iteration: int
    ) -> Iterator[tuple[Tensor | None, int]]:
        """The parts of an iteration over the batch of all ranks, the same for any number of them.

        Args:
            rows: S, of this rank.
            number: of the update.
            iteration: 0..K-1.

        Yields:
            This rank's rows of a part i64 [m], None for all in place; how many rows the part has in
            all, on this rank and the others.
        """
        world, config = self.world, self.config
        total = rows * world.size
        if config.minibatches == 1:
            yield None, total
            return
        order = generator(config.seed, STREAM_MINIBATCH, number, iteration).permutation(total)
        for part in np.array_split(order, config.minibatches):
            mine = torch.from_numpy(world.own_rows(part, config.num_envs))
            yield mine.to(self.device), len(part)

    @torch.no_grad()
    def _log_probs(self, rows: Rows, owners: slice = ALL) -> Tensor:
        if self.fused is not None:
            # The next step of these owners comes before any change of theirs.
            keep = self.config.minibatches == 1
            return self.fused.log_probs(rows.raw, rows.scale, owners, keep)
        return self.actor.log_probs(rows.obs if rows.obs.dim() == 2 else rows.obs[owners], owners)

    @torch.no_grad()
    def _reply(self, log_probs: Tensor) -> Tensor:
        """Anticipations as others will hear them: corrections of the policies just heard."""
        if not self._corrects:
            return log_probs
        base = corrections_base(own_policy(log_probs, self._agents), self._agents)
        return torch.log_softmax(base.add_(log_probs), dim=-1)

    def _refer(self, old: Tensor, messages: Messages | None) -> None:
        """Hands what ratios and penalties refer to over to the compiled networks."""
        if self.fused is None:
            return
        if messages is None:
            self.fused.hear(old, None, None)
        else:
            self.fused.hear(old, messages.log_probs, messages.neighbours)

    # ------------------------------------------------------------------ across agents

    def _messages(self, rows: Rows, log_probs: Tensor, old: Tensor) -> Messages | None:
        """The message step: own policies and anticipations reach those who hear them."""
        if rows.neighbours is None:
            return None
        return Messages(log_probs.contiguous(), old.diagonal(dim1=0, dim2=2), rows.neighbours)

    @torch.no_grad()
    def _mix(self, weights: Tensor) -> None:
        """Consensus after a step of all agents: theta_i <- sum_j W_ij theta_j. Moments stay."""
        if self.algorithm.mixes == "critic":
            self.valuation.mix(weights)
        else:
            self.actor_adam.parameters.copy_(weights @ self.actor_adam.parameters)

    # ------------------------------------------------------------------ one step

    def _step(
        self,
        fused: Fused,
        owners: slice,
        part: Tensor | None,
        total: int,
        statistics: npt.NDArray[np.float64],
    ) -> None:
        """One gradient step of some owners on some rows, compiled: alone, in one call."""
        if self.world.size == 1:
            failure = fused.step(owners, part, statistics)
        else:
            sums = self.gradients.sums[owners, :SUMS]
            sums.copy_(fused.gradient(owners, part, total))
            self.gradients.add_up(owners)
            failure = fused.finish(owners, total, sums, statistics)
        if failure is not None:
            agent, quantity, value = failure
            self.guards.fail(QUANTITIES[quantity], agent, value)

    def _minibatch(
        self,
        rows: Rows,
        owners: slice,
        part: Tensor | None,
        total: int,
        old: Tensor,
        messages: Messages | None,
        totals: Totals | None,
    ) -> None:
        """One gradient step of some owners on a minibatch of `total` rows, of which this rank has
        `part`.
        """
        sums = self.gradients.sums[owners]
        names = self._differentiate(rows, owners, part, total, old, messages, sums)
        self.gradients.add_up(owners)
        values = dict(zip(names, sums.T, strict=False))
        links = values.pop("links").clamp(min=1.0)
        for key in PER_LINK:
            if key in values:
                values[key] = values[key] / links
        actor_norm, critic_norm = self.actor_adam.norms(owners), self.critic_adam.norms(owners)
        self.guards.step(
            self._agents[owners],
            {
                "policy loss": values.pop("loss"),
                "value loss": values["value_loss"],
                "policy gradient": actor_norm,
                "value gradient": critic_norm,
            },
        )
        self.actor_adam.step(owners, actor_norm)
        self.critic_adam.step(owners, critic_norm)
        if totals is not None:
            norms = {"policy_grad_norm": actor_norm, "value_grad_norm": critic_norm}
            for key, value in {**values, **norms}.items():
                if key not in totals:
                    totals[key] = torch.zeros(self.spec.num_agents, device=self.device)
                totals[key][owners] += value / self.config.minibatches

    def _differentiate(
        self,
        rows: Rows,
        owners: slice,
        part: Tensor | None,
        total: int,
        old: Tensor,
        messages: Messages | None,
        sums: Tensor,
    ) -> list[str]:
        """What this rank's rows contribute to gradients, left in place, and to the sums of a step.

        Returns:
            Names of the columns of `sums` f32 [n, COLUMNS]: the loss, its terms and statistics,
            each times this rank's share of the rows; those of PER_LINK times its number of `links`.
        """
        share = (len(rows.action) if part is None else len(part)) / total
        chosen = part if share > 0 else self._agents[:1] * 0  # any row, weighted with 0

        def pick(x: Tensor, dim: int) -> Tensor:
            return x if chosen is None else x.index_select(dim, chosen)

        agents = self._agents[owners]
        obs = rows.obs if rows.obs.dim() == 2 else rows.obs[owners]
        obs = pick(obs, obs.dim() - 2)
        batch = Batch(
            action=pick(rows.action, 0),
            advantage=pick(rows.advantage[owners], 1),
            advantage_scale=rows.advantage_scale[owners],
            old_log_probs=pick(old[owners], 1),
            owners=agents,
        )
        logits = self.actor.logits(obs, owners)
        heard, links = None, torch.zeros(len(agents), device=self.device)
        if messages is not None:
            said = pick(messages.log_probs, 1)
            if self.config.message_refresh == "minibatch":
                every = obs if len(logits) == len(said) else pick(rows.obs, rows.obs.dim() - 2)
                with torch.no_grad():
                    said = self._reply(self.actor.log_probs(every)).contiguous()
            linked = messages.neighbours[owners]
            linked = pick(linked, 1) if linked.shape[1] > 1 else linked
            heard = Messages(said, pick(messages.old_policy, 0), linked)
            if share > 0:
                links = linked.expand(-1, len(batch.action), -1).sum(dim=(1, 2)).float()
        if heard is not None and self._corrects:
            logits = logits + corrections_base(own_policy(heard.log_probs, self._agents), agents)
        actor_loss, terms = self._loss(logits, batch, heard)
        error = self.critic(obs, owners) - pick(rows.normalized_return[owners], 1)
        value_loss = error.square().mean(dim=1)
        loss = (actor_loss.sum() + value_loss.sum()) * share
        gradients = torch.autograd.grad(loss, self._leaves)
        for place, gradient in zip(self._places, gradients, strict=True):
            place.copy_(gradient)
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
        return [*values, "links"]

    def _loss(
        self, logits: Tensor, batch: Batch, messages: Messages | None
    ) -> tuple[Tensor, LossTerms]:
        """Loss of the actors, f32 [n], and its terms."""
        if self.config.backend != "torch" and self.device.type == "cpu":
            return self.algorithm.kernel(logits, batch, messages, self.config)
        inbox = messages.inbox(batch.owners) if messages is not None else None
        log_probs = torch.log_softmax(logits, dim=-1)
        terms = self.algorithm.objective(batch, log_probs, inbox, self.config)
        loss = terms.policy + terms.penalty
        if self.config.entropy_bonus > 0:
            loss = loss - self.config.entropy_bonus * terms.entropy
        change = terms.own_log_ratio
        ratio = change.exp()
        statistics = {
            "kl": (ratio - 1 - change).mean(dim=1),
            "clip_fraction": ((ratio - 1).abs() > self.config.clip_epsilon).float().mean(dim=1),
            **terms.statistics,
        }
        return loss, dataclasses.replace(terms, statistics=statistics)

    # ------------------------------------------------------------------ metrics

    def _metrics(
        self,
        rollout: Rollout,
        targets: Targets,
        rows: Rows,
        links: Links | None,
        totals: Totals,
        mean_probs: Tensor,
    ) -> Metrics:
        world, n = self.world, self.spec.num_agents
        ended = np.concatenate([np.zeros((0, n)), *rollout.episode_returns])
        earned = world.total(np.array([*ended.sum(axis=0), len(ended)]))
        returns = earned[:-1] / earned[-1] if earned[-1] > 0 else np.full(n, np.nan)
        both = np.stack([targets.returns - targets.value, targets.returns]).reshape(2, -1, n)
        both = both.astype(np.float64)
        centre = world.mean(both.mean(axis=1))
        residual, spread = world.mean(np.square(both - centre[:, None]).mean(axis=1))
        explained = 1.0 - residual / np.maximum(spread, 1e-12)
        sent = self.algorithm.sends(self.traffic(rollout, links))
        obs_bytes = rollout.obs.dtype.itemsize
        return {
            "team_return": float(returns.sum()),
            "return": returns.tolist(),
            "advantage_scale": rows.advantage_scale.tolist(),
            "explained_variance": explained.tolist(),
            **{key: value.tolist() for key, value in totals.items()},
            "action_probs": mean_probs.tolist(),
            **ledger.entries(sent, self.outside.num_agents, obs_bytes),
        }

    def traffic(self, rollout: Rollout, links: Links | None) -> ledger.Traffic:
        """What the update sent on all ranks, to be counted by the algorithm."""
        config, n = self.config, self.spec.num_agents
        steps, b, _ = rollout.reward.shape
        # States whose value closes a sum of rewards that the batch cuts off.
        closing = np.logical_and(rollout.truncated, config.time_limit == "bootstrap")
        running = ~np.logical_or(rollout.truncated[-1], rollout.terminated[-1])
        rows_heard = states_heard = np.zeros((n, n), dtype=np.int64)
        linked = np.zeros((n, n), dtype=np.bool_)
        if links is not None:
            rows_heard, linked = links.heard, links.linked
            states_heard = rows_heard
            if config.shares == "value":
                states_heard = rows_heard + ledger.listeners(links.rows[closing])
                states_heard = states_heard + ledger.listeners(links.states[-1][running])
        closed = np.full((n, n), closing.sum() + running.sum())
        counted = np.stack([rows_heard, states_heard, linked.astype(np.int64), closed])
        rows_heard, states_heard, linked_at, closed = self.world.total(counted)
        rows = steps * b * self.world.size
        parts = 1 if config.update_order == "sequential" else config.minibatches
        return ledger.Traffic(
            rows=rows,
            states=rows + int(closed[0, 0]),
            rows_heard=rows_heard,
            states_heard=states_heard,
            rounds=config.iterations,
            mixes=config.iterations * parts if links is not None else 0,
            linked=linked_at > 0,
            action_counts=np.full(n, self.spec.num_actions, dtype=np.int64),
            actor_size=self.actor_adam.parameters.shape[1],
            critic_size=self.critic_adam.parameters.shape[1],
            senders=self.outside.num_agents,
            private_obs=int(np.prod(self.outside.obs_shape)) if self.outside.views > 1 else 0,
        )

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Tensor]:
        """Everything training needs to go on bit for bit, as named tensors.

        All ranks must call it together.
        """
        if self.split is not None:
            self._complete(self.split)
        tensors = {"actor": self.actor.net.flat, "critic": self.critic.net.flat}
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            tensors |= {f"{name}.{key}": value for key, value in adam.state().items()}
        normalizer = self.valuation.normalizer.state()
        tensors |= {f"normalizer.{k}": torch.from_numpy(v) for k, v in normalizer.items()}
        return {key: value.detach().cpu() for key, value in tensors.items()}

    @torch.no_grad()
    def _complete(self, split: AgentSplit) -> None:
        """What only the ranks of the agents have kept up to date."""
        split.fill(self.critic_adam.parameters)
        for adam in (self.actor_adam, self.critic_adam):
            for part in (adam.first, adam.second, adam.steps):
                split.fill(part.view(self.spec.num_agents, -1))

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores `state()`."""
        self.actor.net.flat.copy_(tensors["actor"])
        self.critic.net.flat.copy_(tensors["critic"])
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            adam.load_state({k: tensors[f"{name}.{k}"] for k in ("exp_avg", "exp_avg_sq", "step")})
        self.valuation.normalizer.load_state(
            {k: tensors[f"normalizer.{k}"].numpy() for k in ("weight", "sums")}
        )
