"""Trains a game and keeps what each agent receives of each other, as numbers that attacks read.

T steps, B environments, N agents, S sampled states, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.contract import LOCAL, own_rewards, own_values
from ascore.algorithms.table import get_algorithm
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.envs.vec_env import VecEnv
from ascore.errors import ConfigError
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector, Rollout, per_agent_view
from ascore.privacy import networks
from ascore.privacy.games import Insight
from ascore.privacy.preferences import record_of
from ascore.privacy.signals import Stage

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

MOST_STATES = 512
"""States of an update that attacks look at, drawn anew for each."""
MOST_MIXES = 2
"""Rounds of consensus of an update that attacks look at, the first ones."""
SECTIONS = 6
"""Parts of a training; features are averaged within each."""

SAMPLE = 0x5CE7E
"""Keys which states attacks look at, beside the seed."""

Features = dict[str, F64]
"""Numbers by attack."""


@dataclass
class Received:
    """What went over the links in one update.

    Attributes:
        policies: log pi^{ij}, f32 [N, T B, N, A] of every message.
        values: f32 [N, M], see `Watch`.
        networks: parameters [N, P] before rounds of consensus, of the first ones.
        last: before the last one.
    """

    policies: list[F32] = field(default_factory=list)
    values: F32 | None = None
    networks: list[Tensor] = field(default_factory=list)
    last: Tensor | None = None

    def note(self, kind: str, sent: Tensor) -> None:
        """Keeps a copy of what is sent."""
        if kind == "policy":
            self.policies.append(sent.detach().cpu().numpy().copy())
        elif kind == "value":
            self.values = sent.numpy().copy()
        else:
            self.last = sent.detach().cpu().clone()
            if len(self.networks) < MOST_MIXES:
                self.networks.append(self.last)


@dataclass(frozen=True)
class Recording:
    """A training as attackers have it.

    Attributes:
        features: f64 [N, F] by attack; row j is about agent j.
        team_return: mean over the last fifth of the updates.
        bytes_sent: by all agents.
    """

    features: Features
    team_return: float
    bytes_sent: float


def record(config: Config, report: Callable[[int, int], None] | None = None) -> Recording:
    """Trains a configuration from its beginning and records it.

    Args:
        config: with weights.
        report: called with the updates done and their number.

    Raises:
        ConfigError: the attacks cannot read this: see `require_readable`.
    """
    require_readable(config)
    torch.set_num_threads(config.torch_threads)
    env = _batch(config, config.num_envs)
    game = record_of(config).load_secret()(_batch(config, 1))
    learner = Learner(config, env.spec)
    steps = config.rollout_steps or env.spec.horizon
    total = config.updates(env.spec.horizon)
    collector = Collector(env, steps, compiled=config.backend != "torch", neighbours=False)
    sample = np.random.default_rng([SAMPLE, config.seed])
    sections: list[list[list[Features]]] = [[] for _ in range(min(SECTIONS, total))]
    returns: list[float] = []
    sent, before = 0.0, None
    env.reset()
    for number in range(total):
        rollout = collector.collect(learner.actor)
        received = Received()
        learner.show_messages(received.note)
        learner.anneal(number / total)
        metrics = learner.update(rollout, number)
        rows = sample.permutation(steps * config.num_envs)[:MOST_STATES]
        observed = Observed(game, learner, rollout, received, rows, before)
        sections[number * len(sections) // total].append(observed.features())
        before = None if received.last is None else received.last.mean(dim=0)
        returns.append(metrics["team_return"])
        sent += float(np.sum(metrics["bytes_sent"]))
        if report is not None:
            report(number + 1, total)
    tail = [r for r in returns[-max(1, total // 5) :] if np.isfinite(r)]
    return Recording(joined(sections), float(np.mean(tail)), sent)


def require_readable(config: Config) -> None:
    """Refuses what the attacks do not know how to read.

    Raises:
        ConfigError: names the key, its value and the remedy.
    """
    record_of(config)
    algorithm = get_algorithm(config.algorithm)
    sends_no_more = algorithm.rewards is own_rewards and algorithm.infers is None
    if algorithm.view is not LOCAL or not sends_no_more:
        message = (
            f"the attacks cannot read what {config.algorithm} sends; choose from: as, vs, vps, ps"
        )
        raise ConfigError(message)
    needed = {"graph": "complete", "communicate_every": 1, "message_refresh": "iteration"}
    for key, value in needed.items():
        if getattr(config, key) != value:
            message = (
                f"{key} = {getattr(config, key)} is not possible here: the attacks read games in "
                f"which all hear all in every iteration; set {key} = {value}"
            )
            raise ConfigError(message)


def _batch(config: Config, num_envs: int) -> VecEnv:
    place = (config.env, config.env_params, num_envs, config.seed, config.num_threads)
    return batch(*place, horizon=config.horizon)


class Observed:
    """One update, as the attacks look at it.

    Args:
        game: how to read states.
        learner: after the update; for sizes of networks alone.
        rollout: of the update.
        received: what was sent in it.
        rows: i64 [S], which of its states.
        before: parameters [P] that all had after the last round of consensus before; None = none.
    """

    def __init__(
        self,
        game: Insight,
        learner: Learner,
        rollout: Rollout,
        received: Received,
        rows: npt.NDArray[np.int64],
        before: Tensor | None,
    ) -> None:
        self._learner, self._received, self._rows, self._before = learner, received, rows, before
        self._config = learner.config
        steps, envs, n = rollout.action.shape
        self._agents, self._rollout = n, rollout
        self._shape: tuple[int, int] = (steps, envs)
        after = np.concatenate([rollout.obs[1:], rollout.last_obs[None]])
        for t, where, obs in rollout.final:
            after[t, where] = obs
        self._obs = _pick(rollout.obs, rows)
        action = _pick(rollout.action, rows)
        self._stage = Stage(game, self._obs, _pick(after, rows), action)
        self._reward = _pick(rollout.reward, rows)

    def features(self) -> list[Features]:
        """By attack, about every agent."""
        return [self._about(j) for j in range(self._agents)]

    def _about(self, j: int) -> Features:
        """Of agent j: what the next agent receives, and what all others receive together."""
        n = self._agents
        everybody = [(j + k) % n for k in range(n)]
        made: Features = {}
        for audience, crew in {"neighbour": everybody[:2], "all others": everybody}.items():
            if audience == "all others" and n == 2:
                continue
            public = self._stage.public(crew)
            own = {"rewards": self._stage.rewards(self._reward[:, j], j), **self._heard(crew)}
            made[f"{audience}: actions"] = public
            made |= {f"{audience}: {name}": np.append(public, x) for name, x in own.items()}
        return made

    def _heard(self, crew: Sequence[int]) -> Features:
        """What the messages of an agent say, by attack."""
        algorithm = self._learner.algorithm
        if algorithm.sends_policies:
            return self._policies(crew)
        if algorithm.mixes == "critic":
            return self._critics(crew[0])
        if algorithm.mixes == "actor":
            return self._actors(crew)
        return self._values(crew[0]) if algorithm.advantages is not own_values else {}

    def _policies(self, crew: Sequence[int]) -> Features:
        """Own policies and anticipations; how they change from message to message."""
        j, stage = crew[0], self._stage
        first, last = (p[j][self._rows] for p in (self._received.policies[i] for i in (0, -1)))
        levels = [stage.levels(k, first[:, k]) for k in crew]
        shifts = [stage.shift(k, first[:, k], last[:, k]) for k in crew]
        signs = [stage.signs(k, first[:, k], last[:, k]) for k in crew]
        return {
            "distributions": np.concatenate(levels),
            "changes": np.concatenate([*levels, *shifts]),
            "signs": np.concatenate(signs),
        }

    def _values(self, j: int) -> Features:
        """Values, and their temporal differences."""
        assert self._received.values is not None
        value, following = self._valued(self._received.values[j])
        level = self._stage.values(j, value)
        return {
            "values": level,
            "residuals": self._stage.residuals(j, value, following, self._config.gamma),
        }

    def _valued(self, values: F32) -> tuple[F32, F32]:
        """Values of the sampled states and of those after them, f32 [S] each."""
        steps, envs = self._shape
        value = values[: (steps + 1) * envs].reshape(steps + 1, envs)
        following, at = value[1:].copy(), (steps + 1) * envs
        for t, where, _ in self._rollout.final:
            following[t, where] = values[at : at + len(where)]
            at += len(where)
        return _pick(value[:-1], self._rows), _pick(following, self._rows)

    def _steps(self) -> list[tuple[Tensor, Tensor]]:
        """Parameters [P] before and [N, P] after the first steps, as all have received them."""
        before, steps = self._before, []
        for after in self._received.networks:
            if before is not None:
                steps.append((before, after))
            before = after.mean(dim=0)
        return steps

    def _seen(self) -> Tensor:
        """Observations as networks see them, f32 [S, O]."""
        return per_agent_view(torch.from_numpy(self._obs), self._learner.spec.obs_scale)

    def _critics(self, j: int) -> Features:
        """What agent j's steps have changed, in parameters and in values that follow from them."""
        critic, obs, stage = self._learner.critic, self._seen(), self._stage
        looks = []
        for before, after in self._steps():
            level = networks.values(critic, after[j], obs)
            change = level - networks.values(critic, before, obs)
            bias = [float(after[j, -1] - before[-1]), float(after[j, -1])]
            looks.append(np.concatenate([stage.values(j, change), stage.values(j, level), bias]))
        return {"parameters": np.mean(looks, axis=0)} if looks else {}

    def _actors(self, crew: Sequence[int]) -> Features:
        """What agent j's steps have changed in the joint policy; advantages that explain them."""
        j, actor, obs, stage = crew[0], self._learner.actor, self._seen(), self._stage
        action = torch.from_numpy(stage.action.astype(np.int64))
        patterns = np.concatenate(
            [np.ones((len(obs), 1), np.float32), stage.unit[:, list(crew)]], axis=1
        )
        changes, advantages = [], []
        for before, after in self._steps():
            with torch.no_grad():
                then, now = (networks.log_probs(actor, p, obs).numpy() for p in (before, after[j]))
            changes.append(np.concatenate([stage.shift(k, then[:, k], now[:, k]) for k in crew]))
            step = before, after[j]
            advantages.append(networks.inverted(actor, *step, obs, action, patterns))
        if not changes:
            return {}
        return {
            "parameters": np.mean(changes, axis=0),
            "gradients": np.mean(advantages, axis=0),
        }


def _pick(array: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Some rows of an array [T, B, ...]: [S, ...]."""
    return array.reshape(-1, *array.shape[2:])[rows]


def joined(sections: Sequence[Sequence[Sequence[Features]]]) -> Features:
    """Means within each section, side by side: [section][update][agent] -> f64 [N, F] by attack.

    NaN is what was not seen. Where a section has seen nothing, the mean of the others stands; where
    none has, NaN.
    """
    agents = range(len(sections[0][0]))
    by_attack: Features = {}
    for name in sections[-1][-1][0]:
        parts = [
            _seen_mean([[u[j][name] for j in agents] for u in each if name in u[0]])
            for each in sections
        ]
        seen = np.stack(parts)  # [section, N, F]
        seen = np.where(np.isnan(seen), _seen_mean(seen), seen)
        by_attack[name] = np.concatenate(seen, axis=1)
    return by_attack


def _seen_mean(values: npt.ArrayLike) -> F64:
    """Mean over the first axis of what is not NaN; NaN where all is."""
    array = np.asarray(values, dtype=np.float64)
    count = (~np.isnan(array)).sum(axis=0)
    mean: F64 = np.where(count > 0, np.nansum(array, axis=0) / np.maximum(count, 1), np.nan)
    return mean
