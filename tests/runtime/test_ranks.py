"""Several ranks: the same result as one, no loss when a rank is killed, one line per failure."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fresh
import numpy as np
import numpy.typing as npt
import pytest
import rank_program
import torch
from lines import without_waiting
from shared import shared

import ascore
from ascore.config import Config
from ascore.errors import ConfigError, EnvError, RankError
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.gradients import Gradients
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector
from ascore.runs import checkpoint
from ascore.runs.session import Run
from ascore.runtime.ranks import ConnectedRanks, Ranks, _reason, joined, restarts

KEYS: dict[str, Any] = {
    "env": "predation-v1",
    "env_params": {"num_agents": 3},
    "num_envs": 8,
    "rollout_steps": 13,  # updates end in the middle of an episode
    "minibatches": 3,  # parts of unequal size
    "iterations": 2,
    "actor_hidden": [16],
    "critic_hidden": [16],
    "actor_lr": 1e-3,
    "critic_lr": 1e-3,
    "seed": 3,
}
LEAVING: dict[str, Any] = {
    "env": "comers:Inn",
    "env_params": {"guests": 3, "again": True},
    "rank_split": "environments",
}
CASES: dict[str, dict[str, Any]] = {
    "as": {},
    "as, kernel": {"backend": "kernel"},
    "as, torch": {"backend": "torch"},
    "as, samples of messages": {"message_form": "sampled-3"},
    "as, messages per minibatch": {"message_refresh": "minibatch"},
    "as, a network per head": {"actor": "separate"},
    "as, one after the other": {"update_order": "sequential"},
    "as, gaps and one neighbour": {"communicate_every": 2, "graph": "random_one"},
    "as, full batch": {"minibatches": 1},
    "as, tiny minibatches": {
        "minibatches": 60,
        "iterations": 1,
    },  # some ranks have no row of a minibatch
    "as, tiny minibatches, torch": {"minibatches": 60, "iterations": 1, "backend": "torch"},
    "as, links that change": {"env": "exchange-v1", "graph": "environment"},
    "as, links that change, kernel": {
        "env": "exchange-v1",
        "graph": "environment",
        "backend": "kernel",
    },
    "as, normalised, limited": {
        "advantage_normalization": True,
        "advantage_scale": "max",
        "max_grad_norm": 0.1,
    },
    "as, bytes": {"env": "cleanup-v1", "env_params": {}, "rank_split": "environments"},
    "ippo": {"algorithm": "ippo"},
    "cppo": {"algorithm": "cppo"},
    "vs": {"algorithm": "vs"},
    "vps": {"algorithm": "vps"},
    "vps, links that change": {"algorithm": "vps", "env": "exchange-v1", "graph": "environment"},
    "ps": {"algorithm": "ps"},
    "as, agents that leave": LEAVING,
    "as, agents that leave, tiny minibatches": {**LEAVING, "minibatches": 60, "iterations": 1},
    "as, agents that leave, torch": {**LEAVING, "minibatches": 20, "backend": "torch"},
    "vs, agents that leave": {**LEAVING, "algorithm": "vs", "advantage_normalization": True},
    "vps, agents that leave": {**LEAVING, "algorithm": "vps", "backend": "kernel"},
    "cppo, agents that leave": {**LEAVING, "algorithm": "cppo"},
}
FOUR = {"env_params": {"num_agents": 4}}
EIGHT = {"env_params": {"num_agents": 8}}
CROWD = {"env_params": {"num_agents": 100, "obs_mode": "nearest"}}
SOME = {"env_params": {"num_agents": 20, "obs_mode": "nearest"}}
SPLIT: dict[str, dict[str, Any]] = {
    "split, as": FOUR,
    "split, as, a network per head": {**FOUR, "actor": "separate"},
    "split, as, full batch": {**FOUR, "minibatches": 1, "ratio_reference": "iteration"},
    "split, as, corrections": {**FOUR, "anticipation": "correction", "discrepancy": "kl"},
    "split, as, gaps and one neighbour": {
        **FOUR,
        "communicate_every": 2,
        "graph": "random_one",
        "max_grad_norm": 0.1,
    },
    "split, as, links that change": {
        "env": "exchange-v1",
        "env_params": {"num_agents": 4},
        "graph": "environment",
        "advantage_normalization": True,
    },
    "split, as, ring": {**EIGHT, "graph": "ring"},
    "split, vs, a crowd": {**CROWD, "graph": "ring", "algorithm": "vs"},
    "split, as, one way": {**EIGHT, "graph": "nearest", "graph_degree": 3, "minibatches": 1},
    "split, as, one of many": {**EIGHT, "graph": "random_one", "anticipation": "correction"},
    "split, as, bytes": {"env": "cleanup-v1", "env_params": {}},
    "split, ippo": {**FOUR, "algorithm": "ippo"},
    "split, vs": {**FOUR, "algorithm": "vs"},
    "split, as, agents that leave": {
        "env": "comers:Inn",
        "env_params": {"guests": 3, "again": True, "never": 1},
        "advantage_normalization": True,
    },
    "split, vs, agents that leave": {
        "env": "comers:Inn",
        "env_params": {"guests": 4},
        "algorithm": "vs",
    },
}
"""Cases whose agents can be shared equally, so that every rank trains its own."""
OWN: dict[str, dict[str, Any]] = {
    "own, as, a crowd": {**CROWD, "graph": "ring"},
    "own, as, one of many": {
        **SOME,
        "graph": "random_one",
        "communicate_every": 2,
        "anticipation": "correction",
        "advantage_normalization": True,
        "max_grad_norm": 0.1,
        "num_envs": 3,  # which two ranks could not share
    },
    "own, as, a network per head": {
        **SOME, "graph": "random_one", "actor": "separate", "advantage_scale": "max",
    },
    "own, as, full batch": {
        **SOME, "graph": "nearest", "graph_degree": 3, "minibatches": 1,
        "ratio_reference": "iteration",
    },
    "own, as, many actions": {
        "env": "navigation-v1",
        "env_params": {"num_agents": 16, "size": 6, "obs_mode": "nearest"},
        "graph": "chain",
    },
    "own, as, samples of messages": {**SOME, "graph": "ring", "message_form": "sampled-3"},
    "own, ippo": {**SOME, "algorithm": "ippo", "value_normalization": False},
}  # fmt: skip
"""Those among them whose ranks have no rows but those of their own agents."""
SPLIT |= OWN
BY_FOUR = ("split, as", "own, as, a crowd", "own, as, one of many")
"""Those that four ranks train, too."""
UPDATES = 3

# Sums are taken in another order, which changes a float32 gradient in its last digits. Adam divides
# it by its magnitude, so a step of 1e-3 changes by about 1e-3 times 1e-6; up to 1e-7 was measured.
TOLERANCE = 2e-6


def launch(ranks: int, jobs: list[dict[str, Any]], out: Path) -> None:
    """Runs jobs on `ranks` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    shared["LOCAL_WORLD_SIZE"] = str(ranks)
    logs = [out / f"rank-{rank}-of-{ranks}.log" for rank in range(ranks)]
    crew = [
        fresh.start(rank_program.work, jobs, out, log=log, **shared, RANK=str(rank))
        for rank, log in enumerate(logs)
    ]
    for process in crew:
        process.join()
    printed = [log.read_text() for log in logs]
    assert [process.exitcode for process in crew] == [0] * ranks, "\n".join(printed)


RUN: dict[str, Any] = {**KEYS, "episodes": 56, "checkpoint_every": 3}  # 17 updates
OWN_RUN = {**RUN, **SOME, "graph": "random_one", "num_envs": 4}
MEADOW_RUN = {**RUN, "env": "python_envs:Meadow", "env_params": {}, "episodes": 20}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files written by two ranks and by four, each started once because starting is slow.

    All cases with one, two and four ranks; stopped and resumed runs beside uninterrupted ones.
    """
    return shared(tmp_path_factory, "ranks", run_all)


def run_all(out: Path) -> None:
    jobs: list[dict[str, Any]] = [
        {"job": "updates", "name": name, "keys": {**KEYS, **keys}, "count": UPDATES}
        for name, keys in {**CASES, **SPLIT}.items()
    ]
    for job in jobs:
        rank_program.updates(Ranks(), out, job["name"], job["keys"], UPDATES)
    runs = [{"job": "train", "name": "whole", "keys": RUN, "stop_after": 0}]
    for name in ("same", "fewer", "more"):
        runs.append({"job": "train", "name": name, "keys": RUN, "stop_after": 7})
    runs += [
        {"job": "resume", "name": "same"},
        {"job": "train", "name": "meadow", "keys": MEADOW_RUN, "stop_after": 0},
        {"job": "train", "name": "meadow-parts", "keys": MEADOW_RUN, "stop_after": 2},
        {"job": "resume", "name": "meadow-parts"},
        {"job": "train", "name": "unkilled", "keys": KILLED.to_dict(), "stop_after": 0},
    ]
    for name in ("split-whole", "split-same", "split-more"):
        stop = 0 if name == "split-whole" else 7
        runs.append({"job": "train", "name": name, "keys": {**RUN, **FOUR}, "stop_after": stop})
    for name in ("own-whole", "own-fewer", "own-more"):
        stop = 0 if name == "own-whole" else 7
        runs.append({"job": "train", "name": name, "keys": OWN_RUN, "stop_after": stop})
    runs.append({"job": "resume", "name": "split-same"})
    launch(2, [*jobs, *runs], out)
    four = [job for job in jobs if job["name"] in ("as", *BY_FOUR)]
    others = [{"job": "agree"}, {"job": "disagree"}]
    others += [{"job": "resume", "name": name} for name in ("more", "split-more", "own-more")]
    launch(4, [*four, *others], out)


def compare(results: Path, name: str, ranks: int) -> None:
    one, many = (np.load(results / f"{name}.{count}.npz") for count in (1, ranks))
    assert one.files == many.files
    for key in one.files:
        scale = max(1.0, float(np.abs(one[key]).max()))
        np.testing.assert_allclose(many[key], one[key], atol=TOLERANCE * scale, rtol=0, err_msg=key)
    a, b = (json.loads((results / f"{name}.{count}.json").read_text()) for count in (1, ranks))
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        for key in x:
            if key.startswith(("floats", "bytes", "env_steps", "episodes")):
                assert x[key] == y[key], key  # counts, so exact
            # Losses of a first step are near zero, where the rounding of their terms is visible.
            np.testing.assert_allclose(y[key], x[key], rtol=1e-3, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_equal_one(results: Path, name: str):
    compare(results, name, 2)


def test_four_ranks_equal_one(results: Path):
    compare(results, "as", 4)


@pytest.mark.parametrize(
    ("name", "ranks"), [*((name, 2) for name in SPLIT), *((name, 4) for name in BY_FOUR)]
)
def test_agents_split_among_ranks_learn_as_alone_to_the_bit(results: Path, name: str, ranks: int):
    one, many = (np.load(results / f"{name}.{count}.npz") for count in (1, ranks))
    assert one.files == many.files
    for key in one.files:
        np.testing.assert_array_equal(many[key], one[key], err_msg=key)
    a, b = (json.loads((results / f"{name}.{count}.json").read_text()) for count in (1, ranks))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_equal(y, x)  # to the bit, NaN where no agent was heard


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_send_what_their_agents_are_heard_to_say_and_nothing_else(results: Path, rank: int):
    """Eight agents on a ring, four on each rank: two links lead to the other rank."""
    sent = int((results / f"split, as, ring.2.bytes.{rank}").read_text())
    rows, actions, rounds = KEYS["num_envs"] * KEYS["rollout_steps"], 2, KEYS["iterations"]
    assert sent == 2 * rows * (actions + actions) * 4 * rounds * UPDATES
    # Each hears the next two and the previous, so 4 hears 3, 6 hears 0, and 7 hears 0 and 1: three
    # say what they do, once, and what they wish of each listener.
    sent = int((results / f"split, as, one way.2.bytes.{rank}").read_text())
    assert sent == (3 + 4) * rows * actions * 4 * rounds * UPDATES


@pytest.mark.parametrize(("ranks", "rank"), [(2, 0), (2, 1), *((4, rank) for rank in range(4))])
def test_ranks_send_by_links_and_not_by_agents(results: Path, ranks: int, rank: int):
    """A hundred agents on a ring: two links lead to other ranks, as among eight."""
    few = int((results / f"split, as, ring.2.bytes.{rank % 2}").read_text())
    assert int((results / f"own, as, a crowd.{ranks}.bytes.{rank}").read_text()) == few


@pytest.mark.parametrize("name", OWN)
def test_ranks_have_nobody_elses_rows_and_networks(results: Path, name: str):
    agents = Config(**{**KEYS, **OWN[name]}).env_params["num_agents"]
    for rank in range(2):
        sizes = json.loads((results / f"{name}.2.sizes.{rank}").read_text())
        assert sizes == dict.fromkeys(
            ("obs", "reward", "actors", "critics", "moments"), agents // 2
        )


def test_which_runs_can_split_agents():
    env = ascore.make("predation", 4, 3, num_agents=4)
    for keys, reason in (
        ({}, None),
        ({"algorithm": "ps"}, "ps averages parameters"),
        ({"update_order": "sequential"}, "one after the other"),
        ({"backend": "kernel"}, "backend = kernel"),
    ):
        config = Config(**{**KEYS, **FOUR, "num_envs": 4, **keys})
        split = Learner(config, env.spec, rank_of(1, 2)).split
        assert (split is None) == (reason is not None)
        if reason is None:
            assert split is not None
            assert split.mine == slice(2, 4)
        else:
            with pytest.raises(ConfigError, match=f"rank_split = agents is not possible.*{reason}"):
                Learner(config.replace(rank_split="agents"), env.spec, rank_of(1, 2))
    one = Config(**KEYS, rank_split="agents")
    with pytest.raises(ConfigError, match="3 agents cannot be shared equally by 2 ranks"):
        Learner(one, ascore.make("predation", 8, 3, num_agents=3).spec, rank_of(0, 2))
    assert Learner(one, env.spec).split is None  # alone, all agents are this rank's


def test_what_ranks_agree_on(results: Path):
    reports = [json.loads((results / f"agree.{rank}").read_text()) for rank in range(4)]
    for rank, report in enumerate(reports):
        assert report["total"] == [10.0, 100.0]
        assert report["mean"] == [2.5, 25.0]
        assert report["largest"] == [-1.0, -10.0]
        assert report["any"] == [True, False]
        assert report["from_lead"] == "rank 0 says grüß Gott"
        assert report["mine"] == [rank + 1.0, 10.0 * (rank + 1)]  # untouched
    expected = [[[float(rank)] * 2] * rank for rank in range(4)]
    assert [report["gathered"] for report in reports] == [expected, [], [], []]


def test_ranks_that_differ_all_raise(results: Path):
    for rank in range(4):
        message = (results / f"disagree.{rank}").read_text()
        assert message == "the ranks do not have the same bytes; hold the same ones"


# ---- pieces --------------------------------------------------------------------------------------


def rank_of(rank: int, size: int) -> ConnectedRanks:
    return ConnectedRanks(torch.distributed.HashStore(), rank, size, size)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_every_row_is_one_ranks_own(size: int):
    steps, envs = 5, 12
    rows = np.random.default_rng(0).permutation(steps * envs)[:37]
    owned = []
    for rank in range(size):
        own = rank_of(rank, size).own_rows(rows, envs)
        time, env = np.divmod(own, envs // size)
        owned.append(time * envs + rank * (envs // size) + env)
    assert sorted(np.concatenate(owned)) == sorted(rows)
    order = {row: place for place, row in enumerate(rows)}
    for own in owned:
        assert [order[row] for row in own] == sorted(order[row] for row in own)


def test_environments_must_be_shared_equally():
    assert rank_of(0, 4).share(12) == 3
    with pytest.raises(ConfigError, match=r"num_envs = 13 cannot .* 4 ranks; use 12 or 16"):
        rank_of(0, 4).share(13)
    with pytest.raises(ConfigError, match=r"num_envs = 2 cannot .* 4 ranks; use 4 or 4"):
        rank_of(0, 4).share(2)


class Silent(Ranks):
    """Two ranks; the other one has no rows."""

    size = 2


def test_two_halves_of_a_step_are_the_step():
    """In one process, gradient and finish give bit for bit the result of the single call."""
    learners = []
    for split in (False, True):
        config = Config(**KEYS)
        env = ascore.make("predation", config.num_envs, 3, num_agents=3)
        env.reset()
        learner = Learner(config, env.spec)
        rollout = Collector(env, 13).collect(learner.actor)
        assert isinstance(learner.backend, EngineBackend)
        if split:
            learner.backend.gradients.ranks = Silent()
        metrics = learner.update(rollout, 0)
        learners.append((learner.state(), metrics))
    (one, metrics_one), (two, metrics_two) = learners
    for key in one:
        assert torch.equal(one[key], two[key]), key
    for key, value in metrics_one.items():
        np.testing.assert_allclose(metrics_two[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


class Doubled(Ranks):
    """Two ranks that hold the same values."""

    def sum_in_place(self, x: torch.Tensor) -> None:
        x *= 2


@pytest.mark.parametrize("owners", [slice(None), slice(1, 2)])
def test_gradients_of_some_owners_are_added_up(owners: slice):
    from ascore.learning.networks import StackedMLP

    nets = StackedMLP(6, (3, 4)), StackedMLP(3, (3, 1))  # two networks per agent, and one
    made = Gradients(Doubled(), nets, 3, 5)
    for x in (*(net.grad for net in nets), made.sums):
        x.copy_(torch.arange(x.numel()).view(x.shape))
    views = [place for net in nets for layer in net.gradients for place in layer]
    before = [x.clone() for x in (*(net.grad.view(3, -1) for net in nets), made.sums)]
    made.add_up(owners)
    chosen = torch.zeros(3, dtype=torch.bool)
    chosen[owners] = True
    after = (*(net.grad.view(3, -1) for net in nets), made.sums)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(new, torch.where(chosen[:, None], 2 * old, old))
    assert sum(float(view.sum()) for view in views) == sum(float(net.grad.sum()) for net in nets)


@pytest.mark.parametrize("env", ascore.ENVIRONMENTS)
def test_parts_of_a_batch_are_saved_and_loaded(env: str):
    """Copies six environments to batches of two and four, and back."""
    rng = np.random.default_rng(1)

    def play(vec: ascore.VecEnv, steps: int) -> None:
        for _ in range(steps):
            shape = vec.num_envs, vec.spec.num_agents
            vec.step(rng.integers(0, vec.spec.num_actions, shape).astype(np.int32))

    whole = ascore.make(env, 6, 5)
    whole.reset()
    play(whole, 45)
    parts = [ascore.make(env, 2, 5), ascore.make(env, 4, 5, first_env=2)]
    for part, first in zip(parts, (0, 2), strict=True):
        part.load_state(whole.save_state(first, part.num_envs))
        mine = slice(first, first + part.num_envs)
        for name in ("obs", "final_obs", "reward", "neighbours", "episode", "time", "truncated"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[mine])
    other = ascore.make(env, 6, 5)
    other.reset()
    play(other, 3)
    for part, first in zip(parts, (0, 2), strict=True):
        other.load_state(part.save_state(), first, part.num_envs)
    assert other.save_state().tobytes() == whole.save_state().tobytes()
    with pytest.raises(ValueError, match="first_env = 2"):
        other.load_state(parts[1].save_state(), 1, 4)
    for first, count in ((0, 7), (6, 1), (6, None), (2, 5), (0, 0)):
        with pytest.raises(IndexError, match="not among 6"):
            whole.save_state(first, count)
        with pytest.raises(IndexError, match="not among 6"):
            whole.load_state(whole.save_state(), first, count)


def test_python_environments_are_saved_whole():
    env = ascore.make("python_envs:Meadow", 3)
    env.reset()
    assert env.save_state(0, 3).tobytes() == env.save_state().tobytes()
    with pytest.raises(EnvError, match="as many ranks as the run was saved with"):
        env.save_state(1)
    with pytest.raises(EnvError, match="saved and loaded together"):
        env.load_state(env.save_state(), 0, 2)


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    x = np.arange(3.0)
    with joined() as ranks:
        assert (ranks.rank, ranks.size, ranks.lead, ranks.claim()) == (0, 1, True, True)
        assert ranks.total(x) is ranks.mean(x) is ranks.largest(x) is x
        ranks.require_same("anything", b"", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(RankError, match=r"2 ranks cannot meet: .*MASTER_ADDR"), joined():
        pass


def test_restarts_are_counted_by_torchrun_and_slurm(monkeypatch: pytest.MonkeyPatch):
    for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert restarts() == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert restarts() == 2
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    assert restarts() == 3


def test_a_reason_is_one_sentence():
    text = "[/a/gloo/pair.cc:541] Read error [127.0.0.1]:9600: reset by peer. This is\ntypical."
    assert _reason(RuntimeError(text)) == "Read error [127.0.0.1]:9600: reset by peer"
    assert _reason(RuntimeError()) == "RuntimeError"


# ---- runs ----------------------------------------------------------------------------------------


def arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    return checkpoint.load(path).arrays


def records(path: Path) -> list[dict[str, Any]]:
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def same(a: Path, b: Path) -> None:
    one, two = arrays(a), arrays(b)
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)
    assert records(a) == records(b)


def test_stopped_on_one_rank_and_resumed_equals_undisturbed(results: Path):
    same(results / "whole", results / "same")
    assert Run.open(results / "same").finished


def test_python_environments_resume_with_as_many_ranks(results: Path):
    same(results / "meadow", results / "meadow-parts")


def test_split_runs_resume_bit_for_bit_with_any_ranks(results: Path):
    same(results / "split-whole", results / "split-same")
    alone = ascore.train(Config(**{**RUN, **FOUR}), results / "split-alone").path
    for name in ("split-more", "split-alone"):
        one, two = arrays(results / "split-whole"), arrays(results / name)
        for key in one:
            if key.partition(".")[0] != "env":  # a slice per rank
                np.testing.assert_array_equal(two[key], one[key], err_msg=key)
        assert records(results / "split-whole") == records(results / name)
    assert alone == results / "split-alone"


def test_ranks_with_rows_of_their_own_resume_bit_for_bit_with_any_number(results: Path):
    ascore.resume(results / "own-fewer")  # as one process
    ascore.train(Config(**OWN_RUN), results / "own-alone")
    for name in ("own-fewer", "own-more", "own-alone"):
        same(results / "own-whole", results / name)


@pytest.mark.parametrize("name", ["fewer", "more"])
def test_resumed_by_another_number_of_ranks(results: Path, name: str):
    """Every environment continues where it was; sums are taken in another order."""
    if name == "fewer":
        assert not Run.open(results / name).finished
        assert len(records(results / name)) == 7
        ascore.resume(results / name)
    one, two = arrays(results / "whole"), arrays(results / name)
    for key in ("actor", "critic"):
        np.testing.assert_allclose(two[key], one[key], atol=1e-5, rtol=0)
    a, b = records(results / "whole"), records(results / name)
    assert [x["return"] for x in a] == [x["return"] for x in b]  # the same episodes
    assert [x["floats_sent"] for x in a] == [x["floats_sent"] for x in b]
    assert (
        Run.open(results / "whole").summary["episodes"]
        == Run.open(results / name).summary["episodes"]
    )


def test_a_run_of_ranks_is_a_run_like_any_other(results: Path):
    evaluation = ascore.evaluate(results / "whole", episodes=4)
    assert evaluation.team_return.n == 4
    alone = ascore.train(Config(**RUN), results / "alone")
    assert records(alone.path)[0].keys() == records(results / "whole")[0].keys()


# ---- torchrun ------------------------------------------------------------------------------------

KILLED = Config.preset(
    "predation", env_params={"num_agents": 3}, num_envs=8, episodes=1200, iterations=2,
    actor_hidden=[16], critic_hidden=[16], checkpoint_every=10,
)  # fmt: skip
COMMAND = [
    "predation", "--num-agents", "3", "--num-envs", "8", "--episodes", "1200", "--iterations", "2",
    "--actor-hidden", "16", "--critic-hidden", "16", "--checkpoint-every", "10", "--evaluate", "0",
]  # fmt: skip
"""KILLED as a command line."""


def torchrun(*args: str, ranks: int = 2, restarts: int = 0) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(ranks), "--max-restarts", str(restarts),
        "-m", "ascore", "train", *args,
    ]  # fmt: skip


def crew(agent: int) -> dict[int, int]:
    """Process id of each rank."""
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            environ = (folder / "environ").read_bytes().decode(errors="replace")
        except (OSError, IndexError, ValueError):
            continue
        variables = dict(x.partition("=")[::2] for x in environ.split("\0"))
        if parent == agent and "RANK" in variables:
            processes[int(variables["RANK"])] = int(folder.name)
    return processes


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds ranks in /proc")
def test_kill_9_of_each_rank(results: Path, tmp_path: Path):
    """Every kill gives one line and a restart; parameters equal those of an uninterrupted run."""
    out, log_path = tmp_path / "run", tmp_path / "log"
    with log_path.open("w") as log:
        agent = subprocess.Popen(
            torchrun(*COMMAND, "--out", str(out), restarts=2), stderr=log, stdout=log
        )
    draw = random.Random(0)
    metrics, victims, kills = out / "metrics.jsonl", {-1}, 0

    def lines() -> int:
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    while kills < 2 and agent.poll() is None:
        here, before = crew(agent.pid), lines()
        time.sleep(0.02)
        if len(here) < 2 or victims & set(here.values()) or lines() <= before:
            continue  # some are missing, or they are not training yet
        more, moment = draw.randrange(15), 0.02 * draw.random()
        start = lines()
        while lines() < start + more and agent.poll() is None:
            time.sleep(0.001)
        time.sleep(moment)  # in the middle of an update as likely as not
        os.kill(here[kills], signal.SIGKILL)
        victims, kills = set(here.values()), kills + 1
    assert agent.wait() == 0, log_path.read_text()
    assert kills == 2
    errors = [line for line in without_waiting(log_path.read_text()) if line.startswith("ascore:")]
    assert len(errors) <= 2  # a survivor may be ended by torchrun before it has noticed
    for line in errors:
        assert "has lost another rank" in line or "cannot meet" in line
    assert Run.open(out).config == KILLED
    same(results / "unkilled", out)


def test_an_error_of_all_ranks_is_printed_once(tmp_path: Path):
    out = str(tmp_path / "run")
    process = subprocess.run(
        torchrun("predation", "--num-envs", "7", "--out", out), capture_output=True, text=True
    )
    errors = [line for line in without_waiting(process.stderr) if line.startswith("ascore:")]
    assert process.returncode == 1
    assert errors == ["ascore: num_envs = 7 cannot be shared equally by 2 ranks; use 6 or 8"]
    assert not Path(out).exists()
