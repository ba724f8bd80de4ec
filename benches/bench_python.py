"""Cost of a Python environment beyond its own: the adapter, and worker processes.

    python benches/bench_python.py            # the figures of docs/performance.md
    pytest benches/bench_python.py --benchmark-only

Sides take turns, and each figure is the median over the turns, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

import idle_env
import numpy as np
import pytest

from ascore.envs.factory import batch
from ascore.envs.vec_env import VecEnv

ENV = "idle_env:Idle"
COPIES, WORK = 32, 200e-6
"""Copies whose steps take 200 µs of processor time each, for the gain by two workers."""


def alone(work: float = 0.0) -> Callable[[], Any]:
    """A step of the environment itself."""
    env = idle_env.Idle(work)
    env.reset()
    actions = dict.fromkeys(env.possible_agents, 1)

    def step() -> None:
        if not env.agents:
            env.reset()
        env.step(actions)

    return step


def stepped(env: VecEnv) -> Callable[[], Any]:
    """A step of a batch."""
    env.reset()
    action = np.ones((env.num_envs, env.spec.num_agents), np.int32)
    return lambda: env.step(action)


def toil(orders: Connection) -> None:
    """Steps so many copies, one after the other, as often as it is told to."""
    step = alone(WORK)
    while copies := orders.recv():
        for _ in range(copies):
            step()
        orders.send(None)


def bare(processes: int, opened: ExitStack) -> Callable[[], Any]:
    """A step of all copies in processes that do nothing else: what the machine lets one gain."""
    ends = []
    for _ in range(processes):
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=toil, args=(there,))
        process.start()
        opened.callback(process.join)
        opened.callback(here.send, 0)
        ends.append(here)

    def step() -> None:
        for end in ends:
            end.send(COPIES // processes)
        for end in ends:
            end.recv()

    step()
    return step


def seconds(step: Callable[[], Any], steps: int) -> float:
    """Wall time of one of many steps."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def figures(turns: int, steps: int) -> dict[str, dict[str, float]]:
    """Microseconds beyond the environment's own step, and the gain by two workers.

    Args:
        turns: how often each side is timed.
        steps: steps in each turn of an environment that does nothing; others take a tenth.
    """
    with ExitStack() as opened:

        def side(copies: int, workers: int, work: float = 0.0) -> Callable[[], Any]:
            timeout = {"env_timeout": 1000.0} if workers else {}  # or one would be this process
            env = batch(ENV, {"work": work}, copies, env_workers=workers, **timeout)
            return stepped(opened.enter_context(env))

        idle = {"own": alone(), "adapter": side(1, 0), **{f"{w}": side(w, w) for w in (1, 2)}}
        busy = [side(COPIES, w, WORK) for w in (0, 1, 2)]
        busy += [bare(processes, opened) for processes in (1, 2)]
        rows: list[dict[str, float]] = []
        for turn in range(turns + 1):
            took = {name: 1e6 * seconds(step, steps) for name, step in idle.items()}
            none, one, two, alone_one, alone_two = (
                seconds(step, -(-steps // 10 // COPIES)) for step in busy
            )
            if turn:  # the first one warms up
                rows.append(
                    {
                        "adapter, us": took["adapter"] - took["own"],
                        "one worker, us": took["1"] - took["own"],
                        "two workers, us each": (took["2"] - took["own"]) / 2,
                        "two workers against one": one / two,
                        "two workers against none": none / two,
                        "two bare processes against one": alone_one / alone_two,
                    }
                )
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("side", ["environment alone", "in a batch"])
def test_adapter(benchmark: Callable[..., Any], side: str) -> None:
    timer: Any = benchmark
    timer.group = "python-step"
    with batch(ENV, {}, 1) as env:
        step = stepped(env) if side == "in a batch" else alone()
        timer.pedantic(step, rounds=2000, iterations=10, warmup_rounds=100)
        if side == "in a batch":
            assert env.obs.tolist() == [[[0.5] * 4] * 2]
            assert env.reward.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers(benchmark: Callable[..., Any], workers: int) -> None:
    timer: Any = benchmark
    timer.group = "python-workers"
    with batch(ENV, {"work": WORK}, COPIES, env_workers=workers) as env:
        timer.pedantic(stepped(env), rounds=20, warmup_rounds=2)
        assert env.reward.min() == env.reward.max() == 1.0


def test_every_figure_is_there() -> None:
    result = figures(turns=2, steps=10)
    assert len(result) == 6
    assert all(each["low"] <= each["median"] <= each["high"] for each in result.values())


def main() -> None:
    """Prints all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=9, help="how often each side is timed")
    parser.add_argument("--steps", type=int, default=3000, help="steps in each turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = figures(options.turns, options.steps)
    if options.json:
        print(json.dumps(result))
        return
    for name, each in result.items():
        print(f"{name:32}{each['median']:8.2f}  {each['low']:.2f}..{each['high']:.2f}")


if __name__ == "__main__":
    main()
