"""The record of an update: what a callback gets, what metrics.jsonl holds, and what it means.

N agents, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
"""Metrics of one update, plain values by name; METRICS says what each means. A metric per agent is
a list of N numbers. An algorithm of your own may add statistics of its own names."""

Report: TypeAlias = Callable[[int, int, Record], None]
"""(updates done, total updates, record of the last update) -> None, called after every update."""

METRICS = {
    "update": "number of the update, from 1",
    "episodes": "episodes that have ended since the run began",
    "env_steps": "steps taken in all environments since the run began",
    "team_return": "undiscounted return per episode, summed over agents: mean over the episodes "
    "that ended in this update, in units of reward; NaN (null in the file) if none ended",
    "return": "the same per agent [N]",
    "seconds": "wall-clock time since the run began, interruptions not counted",
    "advantage_scale": "kappa of the penalties [N], by default mean |A| over the batch",
    "explained_variance": "share of the variance of the returns that the critic explains [N]; 1 is "
    "perfect, 0 is no better than a constant, below 0 is worse",
    "policy_loss": "negated clipped surrogate [N]",
    "penalty": "penalties of Anticipation Sharing, weighted, as they enter the loss [N]",
    "entropy": "entropy of the own policy [N], in nats; uniform play has ln A",
    "kl": "estimated KL divergence of the policy from that at collection [N], in nats: mean of "
    "r - 1 - ln r, r the own ratio",
    "clip_fraction": "share of rows whose own ratio is outside the trust interval [N]",
    "value_loss": "squared error of the critic, in the scale in which it learns [N]",
    "policy_grad_norm": "norm of the actor's gradient before it is limited [N]",
    "value_grad_norm": "norm of the critic's gradient before it is limited [N]",
    "peer_ratio": "mean peer ratio of Eq. 13 [N]",
    "discrepancy": "mean squared L2 distance between what an agent anticipates of those it hears "
    "and what they sent [N], 0 to 2",
    "active_own": "share of rows and links where the penalty on the own policy acts [N]",
    "active_anticipation": "share of rows and links where that on an anticipation acts [N]",
    "anticipation_mse": "mean of (pi^jj(a_j|s) - pi^ij(a_j|s))^2 over rows and agents heard [N]",
    "anticipated_probs": "mean anticipated probability of every action [N, A]",
    "anticipated_towards": "C. Predation: anticipated probability of moving towards the prey [N]",
    "action_probs": "mean own probability of every action [N, A]",
    "reward_model_error": "self-referenced algorithms: squared error of the model of own "
    "rewards on this batch, before it is fitted to it [N]",
    "epsilon_episode": "with dp: what one episode's rewards have cost so far, at `delta` [N]",
    "epsilon_environment": "with dp: what all episodes of one environment have cost so far [N]",
    "noise_multiplier": "with dp: deviation of the noise of this update, in clipping norms [N]",
    "policy_clipped": "with dp: share of the episodes whose gradient by the actor was clipped [N]",
    "value_clipped": "with dp: the same by the critic [N]",
    "floats_sent": "numbers that each agent sent to others in this update [N]",
    "bytes_sent": "the same in bytes [N]; what two neighbours receive counts twice",
    "floats_KIND": "numbers of one kind that each agent sent [N]: floats_distribution (action "
    "distributions), floats_value, floats_parameter, floats_reward, "
    "floats_observation",
    "bytes_KIND": "the same in bytes [N]",
}
"""Meaning, unit and shape of every metric, by name. Loss statistics are means over the minibatches
of an update's last iteration; what anticipations say is taken before its first step."""
