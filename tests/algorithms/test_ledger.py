"""The ledger of every algorithm against counts made by hand, at two sizes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ascore
from ascore.algorithms.graph import Pairs
from ascore.algorithms.ledger import Traffic, entries
from ascore.algorithms.table import ALGORITHMS
from ascore.config import Config
from ascore.envs.factory import batch
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector, Rollout

# C. Predation: two actions each, 30 steps, one state of N entries for all, truncated at the end.
SIZES = {
    "3 agents x 4 environments": {"num_agents": 3, "num_envs": 4, "iterations": 3, "parts": 2},
    "5 agents x 2 environments": {"num_agents": 5, "num_envs": 2, "iterations": 2, "parts": 1},
}


def one_update(size: dict[str, int], **keys: Any) -> tuple[dict[str, Any], Rollout]:
    config = Config(
        env_params={"num_agents": size["num_agents"]},
        num_envs=size["num_envs"],
        iterations=size["iterations"],
        minibatches=size["parts"],
        actor_hidden=(7, 5),
        critic_hidden=(6,),
        **keys,
    )
    outside = batch(config.env, config.env_params, config.num_envs, config.seed)
    learner = Learner(config, outside.spec)
    env = learner.algorithm.view.env(outside)
    env.reset()
    rollout = Collector(env, 30).collect(learner.actor)
    return learner.update(rollout, 0), rollout


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("algorithm", ["as", "ippo", "cppo", "vps", "vs", "ps"])
def test_bytes_on_a_complete_graph(algorithm: str, size: dict[str, int]):
    record, _ = one_update(size, algorithm=algorithm)
    n, rows, others = size["num_agents"], 30 * size["num_envs"], size["num_agents"] - 1
    steps = size["iterations"] * size["parts"]
    critic = (n * 6 + 6) + (6 * 1 + 1)
    joint_policy = (n * 7 + 7) + (7 * 5 + 5) + (5 * n * 2 + n * 2)
    kind, floats = {
        "as": ("distribution", rows * others * (2 + 2) * size["iterations"]),
        "ippo": (None, 0),
        "cppo": ("reward", rows),
        "vps": ("parameter", others * critic * steps),
        "vs": ("value", (rows + size["num_envs"]) * others),
        "ps": ("parameter", others * joint_policy * steps),
    }[algorithm]
    assert record["floats_sent"] == [floats] * n
    assert record["bytes_sent"] == [4 * floats] * n
    kinds = {key.removeprefix("bytes_") for key in record if key.startswith("bytes_")} - {"sent"}
    assert kinds == ({kind} if kind else set())
    if kind:
        assert record[f"floats_{kind}"] == record["floats_sent"]
        assert record[f"bytes_{kind}"] == record["bytes_sent"]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_bytes_on_the_links_of_the_environment(size: dict[str, int]):
    record, rollout = one_update(size, algorithm="as", graph="environment")
    heard_by = rollout.neighbours.sum(axis=(0, 1, 2))  # per sender
    assert 0 < heard_by.sum() < rollout.neighbours[..., 0].size * size["num_agents"]
    assert record["floats_sent"] == (heard_by * 4 * size["iterations"]).tolist()

    record, rollout = one_update(size, algorithm="vs", graph="environment")
    closing = rollout.neighbours[-1].sum(axis=(0, 1))  # the state at the time limit
    heard_by = rollout.neighbours.sum(axis=(0, 1, 2)) + closing
    assert record["floats_sent"] == heard_by.tolist()

    record, rollout = one_update(size, algorithm="vps", graph="environment")
    met = rollout.neighbours.any(axis=(0, 1))
    met = met | met.T
    critic = (size["num_agents"] * 6 + 6) + (6 * 1 + 1)
    each = critic * size["iterations"] * size["parts"]
    assert record["floats_sent"] == (met.sum(axis=1) * each).tolist()


def test_values_that_close_no_sum_are_not_sent():
    size = SIZES["3 agents x 4 environments"]
    record, _ = one_update(size, algorithm="vs", time_limit="terminal")
    assert record["floats_sent"] == [30 * 4 * 2] * 3
    record, _ = one_update(size, algorithm="vs", shares="advantage")
    assert record["floats_sent"] == [30 * 4 * 2] * 3


def test_agents_in_turn_mix_once_when_all_have_stepped():
    size = SIZES["3 agents x 4 environments"]
    record, _ = one_update(size, algorithm="vps", update_order="sequential")
    critic = (3 * 6 + 6) + (6 * 1 + 1)
    assert record["floats_sent"] == [2 * critic * 3] * 3


def test_a_centre_is_told_what_one_agent_alone_observes(tmp_path: Path):
    config = Config.preset("cleanup", "cppo", num_envs=2, rollout_steps=5, episodes=1)
    config = config.replace(
        env_params={**config.env_params, "obs_mode": "local"}, critic_hidden=(4,), actor_hidden=(4,)
    )
    spec = ascore.make(config.env, **config.env_params).spec
    assert spec.views == 2
    assert spec.obs_dtype == "uint8"
    run = ascore.train(config, tmp_path / "run", stop=lambda: True)
    record = run.metrics[0]
    states = 5 * 2 + 2  # the state after the last step closes the sums
    assert record["floats_reward"] == [10, 10]
    assert record["bytes_observation"] == [states * spec.obs_shape[0]] * 2  # one byte each
    assert record["bytes_sent"] == [40 + states * spec.obs_shape[0]] * 2


def test_a_run_adds_up_its_ledger_and_remembers_it(tmp_path: Path):
    config = Config(
        env_params={"num_agents": 3}, num_envs=2, episodes=8, actor_hidden=(4,), critic_hidden=(4,)
    )
    seen: list[int] = []
    ascore.train(
        config, tmp_path / "run", report=lambda k, *_: seen.append(k), stop=lambda: len(seen) > 1
    )
    run = ascore.resume(tmp_path / "run")
    total = np.sum([record["bytes_sent"] for record in run.metrics], axis=0)
    assert len(run.metrics) == 4
    assert run.summary["bytes_sent"] == total.sum()
    assert run.summary["sent"] == {
        "distribution": {"floats": (total // 4).tolist(), "bytes": total.tolist()}
    }


def test_entries_add_up_over_kinds():
    sent = {"value": np.array([3, 1]), "observation": np.array([10, 0])}
    assert entries(sent, 2, obs_bytes=1) == {
        "floats_sent": [13, 1],
        "bytes_sent": [22, 4],
        "floats_value": [3, 1],
        "bytes_value": [12, 4],
        "floats_observation": [10, 0],
        "bytes_observation": [10, 0],
    }


def test_what_goes_over_links_is_counted_where_it_was_sent():
    """Agent 2 hears agent 1, and so does agent 0; nobody hears the others."""
    pairs = Pairs.of(3, np.array([2, 0]), np.array([1, 1]))
    assert pairs.listener.tolist() == [0, 2]
    few = dict.fromkeys(("rows", "states", "rounds", "mixes", "senders"), 1)
    none = np.zeros(3, dtype=np.int64)
    kinds = {"actor_size": 0, "critic_size": 0, "private_obs": 0, "action_counts": none}
    there = {"rows_there": none, "states_there": none, "mixed_with": none}
    on_rows, on_states = np.array([4, 5]), np.array([6, 8])
    sent = Traffic(**few, **there, **kinds, pairs=pairs, on_rows=on_rows, on_states=on_states)
    assert sent.by_sender(sent.on_rows).tolist() == [0, 9, 0]
    assert sent.rows_heard.tolist() == [[0, 0, 0], [4, 0, 5], [0, 0, 0]]
    assert sent.states_heard.tolist() == [[0, 0, 0], [6, 0, 8], [0, 0, 0]]
    assert sent.linked.tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_the_readme_says_what_cleanup_costs():
    """The paper's setting; the layout of the networks does not change what is sent."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = [line for line in readme.splitlines() if re.match(r"\| `\w+` .* \| [\d,]+ \|$", line)]
    stated = {row.split("`")[1]: int(row.split("|")[3].replace(",", "")) for row in rows}
    assert {"as", "ippo", "vs", "vps", "ps", "cppo"} <= set(stated) <= set(ALGORITHMS)
    collected = {}  # what is sent does not depend on who acts: one rollout for each view
    for algorithm, count in stated.items():
        config = Config.preset(
            "cleanup", algorithm, "paper", actor="multihead", update_order="simultaneous"
        )
        outside = batch(config.env, config.env_params, config.num_envs, config.seed)
        learner = Learner(config, outside.spec)
        view = learner.algorithm.view
        if view not in collected:
            env = view.env(outside)
            env.reset()
            collected[view] = Collector(env, env.spec.horizon).collect(learner.actor)
        rollout = collected[view]
        links = learner.prepare(rollout, 0)[0]
        sent = learner.sending.entries(rollout, links, learner.network_sizes)
        (bytes_sent,) = {floats * 4 for floats in sent["floats_sent"]}
        assert bytes_sent == count, algorithm
    assert f"{stated['vps'] / stated['as']:.0f} times less than sharing\ncritics" in readme
    assert f"{stated['ps'] / stated['as']:.0f} times less than sharing policies" in readme
