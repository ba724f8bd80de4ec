"""Three firms train in processes of their own, and are compared with sharing nothing and all.

    python train.py OUT [--seeds 5]

Anticipation Sharing runs as parties on this machine: per seed four processes, connected by gRPC
with certificates made for the run. Nothing shared (independent PPO) and all rewards pooled (every
firm learns from their mean, which all must then reveal) run in this process. Writes OUT/earned.png
and OUT/earned.csv, and prints what the firms' logs hold.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from chain import FIRMS

import ascore
from ascore.parties.audit import AUDIT, read, reconcile
from ascore.parties.certificates import new

HERE = Path(__file__).resolve().parent
HOST = "host"
WAYS = {"nothing shared": "ippo", "Anticipation Sharing": "as", "all rewards pooled": "team"}
SETTINGS: dict[str, Any] = {
    "env": "chain:ColdChain",
    "episodes": 2400,
    "num_envs": 16,
    "iterations": 8,
    "minibatches": 1,
    "actor_lr": 3e-3,
    "critic_lr": 3e-3,
    "lr_decay": "linear",
    "gamma": 0.5,
    "penalty_weight": 10.0,
    "penalty_gate": "always",
    "discrepancy": "kl",
    "actor_hidden": [32, 32],
    "critic_hidden": [32, 32],
}
LAST = 0.1
"""Share of the updates, at the end, whose returns count."""


def as_parties(folder: Path, seed: int, port: int) -> list[float]:
    """Trains four processes; what each firm earns per episode at the end, by its own metrics."""
    folder.mkdir(parents=True)
    new(folder / "certs", [HOST, *FIRMS])
    config = {**SETTINGS, "algorithm": "as", "seed": seed, "env_params": {"rewards": False}}
    (folder / "training.toml").write_text(tomli_w.dumps(config))
    common = {
        "run": f"cold-chain-{seed}",
        "training": "training.toml",
        "certificates": "certs",
        "rewards": "parties",
        "host": {"name": HOST, "address": f"127.0.0.1:{port}"},
        "agents": {firm: f"127.0.0.1:{port + 1 + k}" for k, firm in enumerate(FIRMS)},
    }
    processes = []
    for name in (HOST, *FIRMS):
        own = {"name": name, "folder": name}
        if name != HOST:
            own["reward"] = f"chain:{name}"
        (folder / f"{name}.toml").write_text(tomli_w.dumps({**own, **common}))
        what = "host" if name == HOST else "run"
        file = str((folder / f"{name}.toml").resolve())
        line = [sys.executable, "-m", "ascore", "party", what, "--config", file, "--trust"]
        output = open(folder / f"{name}.txt", "w")  # noqa: SIM115 (the process writes to it)
        processes.append(subprocess.Popen(line, cwd=HERE, stdout=output, stderr=output))
    try:
        statuses = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(statuses):
        sys.exit(f"a party failed; {folder}/*.txt say why")
    return [at_the_end(folder / firm / "metrics.jsonl")[0] for firm in FIRMS]


def in_one_process(folder: Path, algorithm: str, seed: int) -> list[float]:
    """Trains all firms here; what each earns per episode at the end."""
    settings = {k: v for k, v in SETTINGS.items() if not k.startswith("penalty_")}
    settings.pop("discrepancy")
    ascore.train(ascore.Config(**settings, algorithm=algorithm, seed=seed), folder)
    return at_the_end(folder / "metrics.jsonl")


def at_the_end(path: Path) -> list[float]:
    """Mean of the last returns in a file of metrics: of one agent, or of all."""
    rows = [json.loads(line)["return"] for line in path.read_text().splitlines()]
    last = rows[-max(1, int(LAST * len(rows))) :]
    return np.atleast_1d(np.mean(last, axis=0)).tolist()


def what_logs_hold(folder: Path) -> None:
    """Prints the audit logs of one run in a few lines."""
    for firm in FIRMS:
        entries = list(read(folder / firm / AUDIT))
        letters = Counter((e["event"], e["kind"]) for e in entries if "kind" in e)
        size = sum(e["bytes"] for e in entries if e["event"] == "sent")
        counts = ", ".join(f"{n:,} {kind} {event}" for (event, kind), n in sorted(letters.items()))
        refused = sum(e["event"] == "refused" for e in entries)
        print(f"log of {firm}: {counts}; {size:,} bytes sent, {refused} refused")
    for k, firm in enumerate(FIRMS):
        other = FIRMS[(k + 1) % len(FIRMS)]
        agreement = reconcile(folder / firm / AUDIT, folder / other / AUDIT)
        verdict = agreement.differences[0] if agreement.differences else "they agree"
        print(f"{firm} and {other}: {agreement.letters:,} letters, {verdict}")


def draw(earned: dict[str, list[list[float]]], path: Path) -> None:
    """A bar per way, stacked by firm; a dot per seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    bottom = np.zeros(len(WAYS))
    for k, (firm, colour) in enumerate(zip(FIRMS, ("#4477aa", "#ccbb44", "#aa3377"), strict=True)):
        height = [np.mean([row[k] for row in earned[way]]) for way in WAYS]
        axes.bar(list(WAYS), height, bottom=bottom, label=firm, color=colour, width=0.6)
        bottom += height
    for x, way in enumerate(WAYS):
        totals = [sum(row) for row in earned[way]]
        axes.plot([x] * len(totals), totals, "o", color="black", markersize=4)
    axes.set_ylabel("earned in 20 weeks")
    axes.set_title("A cold chain of three firms: a dot is the whole chain, one seed")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--port", type=int, default=7100, help="the first of four")
    options = parser.parse_args()
    out = options.out.resolve()
    os.chdir(HERE)  # where `chain` is
    earned: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for seed in range(options.seeds):
        for way, algorithm in WAYS.items():
            folder = out / f"{algorithm}-s{seed}"
            if algorithm == "as":
                earned[way].append(as_parties(folder, seed, options.port))
            else:
                earned[way].append(in_one_process(folder, algorithm, seed))
            print(f"seed {seed}, {way}: {sum(earned[way][-1]):.1f}", flush=True)
    with open(out / "earned.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["way", "seed", *FIRMS])
        for way, rows in earned.items():
            writer.writerows([way, seed, *row] for seed, row in enumerate(rows))
    nothing, sharing, pooled = (np.mean([sum(r) for r in earned[way]]) for way in WAYS)
    share = (sharing - nothing) / (pooled - nothing)
    print(f"nothing {nothing:.1f}, Anticipation Sharing {sharing:.1f}, pooled {pooled:.1f}")
    print(f"Anticipation Sharing goes {share:.0%} of the way from sharing nothing to pooling all")
    what_logs_hold(out / "as-s0")
    draw(earned, out / "earned.png")


if __name__ == "__main__":
    main()
