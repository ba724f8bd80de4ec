"""Whole updates of Anticipation Sharing in plain PyTorch: collection, advantages, K iterations.

N*N policy modules and N critics, everything that can be vectorised over rows and environments is.
The baseline of the benchmarks from end to end; any batch of environments with the attributes of
`ascore.VecEnv` will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ascore.reference.update import Agents, update

__all__ = ["Batch", "advantages", "collect", "one_update"]


@dataclass
class Batch:
    """T steps of B environments; all agents see one state.

    Attributes:
        obs: f32 [T, B, O].
        action: i64 [T, B, N].
        reward: f32 [T, B, N].
        value: f32 [T+1, B, N].
        final_value: f32 [T, B, N], of the last state of an episode cut off at step t.
        terminated, truncated: bool [T, B].
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    value: Tensor
    final_value: Tensor
    terminated: Tensor
    truncated: Tensor


@torch.no_grad()
def collect(env: Any, agents: Agents, steps: int, generator: torch.Generator) -> Batch:
    """Acts with the own policies: Gumbel noise and a maximum, the cheapest way to sample."""
    n, scale = env.spec.num_agents, float(env.spec.obs_scale)

    def seen(obs: Any) -> Tensor:
        return torch.from_numpy(np.asarray(obs)[:, 0].astype(np.float32)) * scale

    def values(obs: Tensor) -> Tensor:
        return torch.stack([critic(obs).squeeze(-1) for critic in agents.critics], dim=-1)

    obs, action, reward, ends = [], [], [], []
    b = env.num_envs
    final_value = torch.zeros(steps, b, n)
    for t in range(steps):
        state = seen(env.obs)
        logits = torch.stack([agents.policies[i][i](state) for i in range(n)], dim=1)
        noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator)))
        chosen = (logits + noise).argmax(dim=-1)
        env.step(chosen.to(torch.int32).numpy())
        obs.append(state)
        action.append(chosen)
        reward.append(torch.from_numpy(env.reward.copy()))
        ends.append((env.terminated.copy(), env.truncated.copy()))
        if env.truncated.any():
            at = torch.from_numpy(np.flatnonzero(env.truncated))
            final_value[t, at] = values(seen(env.final_obs)[at])
    every = torch.stack([*obs, seen(env.obs)])
    return Batch(
        obs=every[:-1],
        action=torch.stack(action),
        reward=torch.stack(reward),
        value=values(every.view((steps + 1) * b, -1)).view(steps + 1, b, n),
        final_value=final_value,
        terminated=torch.from_numpy(np.stack([e[0] for e in ends])),
        truncated=torch.from_numpy(np.stack([e[1] for e in ends])),
    )


def advantages(batch: Batch, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Eq. 17 and lambda-returns, f32 [T, B, N] each: a loop over time, all else at once."""
    over = (batch.terminated | batch.truncated).unsqueeze(-1)
    following = torch.where(batch.truncated.unsqueeze(-1), batch.final_value, batch.value[1:])
    following = torch.where(batch.terminated.unsqueeze(-1), torch.zeros(()), following)
    delta = batch.reward + gamma * following - batch.value[:-1]
    keep = gamma * gae_lambda * (~over).float()
    advantage = torch.empty_like(delta)
    carry = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        carry = delta[t] + keep[t] * carry
        advantage[t] = carry
    return advantage, advantage + batch.value[:-1]


def one_update(
    env: Any,
    agents: Agents,
    steps: int,
    generator: torch.Generator,
    *,
    iterations: int,
    minibatches: int,
    gamma: float,
    gae_lambda: float,
    penalty_weight: float,
    clip_epsilon: float,
) -> None:
    """Collects a batch and takes K iterations over it, on a complete graph.

    Args:
        env: stepped in place; was reset.
        agents: modified in place.
        steps: T.
        generator: of actions and minibatches.
        iterations: K.
        minibatches: parts of an iteration.
        gamma: discount factor.
        gae_lambda: lambda.
        penalty_weight: rho.
        clip_epsilon: epsilon.
    """
    batch = collect(env, agents, steps, generator)
    advantage, returns = advantages(batch, gamma, gae_lambda)
    rows, n = steps * env.num_envs, batch.reward.shape[2]
    parts = [
        torch.randperm(rows, generator=generator).chunk(minibatches) for _ in range(iterations)
    ]
    update(
        agents,
        batch.obs.reshape(rows, -1),
        batch.action.reshape(rows, n),
        advantage.reshape(rows, n).T.contiguous(),
        returns.reshape(rows, n).T.contiguous(),
        parts,
        penalty_weight=penalty_weight,
        clip_epsilon=clip_epsilon,
    )
