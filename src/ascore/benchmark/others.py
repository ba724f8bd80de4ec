"""Speed towards other people: what views for their trainers cost, and masks of legal actions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.timing import Differs, Effort, Measure, Result, Work, interleave
from ascore.benchmark.workloads import actions_for, player
from ascore.envs.factory import make

VECTOR_ENVS = 1024
VECTOR_NS = 2_000.0
"""Allowed time in ns that a step of `vector_env` takes beyond `VecEnv.step`, whatever its size."""
LOCAL: dict[str, Any] = {"num_agents": 5, "obs_mode": "local"}
"""Where agents share one view, `vector_env` must write it once for each of them."""
STEPS = 16
"""Number of different actions before they repeat."""

COLLECTED = ("navigation-v1", 16, 50)
"""Environment, games and steps of a batch that TorchRL collects."""
COLLECTION_BAR = 20.0

MASKED: dict[str, dict[str, Any]] = {"predation-v1": {"num_agents": 8}, "cleanup-v1": {}}
MASKED_BAR = 0.9


def vector(effort: Effort) -> list[Result]:
    """Times what `vector_env` adds to a step of a large batch, against what is allowed."""
    require_package("gymnasium", "pettingzoo")
    from ascore.interop.vector import VectorView

    games, batch = (make("harvest-v1", VECTOR_ENVS, **LOCAL) for _ in range(2))
    view: Any = VectorView(games, False, False, copy=False)
    actions = actions_for(batch, STEPS)
    flat = actions.reshape(STEPS, -1)
    for each in (view, batch):
        each.reset(seed=0)
    for action, same in zip(actions, flat, strict=True):
        batch.step(action)
        if not np.array_equal(view.step(same)[0].reshape(batch.obs.shape), batch.obs):
            message = "observations of vector_env differ from those of its batch"
            raise Differs(message)
    # Beside the dynamics, a millisecond, the difference would drown: steps are taken out.
    idle = SimpleNamespace(step=lambda _: None)
    view.games = SimpleNamespace(
        step=idle.step, terminated=games.terminated, truncated=games.truncated
    )
    timing = interleave(Work(player(view, flat)), Work(player(idle, actions)), effort)
    return [
        Result.of(
            timing.beyond(VECTOR_NS),
            group="others",
            name=f"vector_env, harvest, a view per agent, {VECTOR_ENVS:,} envs",
            baseline=f"{VECTOR_NS / 1000:g} µs allowed",
            unit="step beyond VecEnv.step",
            bar=1.0,
            note="copy=False; the dynamics, the same on both sides, are left out",
        )
    ]


def collection(effort: Effort) -> list[Result]:
    """Times TorchRL's collector over `torchrl_env` against its own PettingZoo wrapper."""
    require_package("torchrl", "torchrl")
    require_package("pettingzoo", "pettingzoo")
    with warnings.catch_warnings(), one_torch_thread():
        warnings.simplefilter("ignore")  # TorchRL's own: of versions, and of what it imports
        ours, theirs = (_collector(side) for side in ("torchrl_env", "PettingZooWrapper"))
        frames = float(COLLECTED[1] * COLLECTED[2])
        timing = interleave(
            Work(partial(next, ours), frames), Work(partial(next, theirs), frames), effort
        )
    name, games, _ = COLLECTED
    return [
        Result.of(
            timing,
            group="others",
            name=f"TorchRL's collector, {name}, {games} games",
            baseline="its PettingZooWrapper",
            unit="env-step",
            bar=COLLECTION_BAR,
            note="random actions; the wrapper's games are stepped one after the other",
        )
    ]


def _collector(side: str) -> Iterator[Any]:
    """Batches without an end."""
    from torchrl.collectors import Collector
    from torchrl.envs import PettingZooWrapper, SerialEnv

    from ascore.interop.pettingzoo import parallel_env
    from ascore.interop.torchrl import torchrl_env

    name, games, steps = COLLECTED
    if side == "torchrl_env":
        env: Any = torchrl_env(name, games, seed=0, num_threads=1)
    else:
        env = SerialEnv(
            games,
            lambda seed: PettingZooWrapper(parallel_env(name, seed=seed)),
            create_env_kwargs=[{"seed": seed} for seed in range(games)],
            num_threads=1,
        )
    return iter(Collector(env, None, frames_per_batch=games * steps, total_frames=-1))


def masked(name: str, effort: Effort) -> list[Result]:
    """Times an update in which one action is sometimes illegal against one without a mask."""
    require_package("torch")
    from ascore.benchmark.updates import iterations, prepared, stand_still

    with one_torch_thread():
        learner, rows = prepared(name.partition("-")[0], "multihead", 64, "engine", **MASKED[name])
        stand_still(learner)
        n, a = rows.joint.shape[1], learner.spec.num_actions
        legal = np.ones((len(rows.joint), n, a), dtype=np.uint8)
        forbidden = np.random.default_rng(0).integers(0, a, (len(legal), n, 1))
        np.put_along_axis(legal, forbidden, (forbidden == rows.joint[..., None]), axis=-1)
        with_mask = iterations(learner, replace(rows, legal=legal))
        timing = interleave(Work(with_mask), Work(iterations(learner, rows)), effort)
    return [
        Result.of(
            timing,
            group="others",
            name=f"update with masks of legal actions, {name}, {n} agents x 64 envs",
            baseline="without masks",
            unit="update",
            bar=MASKED_BAR,
            note="one thread, compiled; one action of every agent and row is illegal",
        )
    ]


def cases() -> list[tuple[str, Measure]]:
    """Views for other trainers, and masks."""
    return [
        ("vector_env", vector),
        ("torchrl_env", collection),
        *((f"masks, {name}", partial(masked, name)) for name in MASKED),
    ]
