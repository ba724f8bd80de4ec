"""`ascore train` and `ascore resume`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascore.commands.exits import INTERRUPTED
from ascore.commands.help import fits
from ascore.commands.options import ResumeOptions, TrainOptions
from ascore.commands.parser import given, missing, parse
from ascore.commands.shared import (
    interval,
    outcome,
    parameters,
    print_json,
    staying,
    stop_on_signal,
    with_trust,
)
from ascore.config import Config, ParamValue, read_config
from ascore.envs.factory import anchor_values, is_external
from ascore.errors import AscoreError, AscoreWarning, ConfigError
from ascore.runs.trust import require_trust

if TYPE_CHECKING:
    from ascore.runs.evaluation import Evaluation
    from ascore.runs.record import Record
    from ascore.runs.run import Run


def train(argv: list[str]) -> int:
    """Trains, evaluates, and prints the returns with the anchors."""
    line = given(TrainOptions, argv)
    start, _ = with_trust(lambda trust: _start(line, trust), bool(line.get("trust")))
    options = TrainOptions(**{**vars(start), **line})
    params: dict[str, ParamValue] = {**start.env_params, **parameters(options.env_param)}
    if options.num_agents is not None:
        params["num_agents"] = options.num_agents
    own = {
        **start.algorithm_params,
        **parameters(options.algorithm_param, "--algorithm-param"),
    }
    keys = Config.names() - {"env", "env_params", "algorithm_params"}
    config = start.replace(
        env_params=params, algorithm_params=own, **{key: getattr(options, key) for key in keys}
    )
    names = list(dict.fromkeys([config.algorithm, *options.compare]))
    return _train_and_show(config, names, options.out, options.evaluate, options.json, line.keys())


def defaults(line: Mapping[str, Any]) -> tuple[object, str]:
    """The defaults that a line leads to, and a sentence that says whose they are."""
    if "env" not in line and "config" not in line:
        note = (
            "Defaults are those of a Python environment. Those of a built-in one are its preset's: "
            "`ascore train exchange --help` shows them."
        )
        return Config.preset("MODULE:CALLABLE").replace(env_workers=-1), note
    config, origin = _start(line, trust=True)  # nothing is imported here
    return config, f"Defaults are those of {origin}."


def _start(line: Mapping[str, Any], trust: bool) -> tuple[Config, str]:
    """The configuration that a line starts from, and where it is from: preset and --config.

    Raises:
        UsageError: neither the line nor the file names an environment.
        ConfigError: there is no such preset, or the file has a key that there is none of.
        TrustError: the file names code to import, and `trust` is False.
    """
    file = line.get("config")
    values = {} if file is None else read_config(file)
    Config.from_dict(values, str(file))  # names and types of its keys
    untyped = [key for key in ("env", "algorithm") if key in values and key not in line]
    if file is not None:
        require_trust({key: values[key] for key in untyped}, file, trust)
    env = line.get("env", values.get("env"))
    if env is None:
        raise missing(TrainOptions)
    preset = line.get("preset_name")
    start = Config.preset(env, preset=preset or "tuned")
    origin = f"{start.env}, preset {preset or 'tuned'}"
    if is_external(env):
        start = start.replace(env_workers=-1)
    params = {**start.env_params, **values.get("env_params", {})}
    start = start.replace(**{**values, "env": start.env, "env_params": params})
    if "algorithm" in line:
        start = start.replace(algorithm=line["algorithm"])
    return start, origin if file is None else f"{file}, then {origin}"


def _train_and_show(
    config: Config,
    names: list[str],
    out: Path | None,
    episodes: int,
    as_json: bool,
    typed: Collection[str],
) -> int:
    from ascore.runtime.progress import Progress, waiting

    with waiting("loading PyTorch"):
        from ascore.algorithms.contract import own_keys
        from ascore.algorithms.table import get_algorithm, unread
        from ascore.runs.compare import for_algorithm, train_side_by_side
        from ascore.runs.folder import new_folder
        from ascore.runs.session import train
        from ascore.runs.settled import settled
        from ascore.runtime.ranks import joined, restarts

    with staying() as here:  # invalid names and parameters fail here, before anything is written
        for name in names:
            own_keys(for_algorithm(config, name, names), get_algorithm(name).keys)
        config = settled(config)
        anchors = anchor_values(config.env, config.env_params)
    stop = stop_on_signal()
    with joined(stop) as ranks, Progress(quiet=not ranks.lead) as progress:
        if len(names) > 1 and ranks.size > 1:
            message = f"--compare {names[1]} trains side by side; ranks train one algorithm"
            raise ConfigError(message)
        if ranks.lead:
            told_by_training = unread(config, names, ranks=ranks.size)
            for text in unread(config, names, typed, ranks.size):
                if text not in told_by_training:
                    warnings.warn(text, AscoreWarning, stacklevel=1)
        if len(names) > 1:
            folder = new_folder(config, out, names)
            progress.expect(names)
            runs = train_side_by_side(config, names, folder, progress, stop)
        else:
            name = names[0]
            progress.expect([name])
            run = train(
                config,
                out,
                report=lambda *u: progress.update(name, *u),
                watch=lambda *u: progress.step(name, *u),
                stop=stop,
                ranks=ranks,
                restarted=restarts() > 0,
            )
            runs = [run]
    if not ranks.lead:
        return 0
    runs = [replace(run, path=here / run.path) for run in runs]  # evaluation may go elsewhere too
    if not all(run.finished for run in runs):
        return _interrupted([_shown(run, out, here) for run in runs])
    played = _evaluations(runs, episodes)
    anchors = anchors or _random_play(config, episodes)
    results = [(_shown(run, out, here), result) for run, result in zip(runs, played, strict=True)]
    if as_json:
        listed = [outcome(run, evaluation) for run, evaluation in results]
        print_json({"runs": listed, "anchors": dict(anchors)})
    else:
        _show_results(config.env, anchors, results)
    _warn_if_uniform(results)
    return 0


def _random_play(config: Config, episodes: int) -> list[tuple[str, float]]:
    """The anchor of an environment that has none: what random play earns, measured."""
    from ascore.runs.uniform import random_return
    from ascore.runtime.progress import Patience

    if episodes == 0:
        return []
    report = Patience("episodes of random play").update
    return [("random", float(f"{random_return(config, episodes, report).mean:.4g}"))]


def _warn_if_uniform(results: list[tuple[Run, Evaluation | None]]) -> None:
    """Says so if policies still play at random after training, and what to try."""
    from ascore.runs.uniform import still_uniform

    for run, evaluation in results:
        text = still_uniform(run.config, evaluation) if evaluation is not None else None
        if text is not None:
            print(f"ascore: {text}", file=sys.stderr)


def _evaluations(runs: Sequence[Run], episodes: int) -> list[Evaluation | None]:
    """New episodes of finished runs, one after the other; None each if none are wanted."""
    from ascore.runs.evaluation import evaluate
    from ascore.runtime.progress import Patience

    if not episodes:
        return [None] * len(runs)
    patience = Patience("evaluation episodes")
    return [
        evaluate(run, episodes=episodes, report=patience.part(k, len(runs)))
        for k, run in enumerate(runs)
    ]


def resume(argv: list[str]) -> int:
    """Continues a run from its newest checkpoint."""
    from ascore.runs import checkpoint
    from ascore.runtime.progress import Progress, waiting

    options = parse(ResumeOptions, argv)
    checkpoint.require_manifest(options.run, options.checkpoint)  # before PyTorch is loaded
    with waiting("loading PyTorch"):
        from ascore.runs.session import resume
        from ascore.runtime.ranks import joined

    changes = parameters(options.set, "--set")
    if options.device is not None:
        changes["device"] = options.device
    stop = stop_on_signal()
    name = _name_of(options.run)
    trained = False

    def report(done: int, total: int, record: Record) -> None:
        nonlocal trained
        trained = True
        progress.update(name, done, total, record)

    with staying() as here, joined(stop) as ranks, Progress(quiet=not ranks.lead) as progress:
        progress.expect([name], "continuing")
        run = with_trust(
            lambda trust: resume(
                options.run,
                episodes=options.episodes,
                checkpoint_name=options.checkpoint,
                set=changes,
                new_log=options.new_log,
                report=report,
                watch=lambda *u: progress.step(name, *u),
                stop=stop,
                ranks=ranks,
                trust=trust,
            ),
            options.trust,
        )
    if not ranks.lead:
        return 0
    if not run.finished:
        return _interrupted([run])
    if not trained:
        print(f"ascore: {_why_not_trained(run, options.run)}", file=sys.stderr)
    (evaluation,) = _evaluations([replace(run, path=here / run.path)], options.evaluate)
    if options.json:
        print_json(outcome(run, evaluation))
    else:
        anchors = anchor_values(run.config.env, run.config.env_params)
        anchors = anchors or _random_play(run.config, options.evaluate)
        _show_results(run.config.env, anchors, [(run, evaluation)])
    _warn_if_uniform([(run, evaluation)])
    return 0


def _why_not_trained(run: Run, given: Path) -> str:
    """Why a run that was continued has not gone on, and how it would."""
    if _spent(run):
        return (
            f"nothing was trained: another update of {given} would cost more than epsilon = "
            f"{run.config.epsilon:g}, which cannot change; train anew with more epsilon, or with "
            "more noise for each update"
        )
    return (
        f"all {run.summary['updates']:,} updates of {given} were done already, and nothing was "
        f"trained; to train on, give --episodes N above {run.config.episodes:,}"
    )


def _spent(run: Run) -> bool:
    """Whether a run ended because another update would cost more privacy than there was."""
    return "privacy" in run.summary and run.summary["episodes"] < run.config.episodes


def _name_of(folder: Path) -> str:
    """What progress calls a run that is continued: its algorithm, if that can be read."""
    from ascore.runs.session import Run

    try:
        with warnings.catch_warnings():  # `resume` warns of values that are renamed
            warnings.simplefilter("ignore", FutureWarning)
            return Run.open(folder).config.algorithm
    except AscoreError:  # `resume` says what is wrong, or does without
        return folder.name


def _shown(run: Run, out: Path | None, here: Path) -> Run:
    """A run whose path is what the user gave, if that still leads there."""
    from ascore.runs.folder import as_given

    return replace(run, path=as_given(run.path, out, here))


def _interrupted(runs: list[Run]) -> int:
    from ascore.runs.folder import resume_command

    for run in runs:
        outside = is_external(run.config.env) or is_external(run.config.algorithm)
        command = f"{resume_command(run.path)}{' --trust' if outside else ''}"
        print(f"ascore: stopped and saved; continue with: {command}", file=sys.stderr)
    return INTERRUPTED


def _show_results(
    env: str, anchors: list[tuple[str, float]], results: list[tuple[Run, Evaluation | None]]
) -> None:
    values = ", ".join(f"{label} {value:g}" for label, value in anchors)
    about = f"anchors: {values}" if values else ""
    title = f"\nteam return per episode on {env}"
    if not values or fits(f"{title} ({about})"):
        print(title + (f" ({about})" if values else ""))
    else:
        print(title, f"  {about}", sep="\n")
    for run, evaluation in results:
        summary = run.summary
        work = (
            f"{summary['episodes']:,} episodes, {summary['updates']:,} updates, "
            f"{summary['seconds']:.0f} s"
        )
        if evaluation is None and summary["team_return"] is None:
            shown = "no episode ended in training"
        elif evaluation is None:
            shown = f"{summary['team_return']:9.2f} in training"
        else:
            shown = interval(evaluation.team_return, width=9)
        row = f"  {summary['algorithm']:<6} {shown}"
        print(row, f"({work})", sep="   " if fits(f"{row}   ({work})") else "\n    ")
        if "privacy" in summary:
            print(f"    {_guarantee(run)}")
    for run, _ in results:
        print(f"run written to {run.path}")


def _guarantee(run: Run) -> str:
    """What a run with a guarantee has cost, in a sentence."""
    cost = run.summary["privacy"]
    early = ""
    if _spent(run):
        early = f"; ended early, since another update would cost more than {run.config.epsilon:g}"
    return (
        f"rewards of one agent: epsilon {cost['epsilon_episode']:.3g} for one episode, "
        f"{cost['epsilon_environment']:.3g} for all of one environment, at delta "
        f"{cost['delta']:g}{early}"
    )
