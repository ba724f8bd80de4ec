"""Anticipation Sharing against independent PPO on other people's environments.

    python study.py [GAME ...] [--seeds 0 1 2 3 4] [--out returns.csv]
    python study.py --table returns.csv

Trains both on every game and seed, one run after the other, and writes a row per run to the file.
The same command again goes on where it was stopped; rows of other settings are made anew. What
came out is in docs/environments.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import ascore

EPISODES = 100
"""Evaluation episodes of a run."""

SHARED: dict[str, Any] = {
    "num_envs": 8,
    "rollout_steps": 25,
    "minibatches": 1,
    "iterations": 8,
    "actor_lr": 1e-2,
    "critic_lr": 3e-3,
    "gamma": 0.9,
    "gae_lambda": 0.9,
    "discrepancy": "kl",
    "penalty_gate": "always",
    "penalty_weight": 0.3,
    "actor_hidden": [64, 64],
    "critic_hidden": [64, 64],
}
"""What all games share: found on seeds 100 and above, which play no part in the tables."""

STIFF: dict[str, Any] = {
    "episodes": 480,
    "anticipation": "correction",
    "penalty_weight": 1.0,
    "iterations": 16,
    "lr_decay": "linear",
}
"""What lets agents with observations of their own learn from each other's wishes."""

GAMES: dict[str, dict[str, Any]] = {
    "adversary": STIFF,
    "crypto": STIFF,
    "reference": {"episodes": 1200},
    "beach": {"episodes": 3000},
    "foraging": {"episodes": 400},
}
"""What each game has of its own; `episodes` is what 10 to 20 seconds of a core are enough for."""

T_QUANTILE = 2.776
"""Student's t at 97.5 % with 4 degrees of freedom."""

COLUMNS = ("game", "algorithm", "seed", "settings", "team_return", "low", "high", "agent_returns",
           "entropy", "seconds")  # fmt: skip


def config(game: str, algorithm: str, seed: int, **changes: Any) -> ascore.Config:
    """The configuration of one run."""
    keys = {**SHARED, **GAMES[game], **changes}
    return ascore.Config(f"games:{game}", algorithm=algorithm, seed=seed, **keys)


def settings(game: str) -> str:
    """A short name of the settings, which differs where they do."""
    text = json.dumps({**SHARED, **GAMES[game]}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def random_play(game: str, seed: int) -> dict[str, Any]:
    """Returns of uniform play among the legal actions."""
    keys = GAMES[game].get("env_params", {})
    env = ascore.make(f"games:{game}", 8, seed=2**32 + seed, **keys)
    spec, rng = env.spec, np.random.default_rng(seed)
    counts = np.array(spec.action_counts)
    earned = np.zeros((8, spec.num_agents))
    returns: list[Any] = []
    env.reset()
    while len(returns) < EPISODES:
        legal = env.legal
        if legal is None:
            legal = np.broadcast_to(
                np.arange(spec.num_actions) < counts[:, None],
                (8, spec.num_agents, spec.num_actions),
            )
        action = np.argmax(np.where(legal, rng.random(legal.shape), -1), axis=-1).astype(np.int32)
        _, reward, terminated, truncated, _ = env.step(action)
        earned += reward
        for b in np.flatnonzero(terminated | truncated):
            returns.append(earned[b].copy())
            earned[b] = 0
    env.close()
    return summary(np.array(returns))


def summary(returns: Any) -> dict[str, Any]:
    """Columns of episodes' returns, f64 [episodes, N]."""
    team = returns.sum(1)
    half = 1.959964 * team.std(ddof=1) / len(team) ** 0.5
    return {"team_return": team.mean(), "low": team.mean() - half, "high": team.mean() + half,
            "agent_returns": returns.mean(0)}  # fmt: skip


def trained(game: str, algorithm: str, seed: int, **changes: Any) -> dict[str, Any]:
    """Trains and evaluates."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = ascore.train(config(game, algorithm, seed, **changes), Path(folder) / "run")
        seconds = time.perf_counter() - began
        played = ascore.evaluate(run, episodes=EPISODES)
    low, high = played.team_return.ci95
    return {"team_return": played.team_return.mean, "low": low, "high": high,
            "agent_returns": played.agent_return, "entropy": played.entropy,
            "seconds": f"{seconds:.0f}"}  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes all rows, or leaves the file as it was."""
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def shown(values: Any) -> Any:
    """A value of a row as text: four digits are what 100 episodes can tell."""
    if isinstance(values, (list, np.ndarray)):
        return " ".join(f"{value:.4g}" for value in values)
    return f"{values:.4g}" if isinstance(values, float) else values


def difference(first: list[float], second: list[float]) -> tuple[float, float]:
    """Difference of two means over five seeds each, and half the width of its 95 % interval.

    Welch's interval with the fewest degrees of freedom that it can have, 4: at least 95 %.
    """
    error = (np.var(first, ddof=1) / len(first) + np.var(second, ddof=1) / len(second)) ** 0.5
    return float(np.mean(first) - np.mean(second)), float(T_QUANTILE * error)


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: per game, the returns of all seeds, their mean, and how far AS is above IPPO."""
    by_game: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        by_game[row["game"]][row["algorithm"]][int(row["seed"])] = float(row["team_return"])
    lines = ["| environment | uniform play | AS, seeds 0 to 4 | mean | IPPO, seeds 0 to 4 | mean | "
             "AS − IPPO |", "|---|---:|---|---:|---|---:|---:|"]  # fmt: skip
    for game, results in by_game.items():
        means = {algorithm: np.mean(list(each.values())) for algorithm, each in results.items()}
        digits = 1 if abs(means["random"]) > 10 else 3
        cells = [f"`{game}`", f"{means['random']:.{digits}f}"]
        for algorithm in ("as", "ippo"):
            values = [value for _, value in sorted(results[algorithm].items())]
            cells.append(", ".join(f"{value:.{digits}f}" for value in values))
            cells.append(f"**{means[algorithm]:.{digits}f}**")
        gain, half = difference(*(list(results[each].values()) for each in ("as", "ippo")))
        cells.append(f"{gain:.{digits}f} ± {half:.{digits}f}")
        lines.append(f"| {' | '.join(cells)} |".replace("-", "−"))
    return "\n".join(lines)


def main() -> None:
    """Trains what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", nargs="*", help=f"nothing = all: {', '.join(GAMES)}")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("returns.csv"))
    parser.add_argument("--table", type=Path, help="only prints the table of a file")
    given = parser.parse_args()
    if given.table:
        print(table(read(given.table)))
        return
    rows: list[dict[str, Any]] = list(read(given.out))
    for game in given.games or GAMES:
        valid = settings(game)
        rows = [row for row in rows if row["game"] != game or row["settings"] == valid]
        done = {(row["algorithm"], int(row["seed"])) for row in rows if row["game"] == game}
        for seed in given.seeds:
            for algorithm in ("random", "as", "ippo"):
                if (algorithm, seed) in done:
                    continue
                play = (
                    random_play(game, seed)
                    if algorithm == "random"
                    else trained(game, algorithm, seed)
                )
                row = {
                    "game": game,
                    "algorithm": algorithm,
                    "seed": seed,
                    "settings": valid,
                    **play,
                }
                rows.append({key: shown(value) for key, value in row.items()})
                write(given.out, rows)
                print(game, algorithm, seed, rows[-1]["team_return"], flush=True)


if __name__ == "__main__":
    main()
