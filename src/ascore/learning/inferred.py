"""Models of rewards: every agent fits one to its own rewards and asks it what others earn.

T steps, B environments, N agents, V views, O observation entries, A actions, S = T*B rows, L links,
K transitions that an agent keeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import Algorithm, Inference
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Counted
from ascore.config import Config
from ascore.envs.presence import TERMINATED
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.guards import Guards
from ascore.learning.networks import ALL, Critic, StackedMLP, forward, orthogonal
from ascore.learning.optimizer import AgentAdam
from ascore.learning.rollout import Rollout
from ascore.runtime.ranks import Ranks
from ascore.streams import STREAM_REWARD_MODEL, generator

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

LARGEST_PART = 4096
"""Rows that models are asked about at a time."""


@dataclass(frozen=True)
class Transitions:
    """What happened in S rows, as the environment showed it.

    Attributes:
        before: [S, V, O], in which actions were taken.
        after: [S, V, O], where they led; the last state of an episode, not the first of the next.
        action: [S, N].
        reward: f32 [S, N].
        present: bool [S, N], who was there; None = all.
    """

    before: npt.NDArray[Any]
    after: npt.NDArray[Any]
    action: npt.NDArray[Any]
    reward: F32
    present: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, rollout: Rollout) -> Transitions:
        """Those of a rollout."""
        steps, envs, n = rollout.reward.shape
        after = np.concatenate([rollout.obs[1:], rollout.last_obs[None]])
        for t, where, obs in (*rollout.final, *rollout.cut):
            after[t, where] = obs
        before, reward, there = rollout.obs, rollout.reward, None
        views = rollout.obs.shape[2:]
        if rollout.present is not None and rollout.left is not None:
            here = rollout.present[:-1] != 0
            reward, there = np.where(here, reward, np.float32(0.0)), here.reshape(-1, n)
            if views[0] > 1:  # whoever leaves before the others sees nothing afterwards
                over = (rollout.terminated | rollout.truncated) != 0
                gone = (rollout.left == TERMINATED) & ~over[..., None]
                before = np.where(here[..., None], before, np.zeros((), before.dtype))
                after[gone | ~here] = 0
        return cls(
            before=before.reshape(steps * envs, *views),
            after=after.reshape(steps * envs, *views),
            action=rollout.action.reshape(steps * envs, n),
            reward=reward.reshape(steps * envs, n),
            present=there,
        )


class RewardModels:
    """N models f_i(o, a, o') of agent i's own reward, and the transitions that each keeps.

    Each is fitted to its agent's own rows and to kept transitions of its own in which the reward
    was not 0, which are rare and would be forgotten. Widths, learning rate and limits are those of
    the critics; a fit takes as many steps as theirs.

    Args:
        infers: what comes of them.
        name: of the algorithm.
        config: of the run.
        spec: sizes of the environment.
        device: where PyTorch computes.
        ranks: the processes of the run.

    Attributes:
        error: mean squared error on the last rollout before anything was learned from it, f32 [N].

    Raises:
        ConfigError: there are several ranks, or nothing is to be kept.
    """

    error: Tensor

    def __init__(
        self,
        infers: Inference,
        name: str,
        config: Config,
        spec: Spec,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        if ranks.size > 1:
            message = (
                f"{name} fits models of rewards, which {ranks.size} ranks cannot do "
                "together; train in one process"
            )
            raise ConfigError(message)
        if infers.kept(config) < 1:
            message = f"kept = {infers.kept(config)} of {name} is not allowed; keep at least 1"
            raise ConfigError(message)
        self.config, self.spec, self.device = config, spec, device
        self.infers, self.kept = infers, infers.kept(config)
        self.guards = Guards(config, has_peer_ratio=False)
        n, size = spec.num_agents, int(np.prod(spec.obs_shape))
        entries = 2 * size + spec.num_actions
        self.model = Critic(
            entries, config.critic_hidden, n, seed=config.seed, device=device,
            stream=STREAM_REWARD_MODEL,
        )  # fmt: skip
        net = self.model.net
        _begin_without_actions(net, 2 * size, config.seed)
        self.adam = AgentAdam(net, n, config.critic_lr, config.adam_epsilon, config.max_grad_norm)
        self._leaves = [leaf for layer in net.layers for leaf in layer]
        self._gradients = [leaf for layer in net.gradients for leaf in layer]
        self._states = np.zeros((n, self.kept, 2, size), dtype=spec.obs_dtype)
        self._actions = np.zeros((n, self.kept), dtype=np.int64)
        self._rewards = np.zeros((n, self.kept), dtype=np.float32)
        self._count = np.zeros(n, dtype=np.int64)  # ever kept, also those that were replaced

    @classmethod
    def of(
        cls, algorithm: Algorithm, config: Config, spec: Spec, device: torch.device, ranks: Ranks
    ) -> RewardModels | None:
        """Those of a run; None where nothing is inferred."""
        if algorithm.infers is None:
            return None
        return cls(algorithm.infers, algorithm.name, config, spec, device, ranks)

    def metrics(self) -> dict[str, list[float]]:
        """Metrics of an update, one value per agent."""
        return {"reward_model_error": self.error.tolist()}

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate."""
        self.adam.set_rate(rate)

    def learn(self, rollout: Rollout, links: Links | None, number: int) -> Counted | None:
        """Fits the models to a rollout, then asks them what others earn in it.

        Args:
            rollout: what was just collected.
            links: who hears whom; None = nobody, in this update.
            number: of the update.

        Returns:
            What comes of it; None where it does not count.
        """
        seen = Transitions.of(rollout)
        self.error = self.fit(seen, number)
        self.guards.parameters({"reward model's value": self.adam.parameters})
        before = number * rollout.terminated.size  # steps of all environments
        if links is None or before < self.infers.warmup(self.config):
            return None
        ended = rollout.terminated | rollout.truncated
        shape = *rollout.terminated.shape, len(links.pairs)
        inferred = self.infer(seen, links).reshape(shape)
        there = None if rollout.present is None else rollout.present[:-1]
        rewards = bonus = None
        if self.infers.rewards is not None:
            rewards = self.infers.rewards(rollout.reward, inferred, ended, links, self.config)
        if self.infers.bonus is not None:
            bonus = self.infers.bonus(rollout.reward, inferred, ended, there, links, self.config)
        return Counted(rewards, bonus)

    # ------------------------------------------------------------------ fit

    def fit(self, seen: Transitions, number: int) -> Tensor:
        """Fits every agent's model to its own rows of a rollout and to what it keeps.

        Args:
            seen: what was just collected.
            number: of the update; keys the parts of its rows.

        Returns:
            Mean squared error on these rows before, f32 [N].
        """
        rows, config = len(seen.reward), self.config
        with torch.no_grad():
            parts = np.array_split(np.arange(rows), -(-rows // LARGEST_PART))
            squares = [self._errors(seen, part) * len(part) for part in parts]
        error = torch.stack(squares).sum(dim=0) / rows
        for k in range(config.iterations):
            order = generator(config.seed, STREAM_REWARD_MODEL, number, k).permutation(rows)
            for place, part in enumerate(np.array_split(order, config.minibatches)):
                draw = generator(config.seed, STREAM_REWARD_MODEL, number, k, 1 + place)
                loss = self._errors(seen, part) + self._kept_errors(draw, len(part))
                gradients = torch.autograd.grad(loss.sum(), self._leaves)
                for buffer, gradient in zip(self._gradients, gradients, strict=True):
                    buffer.copy_(gradient)
                self.adam.step(ALL, self.adam.norms(ALL))
        self._keep(seen, number)
        return error

    def _errors(self, seen: Transitions, part: I64) -> Tensor:
        """Mean squared error of every agent's model over its own among some rows, f32 [n]."""
        n = self.spec.num_agents
        views = [self._view(i) for i in range(n)]
        inputs = torch.stack([self._input(seen, part, v, i) for i, v in enumerate(views)])
        target = self._there(seen.reward[part].T)
        if seen.present is None:
            return (self.model(inputs) - target).square().mean(dim=1)
        mine = self._there(seen.present[part].T.astype(np.float32))
        total = ((self.model(inputs) - target).square() * mine).sum(dim=1)
        return total / mine.sum(dim=1).clamp(min=1.0)

    def _kept_errors(self, draw: np.random.Generator, count: int) -> Tensor:
        """The same over `count` kept transitions, drawn with replacement; 0 without any."""
        n, size = self._rewards.shape[0], min(count, self.kept)
        held = np.minimum(self._count, self.kept)
        place = (draw.random((n, size)) * held[:, None]).astype(np.int64)
        who = np.arange(n)[:, None]
        states = self._there(self._states[who, place].reshape(n, size, -1)) * self.spec.obs_scale
        inputs = torch.cat([states, self._one_hot(self._actions[who, place])], dim=2)
        target = self._there(self._rewards[who, place])
        errors = (self.model(inputs) - target).square().mean(dim=1)
        return errors * self._there((held > 0).astype(np.float32))

    def _keep(self, seen: Transitions, number: int) -> None:
        """Keeps transitions whose reward was not 0, in place of the oldest; at most K."""
        for i in range(self.spec.num_agents):
            paid = np.flatnonzero(seen.reward[:, i])
            if len(paid) > self.kept:
                draw = generator(self.config.seed, STREAM_REWARD_MODEL, number, 0, (1 << 32) + i)
                paid = np.sort(draw.choice(paid, self.kept, replace=False))
            place = (self._count[i] + np.arange(len(paid))) % self.kept
            view = self._view(i)
            self._states[i, place, 0] = seen.before[paid, view]
            self._states[i, place, 1] = seen.after[paid, view]
            self._actions[i, place] = seen.action[paid, i]
            self._rewards[i, place] = seen.reward[paid, i]
            self._count[i] += len(paid)

    # ------------------------------------------------------------------ what others earn

    @torch.no_grad()
    def infer(self, seen: Transitions, links: Links) -> F32:
        """What every agent takes the rewards of those it hears to be.

        Args:
            seen: what all did and saw.
            links: who hears whom.

        Returns:
            f_i(o_j, a_j, o_j') over the links, f32 [S, L]; 0 where j is absent.
        """
        rows, pairs = len(seen.reward), links.pairs
        inferred = np.zeros((rows, len(pairs)), dtype=np.float32)
        for j in np.unique(pairs.sender):
            over = np.flatnonzero(pairs.sender == j)
            who = torch.from_numpy(pairs.listener[over]).to(self.device)
            layers = [(weight[who], bias[who]) for weight, bias in self.model.net.layers]
            for start in range(0, rows, LARGEST_PART):
                part = np.arange(start, min(rows, start + LARGEST_PART))
                earned = forward(layers, self._input(seen, part, self._view(int(j)), int(j)))
                inferred[part[:, None], over] = earned.squeeze(-1).T.cpu().numpy()
            if seen.present is not None:
                inferred[~seen.present[:, j][:, None] & (pairs.sender == j)] = 0.0
        return inferred

    def _input(self, seen: Transitions, part: I64, view: int, agent: int) -> Tensor:
        """(o, a, o') of an agent in some rows, f32 [m, 2 O + A]."""
        states = [self._there(x[part, view]) for x in (seen.before, seen.after)]
        action = self._one_hot(seen.action[part, agent].astype(np.int64))
        return torch.cat([*(x * self.spec.obs_scale for x in states), action], dim=1)

    def _view(self, agent: int) -> int:
        return agent if self.spec.views > 1 else 0

    def _there(self, x: npt.NDArray[Any]) -> Tensor:
        """Converts to f32 on the device of the models."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.device, torch.float32)

    def _one_hot(self, action: I64) -> Tensor:
        count = self.spec.num_actions
        return torch.nn.functional.one_hot(torch.from_numpy(action), count).to(
            self.device, torch.float32
        )

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Tensor]:
        """Everything the models go on with, as named tensors."""
        kept = {
            "states": self._states,
            "actions": self._actions,
            "rewards": self._rewards,
            "count": self._count,
        }
        return {
            "rewards.model": self.model.net.flat.detach(),
            **{f"rewards.adam.{key}": value for key, value in self.adam.state().items()},
            **{f"rewards.kept.{key}": torch.from_numpy(x) for key, x in kept.items()},
        }

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores `state()`."""
        self.model.net.flat.copy_(tensors["rewards.model"])
        moments = ("exp_avg", "exp_avg_sq", "step")
        self.adam.load_state({key: tensors[f"rewards.adam.{key}"] for key in moments})
        for key in ("states", "actions", "rewards", "count"):
            getattr(self, f"_{key}")[...] = tensors[f"rewards.kept.{key}"].cpu().numpy()


@torch.no_grad()
def _begin_without_actions(net: StackedMLP, states: int, seed: int) -> None:
    """First layers that start as if there were no actions, so that none that nobody has matters."""
    weight, _ = net.layers[0]
    gain = math.sqrt(2.0) if len(net.layers) > 1 else 1.0
    weight[:, states:] = 0.0
    for agent in range(len(weight)):
        rng = generator(seed, STREAM_REWARD_MODEL, 0, 0, agent)
        weight[agent, :states] = torch.from_numpy(orthogonal(rng, states, weight.shape[2], gain))
