"""Whole updates of Anticipation Sharing in plain PyTorch: collection, advantages, K iterations.

It has N*N policy modules and N critics, vectorised over rows and environments where possible. It is
the end-to-end baseline of the benchmarks, for any batch of environments with the attributes of
`ascore.VecEnv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ascore.reference.update import Agents, update

__all__ = ["Collected", "advantages", "collect", "one_update"]


@dataclass
class Collected:
    """T steps of B environments; all agents see one state.

    Attributes:
        obs: f32 [T, B, O].
        action: i64 [T, B, N].
        reward: f32 [T, B, N].
        value: f32 [T+1, B, N].
        final_value: f32 [T, B, N], value of the last state of an episode truncated at step t.
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
def collect(env: Any, agents: Agents, steps: int, generator: torch.Generator) -> Collected:
    """Collects T steps with the own policies; samples with Gumbel noise, which is fastest."""
    n, scale = env.spec.num_agents, float(env.spec.obs_scale)

    def network_input(obs: Any) -> Tensor:
        return torch.from_numpy(np.asarray(obs)[:, 0].astype(np.float32)) * scale

    def values(obs: Tensor) -> Tensor:
        return torch.stack([critic(obs).squeeze(-1) for critic in agents.critics], dim=-1)

    obs, action, reward, ends = [], [], [], []
    b = env.num_envs
    final_value = torch.zeros(steps, b, n)
    for t in range(steps):
        state = network_input(env.obs)
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
            final_value[t, at] = values(network_input(env.final_obs)[at])
    states = torch.stack([*obs, network_input(env.obs)])
    return Collected(
        obs=states[:-1],
        action=torch.stack(action),
        reward=torch.stack(reward),
        value=values(states.view((steps + 1) * b, -1)).view(steps + 1, b, n),
        final_value=final_value,
        terminated=torch.from_numpy(np.stack([e[0] for e in ends])),
        truncated=torch.from_numpy(np.stack([e[1] for e in ends])),
    )


def advantages(batch: Collected, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Advantages (Eq. 17) and lambda-returns, f32 [T, B, N] each, with one loop over time."""
    ended = (batch.terminated | batch.truncated).unsqueeze(-1)
    next_value = torch.where(batch.truncated.unsqueeze(-1), batch.final_value, batch.value[1:])
    next_value = torch.where(batch.terminated.unsqueeze(-1), torch.zeros(()), next_value)
    delta = batch.reward + gamma * next_value - batch.value[:-1]
    keep = gamma * gae_lambda * (~ended).float()
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
    """Collects a batch and does K iterations over it, on a complete graph.

    Args:
        env: a batch of environments, already reset.
        agents: modified in place.
        steps: T.
        generator: random numbers of actions and minibatches.
        iterations: K.
        minibatches: number of minibatches per iteration.
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
