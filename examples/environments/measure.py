"""How many steps per second other people's environments make, with one and with two workers.

    python measure.py [GAME ...] [--workers 1 2] [--out speed.csv]
    python measure.py --page environments.md --out speed.csv

Random legal actions, eight copies each; the median of interleaved rounds. Nothing else should run.
The second form also puts the table where the page has its marks.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

import ascore

GAMES = ("spread", "reference", "tag", "adversary", "crypto", "foraging", "archers", "pursuit",
         "noughts", "connect_four", "signals", "cologne", "cells", "beach")  # fmt: skip
COPIES = 8
BEGIN, END = "<!-- begin: steps per second -->", "<!-- end: steps per second -->"


def rate(env: Any, rng: np.random.Generator, seconds: float) -> float:
    """Steps of a copy per second, over all copies."""
    spec = env.spec
    shape = (COPIES, spec.num_agents, spec.num_actions)
    own = np.arange(spec.num_actions) < np.array(spec.action_counts)[:, None]
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        legal = own if env.legal is None else env.legal
        env.step(np.argmax(np.where(legal, rng.random(shape), -1), axis=-1).astype(np.int32))
        steps += COPIES
    return steps / (time.perf_counter() - began)


def measured(game: str, workers: list[int], rounds: int, seconds: float) -> dict[str, Any]:
    """A row: the game, its agents, and the steps per second with each number of workers."""
    rng = np.random.default_rng(0)
    envs = {w: ascore.make(f"games:{game}", COPIES, env_workers=w) for w in workers}
    rates: dict[int, list[float]] = {w: [] for w in workers}
    for env in envs.values():
        env.reset()
    for _ in range(rounds):
        for w, env in envs.items():
            rates[w].append(rate(env, rng, seconds))
    agents = envs[workers[0]].spec.num_agents
    for env in envs.values():
        env.close()
    medians = {f"workers_{w}": f"{statistics.median(rates[w]):.0f}" for w in workers}
    return {"game": game, "agents": agents, **medians}


def write(out: IO[str], rows: list[dict[str, Any]]) -> None:
    """Writes the rows as CSV."""
    writer = csv.DictWriter(out, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: steps per second with each number of workers, and the gain over the first."""
    if not rows:
        return "Not measured yet."
    kinds = [key for key in rows[0] if key.startswith("workers_")]
    names = [f"{key.removeprefix('workers_')} worker{'s' * (key != 'workers_1')}" for key in kinds]
    lines = [f"| environment | agents | {' | '.join(names)} | gain |",
             f"|---|---:|{'---:|' * len(kinds)}---:|"]  # fmt: skip
    for row in rows:
        rates = [float(row[key]) for key in kinds]
        cells = [f"`{row['game']}`", row["agents"], *(f"{rate:,.0f}" for rate in rates)]
        lines.append(f"| {' | '.join(map(str, cells))} | {rates[-1] / rates[0]:.2f} |")
    return "\n".join(lines)


def fill(page: str, rows: list[dict[str, Any]]) -> str:
    """The text of a page with the table between its marks."""
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        message = f"the page has no {BEGIN} followed by {END}; put them where the table belongs"
        raise ValueError(message)
    return f"{before}{mark}\n{table(rows)}\n{end}{after}"


def main() -> None:
    """Writes one row per game."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", nargs="*", default=GAMES)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="per round and number of workers"
    )
    parser.add_argument("--out", type=Path, help="CSV file; nothing = standard output")
    parser.add_argument("--page", type=Path, help="Markdown file whose table to replace")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for game in given.games:
        rows.append(measured(game, given.workers, given.rounds, given.seconds))
        print(*rows[-1].values(), file=sys.stderr, flush=True)
        if given.out:
            with given.out.open("w", newline="") as file:
                write(file, rows)
    if not given.out:
        write(sys.stdout, rows)
    if given.page:
        given.page.write_text(fill(given.page.read_text(), rows))


if __name__ == "__main__":
    main()
