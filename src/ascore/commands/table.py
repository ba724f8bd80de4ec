"""The commands: what each is for, its options, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ascore.commands import (
    embedding,
    envs,
    experiments,
    machine,
    options,
    parties,
    privacy,
    report,
    runs,
    training,
)
from ascore.commands.parser import Line


@dataclass(frozen=True)
class Command:
    """A command of `ascore`.

    Attributes:
        options: dataclass of its options.
        summary: what it does, for the list of commands.
        group: title under which it is listed.
        run: reads the words after the name, does the work, returns the exit status.
        defaults: from what a line gives to the defaults that it leads to and a sentence about them;
            None = those of `options`.
    """

    options: type[Line]
    summary: str
    group: str
    run: Callable[[list[str]], int]
    defaults: Callable[[Mapping[str, Any]], tuple[object, str]] | None = None


TRAINING, LOOKING, MANY, PARTIES, OUTSIDE, HERE = (
    "Training",
    "Looking at runs",
    "Many runs",
    "Parties that keep their rewards to themselves",
    "Environments and other programs",
    "This machine",
)

_ROWS = (
    Command(
        options.TrainOptions,
        "train on a built-in or a Python environment, then evaluate",
        TRAINING,
        training.train,
        training.defaults,
    ),
    Command(
        options.ResumeOptions,
        "continue a run from its newest checkpoint",
        TRAINING,
        training.resume,
    ),
    Command(
        options.EvaluateOptions,
        "return of a trained policy over new episodes",
        LOOKING,
        runs.evaluate,
    ),
    Command(
        options.PlotOptions,
        "team return against episodes, as a picture",
        LOOKING,
        runs.plot,
    ),
    Command(
        options.ReportOptions,
        "curves, agents, traffic and what looks wrong, as one page for a browser",
        LOOKING,
        report.report,
    ),
    Command(
        options.WatchOptions,
        "the same page, live while runs go on, on this machine alone",
        LOOKING,
        report.watch,
    ),
    Command(
        options.RenderOptions,
        "an episode as an animation; without a run, of random play",
        LOOKING,
        runs.render,
    ),
    Command(
        options.SweepOptions,
        "algorithms, settings and seeds in worker processes, or as a Slurm array",
        MANY,
        experiments.sweep,
    ),
    Command(
        options.ReproduceOptions,
        "the paper's experiments: fig2 to fig7, or all",
        MANY,
        experiments.reproduce,
    ),
    Command(
        parties.PartyOptions,
        "one agent in a process of its own (run), its environment (host), status, audit",
        PARTIES,
        parties.party,
    ),
    Command(
        parties.CertsOptions,
        "certificates for a trial: new FOLDER NAME...",
        PARTIES,
        parties.certs,
    ),
    Command(
        privacy.PrivacyOptions,
        "what messages show of what agents keep to themselves: attacks, as a table and a picture",
        PARTIES,
        privacy.privacy,
    ),
    Command(
        options.EnvsOptions,
        "the environments as a table, or all about one; plays the anchors",
        OUTSIDE,
        envs.envs,
    ),
    Command(
        options.CheckEnvOptions,
        "whether a Python environment (MODULE:CALLABLE) can be trained on",
        OUTSIDE,
        envs.check_env,
    ),
    Command(
        options.ExportOptions,
        "the policy of a run as one file, for C++, C, Cython and ONNX",
        OUTSIDE,
        embedding.export,
    ),
    Command(
        options.BenchOptions,
        "speed on this machine, as ratios to baselines timed alongside",
        HERE,
        machine.bench,
    ),
    Command(
        options.DoctorOptions,
        "what this machine offers, and problems with their remedies",
        HERE,
        machine.doctor,
    ),
)

ROWS: dict[str, Command] = {command.options.command(): command for command in _ROWS}

PLACES: dict[str, Callable[[], int]] = {
    "--cmake-dir": embedding.cmake_dir,
    "--include-dir": embedding.include_dir,
}
"""Options that stand in place of a command, for CMake and compilers."""
