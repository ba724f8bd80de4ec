"""Shared by several commands: parameters, results as text."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ascore.commands.output import standard_output
from ascore.envs.adapters.foreign import listening
from ascore.envs.parameters import read_value
from ascore.errors import Terminated, TrustError, UsageError
from ascore.runs.files import json_text

if TYPE_CHECKING:
    from ascore.runs.evaluation import Evaluation, Interval

T = TypeVar("T")


def outcome(run: Any, evaluation: Evaluation | None) -> dict[str, Any]:
    """A run and its evaluation as plain values for JSON."""
    return {
        "path": str(run.path),
        **run.summary,
        "evaluation": evaluation.to_dict() if evaluation is not None else None,
    }


def with_trust(call: Callable[[bool], T], trust: bool) -> T:
    """The result of `call(trust)`; someone at a terminal is asked instead of refused.

    Args:
        call: what may need leave to import what a file names; it must do nothing before it asks.
        trust: whether the user has given it on the command line.

    Raises:
        TrustError: nobody gave it.
    """
    try:
        return call(trust)
    except TrustError as error:
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        print(f"ascore: {error.question}", file=sys.stderr)
        print("Do you trust where it comes from? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise
    return call(True)


@contextlib.contextmanager
def staying() -> Iterator[Path]:
    """The current folder, to which it returns at the end: environments may go elsewhere."""
    here = Path.cwd()
    try:
        yield here
    finally:
        os.chdir(here)


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Says what other people's code keeps the command waiting for."""

    def say(what: str) -> None:
        print(f"ascore: waiting for {what}", file=sys.stderr, flush=True)

    with listening(say):
        yield


def print_json(value: Any) -> None:
    """Prints one object of strict JSON on standard output."""
    print(json_text(value), file=standard_output(), flush=True)


def interval(estimate: Interval, width: int = 0) -> str:
    """Formats a mean and its interval; the mean is at least `width` characters wide."""
    if estimate.n == 1:
        return f"{estimate.mean:{width}.2f}  over 1 episode, which gives no interval"
    low, high = estimate.ci95
    return f"{estimate.mean:{width}.2f}  [{low:.2f}, {high:.2f}] over {estimate.n} episodes"


def parameters(pairs: tuple[str, ...], option: str = "--env-param") -> dict[str, Any]:
    """Parses the NAME=VALUE pairs of an option.

    Raises:
        UsageError: a pair has no equals sign.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            message = f"{option} {pair!r} is not NAME=VALUE"
            raise UsageError(message)
        values[key] = read_value(text)
    return values


def stop_on_signal() -> Callable[[], bool]:
    """Handles SIGINT and SIGTERM; the result tells whether one has arrived, to save and stop.

    A second signal unwinds what runs, which closes environments; a third kills the process.
    """
    signals: list[int] = []

    def handle(number: int, frame: object) -> None:
        if signals:
            signal.signal(number, signal.SIG_DFL)
            raise Terminated(number)
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: bool(signals)
