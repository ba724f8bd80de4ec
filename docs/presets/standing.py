"""What trained agents leave standing: apples (Harvest), waste and apples (Cleanup) over an episode.

    python docs/presets/standing.py RUN... [--episodes 64]

Read off the planes of the observation, means over evaluation episodes with sampled actions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import ascore
from ascore.config import Config

CELLS = {"harvest-v1": 7 * 38, "cleanup-v1": 11 * 18}
PLANES = {"harvest-v1": ("apples",), "cleanup-v1": ("waste", "apples")}
STEPS = 100
EVERY = 10


def trace(run: Path, episodes: int) -> tuple[str, dict[str, list[float]]]:
    """Counts per plane before every tenth step, and apples eaten until then and until the end.

    Returns:
        a title, and per count its means over the episodes.
    """
    config = Config.load(run / "config.toml")
    policy = ascore.load_policy(run)
    params: dict[str, Any] = config.env_params
    env = ascore.make(config.env, episodes, 2**20, **params)
    rng = np.random.default_rng(0)
    obs, _ = env.reset()
    names, cells = PLANES[config.env], CELLS[config.env]
    found: dict[str, list[float]] = {name: [] for name in (*names, "eaten")}
    eaten = 0.0
    for t in range(STEPS):
        if t % EVERY == 0:
            flat = np.asarray(obs).reshape(episodes, -1)
            for k, name in enumerate(names):
                found[name].append(float(flat[:, k * cells : (k + 1) * cells].sum() / episodes))
            found["eaten"].append(eaten)
        uniform = rng.random((episodes, env.spec.num_agents), dtype=np.float32)
        action = policy.act(obs, uniform)
        obs, reward, *_ = env.step(action)
        eaten += float(reward.sum() / episodes)
    found["eaten"].append(eaten)
    return f"{config.env} {config.algorithm} seed {config.seed}", found


def main() -> None:
    """Prints a line per run and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--episodes", type=int, default=64)
    given = parser.parse_args()
    for run in given.runs:
        title, found = trace(run, given.episodes)
        for name, values in found.items():
            print(f"{title:28} {name:8}", *(f"{v:6.1f}" for v in values))


if __name__ == "__main__":
    main()
