"""Errors a person can act on: each message names the thing, the value and the remedy."""

from __future__ import annotations


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
