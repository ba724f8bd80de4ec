"""What several commands need: exit statuses, parameters, results as text."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ascore.runs.evaluation import Evaluation, Interval

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def outcome(run: Any, found: Evaluation | None) -> dict[str, Any]:
    """A run and what it is worth, as plain values for JSON."""
    return {
        "path": str(run.path),
        **run.summary,
        "evaluation": found.to_dict() if found is not None else None,
    }


def interval(found: Interval, width: int = 0) -> str:
    """A mean with its interval, as text; the mean is `width` wide."""
    low, high = found.ci95
    return f"{found.mean:{width}.2f}  [{low:.2f}, {high:.2f}] over {found.n} episodes"


def parameters(pairs: tuple[str, ...], option: str = "--env-param") -> dict[str, Any]:
    """NAME=VALUE pairs of an option as values.

    Raises:
        ValueError: no equals sign.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            message = f"{option} {pair!r} is not NAME=VALUE"
            raise ValueError(message)
        values[key] = value(text)
    return values


def value(text: str) -> Any:
    """A number, true, false or a list where a text reads so, else the text."""
    word = {"true": "True", "false": "False"}.get(text, text)
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return text


def stop_on_signal() -> Callable[[], bool]:
    """Asks whether SIGINT or SIGTERM has come: time to finish the update and save.

    A second one ends the process as if nobody had listened.
    """
    caught: list[int] = []

    def handle(number: int, frame: object) -> None:
        if caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: bool(caught)
