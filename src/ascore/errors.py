"""Errors a person can act on: each message names the thing, the value and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class AscoreError(Exception):
    """Base of every error raised on purpose; the command line prints it as one line."""


class AscoreWarning(UserWarning):
    """Something works, but not as its author may think; the command line prints it as one line."""


class ConfigError(AscoreError, ValueError):
    """A configuration key is unknown, or its value is outside what the key allows."""


class RunError(AscoreError, OSError):
    """A run folder cannot be created, read or written."""


class CheckpointError(AscoreError, ValueError):
    """A checkpoint is missing, damaged, or does not belong to this configuration."""


class TrustError(AscoreError, ValueError):
    """A file names code to import, and nobody said that the file may be trusted.

    Attributes:
        question: what would be imported, from which file.
    """

    def __init__(self, file: str | Path, names: Mapping[str, str]) -> None:
        keys = " and ".join(f"{key} = {name}" for key, name in names.items())
        modules = dict.fromkeys(name.partition(":")[0] for name in names.values())
        what = f"module{'s' if len(modules) > 1 else ''} {' and '.join(modules)}"
        self.question = f"{file} says {keys}, which would import the {what} and run code of it"
        super().__init__(
            f"{self.question}; if you trust where the file comes from, add --trust "
            "(trust=True in Python)"
        )


class NonFiniteError(AscoreError, ArithmeticError):
    """A loss, gradient or parameter stopped being a finite number."""


class EnvError(AscoreError, ValueError):
    """A Python environment cannot be trained on, or broke its own rules on the way.

    Attributes:
        topic: what it is about, such as "actions".
        found: what is wrong.
        remedy: what to do about it.
    """

    def __init__(self, topic: str, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.topic, self.found, self.remedy = topic, found, remedy


class RankError(AscoreError, ConnectionError):
    """The processes of a run cannot meet, have lost one of them, or do not agree."""
