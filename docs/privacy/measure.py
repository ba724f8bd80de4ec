"""What a guarantee costs: returns at several epsilons, written to utility.csv and drawn.

    python docs/privacy/measure.py              # trains, one run at a time, and adds to utility.csv
    python docs/privacy/measure.py predation    # that environment alone
    python docs/privacy/measure.py --draw       # utility.png, from the table
    python docs/privacy/measure.py --summary    # means and intervals, from the table
    python docs/privacy/measure.py --audit      # twenty audits, and one without noise
    python docs/privacy/measure.py --levers     # see levers.py: one setting changed at a time

A row that is in the table already is not trained again. Seeds were not used to choose settings.
"""

from __future__ import annotations

import csv
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import levers
import numpy as np

import ascore
from ascore.presets import read_preset

HERE = Path(__file__).resolve().parent
TABLE, PICTURE = HERE / "utility.csv", HERE / "utility.png"
COLUMNS = ("env", "epsilon", "seed", "team_return", "env_steps", "seconds")
EPSILONS = (2.0, 0.0, 0.5, 16.0, 1.0, 4.0, 8.0)  # 0 = without a guarantee, the same settings else
SEEDS = range(11, 16)
EPISODES = 200  # of evaluation

SHARED: dict[str, Any] = {
    "iterations": 1,
    "minibatches": 1,
    "advantage_scale": "unit",
    "penalty_gate": "always",
    "value_normalization": False,
    "lr_decay": "linear",
    "checkpoint_every": 1_000_000,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "predation": read_preset("predation", "private"),
    "exchange": {
        "env": "exchange-v1",
        "env_params": {"horizon": 100},
        "num_envs": 1024,
        "episodes": 1024 * 300,
        "actor_lr": 2e-2,
        "critic_lr": 2e-2,
        "gamma": 0.95,
        "gae_lambda": 0.9,
        "penalty_weight": 2.0,
        "actor_hidden": (24, 24),
        "critic_hidden": (24, 24),
        "clip_norm": 0.2,
        "critic_clip_norm": 1.0,
    },
}
# Learned in shorter episodes, in which there is more to learn from a step; played as published.
EVALUATED: dict[str, dict[str, Any]] = {"exchange-v1": {"horizon": 300}}
# Selfish play, the preset `tuned` without a guarantee (docs/presets), uniform play.
ANCHORS = {"predation": (-180.0, -62.6, -120.0), "exchange": (-9.0, 5.99, 4.84)}
BOTTOM = {"exchange": 4.1}  # of the panel: beside selfish play, nothing else would show


def config_of(env: str, epsilon: float, seed: int) -> ascore.Config:
    """The configuration of a row."""
    private = {"dp": "episode" if epsilon else "none", "epsilon": epsilon}
    return ascore.Config(**{**SHARED, **SETTINGS[env], **private, "seed": seed})


def read() -> list[dict[str, str]]:
    """Rows of the table."""
    if not TABLE.exists():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def trained(config: ascore.Config) -> tuple[float, int, float]:
    """Team return of what a configuration trains, steps of the environment, seconds of a core."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = ascore.train(config, Path(folder) / "run")
        seconds = time.process_time() - start
        policy = ascore.load_policy(run.path)
        params = {**policy.env_params, **EVALUATED.get(config.env, {})}
        policy = dataclasses.replace(policy, env_params=params)
        earned = ascore.evaluate(policy, episodes=EPISODES).team_return.mean
        return earned, run.summary["env_steps"], seconds


def measure(envs: list[str]) -> None:
    """Trains what the table does not have."""
    have = {(row["env"], float(row["epsilon"]), int(row["seed"])) for row in read()}
    if not have:
        TABLE.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    for epsilon in EPSILONS:
        for env in envs:
            for seed in SEEDS:
                if (env, epsilon, seed) in have:
                    continue
                earned, steps, seconds = trained(config_of(env, epsilon, seed))
                row = (env, epsilon, seed, f"{earned:.3f}", steps, f"{seconds:.1f}")
                with TABLE.open("a", newline="", encoding="utf-8") as file:
                    csv.writer(file, lineterminator="\n").writerow(row)


def by_epsilon(env: str) -> dict[float, np.ndarray[Any, Any]]:
    """Team returns of the seeds, by epsilon; 0 = without a guarantee."""
    rows = [row for row in read() if row["env"] == env]
    keys = sorted({float(row["epsilon"]) for row in rows})
    return {
        key: np.array([float(r["team_return"]) for r in rows if float(r["epsilon"]) == key])
        for key in keys
    }


def interval(values: np.ndarray[Any, Any]) -> float:
    """Half the width of the 95% interval of the mean, by Student's t for five seeds."""
    return 2.776 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) == 5 else np.nan


def summary() -> None:
    """Prints means, intervals, and the shares of the gain over others' play that are kept."""
    for env, (selfish, tuned, uniform) in ANCHORS.items():
        for epsilon, values in by_epsilon(env).items():
            kept, beyond = (
                (values.mean() - anchor) / (tuned - anchor) for anchor in (selfish, uniform)
            )
            shown = f"epsilon {epsilon:g}" if epsilon else "no guarantee"
            print(
                f"{env:10} {shown:13} {values.mean():8.2f} +- {interval(values):.2f} "
                f"({len(values)} seeds; {kept:.0%} of what `tuned` gains over selfish play, "
                f"{beyond:.0%} over uniform play)"
            )


def audit() -> None:
    """Prints what audits with 1,000 canaries come to, at several claims, and without noise."""
    from ascore.dp import noise
    from ascore.privacy.audit import Audit

    small = {"actor_hidden": (32, 32), "critic_hidden": (32, 32), "num_envs": 1000}
    env = {"env": "predation-v1", "env_params": {"num_agents": 2, "horizon": 4}}
    for epsilon in (2.0, 16.0):
        keys = {**SHARED, **small, **env, "dp": "episode", "epsilon": epsilon}
        audited = Audit(ascore.Config(**keys))
        results = [audited.run(seed) for seed in range(20)]
        bounds = sorted(result.bound for result in results)
        share = sum(r.correct for r in results) / sum(r.guesses for r in results)
        print(f"claim {epsilon:g}: bounds {bounds[0]:.2f} to {bounds[-1]:.2f}; {share:.1%} guessed")
        normal, noise.normal = noise.normal, lambda *shape: np.zeros(shape)
        print(f"without noise: {audited.run(0, noise_multiplier=0.0)}")
        noise.normal = normal


def draw() -> None:
    """Return against epsilon, one panel for each environment."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ticks = sorted(set(EPSILONS) - {0.0})
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axis, (env, (selfish, tuned, uniform)) in zip(axes, ANCHORS.items(), strict=True):
        results = by_epsilon(env)
        free = results.pop(0.0, None)
        for epsilon, values in results.items():
            axis.plot([epsilon] * len(values), values, "o", color="C0", alpha=0.35, ms=4)
        means, halves = zip(*((v.mean(), interval(v)) for v in results.values()), strict=True)
        axis.errorbar(list(results), means, yerr=halves, fmt="-o", color="C0", capsize=3)
        lines = [
            (tuned, "preset tuned, no guarantee", ":", "bottom"),
            (uniform, "uniform play", "-.", "top"),
            (selfish, "selfish play", "-", "bottom"),
        ]
        if free is not None:
            lines.append((float(free.mean()), "these settings, no guarantee", "--", "top"))
        for value, label, style, side in lines:
            if value >= BOTTOM.get(env, value):
                axis.axhline(value, ls=style, color="0.4", lw=1)
                axis.annotate(label, (16, value), ha="right", va=side, fontsize=7, color="0.3")
        axis.set_ylim(bottom=BOTTOM.get(env))
        axis.set_xscale("log", base=2)
        axis.set_xlim(0.45, 18)
        axis.set_xticks(ticks, [f"{epsilon:g}" for epsilon in ticks])
        axis.set_xlabel("epsilon of one episode, at delta = 1e-5")
        axis.set_ylabel("team return per episode")
        axis.set_title(f"{env}-v1")
    figure.savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    commands = {
        "--draw": draw,
        "--summary": summary,
        "--audit": audit,
        "--levers": levers.all_steps,
    }
    if sys.argv[1:] and sys.argv[1] in commands:
        commands[sys.argv[1]]()
    else:
        measure(sys.argv[1:] or list(SETTINGS))
