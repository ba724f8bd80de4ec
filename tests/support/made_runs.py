"""Run folders written by hand, for tests of what reads them: no training, returns as wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ascore

PER_UPDATE = 32  # episodes, and so steps of the horizontal axis


def made_run(
    path: Path,
    returns: Sequence[float | None],
    *,
    algorithm: str = "as",
    seed: int = 0,
    bytes_sent: int = 1000,
    finished: bool = True,
    **keys: Any,
) -> ascore.Run:
    """A run of C. Predation with two agents that logged these team returns.

    Args:
        path: of the new folder.
        returns: one per update; None where no episode ended.
        algorithm: name.
        seed: of the run.
        bytes_sent: by each agent in each update.
        finished: whether there is a summary.
        keys: of the configuration.
    """
    keys.setdefault("env_params", {"num_agents": 2})
    config = ascore.Config.preset("predation", algorithm, seed=seed, **keys)
    path.mkdir(parents=True)
    (path / "config.toml").write_text(config.dump())
    agents = config.env_params.get("num_agents", 8)
    lines = [
        {
            "update": k + 1,
            "episodes": PER_UPDATE * (k + 1),
            "team_return": value,
            "return": [None if value is None else value / agents] * agents,
            "entropy": [0.5] * agents,
            "bytes_sent": [bytes_sent] * agents,
            "seconds": 0.5 * (k + 1),
        }
        for k, value in enumerate(returns)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if finished:
        tail = [value for value in returns[-max(1, len(returns) // 10) :] if value is not None]
        summary = {
            "algorithm": algorithm,
            "episodes": PER_UPDATE * len(returns),
            "updates": len(returns),
            "team_return": sum(tail) / len(tail) if tail else None,
        }
        (path / "summary.json").write_text(json.dumps(summary))
    return ascore.Run.open(path)
