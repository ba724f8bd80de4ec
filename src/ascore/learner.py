"""The agents: networks, optimisers, and one update of K iterations over a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ascore import graph
from ascore.algorithms import get_algorithm
from ascore.algorithms.contract import Algorithm
from ascore.config import Config
from ascore.envs import Spec
from ascore.errors import ConfigError, NonFiniteError
from ascore.networks import ALL, Actor, Critic, StackedMLP
from ascore.objectives import Batch, Inbox, LossTerms, own_policy, taken
from ascore.rollout import Rollout, per_agent_view
from ascore.streams import STREAM_MINIBATCH, generator
from ascore.targets import Targets, ValueNormalizer, compute_targets

Metrics = dict[str, Any]


class AgentAdam:
    """Adam over the rows of a stacked network: one parameter row, and its own moments, per agent.

    Gradients are limited per agent, never across agents.
    """

    def __init__(
        self, net: StackedMLP, num_agents: int, lr: float, eps: float, max_norm: float
    ) -> None:
        self.parameters = net.flat.view(num_agents, -1)
        self.gradients = net.grad.view(num_agents, -1)
        self.max_norm = max_norm
        self.rows = [torch.nn.Parameter(row) for row in self.parameters]
        self.adam = torch.optim.Adam(self.rows, lr=lr, eps=eps, fused=True)

    def norms(self, owners: slice) -> Tensor:
        """Gradient norm of each owner, f32 [n]."""
        norms: Tensor = torch.linalg.vector_norm(self.gradients[owners], dim=1)
        return norms

    def step(self, owners: slice, norms: Tensor) -> None:
        """One step of the owners' rows with the gradients now in the buffer."""
        if self.max_norm > 0:
            scale = (self.max_norm / (norms + 1e-12)).clamp(max=1.0)
            self.gradients[owners] *= scale.unsqueeze(1)
        chosen = range(len(self.rows))[owners]
        for index, row in enumerate(self.rows):
            row.grad = self.gradients[index] if index in chosen else None
        self.adam.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, stacked over agents; empty moments before the first step."""
        states = [self.adam.state.get(row, {}) for row in self.rows]
        zero = torch.zeros_like(self.parameters[0])
        return {
            "exp_avg": torch.stack([s.get("exp_avg", zero) for s in states]),
            "exp_avg_sq": torch.stack([s.get("exp_avg_sq", zero) for s in states]),
            "step": torch.stack([s.get("step", torch.zeros(())) for s in states]),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restores `state()`."""
        for index, row in enumerate(self.rows):
            self.adam.state[row] = {key: state[key][index].clone() for key in state}


@dataclass(frozen=True)
class Rows:
    """A batch flattened to S = T*B rows, as tensors; what all iterations read."""

    obs: Tensor  # f32 [S, O] or [N, S, O]
    action: Tensor  # i64 [S, N]
    advantage: Tensor  # f32 [N, S]
    advantage_scale: Tensor  # f32 [N]
    normalized_return: Tensor  # f32 [N, S]
    neighbours: Tensor | None  # bool [N, S, N]; None when nothing is exchanged in this update


class Learner:
    """N agents that never share parameters, trained by one algorithm."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.algorithm: Algorithm = get_algorithm(config.algorithm)
        n, size = spec.num_agents, int(np.prod(spec.obs_shape))
        self.actor = Actor(
            size,
            config.actor_hidden,
            n,
            spec.num_actions,
            anticipates=self.algorithm.anticipates,
            layout=config.actor,
            seed=config.seed,
        )
        self.critic = Critic(size, config.critic_hidden, n, seed=config.seed)
        limits = config.adam_epsilon, config.max_grad_norm
        self.actor_adam = AgentAdam(self.actor.net, n, config.actor_lr, *limits)
        self.critic_adam = AgentAdam(self.critic.net, n, config.critic_lr, *limits)
        self.normalizer = ValueNormalizer(n)
        self._agents = torch.arange(n)
        nets = (self.actor.net, self.critic.net)
        self._leaves = [leaf for net in nets for layer in net.layers for leaf in layer]
        self._places = [place for net in nets for layer in net.gradients for place in layer]

    # ------------------------------------------------------------------ targets

    @torch.no_grad()
    def targets(self, rollout: Rollout) -> Targets:
        """Advantages and returns of a rollout in reward units; moves the value normaliser on."""
        config = self.config
        steps, b, n = rollout.reward.shape
        ended = [obs for _, _, obs in rollout.final]
        parts = [rollout.obs.reshape(steps * b, *rollout.obs.shape[2:]), rollout.last_obs, *ended]
        every = np.concatenate(parts)
        seen = per_agent_view(torch.from_numpy(every), self.spec.obs_scale)
        values = self._denormalize(self.critic(seen)).T.numpy()
        value = np.ascontiguousarray(values[: (steps + 1) * b].reshape(steps + 1, b, n))
        final_value = np.zeros((steps, b, n), dtype=np.float32)
        at = (steps + 1) * b
        for t, envs, obs in rollout.final:
            final_value[t, envs] = values[at : at + len(obs)]
            at += len(obs)
        targets = compute_targets(
            rollout.reward,
            value,
            rollout.terminated,
            rollout.truncated,
            final_value,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            time_limit=config.time_limit,
            value_target=config.value_target,
        )
        if config.value_normalization:
            self._renormalize(targets)
        return targets

    def _denormalize(self, output: Tensor) -> Tensor:
        mean, std = self._moments()
        return output * std + mean

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the targets, f32 [N, 1] each."""
        mean, std = self.normalizer.mean, self.normalizer.std
        return torch.from_numpy(mean).float()[:, None], torch.from_numpy(std).float()[:, None]

    def _renormalize(self, targets: Targets) -> None:
        """Moves mean and deviation on and rescales the last layer, so that V stays as it was."""
        first = self.normalizer.weight[0] == 0
        mean, std = self.normalizer.mean, self.normalizer.std
        self.normalizer.update(targets.returns)
        if first:
            return  # an untrained critic starts at the mean of the targets instead
        ratio = torch.from_numpy(std / self.normalizer.std).float()
        shift = torch.from_numpy((mean - self.normalizer.mean) / self.normalizer.std).float()
        weight, bias = self.critic.net.layers[-1]
        weight.mul_(ratio[:, None, None])
        bias.mul_(ratio[:, None]).add_(shift[:, None])

    # ------------------------------------------------------------------ update

    def update(self, rollout: Rollout, number: int) -> Metrics:
        """K iterations over a batch.

        Args:
            rollout: what was just collected.
            number: of this update, from 0; keys minibatches, random graphs and gaps.

        Returns:
            Metrics of the update; per-agent quantities are lists of N floats. Loss statistics are
            averages over the minibatches of the last iteration.

        Raises:
            NonFiniteError: a loss, gradient or parameter is not finite; nothing non-finite is
                ever written into a parameter by a step.
        """
        targets = self.targets(rollout)
        self._check_targets(rollout, targets)
        communicates = self.algorithm.shares and number % self.config.communicate_every == 0
        rows = self._rows(rollout, targets, number, communicates)
        frozen = (
            self._snapshot_anticipations() if self.algorithm.shares and not communicates else None
        )
        totals: dict[str, Tensor] = {}
        mean_probs = self._iterations(rows, number, totals)
        if frozen is not None:
            self._restore_anticipations(*frozen)
        self._check_parameters()
        return self._metrics(rollout, targets, rows, totals, mean_probs)

    def _rows(self, rollout: Rollout, targets: Targets, number: int, communicates: bool) -> Rows:
        config = self.config
        steps, b, n = rollout.reward.shape
        rows = steps * b
        if config.minibatches > rows:
            message = (
                f"minibatches = {config.minibatches} exceeds the {rows} rows of a batch; "
                "lower it or raise num_envs or rollout_steps"
            )
            raise ConfigError(message)
        advantage = torch.from_numpy(targets.advantage.reshape(rows, n)).T.contiguous()
        if config.advantage_normalization:
            centred = advantage - advantage.mean(dim=1, keepdim=True)
            advantage = centred / (advantage.std(dim=1, keepdim=True) + 1e-8)
        size = advantage.abs()
        scale = size.mean(dim=1) if config.advantage_scale == "mean" else size.amax(dim=1)
        returns = torch.from_numpy(targets.returns.reshape(rows, n)).T
        mean, std = self._moments()
        mask = None
        if communicates:
            found = graph.neighbours(
                config.graph, n, seed=config.seed, update=number, from_env=rollout.neighbours
            )
            mask = torch.from_numpy(found)
            mask = mask.reshape(rows, n, n).transpose(0, 1) if mask.dim() > 2 else mask
            mask = mask if mask.dim() > 2 else mask[:, None, :].expand(n, rows, n)
        return Rows(
            obs=per_agent_view(torch.from_numpy(rollout.obs), self.spec.obs_scale),
            action=torch.from_numpy(rollout.action.reshape(rows, n).astype(np.int64)),
            advantage=advantage,
            advantage_scale=scale,
            normalized_return=((returns - mean) / std).contiguous(),
            neighbours=mask,
        )

    def _iterations(self, rows: Rows, number: int, totals: dict[str, Tensor]) -> Tensor:
        """Runs the K iterations; returns the mean own action probabilities before them, [N, A]."""
        config = self.config
        sequential = config.update_order == "sequential"
        groups = [slice(i, i + 1) for i in range(self.spec.num_agents)] if sequential else [ALL]
        log_probs = self._log_probs(rows.obs)
        mean_probs = own_policy(log_probs, self._agents).exp().mean(dim=1)
        old = taken(log_probs, rows.action, self._agents)
        inbox = self._messages(rows, log_probs, old)
        for iteration in range(config.iterations):
            rereference = config.ratio_reference == "iteration"
            resend = inbox is not None and config.message_refresh == "iteration"
            if iteration > 0 and (rereference or resend):
                log_probs = self._log_probs(rows.obs)
                if rereference:
                    old = taken(log_probs, rows.action, self._agents)
                inbox = self._messages(rows, log_probs, old)
            last = iteration + 1 == config.iterations
            for position, owners in enumerate(groups):
                for part in self._minibatches(rows.action.shape[0], number, iteration):
                    self._minibatch(rows, owners, part, old, inbox, totals if last else None)
                if sequential and inbox is not None and position + 1 < len(groups):
                    # Agent i+1 already hears what agent i sends after its step (Algorithm 1).
                    log_probs = torch.cat(
                        [
                            log_probs[: owners.start],
                            self._log_probs(rows.obs, owners),
                            log_probs[owners.stop :],
                        ]
                    )
                    inbox = self._messages(rows, log_probs, old)
        return mean_probs

    @torch.no_grad()
    def _log_probs(self, obs: Tensor, owners: slice = ALL) -> Tensor:
        return self.actor.log_probs(obs if obs.dim() == 2 else obs[owners], owners)

    def _messages(self, rows: Rows, log_probs: Tensor, old: Tensor) -> Inbox | None:
        """The message step: the only place where one agent's output reaches another."""
        if rows.neighbours is None:
            return None
        return Inbox(
            policy=own_policy(log_probs, self._agents),
            anticipation=log_probs.transpose(0, 2),
            old_policy=old.diagonal(dim1=0, dim2=2),
            neighbours=rows.neighbours,
        )

    def _minibatches(self, rows: int, number: int, iteration: int) -> Iterator[Tensor | None]:
        if self.config.minibatches == 1:
            yield None  # all rows, in place
            return
        order = generator(self.config.seed, STREAM_MINIBATCH, number, iteration).permutation(rows)
        for part in np.array_split(order, self.config.minibatches):
            yield torch.from_numpy(part)

    def _minibatch(
        self,
        rows: Rows,
        owners: slice,
        part: Tensor | None,
        old: Tensor,
        inbox: Inbox | None,
        totals: dict[str, Tensor] | None,
    ) -> None:
        """One gradient step of some owners on some rows."""

        def pick(x: Tensor, dim: int) -> Tensor:
            return x if part is None else x.index_select(dim, part)

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
        log_probs = self.actor.log_probs(obs, owners)
        received = None
        if inbox is not None:
            received = Inbox(
                policy=pick(inbox.policy, 1),
                anticipation=pick(inbox.anticipation[owners], 1),
                old_policy=pick(inbox.old_policy, 0),
                neighbours=pick(inbox.neighbours[owners], 1),
            )
            if self.config.message_refresh == "minibatch":
                now = log_probs.detach()
                if now.shape[0] < self.spec.num_agents:
                    every = pick(rows.obs, rows.obs.dim() - 2)
                    now = self._log_probs(every)
                received = Inbox(
                    policy=own_policy(now, self._agents),
                    anticipation=now.transpose(0, 2)[owners],
                    old_policy=received.old_policy,
                    neighbours=received.neighbours,
                )
        terms = self.algorithm.objective(batch, log_probs, received, self.config)
        error = self.critic(obs, owners) - pick(rows.normalized_return[owners], 1)
        value_loss = error.square().mean(dim=1)
        actor_loss = terms.policy + terms.penalty
        if self.config.entropy_bonus > 0:
            actor_loss = actor_loss - self.config.entropy_bonus * terms.entropy
        gradients = torch.autograd.grad(actor_loss.sum() + value_loss.sum(), self._leaves)
        for place, gradient in zip(self._places, gradients, strict=True):
            place.copy_(gradient)
        actor_norm, critic_norm = self.actor_adam.norms(owners), self.critic_adam.norms(owners)
        self._check_step(
            agents,
            {
                "policy loss": actor_loss,
                "value loss": value_loss,
                "policy gradient": actor_norm,
                "value gradient": critic_norm,
            },
        )
        self.actor_adam.step(owners, actor_norm)
        self.critic_adam.step(owners, critic_norm)
        if totals is not None:
            self._accumulate(totals, owners, terms, value_loss, actor_norm, critic_norm)

    # ------------------------------------------------------------------ guards

    def _check_step(self, agents: Tensor, quantities: dict[str, Tensor]) -> None:
        if torch.isfinite(torch.stack([q.detach() for q in quantities.values()]).sum()):
            return
        for name, value in quantities.items():
            bad = (~torch.isfinite(value.detach())).nonzero().flatten()
            if len(bad):
                agent = int(agents[bad[0]])
                found = float(value.detach()[bad[0]])
                message = f"{name} of agent {agent} is {found}; {self._remedy(name)}"
                raise NonFiniteError(message)

    def _check_targets(self, rollout: Rollout, targets: Targets) -> None:
        quantities = {
            "reward": (rollout.reward, "check the environment"),
            "value": (targets.value, self._remedy("value")),
            "advantage": (targets.advantage, self._remedy("value")),
        }
        for name, (array, remedy) in quantities.items():
            finite = np.isfinite(array).all(axis=(0, 1))
            if not finite.all():
                agent = int(np.flatnonzero(~finite)[0])
                message = f"{name} of agent {agent} is not finite; {remedy}"
                raise NonFiniteError(message)

    def _check_parameters(self) -> None:
        networks = {"policy": self.actor_adam.parameters, "value": self.critic_adam.parameters}
        for name, rows in networks.items():
            bad = (~torch.isfinite(rows).all(dim=1)).nonzero().flatten()
            if len(bad):
                quantity = f"a {name} parameter"
                message = (
                    f"{quantity} of agent {int(bad[0])} is not finite; {self._remedy(quantity)}"
                )
                raise NonFiniteError(message)

    def _remedy(self, name: str) -> str:
        if "value" in name:
            return f"lower critic_lr (now {self.config.critic_lr:g}) or set max_grad_norm"
        if self.algorithm.shares and self.config.peer_ratio_clip == 0:
            return "set peer_ratio_clip (0.2 is a start), or lower actor_lr or penalty_weight"
        return f"lower actor_lr (now {self.config.actor_lr:g}) or set max_grad_norm"

    def _snapshot_anticipations(self) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What a communication gap must not move: Adam's momentum moves even without gradients."""
        mask = self.actor.anticipation_mask().view(self.spec.num_agents, -1)
        return mask, self.actor_adam.parameters.detach().clone(), self.actor_adam.state()

    def _restore_anticipations(
        self, mask: Tensor, before: Tensor, state: dict[str, Tensor]
    ) -> None:
        with torch.no_grad():
            rows = self.actor_adam.parameters
            rows.copy_(torch.where(mask, before, rows))
            now = self.actor_adam.state()
            kept = {k: torch.where(mask, state[k], now[k]) for k in ("exp_avg", "exp_avg_sq")}
            self.actor_adam.load_state({**kept, "step": now["step"]})

    # ------------------------------------------------------------------ metrics

    @torch.no_grad()
    def _accumulate(
        self,
        totals: dict[str, Tensor],
        owners: slice,
        terms: LossTerms,
        value_loss: Tensor,
        actor_norm: Tensor,
        critic_norm: Tensor,
    ) -> None:
        ratio = terms.own_log_ratio.exp()
        values = {
            "policy_loss": terms.policy,
            "penalty": terms.penalty,
            "value_loss": value_loss,
            "entropy": terms.entropy,
            "kl": (ratio - 1 - terms.own_log_ratio).mean(dim=1),
            "clip_fraction": ((ratio - 1).abs() > self.config.clip_epsilon).float().mean(dim=1),
            "policy_grad_norm": actor_norm,
            "value_grad_norm": critic_norm,
            **terms.statistics,
        }
        for key, value in values.items():
            if key not in totals:
                totals[key] = torch.zeros(self.spec.num_agents)
            totals[key][owners] += value.detach() / self.config.minibatches

    def _metrics(
        self,
        rollout: Rollout,
        targets: Targets,
        rows: Rows,
        totals: dict[str, Tensor],
        mean_probs: Tensor,
    ) -> Metrics:
        n = self.spec.num_agents
        floats = np.zeros(n, dtype=np.int64)
        if rows.neighbours is not None and self.algorithm.floats_sent is not None:
            listeners = rows.neighbours.sum(dim=1).T.numpy().astype(np.int64)  # [sender, receiver]
            per_round = self.algorithm.floats_sent(listeners, [self.spec.num_actions] * n)
            floats = per_round * self.config.iterations
        ended = rollout.episode_returns
        returns = np.concatenate(ended).mean(axis=0) if ended else np.full(n, np.nan)
        residual = (targets.returns - targets.value).reshape(-1, n).var(axis=0)
        spread = targets.returns.reshape(-1, n).var(axis=0)
        explained = 1.0 - residual / np.maximum(spread, 1e-12)
        return {
            "team_return": float(returns.sum()),
            "return": returns.tolist(),
            "advantage_scale": rows.advantage_scale.tolist(),
            "explained_variance": explained.tolist(),
            **{key: value.tolist() for key, value in totals.items()},
            "action_probs": mean_probs.tolist(),
            "floats_sent": floats.tolist(),
            "bytes_sent": (4 * floats).tolist(),
        }

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Tensor]:
        """Everything training needs to go on bit for bit, as named tensors."""
        tensors = {"actor": self.actor.net.flat, "critic": self.critic.net.flat}
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            tensors |= {f"{name}.{key}": value for key, value in adam.state().items()}
        tensors |= {
            f"normalizer.{k}": torch.from_numpy(v) for k, v in self.normalizer.state().items()
        }
        return {key: value.detach() for key, value in tensors.items()}

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restores `state()`."""
        self.actor.net.flat.copy_(tensors["actor"])
        self.critic.net.flat.copy_(tensors["critic"])
        for name, adam in (("actor", self.actor_adam), ("critic", self.critic_adam)):
            adam.load_state({k: tensors[f"{name}.{k}"] for k in ("exp_avg", "exp_avg_sq", "step")})
        self.normalizer.load_state(
            {k: tensors[f"normalizer.{k}"].numpy() for k in ("weight", "sums")}
        )
