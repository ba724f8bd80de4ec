"""`ascore train` and `ascore resume`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from ascore.commands.exits import INTERRUPTED
from ascore.commands.shared import (
    interval,
    outcome,
    parameters,
    print_json,
    staying,
    stop_on_signal,
    with_trust,
)
from ascore.envs.factory import anchor_values, batch, is_external
from ascore.envs.table import ENVIRONMENTS
from ascore.errors import ConfigError

if TYPE_CHECKING:
    from ascore.config import Config, ParamValue
    from ascore.runs.evaluation import Evaluation
    from ascore.runs.session import Run


def train(argv: list[str]) -> int:
    """Trains, evaluates, and prints the returns with the anchors."""
    import tyro

    from ascore.commands.options import TrainOptions
    from ascore.config import Config

    env, preset, algorithm = _scan(argv)
    wants_help = any(word in ("-h", "--help") for word in argv)
    if env is None and not wants_help:
        message = f"train needs an environment, as in: ascore train {next(iter(ENVIRONMENTS))}"
        raise ValueError(message)
    if env is None:
        default = Config()
    elif is_external(env) and preset is None:
        default = Config(env=env, algorithm=algorithm, env_workers=-1)
    else:
        default = Config.preset(env, algorithm=algorithm, preset=preset or "tuned")

    given = tyro.cli(
        TrainOptions,
        args=_present_names(argv),
        prog="ascore train",
        default=TrainOptions(**vars(default)),
    )
    params: dict[str, ParamValue] = {**given.env_params, **parameters(given.env_param)}
    if given.num_agents is not None:
        params["num_agents"] = given.num_agents
    own = parameters(given.algorithm_param, "--algorithm-param")
    keys = Config.names() - {"env", "env_params", "algorithm_params"}
    config = default.replace(
        env_params=params, algorithm_params=own, **{key: getattr(given, key) for key in keys}
    )
    names = list(dict.fromkeys([config.algorithm, *given.compare]))
    return _train_and_show(config, names, given.out, given.evaluate, given.json)


def _train_and_show(
    config: Config, names: list[str], out: Path | None, episodes: int, as_json: bool
) -> int:
    from ascore.algorithms.contract import own_keys
    from ascore.algorithms.table import get_algorithm
    from ascore.runs.compare import for_algorithm, train_side_by_side
    from ascore.runs.evaluation import evaluate
    from ascore.runs.folder import new_folder
    from ascore.runs.session import train
    from ascore.runtime.progress import Patience, Progress
    from ascore.runtime.ranks import joined, restarts

    with staying() as here:  # invalid names and parameters fail here, before anything is written
        for name in names:
            own_keys(for_algorithm(config, name, names), get_algorithm(name).keys)
        batch(config.env, config.env_params, horizon=config.horizon).close()
        anchors = anchor_values(config.env, config.env_params)
    stop = stop_on_signal()
    with joined(stop) as ranks, Progress(quiet=not ranks.lead) as progress:
        if len(names) > 1 and ranks.size > 1:
            message = f"--compare {names[1]} trains side by side; ranks train one algorithm"
            raise ConfigError(message)
        if len(names) > 1:
            folder = new_folder(config, out, names)
            runs = train_side_by_side(config, names, folder, progress, stop)
        else:
            name = names[0]
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
    patience = Patience("evaluation episodes")
    played = [
        evaluate(run, episodes=episodes, report=patience.update) if episodes else None
        for run in runs
    ]
    results = [(_shown(run, out, here), result) for run, result in zip(runs, played, strict=True)]
    if as_json:
        print_json({"runs": [outcome(run, evaluation) for run, evaluation in results]})
    else:
        _show_results(config.env, anchors, results)
    return 0


def resume(argv: list[str]) -> int:
    """Continues a run from its newest checkpoint."""
    import tyro

    from ascore.commands.options import ResumeOptions
    from ascore.runs.session import resume
    from ascore.runtime.progress import Progress
    from ascore.runtime.ranks import joined

    options = tyro.cli(ResumeOptions, args=argv, prog="ascore resume")
    changes = parameters(options.set, "--set")
    if options.device is not None:
        changes["device"] = options.device
    stop = stop_on_signal()
    with joined(stop) as ranks, Progress(quiet=not ranks.lead) as progress:
        run = with_trust(
            lambda trust: resume(
                options.run,
                episodes=options.episodes,
                checkpoint_name=options.checkpoint,
                set=changes,
                new_log=options.new_log,
                report=lambda *u: progress.update(options.run.name, *u),
                watch=lambda *u: progress.step(options.run.name, *u),
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
    if options.json:
        print_json(outcome(run, None))
    else:
        print(f"run written to {run.path}")
    return 0


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
    env: str, anchors: list[tuple[str, float]], results: list[tuple[Any, Evaluation | None]]
) -> None:
    values = ", ".join(f"{label} {value:g}" for label, value in anchors)
    print(f"\nteam return per episode on {env}" + (f" (anchors: {values})" if values else ""))
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
        print(f"  {summary['algorithm']:<6} {shown}   ({work})")
    for run, _ in results:
        print(f"run written to {run.path}")


def _present_names(argv: list[str]) -> list[str]:
    """The options, with renamed values replaced by their present names."""
    from ascore.config import RENAMED, present_name

    words = list(argv)
    for key, names in RENAMED.items():
        option = "--" + key.replace("_", "-")
        for index, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == option and equals:
                words[index] = f"{option}={present_name(key, value, names)}"
            elif name == option and index + 1 < len(words):
                words[index + 1] = present_name(key, words[index + 1], names)
    return words


def _scan(argv: list[str]) -> tuple[str | None, str | None, str]:
    """Reads ENV, --preset and --algorithm, which set the defaults, before options are parsed."""
    options = {"--preset": "", "--algorithm": "as"}
    for index, word in enumerate(argv):
        key, _, value = word.partition("=")
        if key in options:
            options[key] = value or (argv[index + 1] if index + 1 < len(argv) else "")
    return _environment(argv), options["--preset"] or None, options["--algorithm"]


def _environment(argv: list[str]) -> str | None:
    """The first word that is neither an option nor the value of one."""
    from ascore.commands.options import TrainOptions

    hints = get_type_hints(TrainOptions)
    flags = {f"--{name}" for name, hint in hints.items() if hint is bool}
    flags |= {f"--no_{name[2:]}" for name in flags}
    lists = {f"--{name}" for name, hint in hints.items() if hint == tuple[int, ...]}
    index = 0
    while index < len(argv):
        word = argv[index]
        if not word.startswith("-"):
            return word
        index += 1
        option, equals, _ = word.partition("=")
        option = f"--{option.lstrip('-').replace('-', '_')}"
        if equals or option in flags:
            continue
        index += 1
        while option in lists and index < len(argv) and argv[index].isdigit():
            index += 1
    return None
