"""What each rank does in the tests."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ascore.config import Config
from ascore.errors import RankError
from ascore.runs import session as training
from ascore.runtime.ranks import Ranks, joined


def updates(ranks: Ranks, out: Path, name: str, keys: dict[str, Any], count: int) -> None:
    """Runs a few updates; rank 0 writes parameters, optimiser state and metrics."""
    session = training._Session(Config(**keys), ranks)
    session.env.reset()
    records = [session._update(out) for _ in range(count)]
    state = {key: value.numpy() for key, value in session.learner.state().items()}
    split = session.learner.split
    if split is not None:
        (out / f"{name}.{ranks.size}.bytes.{ranks.rank}").write_text(str(split.bytes_heard))
        (out / f"{name}.{ranks.size}.sizes.{ranks.rank}").write_text(json.dumps(sizes(session)))
    if ranks.lead:
        np.savez(out / f"{name}.{ranks.size}.npz", **state)
        (out / f"{name}.{ranks.size}.json").write_text(json.dumps(records))


def sizes(session: training._Session) -> dict[str, int]:
    """Of how many agents a rank holds something."""
    learner, rollout = session.learner, session.collector.rollout
    return {
        "obs": rollout.obs.shape[2],
        "reward": rollout.reward.shape[2],
        "actors": len(learner.actor.net.flat) // learner.actor.networks_per_agent,
        "critics": len(learner.critic.net.flat),
        "moments": len(learner.actor_adam.first),
    }


def train(ranks: Ranks, out: Path, name: str, keys: dict[str, Any], stop_after: int) -> None:
    """Trains a run that the last rank stops after `stop_after` updates; 0 = never."""
    count = iter(range(1, 1_000_000))

    def stop() -> bool:
        return next(count) == stop_after and ranks.rank == ranks.size - 1

    training.train(Config(**keys), out / name, stop=stop, ranks=ranks)


def resume(ranks: Ranks, out: Path, name: str) -> None:
    training.resume(out / name, ranks=ranks)


def disagree(ranks: Ranks, out: Path) -> None:
    """Checks different bytes on every rank; every rank writes the error it gets."""
    ranks.require_same("bytes", b"the same", "no remedy needed")
    try:
        ranks.require_same("bytes", str(ranks.rank).encode(), "hold the same ones")
    except RankError as error:
        (out / f"disagree.{ranks.rank}").write_text(str(error))


def agree(ranks: Ranks, out: Path) -> None:
    """Writes the results of the collective operations, for every rank."""
    mine = np.array([1.0, 10.0]) * (ranks.rank + 1)
    rows = np.full((ranks.rank, 2), ranks.rank, dtype=np.float64)
    results = {
        "total": ranks.total(mine).tolist(),
        "mean": ranks.mean(mine).tolist(),
        "largest": ranks.largest(-mine).tolist(),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "from_lead": ranks.from_lead(lambda: f"rank {ranks.rank} says grüß Gott"),
        "gathered": [part.tolist() for part in ranks.gather(rows)],
        "mine": mine.tolist(),
    }
    (out / f"agree.{ranks.rank}").write_text(json.dumps(results))


JOBS = {f.__name__: f for f in (updates, train, resume, disagree, agree)}


def work(jobs: list[dict[str, Any]], out: Path) -> None:
    """Does the jobs, in a process that has the variables of torchrun; ends it."""
    with joined() as here:
        for job in jobs:
            kind = job.pop("job")
            JOBS[kind](here, out, **job)
    # Library threads that outlive the connection can crash an interpreter during normal shutdown;
    # everything under test is written by now.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
