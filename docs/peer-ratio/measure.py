"""Trains Exchange with either ratio of Eq. 13 and measures what pulls at the logit of *open*.

    python docs/peer-ratio/measure.py --out docs/peer-ratio/exchange.csv

Forces are minus the gradient of the loss by logits, averaged over the rows of a batch. They are
summed over the heads that are about one agent, its own and the two anticipations, and averaged over
the three agents: that sum is what moves policy and anticipations together.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ascore import Config
from ascore.algorithms.table import get_algorithm
from ascore.algorithms.terms import Batch, own_policy, taken
from ascore.envs.factory import batch
from ascore.learning.batch import Rows
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector

OPEN = 5
MANY = 192  # episodes that forces are measured on

# Eq. 14-16 as printed but for the ratio.
BASE: dict[str, Any] = {
    "num_envs": 16,
    "minibatches": 4,
    "iterations": 3,
    "actor_lr": 5e-4,
    "critic_lr": 5e-4,
    "lr_decay": "none",
    "gamma": 0.99,
    "gae_lambda": 0.98,
    "penalty_weight": 3.0,
    "penalty_gate": "indicator",
    "discrepancy": "l2",
}


def forces(learner: Learner, rows: Rows) -> dict[str, float]:
    """What pulls at logits of *open* in the middle of an update, by part of the loss."""
    config = learner.config
    agents = torch.arange(learner.spec.num_agents)
    learner.backend.begin(rows)
    raw = learner.backend.log_probs()
    old = taken(raw, rows.action, agents)
    messages = learner.exchange.messages(raw, old, rows.neighbours)
    assert messages is not None
    logits = raw.clone().requires_grad_()
    rows_of = Batch(rows.action, rows.advantage, rows.advantage_scale, old, agents)
    terms = get_algorithm("as").objective(
        rows_of, torch.log_softmax(logits, dim=-1), messages.inbox(agents), config
    )
    measured = {}
    for name, loss in (("policy", terms.policy), ("penalty", terms.penalty)):
        (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
        pull = -gradient[..., OPEN].sum(dim=1).numpy()  # [owner, subject]
        measured[f"{name}_own"] = float(np.trace(pull)) / len(agents)
        measured[f"{name}_peers"] = float(pull.sum() - np.trace(pull)) / len(agents)
    policy = own_policy(raw, agents).exp()
    measured["open"] = float(policy[..., OPEN].mean())
    wished = raw.exp()[..., OPEN].mean(dim=1).numpy()
    measured["open_wished"] = float(wished.sum() - np.trace(wished)) / (wished.size - len(agents))
    return measured


def measure(reference: str, seed: int, episodes: int, **keys: Any) -> list[dict[str, Any]]:
    """One training; a record about every twentieth of it."""
    config = Config.preset(
        "exchange", seed=seed, peer_ratio_reference=reference, **{**BASE, **keys}
    )
    torch.set_num_threads(1)
    env = batch(config.env, config.env_params, config.num_envs, config.seed, config.num_threads)
    learner = Learner(config, env.spec)
    collector = Collector(env, env.spec.horizon)
    env.reset()
    many = batch(config.env, config.env_params, MANY, config.seed + 1, config.num_threads)
    many.reset()
    wide = Collector(many, many.spec.horizon)
    total = episodes // config.num_envs
    records, returns, gaps = [], [], []
    for update in range(total):
        rollout = collector.collect(learner.actor)
        step = learner.update(rollout, update)
        returns.append(step["team_return"])
        gaps.append(float(np.mean(step["discrepancy"])))
        if (update + 1) % max(1, total // 20) == 0:
            _, _, rows = learner.prepare(wide.collect(learner.actor), update + 1)
            records.append(
                {
                    "ratio": reference,
                    "gate": config.penalty_gate,
                    "seed": seed,
                    "episodes": (update + 1) * config.num_envs,
                    "team_return": np.mean(returns),
                    "discrepancy": np.mean(gaps),
                    "kappa": float(rows.advantage_scale.mean()),
                    **forces(learner, rows),
                }
            )
            print(
                {k: v if isinstance(v, str) else round(float(v), 5) for k, v in records[-1].items()}
            )
            returns, gaps = [], []
    return records


def main() -> None:
    """Both ratios, some seeds, to a CSV file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=8000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    records = [
        record
        for seed in options.seeds
        for reference in ("true", "anticipated")
        for record in measure(reference, seed, options.episodes)
    ]
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerow({k: v if isinstance(v, str) else f"{v:.6g}" for k, v in record.items()})


if __name__ == "__main__":
    main()
