"""What several commands need: exit statuses, parameters, results as text."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ascore.evaluation import Evaluation, Interval

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


def parameters(pairs: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE pairs as values: numbers, true and false where they read so, else text.

    Raises:
        ValueError: no equals sign.
    """
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
