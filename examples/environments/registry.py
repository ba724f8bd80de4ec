"""Tries every parallel environment of mpe2, butterfly, sisl, magent2, rps and momaland as it ships.

    python registry.py [--out FILE.csv] [NAME ...]

Each is trained for ten updates with small settings in a process of its own. What is refused is
tried once more with the remedy that the refusal names. One row per environment is printed, and
written to FILE.csv; the status is 1 if one is refused and does not train with its remedy either.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UPDATES = 10
SMALL = {"num_envs": 2, "rollout_steps": 4, "iterations": 1, "minibatches": 1,
         "actor_hidden": [16], "critic_hidden": [16]}  # fmt: skip
SECONDS = 300.0

MPE = ["simple_v3", "simple_adversary_v3", "simple_crypto_v3", "simple_formation_v1",
       "simple_line_v1", "simple_push_v3", "simple_reference_v3", "simple_speaker_listener_v4",
       "simple_spread_v3", "simple_tag_v3", "simple_world_comm_v3",
       "collect_treasure_v1"]  # fmt: skip
BUTTERFLY = ["cooperative_pong_v6", "knights_archers_zombies_v11", "pistonball_v6"]
MAGENT2 = ["adversarial_pursuit_v4", "battle_v4", "battlefield_v5", "combined_arms_v6", "gather_v5",
          "tiger_deer_v4"]  # fmt: skip
MOMA = ["beach.mobeach_v0", "multiwalker_stability.momultiwalker_stability_v0",
        "crazyrl.catch.catch_v0", "crazyrl.surround.surround_v0", "crazyrl.escort.escort_v0",
        "item_gathering.moitem_gathering_v0", "pistonball.mopistonball_v0",
        "route_choice.moroute_choice_v0", "gem_mining.mogem_mining_v0"]  # fmt: skip
MODULES = [
    *(f"mpe2.{name}" for name in MPE),
    *(f"pettingzoo.butterfly.{name}" for name in BUTTERFLY),
    "pettingzoo.sisl.multiwalker_v9",
    "pettingzoo.sisl.pursuit_v5",
    *(f"magent2.environments.{name}" for name in MAGENT2),
    "pettingzoo.classic.rps_v2",
    *(f"momaland.envs.{name}" for name in MOMA),
]

COLUMNS = ("environment", "as shipped", "remedy followed", "with it")

# What a refusal is about -> the configuration that follows its remedy.
REMEDIES: dict[str, dict[str, Any]] = {
    "--action-bins": {"action_bins": 3},
    "--horizon": {"horizon": 100},
    "weighted sum": {"env": "registry:weighted"},
}


def weighted(module: str, **params: Any) -> Any:
    """An environment of momaland whose rewards are added up, all objectives alike."""
    import numpy as np
    from momaland.utils.parallel_wrappers import LinearizeReward

    env = importlib.import_module(module).parallel_env(**params)
    parts = {agent: env.reward_space(agent).shape[0] for agent in env.possible_agents}
    return LinearizeReward(env, {agent: np.full(n, 1 / n) for agent, n in parts.items()})


def attempt(settings: dict[str, Any]) -> dict[str, Any]:
    """Trains in this process; says after how many updates, or why not."""
    import ascore
    from ascore.errors import AscoreError

    updates = 0

    def count(*_: Any) -> None:
        nonlocal updates
        updates += 1

    with tempfile.TemporaryDirectory() as folder:
        try:
            # `episodes` is the least that no environment ends before; `stop` is what ends it.
            config = ascore.Config(**{"episodes": 10_000, "checkpoint_every": 10_000, **settings})
            ascore.train(
                config, Path(folder) / "run", report=count, stop=lambda: updates >= UPDATES
            )
        except AscoreError as error:
            return {"trained": False, "says": " ".join(str(error).split())}
    return {"trained": updates >= UPDATES, "says": f"{updates} updates"}


def tried(settings: dict[str, Any]) -> dict[str, Any]:
    """As `attempt`, in a process of its own."""
    command = [sys.executable, __file__, "--attempt", json.dumps(settings)]
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"trained": False, "says": f"not done after {SECONDS:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        reason = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"trained": False, "says": f"status {done.returncode}: {reason}"}
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def short(module: str) -> str:
    """The name of an environment in the table."""
    return module.removeprefix("pettingzoo.").removeprefix("momaland.envs.")


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: what was trained as it ships, and what needed which remedy."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in rows:
        key = ("trained", "") if each["as shipped"] == "trained" else (
            f"refused; with {each['remedy followed']}", each["with it"])  # fmt: skip
        groups.setdefault(key, []).append(f"`{each['environment']}`")
    lines = ["| environments | as they ship | then |", "|---|---|---|"]
    lines += [f"| {', '.join(names)} | {key[0]} | {key[1]} |" for key, names in groups.items()]
    return "\n".join(lines)


def row(module: str) -> dict[str, Any]:
    """Tries an environment as it ships, then with one remedy after the other."""
    settings: dict[str, Any] = {**SMALL, "env": f"{module}:parallel_env"}
    shipped = outcome = tried(settings)
    followed: list[str] = []
    while not outcome["trained"] and len(followed) < len(REMEDIES):
        remedy = next((r for r in REMEDIES if r in outcome["says"] and r not in followed), None)
        if remedy is None:
            break
        followed.append(remedy)
        settings |= REMEDIES[remedy]
        if remedy == "weighted sum":
            settings["env_params"] = {"module": module}
        outcome = tried(settings)
    return {
        "environment": short(module),
        "as shipped": "trained" if shipped["trained"] else shipped["says"].partition(";")[0],
        "remedy followed": " and ".join(followed),
        "with it": ("trained" if outcome["trained"] else outcome["says"]) if followed else "",
        "fine": shipped["trained"] or outcome["trained"],
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """Prints one row per environment."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("names", nargs="*", help="parts of names; nothing = all")
    parser.add_argument("--out", type=Path, help="CSV file to write")
    parser.add_argument("--attempt", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.attempt:
        print(json.dumps(attempt(json.loads(given.attempt))))
        return 0
    chosen = [m for m in MODULES if not given.names or any(n in m for n in given.names)]
    rows = []
    for module in chosen:
        rows.append(row(module))
        words = [rows[-1][key] for key in ("as shipped", "remedy followed", "with it")]
        print(f"{rows[-1]['environment']}: {'; '.join(w for w in words if w)}", flush=True)
        if given.out:
            write(given.out, rows)
    fine = sum(each["fine"] for each in rows)
    shipped = sum(each["as shipped"] == "trained" for each in rows)
    print(f"{shipped} of {len(rows)} trained as they ship, {fine} with the remedies named")
    return 0 if fine == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
