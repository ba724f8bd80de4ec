"""The command line; with --json, a command prints exactly one JSON object.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TextIO

from ascore.commands import embedding, envs, experiments, machine, report, runs, training
from ascore.commands.exits import DONE, MISUSED, ended_by
from ascore.commands.output import reserved
from ascore.commands.shared import patient
from ascore.errors import AscoreWarning, Terminated

USAGE = """\
usage: ascore COMMAND ...

  train ENV        train on a built-in or a Python environment, then evaluate
  resume RUN       continue a run from its newest checkpoint
  evaluate RUN     return of a trained policy over new episodes
  plot RUN...      team return against episodes, as a picture
  report RUN...    curves, agents, traffic and what looks wrong, as one page for a browser
  watch RUN...     the same page, live while runs go on, on this machine alone
  render RUN|ENV   an episode as an animation; without a run, of random play
  sweep ENV        algorithms, settings and seeds in worker processes, or as a Slurm array
  reproduce FIG    the paper's experiments: fig2 to fig7, or all
  export RUN       the policy of a run as one file, for C++, C and Cython
  envs             list environments, their sizes, parameters and anchors; play the anchors
  bench            speed on this machine, as ratios to baselines timed alongside
  check-env ENV    check whether a Python environment (MODULE:CALLABLE) can be trained on
  doctor           what this machine offers, and problems with their remedies

`ascore COMMAND --help` lists the options of a command. `ascore --cmake-dir` and `--include-dir`
print the folders that other programs need in CMake and for the compiler.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit status (0 success, 1 failed, 2 usage, 130 interrupted)."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return DONE if args else MISUSED
    if args[0] == "--version":
        from ascore._core import __version__

        print(f"ascore {__version__}")
        return 0
    if args[0] not in COMMANDS:
        print(
            f"ascore: unknown command {args[0]!r}; choose from: {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return MISUSED
    if "--out=" in args or ("--out", "") in itertools.pairwise(args):
        print("ascore: --out has an empty name; give it one, or leave it out", file=sys.stderr)
        return MISUSED
    shown = warnings.showwarning
    warnings.showwarning = _show
    try:
        output = reserved() if _wants_json(args) else contextlib.nullcontext()
        with _ending_by_sigterm(), patient(), output:
            return COMMANDS[args[0]](args[1:])
    except BaseException as error:
        status = ended_by(error, args[0]) if not isinstance(error, SystemExit) else None
        if status is None:
            raise
        return status
    finally:
        warnings.showwarning = shown


def _wants_json(args: list[str]) -> bool:
    """Whether --json is among the options; some commands take the beginning of a word."""
    return any(len(word) > len("--") and "--json".startswith(word) for word in args)


@contextlib.contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM unwind the command, so that environments are closed."""

    def end(number: int, frame: object) -> None:
        raise Terminated(number)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Prints warnings of this package as one line, and others as Python does."""
    if issubclass(category, (AscoreWarning, FutureWarning)):
        print(f"ascore: {message}", file=sys.stderr)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        print(text, end="", file=file or sys.stderr)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": training.train,
    "resume": training.resume,
    "evaluate": runs.evaluate,
    "plot": runs.plot,
    "report": report.report,
    "watch": report.watch,
    "render": runs.render,
    "sweep": experiments.sweep,
    "reproduce": experiments.reproduce,
    "export": embedding.export,
    "--cmake-dir": embedding.cmake_dir,
    "--include-dir": embedding.include_dir,
    "envs": envs.envs,
    "bench": machine.bench,
    "check-env": envs.check_env,
    "doctor": machine.doctor,
}
