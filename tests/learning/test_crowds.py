"""Runs of many agents with few links: any threads, kill -9 and going on, and bytes by hand."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import ending
import fresh
import numpy as np
import pytest
import torch
from resumption import require_equal
from trainings import train

import ascore
from ascore.config import Config

CROWD: dict[str, Any] = {
    "env_params": {"num_agents": 100, "obs_mode": "nearest"},
    "graph": "nearest",
    "graph_degree": 2,
    "minibatches": 2,
    "iterations": 2,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "num_envs": 2,
    "torch_threads": 1,
}


@pytest.mark.parametrize("graph", ["nearest", "random_one"])
def test_any_number_of_threads_gives_the_same_bits(graph: str) -> None:
    keys = {**CROWD, "graph": graph, "communicate_every": 2}
    alone, expected = train(3, **keys)
    for threads in (2, 3):
        several, records = train(3, **keys | {"torch_threads": threads, "num_threads": threads})
        np.testing.assert_equal(records, expected)
        state = several.state()
        for key, value in alone.state().items():
            assert torch.equal(state[key], value), key


@pytest.mark.parametrize("graph", ["nearest", "random_one"])
def test_a_crowd_that_is_killed_goes_on_bit_for_bit(tmp_path: Path, graph: str) -> None:
    config = Config(**{**CROWD, "graph": graph, "episodes": 16, "checkpoint_every": 2, "seed": 3})
    status, _ = fresh.run(ending.killed, config, tmp_path / "run", 5, log=tmp_path / "log")
    assert status == -signal.SIGKILL
    resumed = ascore.resume(tmp_path / "run")
    require_equal(resumed, ascore.train(config, tmp_path / "whole"))


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize(
    ("graph", "offsets"),
    [("ring", (1, -1)), ("nearest", (1, -1, 2)), ("chain", (1, -1))],
)
def test_bytes_counted_by_hand(n: int, graph: str, offsets: tuple[int, ...]) -> None:
    keys = {"graph_degree": len(offsets)} if graph == "nearest" else {"graph_degree": 1}
    params = {"num_agents": n, "obs_mode": "nearest"}
    _, (record,) = train(1, **{**CROWD, **keys, "env_params": params, "graph": graph})
    expected = [0] * n
    for listener in range(n):
        for offset in offsets:
            sender = listener + offset
            if graph == "chain" and not 0 <= sender < n:
                continue
            for _iteration in range(2):
                for _row in range(30 * 2):
                    expected[sender % n] += 2 * 4  # its policy: two actions, 4 bytes each
                    expected[sender % n] += 2 * 4  # and what it wishes the listener to do
    assert record["bytes_sent"] == expected
    assert record["bytes_distribution"] == expected
    assert record["floats_sent"] == [count // 4 for count in expected]


@pytest.mark.parametrize("n", [20, 300])
def test_bytes_of_values_and_of_critics_counted_by_hand(n: int) -> None:
    params = {"num_agents": n, "obs_mode": "nearest"}
    keys = {**CROWD, "env_params": params}
    _, (record,) = train(1, **keys, algorithm="vs")
    states = 30 * 2 + 2  # the states after the last step close the sums
    assert record["bytes_value"] == record["bytes_sent"] == [2 * states * 4] * n
    # Each speaks with the next and the one before it, in either direction.
    _, (record,) = train(1, **keys, algorithm="vps")
    critic = (3 * 8 + 8) + (8 + 1)
    assert record["bytes_parameter"] == record["bytes_sent"] == [2 * critic * 4 * 2 * 2] * n
