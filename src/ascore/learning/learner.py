"""The agents: networks, optimisers, and one update of K iterations over a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ascore.algorithms import ledger
from ascore.algorithms.contract import Algorithm, own_keys
from ascore.algorithms.links import Links
from ascore.algorithms.table import get_algorithm
from ascore.algorithms.targets import Targets
from ascore.algorithms.terms import own_policy, taken
from ascore.config import Config
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning import metrics
from ascore.learning.agent_split import AgentSplit, OneAgent
from ascore.learning.anticipations import anticipation_metrics, anticipation_sums
from ascore.learning.backends.choose import choose, choose_split
from ascore.learning.backends.contract import Networks
from ascore.learning.backends.engine import COLUMNS
from ascore.learning.batch import Rows, rows_of
from ascore.learning.critics import Valuation
from ascore.learning.delivery import Delivery
from ascore.learning.devices import usable_device
from ascore.learning.exchange import MessageExchange
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.memory import require_memory
from ascore.learning.metrics import Metrics
from ascore.learning.networks import ALL, Actor, Critic
from ascore.learning.optimizer import AgentAdam
from ascore.learning.presence import I64, Presence
from ascore.learning.rollout import Rollout
from ascore.learning.rows import whole
from ascore.runtime.ranks import Ranks
from ascore.streams import STREAM_MINIBATCH, generator


class Learner:
    """N agents that never share parameters, trained by one algorithm.

    Args:
        config: everything the update depends on.
        outside: sizes of the environment; `spec` is what the algorithm makes of them.
        ranks: the ranks that train together; None = this process alone.
        delivery: brings the messages of agents that others train; None = all are here.

    Attributes:
        actor, critic: the networks.
        actor_adam, critic_adam: their optimisers.
        backend: what computes them.
        valuation: what critics are trained towards.
        exchange: what is sent before a loss.
        split: which agents this rank trains; None = all, on its own rows.

    Raises:
        ConfigError: an unknown algorithm, or one that cannot act in this environment; a backend,
            a device or ranks that cannot train this.
    """

    def __init__(
        self,
        config: Config,
        outside: Spec,
        ranks: Ranks | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self.config, self.outside = config, outside
        everybody = ranks or Ranks()
        self.device = usable_device(config, everybody)
        self.algorithm = get_algorithm(config.algorithm)
        self.spec = self.algorithm.view.spec(outside, config)
        require_memory(self.spec, config, self.algorithm, config.num_envs // everybody.size)
        _require_mixable(self.algorithm, self.spec)
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
            action_counts=self.spec.action_counts,
        )
        own_keys(config, self.algorithm.keys)  # refuses what the algorithm does not know
        view = self.algorithm.critic_view
        seen = size if view is None else view.size(self.spec)
        self.critic = Critic(seen, config.critic_hidden, n, seed=config.seed, device=self.device)
        self.delivery = delivery
        self.split = choose_split(self.algorithm, config, self.actor, self.critic, everybody)
        if delivery is not None:
            self.split = OneAgent(delivery.agent, n)
        # Where agents are split, every rank has all rows and there is nothing to add up.
        self.ranks = everybody if self.split is None else Ranks()
        gradients = Gradients(self.ranks, (self.actor.net, self.critic.net), n, COLUMNS)
        limits = config.adam_epsilon, config.max_grad_norm
        self.actor_adam = AgentAdam(self.actor.net, n, config.actor_lr, *limits)
        self.critic_adam = AgentAdam(self.critic.net, n, config.critic_lr, *limits)
        self.guards = Guards(config, has_peer_ratio=self.algorithm.sends_policies)
        self._agents = torch.arange(n, device=self.device)
        self.exchange = MessageExchange(self.algorithm, config, self._agents)
        networks = Networks(self.actor, self.critic, self.actor_adam, self.critic_adam)
        self.backend = choose(
            self.algorithm,
            config,
            networks,
            self.exchange,
            gradients,
            self.guards,
            self.spec.obs_scale,
            self.split,
        )
        self.valuation = Valuation(self.critic, self.backend, config, n, self.ranks)

    # ------------------------------------------------------------------ update

    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """Learning rates from now on."""
        self.actor_adam.set_rate(actor_lr)
        self.critic_adam.set_rate(critic_lr)
        self.backend.set_rates(actor_lr, critic_lr)

    def anneal(self, share: float) -> None:
        """Sets the learning rates of the next update, when `share` of the run is over."""
        if self.config.lr_decay == "none":
            return
        factor = max(1.0 - share, 0.0)
        self.set_rates(self.config.actor_lr * factor, self.config.critic_lr * factor)

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
        if self.split is not None and self.split.ranks.size > 1:
            rollout = whole(self.split.ranks, rollout)
        links, targets, rows = self.prepare(rollout, number)
        silent = self.algorithm.sends_policies and links is None
        if silent:  # a gap trains no anticipation (section 5.3)
            mask = self.actor.anticipation_mask().view(self.spec.num_agents, -1)
            before = self.actor_adam.parameters.detach().clone(), self.actor_adam.state()
        mean_probs, anticipated = self.iterate(rows, number)
        if silent:
            self.actor_adam.restore(mask, *before)
        networks = {"policy": self.actor_adam.parameters, "value": self.critic_adam.parameters}
        self.guards.parameters(networks)
        self.guards.moments({"policy": self.actor_adam, "value": self.critic_adam})
        if self.split is not None:
            self.split.fill(self.actor_adam.parameters)  # critics stay where they learn
        sent = self.algorithm.sends(self.traffic(rollout, links))
        statistics = {**anticipated, **self.backend.statistics()}
        return {
            **metrics.returns(rollout, self.ranks),
            "advantage_scale": rows.advantage_scale.tolist(),
            **metrics.explained_variance(targets, self.ranks, rows.presence),
            **{key: value.tolist() for key, value in statistics.items()},
            "action_probs": mean_probs.tolist(),
            **ledger.entries(sent, self.outside.num_agents, rollout.obs.dtype.itemsize),
        }

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
            if rollout.present is not None and rollout.left is not None:
                links = links.among(rollout.present, rollout.left)
        presence = Presence.of(rollout, self.ranks)
        targets = self.valuation.targets(rollout, self.algorithm, links, presence)
        self.guards.targets(rollout, targets)
        return links, targets, self.rows(rollout, targets, links, presence)

    def rows(
        self,
        rollout: Rollout,
        targets: Targets,
        links: Links | None,
        presence: Presence | None = None,
    ) -> Rows:
        """The batch as tensors."""
        return rows_of(
            rollout,
            targets,
            links,
            self.valuation.moments(),
            self.spec.obs_scale,
            self.algorithm,
            self.config,
            self.ranks,
            presence,
        )

    def iterate(self, rows: Rows, number: int) -> tuple[Tensor, Metrics]:
        """Runs the K iterations.

        Args:
            rows: the batch.
            number: of the update.

        Returns:
            Before them: mean own action probabilities f32 [N, A], and what anticipations said.
        """
        config, backend = self.config, self.backend
        sequential = config.update_order == "sequential"
        groups = [slice(i, i + 1) for i in range(self.spec.num_agents)] if sequential else [ALL]
        if self.split is not None:
            groups = [self.split.mine]
        backend.begin(rows)
        log_probs, heard = self._delivered(rows, number, 0)
        own = own_policy(log_probs, self._agents).exp()
        if rows.presence is None:
            mean_probs = torch.from_numpy(self.ranks.mean(own.mean(dim=1).cpu().numpy()))
        else:
            mean_probs = torch.from_numpy(rows.presence.mean(own.cpu().numpy()))
        old = taken(log_probs, rows.action, self._agents)
        messages = self.exchange.messages(log_probs, old, heard)
        backend.refer(old, messages)
        anticipated: Metrics = {}
        if messages is not None:
            env, sent = self.outside.name, messages.log_probs.cpu().numpy()
            links = messages.neighbours.cpu().numpy()
            sums = anticipation_sums(sent, old.cpu().numpy(), links, rows.raw, env)
            anticipated = anticipation_metrics(self.ranks.total(sums), env)
        for iteration in range(config.iterations):
            rereference = config.ratio_reference == "iteration"
            resend = messages is not None and config.message_refresh == "iteration"
            if iteration > 0 and (rereference or resend):
                log_probs, heard = self._delivered(rows, number, iteration)
                if rereference:
                    old = taken(log_probs, rows.action, self._agents)
                messages = self.exchange.messages(log_probs, old, heard)
                backend.refer(old, messages)
            backend.clear()
            gone = self._unheard(rows.neighbours, heard)
            if gone is not None:
                kept = self.actor_adam.parameters.detach().clone(), self.actor_adam.state()
            for position, owners in enumerate(groups):
                for part, total in self.minibatches(
                    rows.action.shape[0], number, iteration, rows.presence
                ):
                    backend.step(owners, part, total)
                    if rows.weights is not None and not sequential:
                        self._mix(rows.weights)
                if sequential and messages is not None and position + 1 < len(groups):
                    # Agent i+1 already hears what agent i sends after its step (Algorithm 1).
                    before, after = log_probs[: owners.start], log_probs[owners.stop :]
                    log_probs = torch.cat([before, backend.log_probs(owners), after])
                    messages = self.exchange.messages(log_probs, old, rows.neighbours)
                    backend.refer(old, messages)
            if rows.weights is not None and sequential:
                self._mix(rows.weights)
            if gone is not None:  # of whom nothing came nothing is learned
                self.actor_adam.restore(gone, *kept)
        return mean_probs, anticipated

    def _delivered(self, rows: Rows, number: int, iteration: int) -> tuple[Tensor, Tensor | None]:
        """Policies and anticipations as they have arrived [N, S, H, A], and who heard whom."""
        log_probs = self.exchange.reply(self.backend.log_probs())
        if self.delivery is None or rows.neighbours is None:
            return log_probs, rows.neighbours
        return self.delivery.deliver(log_probs, rows.neighbours, number, iteration)

    def _unheard(self, links: Tensor | None, heard: Tensor | None) -> Tensor | None:
        """Parameters of anticipations whose subjects were to be heard and were not, bool [N, P]."""
        if links is None or heard is None or heard is links:
            return None
        gone = (links.any(dim=1) & ~heard.any(dim=1)).cpu()
        return self.actor.anticipation_mask(gone).view(self.spec.num_agents, -1)

    def minibatches(
        self, rows: int, number: int, iteration: int, presence: Presence | None = None
    ) -> Iterator[tuple[Tensor | None, int | I64]]:
        """The parts of an iteration over the batch of all ranks, the same for any number of them.

        Args:
            rows: S, of this rank.
            number: of the update.
            iteration: 0..K-1.
            presence: which rows are whose; None = all rows are everybody's.

        Yields:
            This rank's rows of a part i64 [m], None for all in place; how many rows the part has in
            all, on this rank and the others: where not all are everybody's, of each agent, i64 [N].
        """
        ranks, config = self.ranks, self.config
        total = rows * ranks.size
        if config.minibatches == 1:
            yield None, total if presence is None else presence.counts()
            return
        order = generator(config.seed, STREAM_MINIBATCH, number, iteration).permutation(total)
        for part in np.array_split(order, config.minibatches):
            mine = torch.from_numpy(ranks.own_rows(part, config.num_envs))
            yield mine.to(self.device), len(part) if presence is None else presence.counts(part)

    @torch.no_grad()
    def _mix(self, weights: Tensor) -> None:
        """Consensus after a step of all agents: theta_i <- sum_j W_ij theta_j. Moments stay."""
        if self.algorithm.mixes == "critic":
            self.valuation.mix(weights)
        else:
            self.actor_adam.parameters.copy_(weights @ self.actor_adam.parameters)

    def traffic(self, rollout: Rollout, links: Links | None) -> ledger.Traffic:
        """What an update sent on all ranks, to be counted by the algorithm."""
        actor_size = self.actor_adam.parameters.shape[1] - self.actor.lacking
        sizes = actor_size, self.critic_adam.parameters.shape[1]
        return metrics.traffic(
            rollout, links, self.config, self.outside, self.spec, sizes, self.ranks
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
        kept = {key.partition(".")[::2]: value for key, value in tensors.items()}
        self.valuation.normalizer.load_state(
            {key: value.numpy() for (part, key), value in kept.items() if part == "normalizer"}
        )


def _require_mixable(algorithm: Algorithm, spec: Spec) -> None:
    """Refuses to average policies that choose among different actions.

    Raises:
        ConfigError: names the algorithm and the counts.
    """
    if algorithm.mixes == "actor" and not algorithm.head_per_agent and spec.padded:
        message = (
            f"{algorithm.name} averages policies, but the agents of {spec.name} have "
            f"{', '.join(map(str, spec.action_counts))} actions; let it have a head per agent, or "
            "use another algorithm"
        )
        raise ConfigError(message)
