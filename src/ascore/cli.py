"""The command line: options come from the configuration record; one JSON object with --json.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascore.envs import ENVIRONMENTS, canonical_name, describe
from ascore.errors import AscoreError
from ascore.factory import anchor_values, batch, is_external

if TYPE_CHECKING:
    from ascore.anchors import Measured
    from ascore.config import Config, ParamValue
    from ascore.evaluation import Evaluation, Interval

USAGE = """\
usage: ascore COMMAND ...

  train ENV        train on a built-in or a Python environment, then evaluate
  resume RUN       continue a run from its newest checkpoint
  evaluate RUN     return of a trained policy over fresh episodes
  plot RUN...      team return against episodes, as a picture
  render RUN|ENV   an episode as a moving picture; without a run, of random play
  envs             the environments, their sizes, parameters and anchors; plays the anchors
  bench            how fast this machine runs it, as ratios to baselines timed beside
  check-env ENV    whether a Python environment (MODULE:CALLABLE) can be trained on
  doctor           what this machine offers and what stands in the way

`ascore COMMAND --help` lists the options of a command.
"""

# What commands import at first use, and the extra of this package that brings it.
EXTRAS = {
    "torch": "train",
    "tyro": "train",
    "rich": "train",
    "safetensors": "train",
    "tomli_w": "train",
    "tomli": "train",
    "matplotlib": "plot",
    "PIL": "render",
    "gymnasium": "pettingzoo",
    "pettingzoo": "pettingzoo",
}

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit status (0 good, 1 failed, 2 usage, 130 interrupted)."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if args else EXIT_USAGE
    if args[0] == "--version":
        from ascore._core import __version__

        print(f"ascore {__version__}")
        return 0
    if args[0] not in COMMANDS:
        print(
            f"ascore: unknown command {args[0]!r}; there is: {', '.join(COMMANDS)}", file=sys.stderr
        )
        return EXIT_USAGE
    try:
        return COMMANDS[args[0]](args[1:])
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (AscoreError, ValueError, TypeError, OSError) as error:
        print(f"ascore: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        extra = "render" if args[0] == "render" else EXTRAS[missing]
        name = "pillow" if missing == "PIL" else missing
        print(f"ascore: {name} is not installed; pip install 'ascore[{extra}]'", file=sys.stderr)
        return EXIT_FAILED


# ---------------------------------------------------------------------- train


def _train(argv: list[str]) -> int:
    import tyro

    from ascore.config import Config
    from ascore.options import TrainOptions

    env, preset, algorithm = _scan(argv)
    wants_help = any(word in ("-h", "--help") for word in argv)
    if env is None and not wants_help:
        message = f"train needs an environment, as in: ascore train {next(iter(ENVIRONMENTS))}"
        raise ValueError(message)
    if env is None:
        default = Config()
    elif is_external(env) and preset is None:
        default = Config(env=env, algorithm=algorithm)
    else:
        default = Config.preset(env, algorithm=algorithm, preset=preset or "tuned")

    given = tyro.cli(
        TrainOptions, args=argv, prog="ascore train", default=TrainOptions(**vars(default))
    )
    params: dict[str, ParamValue] = {**given.env_params, **_parameters(given.env_param)}
    if given.num_agents is not None:
        params["num_agents"] = given.num_agents
    keys = {item.name for item in fields(Config)} - {"env", "env_params"}
    config = default.replace(env_params=params, **{key: getattr(given, key) for key in keys})
    names = list(dict.fromkeys([config.algorithm, *given.compare]))
    return _train_and_show(config, names, given.out, given.evaluate, given.json)


def _train_and_show(
    config: Config, names: list[str], out: Path | None, episodes: int, as_json: bool
) -> int:
    from ascore.algorithms import get_algorithm
    from ascore.compare import train_side_by_side
    from ascore.evaluation import evaluate
    from ascore.progress import Progress
    from ascore.training import new_folder, train

    for name in names:  # bad names and parameters fail here, before anything is written
        get_algorithm(name)
    batch(config.env, config.env_params)
    anchors = anchor_values(config.env, config.env_params)
    with Progress() as progress:
        if len(names) > 1:
            folder = new_folder(config, out, names)
            try:
                runs = train_side_by_side(config, names, folder, progress)
            except KeyboardInterrupt:
                return _interrupted([folder / name for name in names])
        else:
            name = names[0]
            stop = _on_signal()
            runs = [train(config, out, report=lambda *u: progress.update(name, *u), stop=stop)]
            if stop():
                return _interrupted([runs[0].path])
    results = [(run, evaluate(run, episodes=episodes) if episodes else None) for run in runs]
    if as_json:
        print(json.dumps({"runs": [_outcome(run, found) for run, found in results]}))
    else:
        _show_results(config.env, anchors, results)
    return 0


def _on_signal() -> Callable[[], bool]:
    """After the first SIGINT or SIGTERM the running update is finished and saved."""
    caught: list[int] = []

    def handle(number: int, frame: object) -> None:
        if caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: bool(caught)


def _interrupted(folders: list[Path]) -> int:
    for folder in folders:
        print(f"ascore: stopped and saved; continue with: ascore resume {folder}", file=sys.stderr)
    return EXIT_INTERRUPTED


def _outcome(run: Any, found: Evaluation | None) -> dict[str, Any]:
    return {
        "path": str(run.path),
        **run.summary,
        "evaluation": found.to_dict() if found is not None else None,
    }


def _show_results(
    env: str, anchors: list[tuple[str, float]], results: list[tuple[Any, Evaluation | None]]
) -> None:
    told = ", ".join(f"{label} {value:g}" for label, value in anchors)
    print(f"\nteam return per episode on {env}" + (f" (anchors: {told})" if told else ""))
    for run, found in results:
        summary = run.summary
        work = (
            f"{summary['episodes']:,} episodes, {summary['updates']:,} updates, "
            f"{summary['seconds']:.0f} s"
        )
        if found is None:
            shown = f"{summary['team_return']:9.2f} in training"
        else:
            shown = _interval(found.team_return, width=9)
        print(f"  {summary['algorithm']:<6} {shown}   ({work})")
    for run, _ in results:
        print(f"run written to {run.path}")


def _interval(found: Interval, width: int = 0) -> str:
    low, high = found.ci95
    return f"{found.mean:{width}.2f}  [{low:.2f}, {high:.2f}] over {found.n} episodes"


def _scan(argv: list[str]) -> tuple[str | None, str | None, str]:
    """Finds what decides the defaults before the options are parsed: ENV, --preset, --algorithm."""
    found = {"--preset": "", "--algorithm": "as"}
    for index, word in enumerate(argv):
        key, _, value = word.partition("=")
        if key in found:
            found[key] = value or (argv[index + 1] if index + 1 < len(argv) else "")
    env = argv[0] if argv and not argv[0].startswith("-") else None
    return env, found["--preset"] or None, found["--algorithm"]


def _parameters(pairs: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            message = f"--env-param {pair!r} is not NAME=VALUE"
            raise ValueError(message)
        word = {"true": "True", "false": "False"}.get(text, text)
        try:
            values[key] = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            values[key] = text
    return values


# ---------------------------------------------------------------------- the other commands


def _resume(argv: list[str]) -> int:
    import tyro

    from ascore.options import ResumeOptions
    from ascore.progress import Progress
    from ascore.training import resume

    options = tyro.cli(ResumeOptions, args=argv, prog="ascore resume")
    stop = _on_signal()
    with Progress() as progress:
        run = resume(
            options.run,
            episodes=options.episodes,
            checkpoint_name=options.checkpoint,
            report=lambda *u: progress.update(options.run.name, *u),
            stop=stop,
        )
    if stop():
        return _interrupted([run.path])
    print(json.dumps(_outcome(run, None)) if options.json else f"run written to {run.path}")
    return 0


def _evaluate(argv: list[str]) -> int:
    import tyro

    from ascore.evaluation import evaluate
    from ascore.options import EvaluateOptions

    options = tyro.cli(EvaluateOptions, args=argv, prog="ascore evaluate")
    found = evaluate(
        options.run,
        episodes=options.episodes,
        seed=options.seed,
        greedy=options.greedy,
        checkpoint=options.checkpoint,
    )
    if options.json:
        print(json.dumps(found.to_dict()))
        return 0
    print(f"team return {_interval(found.team_return)}")
    print("per agent   " + "  ".join(f"{value:.2f}" for value in found.agent_return))
    print(f"entropy     {found.entropy:.3f} nats per action (uniform {found.entropy_uniform:.3f})")
    return 0


def _plot(argv: list[str]) -> int:
    import tyro

    from ascore.options import PlotOptions
    from ascore.plots import plot_runs

    options = tyro.cli(PlotOptions, args=argv, prog="ascore plot")
    plot_runs(options.runs, options.out)
    print(f"picture written to {options.out}")
    return 0


def _render(argv: list[str]) -> int:
    import tyro

    from ascore.interop.replay import replay
    from ascore.options import RenderOptions
    from ascore.progress import Patience

    options = tyro.cli(RenderOptions, args=argv, prog="ascore render")
    params = _parameters(options.env_param)
    if options.num_agents is not None:
        params["num_agents"] = options.num_agents
    found = replay(
        options.target,
        options.out,
        policy=options.policy,
        episode=options.episode,
        seed=options.seed,
        greedy=options.greedy,
        checkpoint=options.checkpoint,
        steps=options.steps,
        fps=options.fps,
        env_params=params,
        report=Patience("frames drawn").update,
    )
    if options.json:
        print(json.dumps({**vars(found), "path": str(found.path)}))
    else:
        print(f"{found.steps} steps, team return {found.team_return:.2f}")
        print(f"picture written to {found.path}")
    return 0


def _envs(argv: list[str]) -> int:
    from ascore.anchors import EPISODES

    parser = argparse.ArgumentParser(
        prog="ascore envs", description="The environments, their sizes, parameters and anchors."
    )
    parser.add_argument(
        "--anchors",
        nargs="?",
        const="",
        metavar="ENV",
        help="play the scripted policy of every anchor (of ENV) and hold the table against it",
    )
    parser.add_argument(
        "--episodes",
        type=int,
        default=EPISODES,
        help="with --anchors: episodes of each (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    if options.anchors is not None:
        names = [canonical_name(options.anchors)] if options.anchors else list(ENVIRONMENTS)
        return _anchors(names, options.episodes, options.json)
    table = {name: describe(name) for name in ENVIRONMENTS}
    if options.json:
        print(json.dumps(table))
        return 0
    for name, entry in table.items():
        spec = entry["spec"]
        print(f"{name}: {entry['summary']}")
        print(
            f"  {spec['num_agents']} agents, "
            f"{spec['num_actions']} actions ({', '.join(spec['action_names'])}), "
            f"observation {spec['obs_dtype']}{spec['obs_shape']}, horizon {spec['horizon']}"
        )
        for anchor in entry["anchors"]:
            print(
                f"  anchor {anchor['label']:<14} {anchor['team_return']:>8g}  "
                f"({anchor['source']}){_given(anchor['given'])}"
            )
        for parameter in entry["parameters"]:
            print(f"  {parameter['name']} = {parameter['default']!r}: {parameter['meaning']}")
        print()
    return 0


def _given(given: dict[str, Any]) -> str:
    """Parameters that differ from the defaults, as one would give them."""
    return "".join(f", {key} = {value}" for key, value in given.items())


def _anchors(names: list[str], episodes: int, as_json: bool) -> int:
    from ascore.anchors import recompute

    work = recompute(names, episodes)
    results = []
    for done, measure in enumerate(work, start=1):
        found = measure()
        results.append(found)
        print(f"{done}/{len(work)} {found.env} {found.label}", file=sys.stderr)
    if as_json:
        print(json.dumps({"anchors": [found.to_dict() for found in results]}))
    else:
        print(f"team return over {episodes:,} episodes  [95% interval]  beside the table's figure")
        for name in names:
            print(name)
            for found in results:
                if found.env == name:
                    print(_anchor_line(found))
    off = sum(not found.agrees for found in results)
    if off:
        print(
            f"ascore: {off} of {len(results)} anchors differ from the table by more than chance "
            "allows (99.9%)",
            file=sys.stderr,
        )
    return EXIT_FAILED if off else 0


def _anchor_line(found: Measured) -> str:
    low, high = found.team_return.ci95
    measured = f"{found.team_return.mean:10.3f}  [{low:.3f}, {high:.3f}]"
    error = f" ± {found.error:g}" if found.error else ""
    return (
        f"  {found.label:<14}{measured:<36}{found.stated:>8g}{error:<8} "
        f"{'' if found.agrees else 'DIFFERS  '}({found.source}){_given(found.given)}"
    )


def _bench(argv: list[str]) -> int:
    from ascore.benchmark import FULL, GROUPS, QUICK, Case, cases, run
    from ascore.benchmark.report import as_markdown, as_text

    parser = argparse.ArgumentParser(
        prog="ascore bench",
        description="Times everything that is promised to be fast in turns with its baseline. "
        "Fails if a result differs from its baseline's, not if a bar is missed.",
    )
    parser.add_argument(
        "--group",
        nargs="+",
        action="extend",
        choices=list(GROUPS),
        metavar="NAME",
        help=f"only these groups of {', '.join(GROUPS)}",
    )
    parser.add_argument("--quick", action="store_true", help="small batches and few repeats")
    parser.add_argument("--strict", action="store_true", help="fail if a bar is missed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args(argv)

    def report(done: int, total: int, case: Case) -> None:
        print(f"{done}/{total} {case.group}: {case.name}", file=sys.stderr, flush=True)

    outcome = run(cases(options.group or list(GROUPS)), QUICK if options.quick else FULL, report)
    if options.json:
        print(json.dumps(outcome.to_dict()))
    else:
        print(as_markdown(outcome) if options.markdown else as_text(outcome))
    failed = outcome.differing or (options.strict and outcome.missed)
    return EXIT_FAILED if failed else 0


def _check_env(argv: list[str]) -> int:
    import tyro

    from ascore.interop.check import examine, report
    from ascore.options import CheckEnvOptions

    options = tyro.cli(CheckEnvOptions, args=argv, prog="ascore check-env")
    found = examine(options.env, _parameters(options.env_param), options.steps, options.seed)
    print(json.dumps(found.to_dict()) if options.json else report(found))
    return 0 if found.trainable else EXIT_FAILED


def _doctor(argv: list[str]) -> int:
    from ascore.doctor import examine, report

    found = examine()
    print(json.dumps(found) if "--json" in argv else report(found))
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "resume": _resume,
    "evaluate": _evaluate,
    "plot": _plot,
    "render": _render,
    "envs": _envs,
    "bench": _bench,
    "check-env": _check_env,
    "doctor": _doctor,
}
