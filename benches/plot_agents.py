"""Time and memory of an update against the number of agents, as a table and a picture.

Every case runs in its own process, so that its peak of memory is its own. All kinds alternate,
`--rounds` times. Times are CPU times of one thread. Memory is the peak resident set minus that of
the same process with two agents and 32 rows, that is, with all modules imported. The memory of
weights, gradients and Adam's moments is summed over the tensors.

    python benches/plot_agents.py            # writes docs/performance-agents.csv and .png
    python benches/plot_agents.py --redraw   # the picture again, from the table
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
from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path
from typing import Any

# Nothing large is imported here, because a new process inherits the peak of its parent.
from ascore.runs.files import write_atomic
from ascore.runtime.peak import peak_memory

NUM_AGENTS = (2, 4, 8, 16, 32)
NUM_ENVS, HORIZON = 128, 32
"""4,096 rows."""
TINY = 2, 1
"""Agents and environments of a first, small case that imports everything."""
KINDS = {
    "modules": "PyTorch, a network per peer, a module each",
    "separate": "PyTorch, a network per peer, stacked",
    "multihead": "PyTorch, a head per peer",
    "fused": "compiled, a head per peer",
}
STORED = {"separate": "a network per peer", "multihead": "a head per peer"}
"""Kinds for which stored weights, gradients and moments are drawn; the others store the same."""
LEAST_SECONDS = 0.3
OUT = Path(__file__).resolve().parent.parent / "docs" / "performance-agents.csv"
COLUMNS = (
    "agents", "kind", "rows", "rounds", "update_ms", "update_ms_least", "update_ms_greatest",
    "peak_mb", "stored_mb",
)  # fmt: skip
MB = 1e6

# ---- one case, in a process of its own -------------------------------------------------------

Ready = tuple[Callable[[], object], Callable[[], int], int]
"""An update as a call, a function that gives its stored bytes after a call, and the rows."""


def learner_case(kind: str, agents: int, num_envs: int) -> Ready:
    """Prepares the K iterations of a learner."""
    from ascore.benchmark.updates import iterations, prepared, stand_still

    layout, backend = ("multihead", "engine") if kind == "fused" else (kind, "torch")
    learner, rows = prepared(
        "predation", layout, num_envs, backend, num_agents=agents, horizon=HORIZON
    )
    stand_still(learner)
    adams = learner.actor_adam, learner.critic_adam
    tensors = [
        tensor for a in adams for tensor in (a.parameters, a.gradients, a.first, a.second, a.steps)
    ]
    return iterations(learner, rows), lambda: sum(t.nbytes for t in tensors), len(rows.raw)


def module_case(agents: int, num_envs: int) -> Ready:
    """Prepares the same with one module per network."""
    from ascore.benchmark.updates import prepared
    from ascore.reference.update import Agents, update

    learner, rows = prepared(
        "predation", "multihead", num_envs, "torch", num_agents=agents, horizon=HORIZON
    )
    config, spec = learner.config, learner.spec
    sizes = [spec.obs_shape[0], *config.actor_hidden]
    modules = Agents(agents, [*sizes, spec.num_actions], [*sizes, 1], 0.0, 0.0)
    parts = [
        [part for part, _ in learner.minibatches(len(rows.raw), 0, k)]
        for k in range(config.iterations)
    ]

    def call() -> None:
        update(
            modules, rows.obs, rows.action, rows.advantage, rows.normalized_return, parts,
            penalty_weight=config.penalty_weight, clip_epsilon=config.clip_epsilon,
        )  # fmt: skip

    def stored() -> int:
        total = 0
        for optimizer in (each for pair in modules.optimizers for each in pair):
            for group in optimizer.param_groups:
                total += sum(p.nbytes + p.grad.nbytes for p in group["params"])
            for state in optimizer.state.values():
                total += sum(tensor.nbytes for tensor in state.values())
        return total

    return call, stored, len(rows.raw)


def case(kind: str, agents: int, num_envs: int) -> Ready:
    """Prepares a case."""
    if kind == "modules":
        return module_case(agents, num_envs)
    return learner_case(kind, agents, num_envs)


def one_case(kind: str, agents: int) -> dict[str, float]:
    """Measures seconds of an update, bytes at the peak and stored, and rows."""
    from ascore.benchmark.packages import one_torch_thread

    with one_torch_thread():
        first = case(kind, *TINY)
        first[0]()  # kept until the end, so that its memory is not reused
        before = peak_memory() or nan
        call, stored, rows = case(kind, agents, NUM_ENVS)
        call()  # the first call allocates memory that the others reuse
        seconds = timed(call)
        result = {
            "seconds": seconds,
            "peak": (peak_memory() or nan) - before,
            "stored": stored(),
            "rows": rows,
        }
        del first
        return result


def timed(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start, calls = time.thread_time(), 0
    while (took := time.thread_time() - start) < LEAST_SECONDS:
        call()
        calls += 1
    return took / calls


def fresh(kind: str, agents: int) -> dict[str, float]:
    """`one_case` in a new process."""
    command = [sys.executable, __file__, "--case", kind, str(agents)]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    process = subprocess.run(
        command, env={**os.environ, **threads}, capture_output=True, text=True, check=False
    )
    if process.returncode:
        message = (
            f"{kind} with {agents} agents exited with status {process.returncode}: {process.stderr}"
        )
        raise SystemExit(message)
    result: dict[str, float] = json.loads(process.stdout)
    return result


# ---- all cases -------------------------------------------------------------------------------


def measure(numbers: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Measures all cases; gives rows of the table, medians over the rounds."""
    cases = [(agents, kind) for agents in numbers for kind in KINDS]
    by_case: dict[tuple[int, str], list[dict[str, float]]] = {case: [] for case in cases}
    for turn in range(rounds):
        for agents, kind in cases:
            print(
                f"round {turn + 1}/{rounds}: {kind}, {agents} agents", file=sys.stderr, flush=True
            )
            by_case[agents, kind].append(fresh(kind, agents))
    table = []
    for (agents, kind), repeats in by_case.items():
        times = [one["seconds"] * 1e3 for one in repeats]
        table.append(
            {
                "agents": agents,
                "kind": kind,
                "rows": int(repeats[0]["rows"]),
                "rounds": rounds,
                "update_ms": round(statistics.median(times), 3),
                "update_ms_least": round(min(times), 3),
                "update_ms_greatest": round(max(times), 3),
                "peak_mb": round(statistics.median(one["peak"] for one in repeats) / MB, 2),
                "stored_mb": round(repeats[0]["stored"] / MB, 3),
            }
        )
    return table


def write(table: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_atomic(path, text.getvalue().encode())


def read(path: Path) -> list[dict[str, Any]]:
    """Reads a table of `write`; every column but `kind` is a number."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            {key: value if key == "kind" else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


# ---- the picture -----------------------------------------------------------------------------

# Okabe-Ito palette, as in the other pictures.
COLOURS = {
    "modules": "#000000", "separate": "#D55E00", "multihead": "#009E73", "fused": "#0072B2",
}  # fmt: skip
MARKERS = {"modules": "s", "separate": "^", "multihead": "D", "fused": "o"}


def draw(table: Sequence[dict[str, Any]], out: Path) -> None:
    """Draws two panels with logarithmic axes: time of an update, and memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for kind, label in KINDS.items():
        rows = [row for row in table if row["kind"] == kind]
        agents = [row["agents"] for row in rows]
        style = {"color": COLOURS[kind], "marker": MARKERS[kind], "markersize": 5}
        left.plot(agents, [row["update_ms"] for row in rows], label=label, **style)
        least, greatest = (
            [row[f"update_ms_{end}"] for row in rows] for end in ("least", "greatest")
        )
        left.fill_between(agents, least, greatest, color=COLOURS[kind], alpha=0.15, linewidth=0)
        right.plot(agents, [row["peak_mb"] for row in rows], label=f"peak: {label}", **style)
    for kind, label in STORED.items():
        rows = [row for row in table if row["kind"] == kind]
        right.plot(
            [row["agents"] for row in rows],
            [row["stored_mb"] for row in rows],
            color=COLOURS[kind],
            linestyle=":",
            label=f"weights, gradients and moments: {label}",
        )
    ticks = sorted({row["agents"] for row in table})
    quantities = {
        left: "CPU time of one update, ms (band: minimum to maximum)",
        right: "memory in addition to imports, MB",
    }
    for panel, quantity in quantities.items():
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda y, _: f"{y:,g}"))
        panel.set_xlabel("agents N")
        panel.set_ylabel(quantity)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=8, loc="upper left")
        low, high = panel.get_ylim()
        panel.set_ylim(low, high * (high / low) ** 0.3)  # room for the legend
    rows = int(table[0]["rows"])
    figure.suptitle(
        f"Anticipation Sharing on C. Predation, {rows:,} rows, networks (128, 64), one thread",
        fontsize=12,
    )
    picture = io.BytesIO()
    figure.savefig(picture, dpi=140, format="png")
    plt.close(figure)
    write_atomic(out, picture.getvalue())


def main(argv: list[str] | None = None) -> int:
    """Measures, writes the table and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, nargs="+", default=NUM_AGENTS, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="processes per case")
    parser.add_argument(
        "--out", type=Path, default=OUT, help="path of the table; the picture is written beside it"
    )
    parser.add_argument("--redraw", action="store_true", help="draw the existing table")
    parser.add_argument("--case", nargs=2, metavar=("KIND", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.case:
        print(json.dumps(one_case(options.case[0], int(options.case[1]))))
        return 0
    if not options.out.parent.is_dir():  # fails now rather than after an hour
        parser.error(
            f"--out {options.out}: there is no folder {options.out.parent}; create it first"
        )
    if not options.redraw:
        write(measure(options.agents, options.rounds), options.out)
    draw(read(options.out), options.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
