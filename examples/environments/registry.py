"""Tries every parallel environment of mpe2, butterfly, sisl, magent2, rps and momaland as it ships.

    python registry.py [--out FILE.csv] [--seconds S] [NAME ...]

Each is trained for ten updates with small settings in a process of its own. What is refused is
tried once more with the remedy that the refusal names, what takes longer than S seconds with fewer
links between its agents, and what fails in its own code with a constructor that goes round it. One
row per environment is printed, and replaces that of FILE.csv; the status is 1 if one does not train
with its remedy either.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
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
    "nearest": {"graph": "nearest"},
    "constructor": {},
}
FIXED = {
    "momaland.envs.gem_mining.mogem_mining_v0": "registry:gems",
    "momaland.envs.route_choice.moroute_choice_v0": "registry:routes",
}
"""Constructors for environments that fail in their own code with the newest NumPy and NetworkX."""


def weighted(source: str, **params: Any) -> Any:
    """An environment of momaland whose rewards are added up, all objectives alike."""
    import numpy as np
    from momaland.utils.parallel_wrappers import LinearizeReward

    module, _, name = source.partition(":")
    env = getattr(importlib.import_module(module), name)(**params)
    parts = {agent: env.reward_space(agent).shape[0] for agent in env.possible_agents}
    return LinearizeReward(env, {agent: np.full(n, 1 / n) for agent, n in parts.items()})


def gems(**params: Any) -> Any:
    """Gem mining; it adds lists of one number to a number, which NumPy 2.4 refuses."""
    from momaland.envs.gem_mining import mogem_mining_v0

    env = mogem_mining_v0.parallel_env(**params)
    env.unwrapped.workers = {agent: n for agent, [n] in env.unwrapped.workers.items()}
    return env


def routes(**params: Any) -> Any:
    """Route choice; its networks are files of NetworkX below 3.6, where edges were called links."""
    import networkx
    from momaland.envs.route_choice import moroute_choice_v0, route_choice

    read = functools.partial(networkx.node_link_graph, edges="links")
    route_choice.nx = SimpleNamespace(**{**vars(networkx), "node_link_graph": read})
    return moroute_choice_v0.parallel_env(**params)


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


def tried(settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """As `attempt`, in a process of its own."""
    command = [sys.executable, __file__, "--attempt", json.dumps(settings)]
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"trained": False, "says": f"not done after {seconds:.0f} s"}
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
        late = each["as shipped"].startswith("not done")
        key = ("trained", "") if each["as shipped"] == "trained" else (
            f"{'not done in time' if late else 'refused'}; with {each['remedy followed']}",
            each["with it"])  # fmt: skip
        groups.setdefault(key, []).append(f"`{each['environment']}`")
    lines = ["| environments | as they ship | then |", "|---|---|---|"]
    lines += [f"| {', '.join(names)} | {key[0]} | {key[1]} |" for key, names in groups.items()]
    return "\n".join(lines)


def remedy(module: str, says: str, followed: list[str]) -> str | None:
    """The remedy to follow next; None if there is none left."""
    named = next((each for each in REMEDIES if each in says), None)
    if named is None and says.startswith("not done after"):
        named = "nearest"  # check-env says so where links are what costs
    if named is None and module in FIXED:
        named = "constructor"
    return None if named in followed else named


def row(module: str, seconds: float) -> dict[str, Any]:
    """Tries an environment as it ships, then with one remedy after the other."""
    source = f"{module}:parallel_env"
    settings: dict[str, Any] = {**SMALL, "env": source}
    shipped = outcome = tried(settings, seconds)
    followed: list[str] = []
    while not outcome["trained"]:
        next_one = remedy(module, outcome["says"], followed)
        if next_one is None:
            break
        followed.append(next_one)
        if next_one == "constructor":
            source = FIXED[module]
            settings["env"] = source
        settings |= REMEDIES[next_one]
        if "weighted sum" in followed:
            settings |= {"env": "registry:weighted", "env_params": {"source": source}}
        outcome = tried(settings, seconds)
    return {
        "environment": short(module),
        "as shipped": "trained" if shipped["trained"] else shipped["says"].partition(";")[0],
        "remedy followed": " and ".join(followed),
        "with it": ("trained" if outcome["trained"] else outcome["says"]) if followed else "",
        "fine": shipped["trained"] or outcome["trained"],
    }


def read(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a file by environment; none if there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {each["environment"]: each for each in csv.DictReader(file)}


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
    parser.add_argument("--out", type=Path, help="CSV file whose rows to replace")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one attempt, at most")
    parser.add_argument("--table", type=Path, help="only prints the table of a file")
    parser.add_argument("--attempt", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.attempt:
        print(json.dumps(attempt(json.loads(given.attempt))))
        return 0
    if given.table:
        print(table(list(read(given.table).values())))
        return 0
    chosen = [m for m in MODULES if not given.names or any(n in m for n in given.names)]
    kept = read(given.out) if given.out else {}
    rows = []
    for module in chosen:
        rows.append(row(module, given.seconds))
        words = [rows[-1][key] for key in ("as shipped", "remedy followed", "with it")]
        print(f"{rows[-1]['environment']}: {'; '.join(w for w in words if w)}", flush=True)
        kept[short(module)] = rows[-1]
        if given.out:
            write(given.out, [kept[name] for name in map(short, MODULES) if name in kept])
    fine = sum(each["fine"] for each in rows)
    shipped = sum(each["as shipped"] == "trained" for each in rows)
    print(f"{shipped} of {len(rows)} trained as they ship, {fine} with the remedies named")
    return 0 if fine == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
