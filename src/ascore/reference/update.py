"""An Anticipation Sharing update with one torch module per (agent, subject) and N critics.

It is the plain PyTorch baseline of the benchmarks and an independent check of the learner.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["Agents", "mlp", "update"]


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """ReLU network with these layer sizes."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Agents:
    """N agents, each with a policy network per subject and its own critic.

    Attributes:
        policies: policies[i][j] is pi^{ij}.
        critics: V_i, in normalised units.
        optimizers: per agent (actor Adam over its N networks, critic Adam).
    """

    def __init__(
        self,
        num_agents: int,
        actor_sizes: Sequence[int],
        critic_sizes: Sequence[int],
        actor_lr: float,
        critic_lr: float,
    ) -> None:
        n = num_agents
        self.policies = [[mlp(actor_sizes) for _ in range(n)] for _ in range(n)]
        self.critics = [mlp(critic_sizes) for _ in range(n)]
        self.optimizers = [
            (
                torch.optim.Adam(nn.ModuleList(self.policies[i]).parameters(), lr=actor_lr),
                torch.optim.Adam(self.critics[i].parameters(), lr=critic_lr),
            )
            for i in range(n)
        ]

    def load(self, actors: Tensor, critics: Tensor) -> None:
        """Loads weights from stacked rows: actors f32[N*N, P], critics f32[N, P].

        A row holds, layer by layer, the weight [in, out] and the bias [out].
        """
        networks = [*(network for row in self.policies for network in row), *self.critics]
        with torch.no_grad():
            for network, row in zip(networks, [*actors, *critics], strict=True):
                at = 0
                for module in network:
                    if isinstance(module, nn.Linear):
                        size = module.weight.numel()
                        module.weight.copy_(row[at : at + size].view(module.in_features, -1).T)
                        module.bias.copy_(row[at + size : at + size + module.out_features])
                        at += size + module.out_features

    def rows(self) -> tuple[Tensor, Tensor]:
        """The weights in the format of `load`."""

        def row(network: nn.Sequential) -> Tensor:
            linear = [module for module in network if isinstance(module, nn.Linear)]
            parts = [part for m in linear for part in (m.weight.T.reshape(-1), m.bias)]
            return torch.cat(parts).detach()

        actors = torch.stack([row(network) for networks in self.policies for network in networks])
        return actors, torch.stack([row(network) for network in self.critics])

    def log_probs(self, owner: int, subject: int, obs: Tensor) -> Tensor:
        """Log-probabilities pi^{owner,subject}(.|s), f32[M, A]."""
        return torch.log_softmax(self.policies[owner][subject](obs), dim=-1)


def update(
    agents: Agents,
    obs: Tensor,
    action: Tensor,
    advantage: Tensor,
    normalized_return: Tensor,
    parts: Sequence[Sequence[Tensor]],
    *,
    penalty_weight: float,
    clip_epsilon: float,
) -> None:
    """Does K iterations on a complete graph, with the true peer ratio and messages per iteration.

    Args:
        agents: modified in place.
        obs: f32[S, O], the observations of all agents.
        action: i64[S, N].
        advantage: f32[N, S], units of reward.
        normalized_return: f32[N, S], regression target of critic i.
        parts: parts[k] lists the row indices of the minibatches of iteration k.
        penalty_weight: rho.
        clip_epsilon: epsilon.

    Source: Algorithm 1 and Eq. 13-16; all agents use the messages from the start of the iteration.
    """
    n = action.shape[1]
    scale = advantage.abs().mean(dim=1)
    with torch.no_grad():
        old = torch.stack([_taken(agents.log_probs(j, j, obs), action[:, j]) for j in range(n)])
    for indices in parts:
        with torch.no_grad():  # the messages of all agents
            sent = [[agents.log_probs(i, j, obs) for j in range(n)] for i in range(n)]
        for rows in indices:
            for i in range(n):
                loss = _loss(
                    agents, i, obs[rows], action[rows], advantage[i, rows], float(scale[i]),
                    old[:, rows], [[x[rows] for x in row] for row in sent],
                    penalty_weight, clip_epsilon,
                )  # fmt: skip
                error = agents.critics[i](obs[rows]).squeeze(-1) - normalized_return[i, rows]
                actor, critic = agents.optimizers[i]
                actor.zero_grad()
                critic.zero_grad()
                (loss + error.square().mean()).backward()
                actor.step()
                critic.step()


def _loss(
    agents: Agents,
    i: int,
    obs: Tensor,
    action: Tensor,
    advantage: Tensor,
    scale: float,
    old: Tensor,
    sent: list[list[Tensor]],
    penalty_weight: float,
    clip_epsilon: float,
) -> Tensor:
    own = agents.log_probs(i, i, obs)
    own_taken = _taken(own, action[:, i])
    ratio = (own_taken - old[i]).exp()
    peers = torch.ones_like(ratio)
    penalty = torch.zeros_like(ratio)
    for j in range(len(sent)):
        if j == i:
            continue
        own_anticipation = agents.log_probs(i, j, obs)
        taken = _taken(own_anticipation, action[:, j])
        peers = peers * (taken - old[j]).exp()
        policy, anticipation = sent[j][j], sent[j][i]
        active = _gate(taken.detach() - _taken(policy, action[:, j]), advantage)
        penalty = penalty + active * (own_anticipation.exp() - policy.exp()).square().sum(dim=-1)
        active = _gate(own_taken.detach() - _taken(anticipation, action[:, i]), advantage)
        penalty = penalty + active * (own.exp() - anticipation.exp()).square().sum(dim=-1)
    clipped = ratio.clamp(1 - clip_epsilon, 1 + clip_epsilon)
    surrogate = torch.minimum(ratio * peers * advantage, clipped * peers * advantage)
    return (penalty_weight * scale * penalty - surrogate).mean()


def _taken(log_probs: Tensor, action: Tensor) -> Tensor:
    return log_probs.gather(1, action.unsqueeze(1)).squeeze(1)


def _gate(log_ratio: Tensor, advantage: Tensor) -> Tensor:
    up = (advantage > 0) & (log_ratio >= 0)
    down = (advantage < 0) & (log_ratio <= 0)
    return (up | down | (advantage == 0)).float()
