"""Shipped settings: a TOML file per environment and preset, and one for all other environments."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from ascore.errors import ConfigError
from ascore.reading import toml

FOLDER = resources.files("ascore") / "presets"
OWN = FOLDER / "own.toml"
"""What environments start from that have no preset of their own, such as MODULE:CALLABLE."""


def preset_names() -> list[tuple[str, str]]:
    """(environment, preset) of every preset that one environment has, as ("exchange", "paper")."""
    stems = [Path(f.name).stem for f in FOLDER.iterdir() if f.name.endswith(".toml")]
    pairs = sorted(stem.rsplit("-", 1) for stem in stems if stem != "own")
    return [(env, preset) for env, preset in pairs]


def read_preset(env: str, preset: str) -> dict[str, Any]:
    """Keys and values of a preset, with the full name of the environment.

    Args:
        env: name of an environment, with or without its version, or MODULE:CALLABLE.
        preset: such as "tuned", which every environment has.

    Raises:
        ConfigError: there is no such preset; lists what there is.
        ValueError: there is no such environment.
    """
    from ascore.envs.table import canonical_name

    name = env if ":" in env else canonical_name(env)
    have = [p for e, p in preset_names() if name.startswith(f"{e}-v")]
    file = FOLDER / f"{name.rsplit('-v', 1)[0]}-{preset}.toml"
    if not have:
        have, file = ["tuned"], OWN
    if preset not in have:
        message = f"no preset {preset!r} for {name}; choose from: {', '.join(have)}"
        raise ConfigError(message)
    return {**toml(file.read_bytes()), "env": name}


def preset_values(env: str) -> list[dict[str, Any]]:
    """What every preset of an environment sets.

    Args:
        env: full name of an environment, or MODULE:CALLABLE.
    """
    have = [preset for name, preset in preset_names() if env.startswith(f"{name}-v")]
    return [read_preset(env, preset) for preset in have or ["tuned"]]
