"""What a page says of a configuration: how it differs from its preset, and a command for it."""

from __future__ import annotations

import shlex
from typing import Any

from ascore.config import Config
from ascore.runs.groups import MACHINE


def differences(config: Config) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """`Config.differences` without the seed and the keys that say where and how fast it runs."""
    preset, changes = config.differences()
    return preset, {k: pair for k, pair in changes.items() if k not in {"seed", *MACHINE}}


def command(config: Config) -> str:
    """The command line that trains this configuration again; the machine's keys are left out."""
    preset, changes = differences(config)
    words = ["ascore", "train", config.env, "--algorithm", config.algorithm]
    words += ["--preset", preset] if preset not in ("", "tuned") else []
    for key, (_, value) in changes.items():
        words += _option(key, value)
    return shlex.join([*words, "--seed", str(config.seed)])


def _option(key: str, value: Any) -> list[str]:
    prefix, dot, name = key.partition(".")
    if dot:
        return [f"--{prefix}-param" if prefix == "algorithm" else "--env-param", f"{name}={value}"]
    option = key.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    values = value if isinstance(value, list) else [value]
    return [f"--{option}", *map(str, values)]
