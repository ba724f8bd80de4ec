"""What a rank does in the tests: `python rank_program.py JOBS.json OUT`, started once per rank."""

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
    """A few updates; rank 0 writes parameters, optimiser and metrics."""
    session = training._Session(Config(**keys), ranks)
    session.env.reset()
    records = [session._update(out) for _ in range(count)]
    state = {key: value.numpy() for key, value in session.learner.state().items()}
    if ranks.lead:
        np.savez(out / f"{name}.{ranks.size}.npz", **state)
        (out / f"{name}.{ranks.size}.json").write_text(json.dumps(records))


def train(ranks: Ranks, out: Path, name: str, keys: dict[str, Any], stop_after: int) -> None:
    """A run that the last rank stops after some updates; 0 = never."""
    count = iter(range(1, 1_000_000))

    def stop() -> bool:
        return next(count) == stop_after and ranks.rank == ranks.size - 1

    training.train(Config(**keys), out / name, stop=stop, ranks=ranks)


def resume(ranks: Ranks, out: Path, name: str) -> None:
    training.resume(out / name, ranks=ranks)


def disagree(ranks: Ranks, out: Path) -> None:
    """The ranks hold different bytes: all of them must be told."""
    ranks.require_same("bytes", b"the same", "no remedy needed")
    try:
        ranks.require_same("bytes", str(ranks.rank).encode(), "hold the same ones")
    except RankError as error:
        (out / f"disagree.{ranks.rank}").write_text(str(error))


def agree(ranks: Ranks, out: Path) -> None:
    """What the primitives give, for every rank."""
    mine = np.array([1.0, 10.0]) * (ranks.rank + 1)
    rows = np.full((ranks.rank, 2), ranks.rank, dtype=np.float64)
    found = {
        "total": ranks.total(mine).tolist(),
        "mean": ranks.mean(mine).tolist(),
        "largest": ranks.largest(-mine).tolist(),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "told": ranks.from_lead(lambda: f"rank {ranks.rank} says grüß Gott"),
        "gathered": [part.tolist() for part in ranks.gather(rows)],
        "mine": mine.tolist(),
    }
    (out / f"agree.{ranks.rank}").write_text(json.dumps(found))


JOBS = {f.__name__: f for f in (updates, train, resume, disagree, agree)}

if __name__ == "__main__":
    jobs, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    if "RANK" not in os.environ:
        sys.exit("rank_program.py is started once per rank, with the variables of torchrun")
    with joined() as here:
        for job in jobs:
            kind = job.pop("job")
            JOBS[kind](here, folder, **job)
    # Threads of libraries that outlive the connection may end an interpreter that goes down in an
    # orderly way; all that is tested is done and written.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
