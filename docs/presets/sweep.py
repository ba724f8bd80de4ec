"""Trains what a list of settings asks for, one after the other, and keeps the outcomes as CSV.

    python docs/presets/sweep.py SETTINGS.txt OUTCOMES.csv [--runs FOLDER]

A line of SETTINGS is `ENV SEEDS OPTIONS...`, with seeds as in `0` or `0-4` and options of
`ascore train`; # starts a comment. A setting whose row is in OUTCOMES already is skipped, so a list
can grow while it is worked off, and a killed sweep goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COLUMNS = (
    "env", "options", "seed", "algorithm", "episodes", "updates", "seconds", "team_return", "low",
    "high", "entropy", "training", "agent_returns", "discrepancy",
)  # fmt: skip
SHARES = 10


def settings(path: Path) -> Iterator[tuple[str, str, int]]:
    """(environment, options, seed) of every line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        first, _, last = words[1].partition("-")
        for seed in range(int(first), int(last or first) + 1):
            yield words[0], shlex.join(words[2:]), seed


def done(path: Path) -> set[tuple[str, str, int]]:
    """Settings that have a row."""
    if not path.exists():
        return set()
    with open(path, encoding="utf-8", newline="") as file:
        return {(row["env"], row["options"], int(row["seed"])) for row in csv.DictReader(file)}


def outcome(env: str, options: str, seed: int, runs: Path) -> dict[str, object]:
    """Trains and evaluates one setting."""
    number = sum(1 for _ in runs.glob(f"{env}-*"))
    folder = runs / f"{env}-{number:03}"
    call = [sys.executable, "-m", "ascore", "train", env, "--seed", str(seed), "--json"]
    call += ["--out", str(folder), *shlex.split(options)]
    finished = subprocess.run(call, capture_output=True, text=True)
    if finished.returncode != 0:
        last = finished.stderr.strip().splitlines()[-1:]
        print(f"{env} {options} seed {seed}: {' '.join(last)}", file=sys.stderr)
        return {"env": env, "options": options, "seed": seed, "training": "failed"}
    run = json.loads(finished.stdout)["runs"][0]
    scores = run["evaluation"]["team_return"]
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    size = len(log) / SHARES
    parts = [log[int(k * size) : int((k + 1) * size)] for k in range(SHARES)]
    means = [sum(r["team_return"] for r in part) / max(1, len(part)) for part in parts]
    gap = log[-1].get("discrepancy")
    return {
        "env": env,
        "options": options,
        "seed": seed,
        "algorithm": run["algorithm"],
        "episodes": run["episodes"],
        "updates": run["updates"],
        "seconds": round(run["seconds"]),
        "team_return": round(scores["mean"], 2),
        "low": round(scores["ci95"][0], 2),
        "high": round(scores["ci95"][1], 2),
        "entropy": round(run["evaluation"]["entropy"], 3),
        "training": " ".join(f"{m:.1f}" for m in means),
        "agent_returns": " ".join(f"{m:.1f}" for m in run["evaluation"]["agent_return"]),
        "discrepancy": "" if gap is None else f"{sum(gap) / len(gap):.4f}",
    }


def main() -> None:
    """Works the list off, reading it anew after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", type=Path)
    parser.add_argument("outcomes", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/sweep"))
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    while True:
        ready = done(given.outcomes)
        left = [s for s in settings(given.settings) if s not in ready]
        if not left:
            break
        row = outcome(*left[0], given.runs)
        new = not given.outcomes.exists()
        with open(given.outcomes, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
