"""`ascore sweep` and `ascore reproduce`."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascore.commands.exits import FAILED, INTERRUPTED
from ascore.commands.help import width
from ascore.commands.options import ReproduceOptions, SweepOptions
from ascore.commands.parser import missing, parse
from ascore.commands.shared import (
    print_json,
    staying,
    stop_on_signal,
    with_trust,
)
from ascore.envs.factory import is_external
from ascore.envs.parameters import read_value
from ascore.errors import RunError, UsageError

if TYPE_CHECKING:
    from ascore.experiments.cells import Cell
    from ascore.runtime.pool import Outcome

RUNS = "runs"
SWEEP, PICTURE = "sweep.json", "sweep.png"


def sweep(argv: list[str]) -> int:
    """Trains every combination of algorithms, settings and seeds."""
    from ascore.runtime.progress import waiting

    options = parse(SweepOptions, argv)
    with waiting("loading PyTorch"):
        from ascore.experiments.cells import LIST, read_list, write_list
        from ascore.experiments.sweeps import read_command
        from ascore.runs.files import json_text, write_atomic
    if options.cell is not None:
        return _one(options)
    if options.env:
        with staying():
            cells = _combinations(options)
        write_list(options.out, cells)
    elif options.out == SweepOptions.out and not (options.out / LIST).exists():
        raise missing(SweepOptions)
    else:
        cells = with_trust(lambda trust: read_list(options.out, trust=trust), options.trust)
    if options.env or not (options.out / SWEEP).exists():  # `ascore reproduce` writes only a list
        text = json_text({"command": shlex.join(["ascore", "sweep", *argv])}, indent=1)
        write_atomic(options.out / SWEEP, text.encode())
    if options.slurm:
        after = f"ascore sweep --out {shlex.quote(str(options.out))}"
        return _slurm(options.out, cells, after + (" --trust" if _outside(cells) else ""))
    record = read_command(options.out / SWEEP)
    outcomes, status = _run(cells, options.out, options.workers, options.pin)
    _report_sweep(cells, options, outcomes, record)
    return status


def _combinations(options: SweepOptions) -> list[Cell]:
    """The cells of a sweep; invalid names and values fail here, before anything is written."""
    from ascore.algorithms.contract import own_keys
    from ascore.algorithms.table import get_algorithm, ignored_by_all
    from ascore.config import Config
    from ascore.experiments import sweeps
    from ascore.runs.settled import settled

    settings = {}
    for pair in options.set:
        key, equals, text = pair.partition("=")
        if not equals:
            message = f"--set {pair!r} is not KEY=VALUE,VALUE"
            raise UsageError(message)
        settings[key] = [read_value(part) for part in sweeps.values(text)]
    for name in options.algorithm:
        get_algorithm(name)
    base = Config.preset(options.env, preset=options.preset)
    cells = sweeps.grid(
        base, options.algorithm, settings, sweeps.seeds(options.seeds), options.evaluate
    )
    learned: dict[str, Config] = {}  # once, where something has to be
    for number, cell in enumerate(cells):
        config = cell.config
        own_keys(config, get_algorithm(config.algorithm).keys)
        key = repr((config.env_params, config.horizon, config.action_bins))
        if key not in learned:
            learned[key] = settled(config)
        same = {name: getattr(learned[key], name) for name in ("horizon", "action_bins")}
        cells[number] = replace(cell, config=config.replace(**same))
    sentences = [ignored_by_all(cell.config, options.algorithm, settings) for cell in cells]
    useless = set.intersection(*map(set, sentences))
    for key in sorted(useless):
        for text in dict.fromkeys(of_cell[key] for of_cell in sentences):
            print(f"ascore: {text}", file=sys.stderr)
    combinations = math.prod(len(choices) for choices in settings.values())
    combinations *= len(options.algorithm) * len(sweeps.seeds(options.seeds))
    if len(cells) < combinations:
        print(
            f"{len(cells)} runs for {combinations} combinations: the others differ only in keys "
            "that change nothing there",
            file=sys.stderr,
        )
    return cells


def _report_sweep(
    cells: Sequence[Cell],
    options: SweepOptions,
    outcomes: list[Outcome],
    record: dict[str, Any],
) -> None:
    from ascore.experiments import sweeps
    from ascore.experiments.results import as_csv
    from ascore.runs.files import json_text, write_atomic

    table = sweeps.rows(cells, options.out / RUNS)
    picture: Path | None = None
    if table:
        record = record | _provenance()
        text = sweeps.as_markdown(table)
        write_atomic(options.out / "sweep.csv", as_csv(table).encode())
        write_atomic(options.out / SWEEP, json_text(record, indent=1).encode())
        picture = _picture(options.out)
        image = f"![Learning curves by setting]({picture.name})\n\n" if picture else ""
        page = f"```sh\n{record['command']}\n```\n\n{image}{text}"
        write_atomic(options.out / "sweep.md", page.encode(errors="replace"))
    if options.json:
        failures = {o.name: o.reason for o in outcomes if o.status == "failed"}
        shown = str(picture) if picture else None
        print_json(
            {"out": str(options.out), "picture": shown, "cells": table, "failures": failures}
        )
    elif table:
        print(sweeps.as_text(table, width()), end="")
        print(f"tables written to {options.out / 'sweep.md'} and {options.out / 'sweep.csv'}")
        if picture:
            print(f"picture written to {picture}")


def _picture(out: Path) -> Path | None:
    """Draws the finished runs of a sweep; None, and a line that says why, where that is impossible.

    The tables are there in any case: hours of training should not end in an error.
    """
    try:
        from ascore.render.plots import plot_runs

        plot_runs([out / RUNS], out / PICTURE)
    except ModuleNotFoundError as error:
        print(
            f"ascore: no picture, since {error.name} is missing; pip install 'ascore[plot]', then: "
            f"ascore plot {shlex.quote(str(out))}",
            file=sys.stderr,
        )
        return None
    except RunError as error:
        print(f"ascore: no picture: {error}", file=sys.stderr)
        return None
    return out / PICTURE


def reproduce(argv: list[str]) -> int:
    """Repeats the paper's experiments and draws its figures."""
    from ascore.runtime.progress import waiting

    options = parse(ReproduceOptions, argv)
    with waiting("loading PyTorch"):
        from ascore.experiments import results
        from ascore.experiments.cells import write_list
        from ascore.experiments.studies import PRESETS, cells
    _require_seeds(options.seeds)
    if options.redraw is not None:
        drawn = []
        with waiting("drawing"):
            for folder in results.folders(options.redraw):
                drawn.append(_draw(results.read(folder), folder))
        _report_pictures(drawn, {}, options.json)
        return 0
    chosen = results.studies(options.figures)
    if not chosen:
        raise missing(ReproduceOptions)
    names = [study.name for study in chosen]
    listed = [
        cell
        for preset in PRESETS[options.budget]
        for cell in cells(names, preset, options.budget, options.evaluate, options.seeds)
    ]
    write_list(options.out, listed)
    if options.slurm:
        words = [word for word in argv if word != "--slurm"]
        return _slurm(options.out, listed, shlex.join(["ascore", "reproduce", *words]))
    import matplotlib  # noqa: F401 (if it is missing, fail now and not after hours)

    outcomes, status = _run(listed, options.out, options.workers, options.pin)
    if status != INTERRUPTED:
        _report_figures(options, argv, outcomes)
    return status


def _require_seeds(number: int | None) -> None:
    """Refuses a number of seeds for which no list of cells is written."""
    from ascore.experiments.sweeps import MOST_SEEDS

    if number is not None and not 1 <= number <= MOST_SEEDS:
        message = f"--seeds {number} is not allowed; it must be in 1..{MOST_SEEDS:,}"
        raise UsageError(message)


def _report_figures(options: ReproduceOptions, argv: list[str], outcomes: list[Outcome]) -> None:
    from ascore.experiments import results
    from ascore.experiments.studies import PRESETS, SEEDS

    failures = {o.name: o.reason for o in outcomes if o.status == "failed"}
    seeds = options.seeds or SEEDS[options.budget]
    drawn = []
    for preset in PRESETS[options.budget]:
        for study in results.studies(options.figures):
            provenance = {
                "command": shlex.join(["ascore", "reproduce", *argv]),
                "runs": str(options.out / RUNS),
                "evaluation_episodes": options.evaluate,
                **_provenance(),
            }
            findings = results.gather(
                study, preset, options.budget, options.out / RUNS, seeds, failures, provenance
            )
            if findings.finals:
                folder = options.out / f"{study.name}-{preset}"
                results.write(findings, folder)
                drawn.append(_draw(results.read(folder), folder))
    _report_pictures(drawn, failures, options.json)


def _draw(findings: Any, folder: Path) -> Path:
    from ascore.experiments import figures, tables
    from ascore.runs.files import write_atomic

    write_atomic(folder / "README.md", tables.as_markdown(findings).encode(errors="replace"))
    return figures.draw(findings, folder)


def _report_pictures(drawn: Sequence[Path], failures: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"pictures": [str(path) for path in drawn], "failures": failures})
        return
    for path in drawn:
        print(f"picture and table written to {path.parent}")


# ---------------------------------------------------------------------- lists of cells


def _run(cells: Sequence[Cell], out: Path, workers: int, pin: bool) -> tuple[list[Outcome], int]:
    """Runs a list of cells and reports failures; gives the outcomes and the exit status."""
    from ascore.experiments.cells import run_all
    from ascore.runtime.pool import fit_workers
    from ascore.runtime.progress import Progress

    fitting = fit_workers(workers, len(cells))
    if workers > fitting:
        print(
            f"ascore: {workers} workers requested, {fitting} used: at most one per usable "
            "core and cell",
            file=sys.stderr,
        )
    stop = stop_on_signal()
    start = time.monotonic()
    with Progress(total=len(cells)) as progress:
        outcomes = run_all(cells, out / RUNS, fitting, progress, stop=stop, pin=pin)
    _report_usage(outcomes, fitting, time.monotonic() - start)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    unfinished = [outcome for outcome in outcomes if outcome.status in ("stopped", "waiting")]
    for outcome in failed:
        print(f"ascore: {outcome.name} failed: {outcome.reason}", file=sys.stderr)
    if unfinished:
        summary = f"stopped with {len(unfinished)} of {len(cells)} cells left, all saved"
        print(f"ascore: {summary}; run the same command again to continue", file=sys.stderr)
        return outcomes, INTERRUPTED
    if failed:
        summary = f"{len(failed)} of {len(cells)} cells failed"
        print(f"ascore: {summary}; run the same command again to retry them", file=sys.stderr)
        return outcomes, FAILED
    return outcomes, 0


def _report_usage(outcomes: list[Outcome], workers: int, seconds: float) -> None:
    """Reports the usage of the workers if more than one cell was run."""
    spent = [outcome.seconds for outcome in outcomes if not math.isnan(outcome.seconds)]
    if len(spent) > 1:
        busy = sum(spent) / (workers * seconds)
        work = f"{len(spent)} cells, {sum(spent):.0f} s of work in {seconds:.0f} s"
        them = "1 worker" if workers == 1 else f"{workers} workers"
        print(f"{work}: {them}, {busy:.0%} busy", file=sys.stderr)


def _one(options: SweepOptions) -> int:
    """Runs one cell of a list, as one task of a job array."""
    from ascore.experiments.cells import read_list

    out, number = options.out, options.cell
    cells = with_trust(lambda trust: read_list(out, trust=trust), options.trust)
    if number is None or not 0 <= number < len(cells):
        message = f"--cell {number} is outside 0..{len(cells) - 1}, the cells of {out}"
        raise ValueError(message)
    return _run([cells[number]], out, 1, False)[1]


def _slurm(out: Path, cells: Sequence[Cell], after: str) -> int:
    """Writes the script of a job array; `after` is the command for when it is done."""
    from ascore.experiments.slurm import write_script
    from ascore.runtime.pool import ENVIRONMENT

    trust = _outside(cells)  # typed by the user, or trusted when the list was read
    script = write_script(out, len(cells), sys.executable, ENVIRONMENT, trust=trust)
    print(f"{len(cells)} cells; adapt the limits in the script, then: sbatch {script}")
    print(f"when the jobs are done, for the tables and pictures: {after}")
    return 0


def _outside(cells: Sequence[Cell]) -> bool:
    """Whether cells name environments or algorithms to import."""
    return any(is_external(c.config.env) or is_external(c.config.algorithm) for c in cells)


def _provenance() -> dict[str, Any]:
    """Origin of the results: the commit (None outside a checkout) and the machine."""
    from ascore.benchmark.machine import describe_machine

    machine = describe_machine()
    del machine["load"]
    return {"commit": _commit(), "machine": machine}


def _commit() -> str | None:
    """Commit of the current folder if it is a checkout of this project, else None."""
    if not Path("src/ascore").is_dir():
        return None
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return process.stdout.strip()
