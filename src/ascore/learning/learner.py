"""The agents: networks, optimisers, and one update of K iterations over a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import own_keys
from ascore.algorithms.links import Links
from ascore.algorithms.table import get_algorithm
from ascore.algorithms.targets import Targets
from ascore.algorithms.terms import own_policy, taken
from ascore.config import Config
from ascore.envs.vec_env import Spec
from ascore.learning import metrics
from ascore.learning.agents import AgentNetworks
from ascore.learning.anticipations import anticipation_metrics
from ascore.learning.backends.choose import choose_split, own_envs, require_mixable
from ascore.learning.backends.contract import Backend
from ascore.learning.batch import Rows, rows_of
from ascore.learning.critics import Valuation
from ascore.learning.delivery import Delivery
from ascore.learning.devices import usable_device
from ascore.learning.exchange import Watch
from ascore.learning.inferred import RewardModels
from ascore.learning.memory import require_memory
from ascore.learning.metrics import Metrics
from ascore.learning.networks import ALL, Actor, Critic
from ascore.learning.optimizer import AgentAdam
from ascore.learning.presence import I64, Presence
from ascore.learning.rollout import Rollout
from ascore.learning.seats import asks_environment, drawn_anew
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
        agents: networks, optimisers, and what computes them.
        valuation: what critics are trained towards.
        exchange: what is sent before a loss.
        split: which agents this rank trains; None = all, on its own rows.
        models: of what agents earn; None = nothing is inferred.

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
        split = choose_split(self.algorithm, config, self.spec, everybody)
        _, share = own_envs(split, config.num_envs, everybody)
        require_memory(self.spec, config, self.algorithm, share, split)
        require_mixable(self.algorithm, self.spec)
        own_keys(config, self.algorithm.keys)  # refuses what the algorithm does not know
        self.delivery = delivery
        alone = None if delivery is None else delivery.agent
        self.agents = AgentNetworks(
            self.algorithm, config, self.spec, self.device, everybody, alone
        )
        self.split, self.ranks = self.agents.split, self.agents.ranks
        self.guards, self.exchange = self.agents.guards, self.agents.exchange
        n = self.actor.num_agents
        self.sending = metrics.Sending(self.algorithm, config, outside, self.spec, self.ranks)
        self._agents = torch.arange(n, device=self.device)
        self.models = RewardModels.of(self.algorithm, config, self.spec, self.device, everybody)
        self.valuation = Valuation(self.critic, self.backend, config, n, self.ranks, self.split)

    @property
    def actor(self) -> Actor:
        """The policies."""
        return self.agents.actor

    @property
    def critic(self) -> Critic:
        """The value networks."""
        return self.agents.critic

    @property
    def actor_adam(self) -> AgentAdam:
        """The policies' optimiser."""
        return self.agents.actor_adam

    @property
    def critic_adam(self) -> AgentAdam:
        """The value networks' optimiser."""
        return self.agents.critic_adam

    @property
    def backend(self) -> Backend:
        """What computes the networks."""
        return self.agents.backend

    @property
    def reads_neighbours(self) -> bool:
        """Whether the graph asks the environment who hears whom."""
        return asks_environment(self.algorithm, self.config)

    def show_messages(self, watch: Watch) -> None:
        """Shows what agents send, as they send it; values whether or not others hear them."""
        self.exchange.watch = self.valuation.watch = watch

    # ------------------------------------------------------------------ update

    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """Learning rates from now on."""
        self.agents.set_rates(actor_lr, critic_lr)
        if self.models is not None:
            self.models.set_rate(critic_lr)

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
            averages over the minibatches of the last iteration. Where each rank has the rows of its
            own agents alone, ranks other than 0 get the metrics of these.

        Raises:
            NonFiniteError: a loss, gradient or parameter is not finite; nothing non-finite is
                ever written into a parameter by a step.
        """
        if self.split is not None:
            rollout = self.split.whole(rollout)
        self.agents.begin(rollout, number)
        links, targets, rows = self.prepare(rollout, number)
        silent = self.algorithm.sends_policies and links is None
        # A gap trains no anticipation (section 5.3).
        before = self.actor_adam.copy(self.actor.anticipations()) if silent else None
        mean_probs, anticipated = self.iterate(rows, number)
        if before is not None:
            self.actor_adam.restore(*self.actor.anticipations(), before)
        networks = {"policy": self.actor_adam.parameters, "value": self.critic_adam.parameters}
        self.guards.parameters(networks)
        self.guards.moments({"policy": self.actor_adam, "value": self.critic_adam})
        if self.split is not None:
            self.split.fill(self.actor_adam.parameters)  # critics stay where they learn
        if links is not None:
            self.agents.keep(links.pairs)
        statistics = {**anticipated, **self.backend.statistics(), **self.agents.spent()}
        mine = {
            **metrics.returns(rollout, self.ranks),
            "advantage_scale": rows.advantage_scale.tolist(),
            **metrics.explained_variance(targets, self.ranks, rows.presence),
            **{key: value.tolist() for key, value in statistics.items()},
            "action_probs": mean_probs.tolist(),
            **({} if self.models is None else self.models.metrics()),
        }
        everybodys = mine if self.split is None else self.split.of_everybody(mine)
        return {**everybodys, **self.sending.entries(rollout, links, self.network_sizes)}

    def prepare(self, rollout: Rollout, number: int) -> tuple[Links | None, Targets, Rows]:
        """What the iterations of an update read.

        Links are None in a gap, and where nobody ever hears anybody. Moves the value normaliser on.
        """
        links = None
        if self.algorithm.has_links and number % self.config.communicate_every == 0:
            seen = rollout.neighbours, rollout.last_neighbours
            ended = rollout.terminated | rollout.truncated
            links = Links.of(
                *seen, ended, self.config, number, self.spec.num_agents, self.ranks.everywhere
            )
            self.agents.seat(links.pairs)
            self.valuation.backend = self.backend
            if rollout.present is not None and rollout.left is not None:
                links = links.among(rollout.present, rollout.left)
        self.agents.route(links)
        presence = Presence.of(rollout, self.ranks)
        counted = None if self.models is None else self.models.learn(rollout, links, number)
        targets = self.valuation.targets(rollout, self.algorithm, links, presence, counted)
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
            self.actor.subjects,
            self.split,
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
        own = own_policy(log_probs, self._agents, self.exchange.places)[: len(self._agents)].exp()
        if rows.presence is None:
            mean_probs = torch.from_numpy(self.ranks.mean(own.mean(dim=1).cpu().numpy()))
        else:
            mean_probs = torch.from_numpy(rows.presence.mean(own.cpu().numpy()))
        if self.split is not None:
            self.split.fill(mean_probs)
        sent = self.exchange.sent(log_probs, number, 0)
        old, announced = self._taken(log_probs, sent, rows.action)
        messages = self.exchange.messages(sent, announced, heard)
        backend.refer(old, messages)
        anticipated: Metrics = {}
        if messages is not None:
            sums = self.ranks.total(backend.anticipated(old, messages, rows, self.outside.name))
            if self.split is not None:
                self.split.fill(torch.from_numpy(sums))
            anticipated = anticipation_metrics(sums, self.outside.name)
        for iteration in range(config.iterations):
            rereference = config.ratio_reference == "iteration"
            resend = messages is not None and config.message_refresh == "iteration"
            if iteration > 0 and (rereference or resend):
                log_probs, heard = self._delivered(rows, number, iteration)
                sent = self.exchange.sent(log_probs, number, iteration)
                if rereference:
                    old, announced = self._taken(log_probs, sent, rows.action)
                messages = self.exchange.messages(sent, announced, heard)
                backend.refer(old, messages)
            backend.clear()
            gone = self._unheard(rows.neighbours, heard)
            waiting = None if gone is None else self.actor.anticipations(gone)
            kept = None if waiting is None else self.actor_adam.copy(waiting)
            parts = list(self.minibatches(rows.action.shape[0], number, iteration, rows.presence))
            for position, owners in enumerate(groups):
                mixed = rows.weights is not None and not sequential
                for some in (owners,) if mixed else backend.groups(owners):
                    for part, total in parts:
                        backend.step(some, part, total)
                        if rows.weights is not None and mixed:
                            self._mix(rows.weights)
                if sequential and messages is not None and position + 1 < len(groups):
                    # Agent i+1 already hears what agent i sends after its step (Algorithm 1).
                    before, after = log_probs[: owners.start], log_probs[owners.stop :]
                    log_probs = torch.cat([before, backend.log_probs(owners), after])
                    messages = self.exchange.messages(log_probs, announced, rows.neighbours)
                    backend.refer(old, messages)
            if rows.weights is not None and sequential:
                self._mix(rows.weights)
            if waiting is not None and kept is not None:  # of whom nothing came nothing is learned
                self.actor_adam.restore(*waiting, kept)
        return mean_probs, anticipated

    def _delivered(self, rows: Rows, number: int, iteration: int) -> tuple[Tensor, Tensor | None]:
        """Policies and anticipations as they have arrived [N, S, H, A], and who heard whom."""
        log_probs = self.exchange.reply(rows.policies(iteration, self.backend.log_probs))
        if self.delivery is None or rows.neighbours is None:
            return log_probs, rows.neighbours
        return self.delivery.deliver(log_probs, rows.neighbours, number, iteration)

    def _taken(self, log_probs: Tensor, sent: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the actions taken [N, S, H], one's own and as they are sent."""
        places = self.exchange.places
        old = taken(log_probs, action, self._agents, places)
        return old, old if sent is log_probs else taken(sent, action, self._agents, places)

    def _unheard(self, links: Tensor | None, heard: Tensor | None) -> Tensor | None:
        """Heads whose subjects were to be heard and were not, bool [N, H]; None if there are none.

        A party has heads for everybody. Where links are drawn anew, those that were not drawn wait.
        """
        if links is None or heard is None or self.delivery is None:
            return None
        if drawn_anew(self.algorithm, self.config, self.spec.num_agents):
            return ~heard.any(dim=1).cpu()
        return None if heard is links else (links.any(dim=1) & ~heard.any(dim=1)).cpu()

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
            self.exchange.watch("actor", self.actor_adam.parameters)
            self.actor_adam.parameters.copy_(weights @ self.actor_adam.parameters)

    @property
    def network_sizes(self) -> tuple[int, int]:
        """Parameters of one agent's actor and of its critic, as they are sent."""
        actor_size = self.actor_adam.parameters.shape[1] - self.actor.lacking
        return actor_size, self.critic_adam.parameters.shape[1]

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Tensor]:
        """Everything training needs to go on bit for bit, as named tensors.

        All ranks must call it together.
        """
        tensors = {**self.agents.state(), **self.valuation.state(), **self._of_models()}
        return {key: value.detach().cpu() for key, value in tensors.items()}

    def layout(self) -> dict[str, Tensor]:
        """Tensors of the types and shapes of `state()`, asking no other rank."""
        return {**self.agents.layout(), **self.valuation.layout(), **self._of_models()}

    def _of_models(self) -> dict[str, Tensor]:
        return {} if self.models is None else self.models.state()

    def adopt(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes the layout of a checkpoint, whose state is loaded next.

        Raises:
            ValueError: what it says of the actors' heads cannot be.
        """
        self.agents.adopt(tensors)
        self.valuation.backend = self.backend

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores `state()`, and takes its layout."""
        self.adopt({key: value.detach().cpu().numpy() for key, value in tensors.items()})
        self.agents.load_state(tensors)
        if self.models is not None:
            self.models.load_state(tensors)
        kept = {key.partition(".")[::2]: value.numpy() for key, value in tensors.items()}
        self.valuation.load_state(
            {key: value for (part, key), value in kept.items() if part == "normalizer"}
        )
