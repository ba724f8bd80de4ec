"""Time per agent and step, and memory per agent, against the number of agents with two neighbours.

Whole updates of Anticipation Sharing in C. Predation, collection included: 16 environments, a ring,
observations of the two nearest, networks of (128, 64) units, iterations as by default. Every number
of agents runs in a process of its own, so that its peak of memory is its own: the largest resident
set up to the end of the last update. Times are CPU times of one thread.

    python benches/plot_crowd.py                    # writes docs/performance-crowd.csv and .png
    python benches/plot_crowd.py --agents 16,1024   # prints these alone
    python benches/plot_crowd.py --redraw           # the picture again, from the table
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

# Nothing large is imported here, because a new process inherits the peak of its parent.
from ascore.runs.files import write_atomic
from ascore.runtime.peak import peak_memory

NUM_AGENTS = tuple(2**k for k in range(1, 13))
NUM_ENVS = 16
FEWEST = 16  # of which memory is drawn: among fewer, chance decides
OUT = Path(__file__).resolve().parent.parent / "docs" / "performance-crowd.csv"
BEFORE = OUT.with_name("performance-crowd-before.csv")
"""The same by commit fc1af29, whose graphs were matrices: with the full state, since it had no
`obs_mode = nearest`, and up to the 64 agents that it took."""
COLUMNS = (
    "agents", "rows", "updates", "us_per_agent_step", "us_least", "us_greatest", "peak_mb",
    "networks_mb",
)  # fmt: skip


def measured(agents: int, updates: int, keys: dict[str, Any]) -> dict[str, Any]:
    """One number of agents, in this process."""
    import torch

    from ascore.config import Config
    from ascore.envs.factory import batch
    from ascore.learning.learner import Learner
    from ascore.learning.rollout import Collector

    torch.set_num_threads(1)
    params = {"num_agents": agents}
    if agents > 2:
        params |= {"obs_mode": "nearest", "nearest": 2}
    config = Config(env_params=params, graph="ring", num_envs=NUM_ENVS, num_threads=1, **keys)
    env = batch(config.env, config.env_params, NUM_ENVS, 0, 1)
    env.reset()
    learner = Learner(config, env.spec)
    collector = Collector(env, env.spec.horizon, neighbours=learner.reads_neighbours)
    rows = env.spec.horizon * NUM_ENVS
    seconds = []
    for number in range(updates + 1):
        start = time.process_time()
        learner.update(collector.collect(learner.actor), number)
        seconds.append(time.process_time() - start)
    each = [1e6 * spent / (rows * agents) for spent in seconds[1:]]  # the first one allocates
    stored = sum(
        x.nbytes
        for adam in (learner.actor_adam, learner.critic_adam)
        for x in (adam.parameters, adam.gradients, adam.first, adam.second)
    )
    return {
        "agents": agents,
        "rows": rows,
        "updates": updates,
        "us_per_agent_step": round(statistics.median(each), 3),
        "us_least": round(min(each), 3),
        "us_greatest": round(max(each), 3),
        "peak_mb": round((peak_memory() or nan) / 1e6, 2),
        "networks_mb": round(stored / 1e6, 3),
    }


def in_a_process(agents: int, updates: int, keys: dict[str, Any]) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--case", json.dumps([agents, updates, keys])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def write(rows: Sequence[dict[str, Any]]) -> None:
    """The table."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(OUT, text.getvalue().encode())


def read(table: Path) -> list[dict[str, float]]:
    """A table."""
    with table.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def draw() -> None:
    """The picture, from the table."""
    from matplotlib.figure import Figure

    rows = read(OUT)
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    time_axis, memory_axis = figure.subplots(1, 2)
    for numbers, label, style in (
        (rows, "now", {"marker": "o", "color": "#0072B2"}),
        (read(BEFORE), "before links were lists", {"marker": "s", "ls": "--", "color": "#555555"}),
    ):
        each = [row["us_per_agent_step"] for row in numbers]
        time_axis.plot([row["agents"] for row in numbers], each, label=label, **style)
    time_axis.set_ylabel("µs per agent and step")
    time_axis.legend(frameon=False, loc="upper right")
    first = rows[0]
    larger = [row for row in rows if row["agents"] >= FEWEST]
    many = [row["agents"] for row in larger]
    for key, style in (
        ("peak_mb", {"marker": "s", "color": "#D55E00", "label": "peak of the process"}),
        ("networks_mb", {"ls": "--", "color": "#555555", "label": "networks with moments"}),
    ):
        grown = [
            (row[key] - first[key]) * 1e3 / (row["agents"] - first["agents"]) for row in larger
        ]
        memory_axis.plot(many, grown, **style)
    memory_axis.set_ylabel("kB per further agent")
    memory_axis.legend(frameon=False, loc="lower center")
    for axis in (time_axis, memory_axis):
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda number, _: f"{number:,.0f}")
        room = 1.5 if axis is time_axis else 1.15  # above the lines, for the legend
        axis.set_ylim(0, room * axis.get_ylim()[1])
        axis.set_xlabel("agents")
    figure.savefig(OUT.with_suffix(".png"), dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and, unless only some numbers were asked for, writes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", help="numbers of agents with commas between them")
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--redraw", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        print(json.dumps(measured(*json.loads(options.case))))
        return
    if options.redraw:
        draw()
        return
    keys = {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in options.set)}
    some = [int(n) for n in options.agents.split(",")] if options.agents else NUM_AGENTS
    rows = []
    for agents in some:
        rows.append(in_a_process(agents, options.updates, keys))
        print(json.dumps(rows[-1]), flush=True)
    if not options.agents:
        write(rows)
        draw()


if __name__ == "__main__":
    main()
