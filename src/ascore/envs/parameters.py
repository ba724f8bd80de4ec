"""Values of parameters as text: on the command line, and in commands that we recommend."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

NONE = "None"
"""How a configuration file, which has no such value, writes None."""

_WORDS = {"true": True, "false": False, NONE: None}


def read_value(text: str) -> Any:
    """Reads a number, true, false, None, a list or a table; any other text is returned unchanged.

    What is in quotes is text.
    """
    if text in _WORDS:
        return _WORDS[text]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if not text.startswith(("[", "{")):
            return text
        try:
            value = json.loads(text)  # true, false and null
        except (ValueError, RecursionError):
            return text
    if isinstance(value, (int, float, str, list, tuple, dict)):
        return list(value) if isinstance(value, tuple) else value
    return text


def storable(text: str) -> bool:
    """Whether files and C can hold a text: it has no NUL and is Unicode."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


STORABLE = "text in UTF-8 without NUL"
"""What a text must be that is `storable`."""


def texts(value: object) -> Iterator[str]:
    """All texts in a value, those in lists and tables too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from texts(key)
            yield from texts(entry)


def as_text(value: object) -> str:
    """A value as configurations and sentences write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_text(value: Any) -> str:
    """The text that `read_value` reads as this value."""
    if isinstance(value, bool):
        return as_text(value)
    if isinstance(value, str):
        return value if read_value(value) == value else repr(value)
    return repr(value)


def as_options(params: Mapping[str, Any], option: str = "--env-param") -> str:
    """Parameters as options of a command, quoted for a shell, each with a space before it."""
    pairs = (f"{key}={value_text(value)}" for key, value in params.items())
    return "".join(f" {option} {shlex.quote(pair)}" for pair in pairs)
