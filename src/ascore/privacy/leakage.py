"""How much of private weights leaks to those who receive messages, by algorithm.

A *game* is a training from its beginning with weights drawn from the prior. All algorithms train
the same games: equal seeds have equal weights. Games are in blocks. Each block in turn is attacked
by what was learned from all others, so that every figure is repeated as often as there are blocks.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import ConfigError, RunError
from ascore.experiments.cells import one_thread
from ascore.privacy.attacks import MOST_BLOCKS, Judgement, Spread, judge_all
from ascore.privacy.places import GAMES
from ascore.privacy.preferences import Prior, with_weights
from ascore.privacy.recorder import Features, Recording, record, require_readable
from ascore.reading import damaged, read_regular
from ascore.runs.files import unwritable, write_atomic
from ascore.runtime import pool
from ascore.runtime.progress import Progress

F64 = npt.NDArray[np.float64]

FLOOR, FLOOR_ATTACK = "ippo", "actions"
CEILING, CEILING_ATTACK = "open", "rewards"
LABELS = {
    "as": "AS",
    FLOOR: "IPPO (floor)",
    "vs": "VS",
    "vps": "VPS",
    "ps": "PS",
    CEILING: "rewards in the open (ceiling)",
}
SHARING = ("as", "vs", "vps", "ps")

RECORDING_LIMIT = 2**26
"""Bytes of a recording that is read; those of games with a thousand numbers have some thousand."""
DAMAGE = (
    OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error, struct.error, SyntaxError,
    RuntimeError, OverflowError, MemoryError, TypeError, IndexError,
)  # fmt: skip
"""What NumPy and zipfile raise where a recording is damaged."""

FEWEST_GAMES, MOST_GAMES = 4, 10_000
"""In a block."""


@dataclass(frozen=True)
class Plan:
    """Which games are trained.

    Attributes:
        name: of the game, for folders and tables.
        base: what all trainings share; algorithm, seed and weights are set.
        prior: of the weights.
        blocks: repetitions R.
        games: in each block.

    Raises:
        ConfigError: a number is out of range, or the attacks cannot read the game.
    """

    name: str
    base: Config
    prior: Prior = field(default_factory=Prior)
    blocks: int = 5
    games: int = 32

    def __post_init__(self) -> None:
        if not 3 <= self.blocks <= MOST_BLOCKS:
            message = f"blocks = {self.blocks} is outside 3..{MOST_BLOCKS}"
            raise ConfigError(message)
        if not FEWEST_GAMES <= self.games <= MOST_GAMES:
            message = (
                f"games = {self.games} is outside {FEWEST_GAMES}..{MOST_GAMES}; fewer are too few "
                "to compare weights"
            )
            raise ConfigError(message)
        require_readable(self.base)
        if self.agents < 2:
            message = "leakage needs somebody who listens; set num_agents to at least 2"
            raise ConfigError(message)

    @property
    def agents(self) -> int:
        """N."""
        return batch(self.base.env, self.base.env_params).spec.num_agents

    def config(self, algorithm: str, seed: int) -> Config:
        """A game of a number, as one algorithm trains it."""
        weights = self.prior.draw(seed, self.agents)
        return one_thread(with_weights(self.base.replace(algorithm=algorithm, seed=seed), weights))


@dataclass(frozen=True)
class BlockTask:
    """A block of games of one algorithm, for a worker."""

    plan: Plan
    algorithm: str
    block: int
    folder: Path


def work(task: BlockTask, report: pool.Report, stop: pool.Stop) -> Any:
    """Trains and records the games of a block that are not recorded yet."""
    plan = task.plan
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(task.folder, error) from error
    for seed in range(task.block * plan.games, (task.block + 1) * plan.games):
        if stop():
            return pool.STOPPED
        config = plan.config(task.algorithm, seed)
        file = task.folder / f"{seed:04}.npz"
        if not _recorded(file, config):
            save(file, config, record(config))
    return plan.games


def save(file: Path, config: Config, recording: Recording) -> None:
    """Writes a recording, atomically."""
    arrays: dict[str, Any] = {
        f"x {name}": x.astype(np.float32) for name, x in recording.features.items()
    }
    data = io.BytesIO()
    np.savez_compressed(
        data,
        key=np.frombuffer(_key(config), dtype=np.uint8),
        outcome=np.array([recording.team_return, recording.bytes_sent]),
        **arrays,
    )
    write_atomic(file, data.getvalue())


def read(file: Path, config: Config) -> Recording:
    """Reads what `save` wrote.

    Raises:
        RunError: it is damaged, or of another training.
    """
    try:
        data = read_regular(file, RECORDING_LIMIT)
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            same = held["key"].tobytes() == _key(config)
            team_return, sent = held["outcome"].tolist()
            features = {k[2:]: held[k].astype(np.float64) for k in held.files if k[:2] == "x "}
    except DAMAGE as error:
        message = damaged(file, error, "remove it, and the same command records it again")
        raise RunError(message) from error
    if not same:
        message = (
            f"{file} was recorded with other settings; choose another --out, or remove that folder"
        )
        raise RunError(message)
    return Recording(features, team_return, sent)


def _recorded(file: Path, config: Config) -> bool:
    if not os.path.lexists(file):
        return False
    read(file, config)
    return True


def _key(config: Config) -> bytes:
    return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).digest()


def record_all(
    plans: Sequence[Plan],
    algorithms: Sequence[str],
    out: Path,
    workers: int,
    progress: Progress,
    stop: pool.Stop = lambda: False,
) -> list[pool.Outcome]:
    """Records all games that are not recorded yet, in worker processes.

    Raises:
        RunError: the folder cannot be written.
    """
    tasks = {
        f"{plan.name}/{algorithm}/{block}": BlockTask(
            plan, algorithm, block, _place(out, plan, algorithm)
        )
        for plan in plans
        for block in range(plan.blocks)
        for algorithm in algorithms
    }
    return pool.run(tasks, work, workers, progress, stop=stop, ended=lambda o: f"{o.result} games")


def _place(out: Path, plan: Plan, algorithm: str) -> Path:
    return out / GAMES / plan.name / algorithm


@dataclass(frozen=True)
class Row:
    """What one audience learned from one algorithm; intervals are over the blocks.

    Attributes:
        game: name of the plan.
        algorithm: key of LABELS, or another algorithm.
        audience: who listens: `neighbour`, the next agent alone; `all others`, together.
        attack: the one that was chosen in most blocks.
        auc, r2, bits: see `Judgement`.
        lift: AUC above the floor's of the same block.
        team_return: mean over the games of a block.
        bytes_sent: per training, by all agents.
    """

    game: str
    algorithm: str
    audience: str
    attack: str
    auc: Spread
    r2: Spread
    bits: Spread
    lift: Spread
    team_return: Spread
    bytes_sent: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Leaks:
    """Attacks on the games of a plan: the best of each algorithm, and each alone."""

    best: list[Row]
    each: list[Row]


def findings(plan: Plan, algorithms: Sequence[str], out: Path) -> Leaks:
    """Attacks the recordings of a plan.

    Raises:
        RunError: a game is not recorded, or damaged.
    """
    weight = np.array([plan.prior.draw(s, plan.agents) for s in range(plan.blocks * plan.games)])
    block = np.repeat(np.arange(plan.blocks), plan.games * plan.agents)
    held = {
        name: [
            read(_place(out, plan, name) / f"{seed:04}.npz", plan.config(name, seed))
            for seed in range(len(weight))
        ]
        for name in algorithms
    }
    best, each = [], []
    audiences = list(dict.fromkeys(n.partition(": ")[0] for n in held[FLOOR][0].features))
    for audience in audiences:
        seen = {name: attacks_on(held[name], audience, weight) for name in algorithms}
        chosen = {name: _but(seen[name], CEILING_ATTACK) for name in algorithms}
        chosen[FLOOR] = {FLOOR_ATTACK: seen[FLOOR][FLOOR_ATTACK]}
        chosen[CEILING] = {CEILING_ATTACK: seen[FLOOR][CEILING_ATTACK]}
        judged = partial(judge_all, weight=weight.ravel(), block=block, prior=plan.prior)
        floor = [j.auc for j in judged(chosen[FLOOR])]
        for name, attacks in chosen.items():
            games = held[FLOOR if name == CEILING else name]
            row = {"game": plan.name, "algorithm": name, "audience": audience}
            best.append(_row(row, judged(attacks), floor, games, plan))
            if len(attacks) > 1:
                for attack, x in attacks.items():
                    each.append(_row(row, judged({attack: x}), floor, games, plan))
    return Leaks(best, each)


def _but(attacks: Mapping[str, F64], name: str) -> dict[str, F64]:
    return {key: x for key, x in attacks.items() if key != name}


def attacks_on(recordings: Sequence[Recording], audience: str, weight: F64) -> dict[str, F64]:
    """Features [games N, F] by attack, with the weights that the audience knows: its own.

    Args:
        recordings: of the games.
        audience: `neighbour` or `all others`.
        weight: f64 [games, N].
    """
    n = weight.shape[1]
    others = range(1, 2 if audience == "neighbour" else n)
    known = np.stack([np.roll(weight, -k, axis=1) for k in others], axis=2)
    named: Features = {}
    for key in recordings[0].features:
        who, _, attack = key.partition(": ")
        if who == audience:
            x = np.stack([each.features[key] for each in recordings])
            rows = np.concatenate([x, known], axis=2).reshape(len(x) * n, -1)
            named[attack] = np.where(np.isnan(rows), _middle(rows), rows)
    return named


def _middle(rows: F64) -> F64:
    """Mean of each column without what is NaN, which says that nothing was seen."""
    count = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    middle: F64 = np.nansum(rows, axis=0) / count
    return middle


def _row(
    row: Mapping[str, str],
    judgements: Sequence[Judgement],
    floor: Sequence[float],
    games: Sequence[Recording],
    plan: Plan,
) -> Row:
    returns = np.array([g.team_return for g in games]).reshape(plan.blocks, -1).mean(axis=1)
    return Row(
        **row,
        attack=Counter(j.attack for j in judgements).most_common(1)[0][0],
        auc=Spread.of([j.auc for j in judgements]),
        r2=Spread.of([j.r2 for j in judgements]),
        bits=Spread.of([j.bits for j in judgements]),
        lift=Spread.of([j.auc - f for j, f in zip(judgements, floor, strict=True)]),
        team_return=Spread.of(returns),
        bytes_sent=float(np.mean([g.bytes_sent for g in games])),
    )
