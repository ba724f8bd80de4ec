"""One update of agents that leave before the others or enter after them, in float64 loops.

An agent learns from the rows in which it is there, as if the batch had no others: its sums of
rewards end where it leaves, its losses are means over its own rows, and on the rows in which
another is not there that one sends nothing and is asked nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Game", "Settings", "Stack", "targets", "update"]

F64 = NDArray[np.float64]
Layers = list[tuple[Tensor, Tensor]]
"""Weight [in, out] and bias [out] of each layer."""

TERMINATED, TRUNCATED = 1, 2


@dataclass(frozen=True)
class Game:
    """What was collected: T steps of B environments with N agents.

    Attributes:
        obs: [T+1, B, N, O], what each sees, of the states before the steps and after the last one.
        last: [T, B, N, O], what each sees after a step if that was its last.
        action: [T, B, N].
        reward: [T, B, N].
        present: bool [T, B, N], who is there.
        left: [T, B, N], how agents leave with a step: 1 = terminated, 2 = truncated, 0 = they stay.
        heard: bool [T+1, B, N, N], [i, j] = i would hear j, if both are there.
        present_after: bool [B, N], who is there after the last step.
    """

    obs: F64
    last: F64
    action: NDArray[np.int64]
    reward: F64
    present: NDArray[np.bool_]
    left: NDArray[np.int64]
    heard: NDArray[np.bool_]
    present_after: NDArray[np.bool_]

    def hears(self, t: int, b: int, i: int, j: int) -> bool:
        """Whether i hears j in the state before step t; T = after the last step."""
        there = self.present[t, b] if t < len(self.present) else self.present_after[b]
        return bool(i != j and self.heard[t, b, i, j] and there[i] and there[j])


@dataclass(frozen=True)
class Settings:
    """The algorithm, "as", "ippo", "vs", "vps" or "ps", and the constants of an update."""

    algorithm: str
    gamma: float = 0.99
    gae_lambda: float = 0.98
    clip_epsilon: float = 0.2
    penalty_weight: float = 1.0
    entropy_bonus: float = 0.0
    actor_lr: float = 1e-3
    critic_lr: float = 1e-3
    adam_epsilon: float = 1e-8


class Stack:
    """The networks of N agents: layers[i] are those of agent i; an actor has N heads or one."""

    def __init__(self, layers: Sequence[Layers]) -> None:
        self.layers = [
            [(w.detach().double().requires_grad_(), b.detach().double().requires_grad_())
             for w, b in net] for net in layers
        ]  # fmt: skip

    def __call__(self, i: int, obs: F64) -> Tensor:
        """Outputs of network i for one observation."""
        hidden = torch.from_numpy(obs)
        for k, (weight, bias) in enumerate(self.layers[i]):
            hidden = hidden @ weight + bias
            if k + 1 < len(self.layers[i]):
                hidden = torch.relu(hidden)
        return hidden

    def parameters(self, i: int) -> list[Tensor]:
        """Of network i."""
        return [part for layer in self.layers[i] for part in layer]


def targets(game: Game, critics: Stack, settings: Settings) -> tuple[F64, F64]:
    """Advantages and lambda-returns [T, B, N] of untrained normalisers; 0 where an agent is not."""
    steps, envs, agents = game.present.shape
    advantage, returns = np.zeros((2, steps, envs, agents))

    def value(t: int, b: int, i: int) -> float:
        return float(critics(i, game.obs[t, b, i]).detach())

    def after(t: int, b: int, j: int) -> float:
        """What j says of the state after step t, in which somebody is truncated."""
        stays = game.left[t, b, j] == 0
        return float(critics(j, (game.obs[t + 1] if stays else game.last[t])[b, j]).detach())

    def pooled(t: int, b: int, i: int) -> float:
        others = [value(t, b, j) for j in range(agents) if game.hears(t, b, i, j)]
        return (value(t, b, i) + sum(others)) / (1 + len(others))

    def pooled_after(t: int, b: int, i: int) -> float:
        others = [
            after(t, b, j)
            for j in range(agents)
            if game.hears(t, b, i, j) and game.left[t, b, j] != TERMINATED
        ]
        return (after(t, b, i) + sum(others)) / (1 + len(others))

    for shared in (False, True) if settings.algorithm == "vs" else (False,):
        now, then = (pooled, pooled_after) if shared else (value, after)
        for b in range(envs):
            for i in range(agents):
                carry = 0.0
                for t in reversed(range(steps)):
                    if not game.present[t, b, i]:
                        continue
                    following = 0.0
                    if game.left[t, b, i] == 0:
                        following = now(t + 1, b, i)
                    else:
                        carry = 0.0
                    if game.left[t, b, i] == TRUNCATED:
                        following = then(t, b, i)
                    here = now(t, b, i)
                    delta = float(game.reward[t, b, i]) + settings.gamma * following - here
                    carry = delta + settings.gamma * settings.gae_lambda * carry
                    advantage[t, b, i] = carry
                    if not shared:  # every critic learns its own agent's return
                        returns[t, b, i] = carry + here
    return advantage, returns


def update(
    game: Game,
    actors: Stack,
    critics: Stack,
    parts: Sequence[Sequence[Sequence[int]]],
    settings: Settings,
) -> list[int]:
    """The first update of a run, in place.

    Args:
        game: the batch.
        actors: policies; with more than one head in AS (anticipations) and PS (a joint policy).
        critics: values, in units of reward.
        parts: parts[k] lists the rows t B + b of the minibatches of iteration k.
        settings: of the run.

    Returns:
        How many steps every agent has taken.
    """
    steps, envs, agents = game.present.shape
    name, rows = settings.algorithm, [(t, b) for t in range(steps) for b in range(envs)]
    advantage, returns = targets(game, critics, settings)
    own_rows = [[at for at in rows if game.present[(*at, i)]] for i in range(agents)]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else 0.0

    kappa, centre, spread = [], [], []
    for i in range(agents):
        kappa.append(mean([abs(advantage[(*at, i)]) for at in own_rows[i]]))
        goal = mean([returns[(*at, i)] for at in own_rows[i]])
        square = mean([returns[(*at, i)] ** 2 for at in own_rows[i]])
        centre.append(goal if own_rows[i] else 0.0)
        spread.append(max(math.sqrt(max(square - goal**2, 0.0)), 1e-3) if own_rows[i] else 1.0)

    heads = agents if name in ("as", "ps") else 1

    def log_probs(i: int, at: tuple[int, int], j: int) -> Tensor:
        """Log pi^{ij}(.|s)."""
        out = actors(i, game.obs[(*at, i)]).view(heads, -1)
        return torch.log_softmax(out[j if heads > 1 else 0], dim=-1)

    def taken(i: int, at: tuple[int, int], j: int) -> Tensor:
        return log_probs(i, at, j)[game.action[(*at, j)]]

    def asked(i: int, at: tuple[int, int]) -> list[int]:
        """Whose actions agent i's ratio is about."""
        if name != "ps":
            return [i]
        return [j for j in range(agents) if game.present[(*at, j)]]

    with torch.no_grad():
        old = {
            (i, at): sum(float(taken(i, at, j)) for j in asked(i, at))
            for i in range(agents)
            for at in own_rows[i]
        }
    optimizers = [
        (
            torch.optim.Adam(actors.parameters(i), settings.actor_lr, eps=settings.adam_epsilon),
            torch.optim.Adam(critics.parameters(i), settings.critic_lr, eps=settings.adam_epsilon),
        )
        for i in range(agents)
    ]
    weights = consensus(game)
    taken_steps = [0] * agents
    for indices in parts:
        with torch.no_grad():  # messages, from everybody who is there to everybody who is there
            sent = {
                (j, i, at): (log_probs(j, at, j), log_probs(j, at, i) if heads > 1 else None)
                for at in rows
                for i in range(agents)
                for j in range(agents)
                if name == "as" and game.hears(*at, i, j)
            }
        for part in indices:
            for i in range(agents):
                mine = [rows[m] for m in part if game.present[(*rows[m], i)]]
                if not mine:
                    continue  # nothing to learn from: no step
                loss = torch.zeros((), dtype=torch.float64)
                error = torch.zeros((), dtype=torch.float64)
                for at in mine:
                    gain = float(advantage[(*at, i)])
                    own = log_probs(i, at, i)
                    now = torch.stack([taken(i, at, j) for j in asked(i, at)]).sum()
                    ratio = (now - old[i, at]).exp()
                    peers = torch.ones((), dtype=torch.float64)
                    for j in range(agents):
                        if (j, i, at) not in sent:
                            continue
                        policy, wish = sent[j, i, at]
                        assert wish is not None
                        guess, action = log_probs(i, at, j), int(game.action[(*at, j)])
                        peers = peers * (guess[action] - old[j, at]).exp()
                        if active((guess - policy)[action], gain):
                            distance = (guess.exp() - policy.exp()).square().sum()
                            loss = loss + settings.penalty_weight * kappa[i] * distance
                        if active((own - wish)[int(game.action[(*at, i)])], gain):
                            distance = (own.exp() - wish.exp()).square().sum()
                            loss = loss + settings.penalty_weight * kappa[i] * distance
                    bounded = ratio.clamp(1 - settings.clip_epsilon, 1 + settings.clip_epsilon)
                    loss = loss - torch.minimum(ratio * peers * gain, bounded * peers * gain)
                    loss = loss + settings.entropy_bonus * (own.exp() * own).sum()
                    goal = (float(returns[(*at, i)]) - centre[i]) / spread[i]
                    error = error + (critics(i, game.obs[(*at, i)])[0] - goal) ** 2
                for optimizer in optimizers[i]:
                    optimizer.zero_grad()
                torch.autograd.backward((loss + error) / len(mine))
                for optimizer in optimizers[i]:
                    optimizer.step()
                taken_steps[i] += 1
            if name == "ps":
                average(actors, weights)
            if name == "vps":
                rescale(critics, spread, centre)
                average(critics, weights)
                back = [-c / s for c, s in zip(centre, spread, strict=True)]
                rescale(critics, [1 / s for s in spread], back)
    return taken_steps


def active(log_ratio: Tensor, gain: float) -> bool:
    """Eq. 14: ratio * A >= A."""
    if gain == 0.0:
        return True
    return bool(log_ratio >= 0.0 if gain > 0.0 else log_ratio <= 0.0)


def consensus(game: Game) -> F64:
    """Mean Metropolis weights over all rows, on links in one direction or the other."""
    steps, envs, agents = game.present.shape
    total = np.zeros((agents, agents))
    for t in range(steps):
        for b in range(envs):
            linked = [
                [game.hears(t, b, i, j) or game.hears(t, b, j, i) for j in range(agents)]
                for i in range(agents)
            ]
            degree = [sum(row) for row in linked]
            for i in range(agents):
                others = 0.0
                for j in range(agents):
                    if linked[i][j]:
                        weight = 1.0 / (1.0 + max(degree[i], degree[j]))
                        total[i, j] += weight
                        others += weight
                total[i, i] += 1.0 - others
    mean: F64 = total / (steps * envs)
    return mean


@torch.no_grad()
def average(stack: Stack, weights: F64) -> None:
    """theta_i <- sum_j W_ij theta_j."""
    agents = range(len(stack.layers))
    mixed = [
        [
            sum(weights[i, j] * stack.parameters(j)[k] for j in agents)
            for k in range(len(stack.parameters(i)))
        ]
        for i in agents
    ]
    for i in agents:
        for part, value in zip(stack.parameters(i), mixed[i], strict=True):
            part.copy_(torch.as_tensor(value))


@torch.no_grad()
def rescale(stack: Stack, factor: Sequence[float], shift: Sequence[float]) -> None:
    """Multiplies the outputs of every network by its factor, then adds its shift."""
    for net, f, s in zip(stack.layers, factor, shift, strict=True):
        weight, bias = net[-1]
        weight.mul_(f)
        bias.mul_(f).add_(s)
