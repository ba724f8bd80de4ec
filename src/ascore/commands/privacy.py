"""`ascore privacy`: how much of what agents keep to themselves their messages show."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from ascore.commands.exits import DONE, FAILED, INTERRUPTED
from ascore.commands.parser import Line, Mark, Positional, missing, parse
from ascore.commands.shared import print_json, stop_on_signal
from ascore.config import Config

if TYPE_CHECKING:
    from ascore.privacy.leakage import Plan
    from ascore.runtime.pool import Stop


@dataclass(frozen=True)
class PrivacyOptions(Line):
    """Attack what agents send: how well can others guess what an event is worth to them?

    leakage trains many short games in which every agent's weight is drawn from the prior, keeps
    what is received over the links, learns from some games what weights look like, and guesses
    those of the others. Games that are recorded are not trained again.
    """

    usage: ClassVar[str] = "privacy WHAT"
    needs: ClassVar[str] = "leakage, and a run folder or a file of a configuration"
    example: ClassVar[str] = "privacy leakage runs/exchange-as-s0"

    what: Positional[Literal["leakage"]]
    """leakage."""
    targets: Annotated[tuple[Path, ...], Mark(positional=True, shown="RUN|CONFIG")] = ()
    """Run folders or TOML files of configurations: games and lengths of training. Weights, seeds
    and algorithms are set here."""
    algorithm: tuple[str, ...] = ("as", "vs", "vps", "ps")
    """Algorithms to attack, besides independent PPO."""
    episodes: int = 0
    """Length of a training in episodes; 0 = as the configuration says."""
    blocks: int = 5
    """Repetitions: each block of games is guessed by what was learned from all others."""
    games: int = 32
    """Games in each block."""
    low: float = 0.8
    """Least weight; the prior is uniform."""
    high: float = 1.2
    """Greatest weight."""
    workers: int = 0
    """Number of processes at a time; 0 = one per usable core, which is also the maximum."""
    out: Path = Path("runs/leakage")
    """Folder for recordings, table and picture."""
    json: bool = False
    """Print one JSON object instead of text."""


def privacy(argv: list[str]) -> int:
    """Measures what leaks."""
    from ascore.runtime.progress import waiting

    options = parse(PrivacyOptions, argv)
    if not options.targets:
        raise missing(PrivacyOptions)
    with waiting("loading PyTorch"):
        from ascore.algorithms.table import get_algorithm
        from ascore.privacy.leakage import FLOOR, Plan
        from ascore.privacy.places import claimed
        from ascore.privacy.preferences import Prior
        from ascore.privacy.recorder import require_readable
    prior = Prior(options.low, options.high)
    algorithms = list(dict.fromkeys([FLOOR, *options.algorithm]))
    for name in algorithms:
        get_algorithm(name)
    plans = [
        Plan(
            _name(path),
            _config(path, options.episodes, FLOOR),
            prior,
            options.blocks,
            options.games,
        )
        for path in options.targets
    ]
    for plan in plans:
        for name in algorithms:
            require_readable(plan.base.replace(algorithm=name))
    stop = stop_on_signal()
    with claimed(options.out, [plan.name for plan in plans]):
        return _measure(plans, algorithms, options, argv, stop)


def _measure(
    plans: Sequence[Plan],
    algorithms: Sequence[str],
    options: PrivacyOptions,
    argv: Sequence[str],
    stop: Stop,
) -> int:
    """Trains what is not recorded yet, attacks it and writes tables and picture."""
    from ascore.privacy.leakage import findings, record_all
    from ascore.privacy.tables import as_csv, markdown, save_picture
    from ascore.runs.files import json_text, write_atomic
    from ascore.runtime.pool import fit_workers
    from ascore.runtime.progress import Progress

    tasks = len(plans) * len(algorithms) * options.blocks
    workers = fit_workers(options.workers, tasks)
    with Progress(total=tasks) as progress:
        outcomes = record_all(plans, algorithms, options.out, workers, progress, stop)
    if stop():
        print("stopped; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    failed: dict[str, list[str]] = {}  # names by reason: one that all have is told once
    for outcome in outcomes:
        if outcome.status != "done":
            failed.setdefault(str(outcome.reason), []).append(outcome.name)
    for reason, names in failed.items():
        more = f" and {len(names) - 1} more" if names[1:] else ""
        print(f"ascore: {names[0]}{more}: {reason}", file=sys.stderr)
    if failed:
        return FAILED
    best, each = [], []
    for plan in plans:
        print(f"attacking {plan.name}", file=sys.stderr, flush=True)
        all_rows = findings(plan, algorithms, options.out)
        best += all_rows.best
        each += all_rows.each
    values = {
        "command": shlex.join(["ascore", "privacy", *argv]),
        "best": [row.to_dict() for row in best],
        "each": [row.to_dict() for row in each],
    }
    write_atomic(options.out / "leakage.json", json_text(values, indent=1).encode())
    write_atomic(options.out / "leakage.csv", as_csv(best).encode())
    write_atomic(options.out / "attacks.csv", as_csv(each).encode())
    write_atomic(options.out / "leakage.md", markdown(best).encode())
    save_picture(best, options.out / "leakage.png")
    if options.json:
        print_json(values)
    else:
        print(markdown(best), end="")
        print(f"table, attacks one by one and picture: {options.out}")
    return DONE


def _name(path: Path) -> str:
    return path.stem if path.suffix == ".toml" else path.resolve().name


def _config(path: Path, episodes: int, algorithm: str) -> Config:
    """The configuration of a run, or of a file, with another algorithm.

    Its own may be one to import, and is not asked for.

    Raises:
        ConfigError: it cannot be read.
    """
    inside = path.is_dir()
    config = Config.load(path / "config.toml" if inside else path, links=not inside)
    config = config.replace(algorithm=algorithm, algorithm_params={})
    return config.replace(episodes=episodes) if episodes else config
