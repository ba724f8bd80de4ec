"""What trained agents leave standing: apples (Harvest), waste and apples (Cleanup) over an episode.

    python docs/presets/standing.py RUN... [--episodes 64]

Means over episodes with sampled actions. `ascore evaluate` gives returns and milestones; this adds
the course of an episode.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import ascore

COUNTED = {"harvest-v1": ("apples",), "cleanup-v1": ("waste", "apples")}
STEPS = 100
EVERY = 10


def trace(run: Path, episodes: int) -> tuple[str, dict[str, list[float]]]:
    """Cells that hold each thing before every tenth step, and apples eaten by then and by the end.

    Returns:
        a title, and the means over the episodes by name.
    """
    policy = ascore.load_policy(run)
    env = ascore.make(policy.env, episodes, 2**20, **policy.env_params)
    rng = np.random.default_rng(0)
    obs, _ = env.reset()
    means: dict[str, list[float]] = {name: [] for name in (*COUNTED[policy.env], "eaten")}
    eaten = 0.0
    for t in range(STEPS):
        if t % EVERY == 0:
            states = [env.inspect(index) for index in range(episodes)]
            for name in COUNTED[policy.env]:
                means[name].append(sum(int(state[name].sum()) for state in states) / episodes)
            means["eaten"].append(eaten)
        uniform = rng.random((episodes, env.spec.num_agents), dtype=np.float32)
        obs, reward, *_ = env.step(policy.act(obs, uniform))
        eaten += float(reward.sum() / episodes)
    means["eaten"].append(eaten)
    return f"{policy.env} {policy.config['algorithm']} seed {policy.config['seed']}", means


def main() -> None:
    """Prints a line per run and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--episodes", type=int, default=64)
    options = parser.parse_args()
    for run in options.runs:
        title, means = trace(run, options.episodes)
        for name, values in means.items():
            print(f"{title:28} {name:8}", *(f"{v:6.1f}" for v in values))


if __name__ == "__main__":
    main()
