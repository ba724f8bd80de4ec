"""Errors of the package: each message names the thing, the value and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

EXTRAS = {
    "torch": "train",
    "numba": "train",
    "rich": "train",
    "safetensors": "train",
    "tomli_w": "train",
    "tomli": "train",
    "matplotlib": "plot",
    "mlflow": "mlflow",
    "pandas": "pandas",
    "wandb": "wandb",
    "PIL": "render",
    "gymnasium": "pettingzoo",
    "pettingzoo": "pettingzoo",
    "onnx": "onnx",
    "torchrl": "torchrl",
    "tensordict": "torchrl",
    "cryptography": "parties",
    "google": "parties",
    "grpc": "parties",
}
"""Packages that are imported when they are needed, and the extra of this package that has each."""


class AscoreError(Exception):
    """Base class of expected errors; the command line prints them as one line."""


class AscoreWarning(UserWarning):
    """A setting has no or an unexpected effect; the command line prints it as one line."""


class Terminated(BaseException):
    """A signal ends the command; it unwinds what runs, so that environments are closed.

    It is no `SystemExit`, which foreign code may raise and which is reported as its failure.

    Attributes:
        status: of the process, 128 plus the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


class ConfigError(AscoreError, ValueError):
    """A configuration key is unknown, or its value is not allowed."""


class UsageError(AscoreError, ValueError):
    """The command line cannot be read, or something is missing on it."""


class RunError(AscoreError, OSError):
    """A run folder cannot be created, read or written."""


class CheckpointError(AscoreError, ValueError):
    """A checkpoint is missing, damaged, or does not belong to this configuration."""


class TrustError(AscoreError, ValueError):
    """A file names code to import and is not trusted.

    Attributes:
        question: the code that would be imported, and the file that names it.
    """

    def __init__(self, file: str | Path, names: Mapping[str, str]) -> None:
        keys = " and ".join(f"{key} = {name}" for key, name in names.items())
        modules = dict.fromkeys(name.partition(":")[0] for name in names.values())
        what = f"module{'s' if len(modules) > 1 else ''} {' and '.join(modules)}"
        self.question = f"{file} says {keys}, which would import the {what} and run its code"
        super().__init__(
            f"{self.question}; if you trust the origin of the file, add --trust "
            "(trust=True in Python)"
        )


class NonFiniteError(AscoreError, ArithmeticError):
    """A loss, gradient or parameter is no longer finite."""


class EnvError(AscoreError, ValueError):
    """A Python environment cannot be trained on, or violates the interface during training.

    Attributes:
        topic: part of the interface, such as "actions".
        found: the problem.
        remedy: how to fix it.
    """

    def __init__(self, topic: str, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.topic, self.found, self.remedy = topic, found, remedy


class RankError(AscoreError, ConnectionError):
    """The ranks of a run cannot connect, have lost one of them, or disagree."""


class PartyError(AscoreError, ConnectionError):
    """A party cannot start, or what it was sent is not what it must be."""
