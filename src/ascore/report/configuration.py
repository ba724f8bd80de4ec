"""A configuration as what differs from the nearest preset, and the command that trains it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from ascore.config import Config, preset_names
from ascore.envs.factory import is_external
from ascore.errors import ConfigError
from ascore.report.sources import UNSHOWN

# They name the run or stand beside its name; all else is a difference.
_NAMED = {"env", "algorithm"}


@dataclass(frozen=True)
class Differences:
    """What a configuration sets other than a preset does.

    Attributes:
        preset: name of the preset; "" = the defaults of `Config`.
        base: the preset.
        changed: key -> (value of the preset, value of the configuration), environment parameters
            as env.NAME; keys that only say where and how fast a run is computed are left out.
    """

    preset: str
    base: Config
    changed: dict[str, tuple[Any, Any]]


def differences(config: Config) -> Differences:
    """Differences from the preset of the environment that leaves the fewest of them."""
    candidates = [("", Config(env=config.env, algorithm=config.algorithm))]
    if not is_external(config.env):
        names = [preset for env, preset in preset_names() if config.env.startswith(f"{env}-v")]
        for name in sorted(names, key=lambda name: name != "tuned"):  # of equals, the default one
            try:
                base = Config.preset(config.env, algorithm=config.algorithm, preset=name)
            except (ConfigError, ValueError):  # an environment of another version
                continue
            candidates.append((name, base))
    compared = [Differences(name, base, _changed(base, config)) for name, base in candidates]
    named = [each for each in compared if each.preset] or compared
    return min(named, key=lambda each: len(each.changed))


def _changed(base: Config, config: Config) -> dict[str, tuple[Any, Any]]:
    before, after = _flat(base), _flat(config)
    keys = [key for key in (*after, *before) if before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in dict.fromkeys(keys)}


def _flat(config: Config) -> dict[str, Any]:
    values = {k: v for k, v in config.to_dict().items() if k not in UNSHOWN | _NAMED}
    for prefix, key in (("env.", "env_params"), ("algorithm.", "algorithm_params")):
        values |= {prefix + name: value for name, value in values.pop(key).items()}
    return values


def command(config: Config) -> str:
    """The command line that trains this configuration again; the machine's keys are left out."""
    against = differences(config)
    words = ["ascore", "train", config.env, "--algorithm", config.algorithm]
    words += ["--preset", against.preset] if against.preset not in ("", "tuned") else []
    for key, (_, value) in against.changed.items():
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
