"""Measures how best to share this machine's processors: threads, processes or ranks.

Each way is timed alternately with one process of one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ascore.benchmark.crews import Crew
from ascore.benchmark.environments import NUM_ENVS, STEPS
from ascore.benchmark.machine import describe_machine
from ascore.benchmark.suite import BenchResults
from ascore.benchmark.timing import WALL, Effort, Result, Timing, Work, interleave
from ascore.benchmark.workloads import WORKLOADS, actions_for, player, require_equal
from ascore.runtime.processors import usable_processors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    "threads": "one process, threads for environments and learning",
    "ranks": "one run, a process per rank with one thread each",
    "processes": "separate runs, one thread each",
}
"""Ways to use several processors, by name."""

NETWORKS: dict[str, dict[str, Any]] = {
    "small networks": {
        "env": "predation-v1",
        "env_params": {"num_agents": 8},
        "num_envs": 64,
        "actor_lr": 1e-5,
        "critic_lr": 1e-5,
    },
    "large networks": {
        "env": "cleanup-v1",
        "num_envs": 16,
        "actor_hidden": [1024, 256],
        "critic_hidden": [1024, 256],
        "actor_lr": 1e-5,
        "critic_lr": 1e-5,
    },
}
"""Configurations to train: eight agents with (128, 64), and two with (1024, 256)."""

TWO_THREADS_BAR = 1.85
"""Harvest's step with two threads against one, on two otherwise idle processors."""
RANKS_BAR = 0.9
"""Two ranks against one process of two threads, with large networks."""
SAMPLE = {False: 1.5, True: 0.3}
"""Minimum seconds per sample, by whether the measurement is quick."""


@dataclass
class Scaling:
    """Results of the measurement.

    Attributes:
        bench: the lines of the table.
        speed: speed relative to one process of one thread, by workload, kind and count.
        advice: one sentence per recommendation.
    """

    bench: BenchResults
    speed: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.bench.to_dict(), "speed": self.speed, "advice": self.advice}


def counts(processors: int) -> list[int]:
    """1, 2, 4 ... up to the number of processors."""
    return [1 << k for k in range(processors.bit_length())]


def measure(
    effort: Effort, report: Callable[[str], None] = lambda _: None, most: int | None = None
) -> Scaling:
    """Times all kinds on all workloads.

    Args:
        effort: how long to measure.
        report: called with the name of each workload before its measurement.
        most: maximum number of processors; None = all usable ones.
    """
    sizes = counts(most or usable_processors())
    scaling = Scaling(BenchResults(describe_machine(), effort.quick))
    report("steps of the environment")
    _environment(scaling, sizes, effort)
    for name, keys in NETWORKS.items():
        report(f"training, {name}")
        _training(scaling, name, keys, sizes, effort)
    scaling.advice = advise(scaling.speed)
    return scaling


def _environment(scaling: Scaling, sizes: list[int], effort: Effort) -> None:
    workload = next(w for w in WORKLOADS if w.env == "harvest-v1")
    one = workload.compiled(NUM_ENVS, 1)
    speed = scaling.speed.setdefault("environment", {"threads": {1: 1.0}})["threads"]
    for count in sizes[1:]:
        many = workload.compiled(NUM_ENVS, count)
        require_equal(many, one, actions_for(one, 4), workload.name)
        actions = actions_for(one, STEPS)
        timing = interleave(
            Work(player(many, actions), NUM_ENVS), Work(player(one, actions), NUM_ENVS),
            effort, WALL,
        )  # fmt: skip
        result = Result.of(
            timing,
            group="scaling",
            name=f"{workload.name}, {NUM_ENVS:,} envs, {count} threads",
            baseline="1 thread",
            unit="env-step",
            bar=TWO_THREADS_BAR if count == 2 else None,
        )
        scaling.bench.results.append(result)
        speed[count] = result.ratio


def _training(
    scaling: Scaling, name: str, keys: dict[str, Any], sizes: list[int], effort: Effort
) -> None:
    keys = {**keys, "num_envs": max(keys["num_envs"], sizes[-1])}
    one_thread = {**keys, "num_threads": 1, "torch_threads": 1}
    speed = scaling.speed.setdefault(name, {kind: {1: 1.0} for kind in KINDS})
    for count in sizes[1:]:
        threaded = {**keys, "num_threads": count, "torch_threads": count}
        with ExitStack() as open_crews:
            one = open_crews.enter_context(Crew(one_thread, 1, together=False))
            crews = {
                "threads": Crew(threaded, 1, together=False),
                "ranks": Crew(one_thread, count, together=True),
                "processes": Crew(one_thread, count, together=False),
            }
            for crew in crews.values():
                open_crews.enter_context(crew)
            seconds_of = _in_turns({"one": one, **crews}, effort)
        baseline = seconds_of.pop("one")
        for kind, seconds in seconds_of.items():
            result = Result.of(
                Timing(seconds, baseline),
                group="scaling",
                name=f"training, {name}, {count} {kind}",
                baseline="1 process of 1 thread",
                unit="environment step",
                note=KINDS[kind],
            )
            scaling.bench.results.append(result)
            speed[kind][count] = result.ratio
        scaling.bench.results.append(
            Result.of(
                Timing(seconds_of["ranks"], seconds_of["threads"]),
                group="scaling",
                name=f"training, {name}, {count} ranks",
                baseline=f"1 process of {count} threads",
                unit="environment step",
                bar=RANKS_BAR if count == 2 and name == "large networks" else None,
            )
        )


def _in_turns(crews: dict[str, Crew], effort: Effort) -> dict[str, tuple[float, ...]]:
    """Times crews alternately; gives seconds per environment step, one entry per turn."""
    updates = {
        name: max(1, math.ceil(SAMPLE[effort.quick] / max(crew.take(1), 1e-3)))
        for name, crew in crews.items()
    }
    seconds_of: dict[str, list[float]] = {name: [] for name in crews}
    for _ in range(effort.repeats):
        for name, crew in crews.items():
            seconds = crew.take(updates[name])
            seconds_of[name].append(seconds / (updates[name] * crew.steps))
    return {name: tuple(values) for name, values in seconds_of.items()}


def advise(speed: dict[str, dict[str, dict[int, float]]]) -> list[str]:
    """Recommends how to share the machine, from the speeds."""
    lines = []
    for name, kinds in speed.items():
        if name == "environment" or len(kinds["ranks"]) < 2:
            continue
        best = {kind: max(speeds.items(), key=lambda x: x[1]) for kind, speeds in kinds.items()}
        count, gain = best["processes"]
        lines.append(
            f"many runs, {name}: {count} at a time with one thread each ({gain:.2f} times one)"
        )
        single_run = {kind: best[kind] for kind in ("threads", "ranks")}
        kind, (count, gain) = max(single_run.items(), key=lambda x: x[1][1])
        if gain < 1.05:
            lines.append(f"one run, {name}: one process of one thread; more are not faster")
        elif kind == "threads":
            lines.append(
                f"one run, {name}: one process, --num-threads {count} --torch-threads {count} "
                f"({gain:.2f} times one thread)"
            )
        else:
            lines.append(
                f"one run, {name}: torchrun --nproc-per-node {count} with one thread each "
                f"({gain:.2f} times one thread)"
            )
    return lines


COLOURS = {"threads": "#0072B2", "ranks": "#D55E00", "processes": "#009E73"}
MARKERS = {"threads": "o", "ranks": "s", "processes": "^"}


def picture(scaling: Scaling) -> Figure:
    """A panel per workload: speed against processors used, with the ideal line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(scaling.speed), 3.9), layout="constrained")
    panels = figure.subplots(1, len(scaling.speed), squeeze=False)
    titles = {"environment": f"Harvest, {NUM_ENVS:,} environments,\nrandom actions"}
    for panel, (name, kinds) in zip(panels[0], scaling.speed.items(), strict=True):
        ticks = sorted({count for speeds in kinds.values() for count in speeds})
        panel.plot(ticks, ticks, color="0.6", linestyle="--", linewidth=1, label="ideal")
        for kind, speeds in kinds.items():
            panel.plot(
                list(speeds),
                list(speeds.values()),
                color=COLOURS[kind],
                marker=MARKERS[kind],
                label=kind,
            )
        panel.set_title(titles.get(name, f"training,\n{name}"), fontsize=10)
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.set_xlim(ticks[0] * 0.9, ticks[-1] * 1.1)
        panel.set_ylim(bottom=0)
        panel.set_xlabel("processors used")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=9, loc="upper left")
    panels[0][0].set_ylabel("times one process of one thread")
    return figure
