"""The manifest of a checkpoint: plain values beside its tensors, with a checksum of itself.

Whoever reads it may rely on every key that is read anywhere, and on its type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ascore._core import __version__
from ascore.errors import CheckpointError
from ascore.reading import JSON_LIMIT, read_regular, strict_json
from ascore.runs.files import json_text

FORMAT = 1
CHECKSUM = "checksum"
MOST = 2**24
"""Agents or actions that a manifest may speak of; far more than can be trained."""
_BLANK = "0" * 64  # stands for the checksum while it is computed
_KEYS = {"format", "ascore", "update", "sha256", "spec", "extra", "config"}


def compose(tensors: bytes | str, values: dict[str, Any]) -> bytes:
    """The manifest's bytes.

    Args:
        tensors: bytes of the file of tensors, or their SHA-256 in hexadecimal digits.
        values: update, spec, extra and config.
    """
    head = {
        CHECKSUM: _BLANK,
        "format": FORMAT,
        "ascore": __version__,
        "sha256": tensors if isinstance(tensors, str) else hashlib.sha256(tensors).hexdigest(),
    }
    data = json_text({**head, **values}, indent=1).encode()
    return data.replace(_BLANK.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def read(path: Path) -> dict[str, Any]:
    """Reads a manifest; those of version 0.1.0 have no checksum of themselves.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is damaged; the message says where.
        CheckpointError: it is of a newer format.
    """
    data = read_regular(path, JSON_LIMIT)
    values = strict_json(data)
    if not isinstance(values, dict) or type(values.get("format")) is not int:
        message = f"{path.name} has no format"
        raise ValueError(message)
    if values["format"] != FORMAT:
        message = (
            f"checkpoint {path.parent} has format {values['format']}, this version reads {FORMAT}; "
            f"install ascore {values.get('ascore')}"
        )
        raise CheckpointError(message)
    if CHECKSUM in values:
        digest = str(values.pop(CHECKSUM)).encode()
        if hashlib.sha256(data.replace(digest, _BLANK.encode(), 1)).hexdigest().encode() != digest:
            message = f"{path.name} has a wrong checksum"
            raise ValueError(message)
    elif values.keys() - _KEYS:
        message = f"{path.name} has the unknown key {min(values.keys() - _KEYS)!r}"
        raise ValueError(message)
    require(values, _MANIFEST, path.name)
    return values


Rule = Callable[[Any], bool]


def _whole(low: int, high: int = 2**63 - 1) -> Rule:
    return lambda value: type(value) is int and low <= value <= high


def is_number(value: Any) -> bool:
    """A number that is neither negative nor absurd."""
    return type(value) in (int, float) and 0 <= value < 1e300


def is_text(value: Any) -> bool:
    """Text."""
    return isinstance(value, str)


def _list_of(rule: Rule, at_least: int = 0) -> Rule:
    return lambda value: (
        isinstance(value, list) and len(value) >= at_least and all(map(rule, value))
    )


def table_of(rule: Rule) -> Rule:
    """A table whose values all keep to a rule."""
    return lambda value: isinstance(value, dict) and all(map(rule, value.values()))


_MANIFEST: dict[str, Any] = {
    "update": _whole(0),
    "ascore": is_text,
    "sha256": is_text,
    "spec": {
        "num_agents": _whole(1, MOST),
        "num_actions": _whole(1, MOST),
        "obs_scale?": is_number,
        "action_counts?": _list_of(_whole(1), at_least=1),
    },
    "extra": {
        "actor": {
            "sizes": _list_of(_whole(1), at_least=2),
            "layout": lambda value: value in ("multihead", "separate"),
            "heads": _whole(1),
            "agents?": _whole(1),
        },
        "logs": {"metrics.jsonl": _whole(0), "metrics.csv": _whole(0)},
        "episodes": _whole(0),
        "seconds": is_number,
        "sent": table_of(table_of(_list_of(_whole(0)))),
    },
    "config": {
        "env": is_text,
        "env_params": lambda value: isinstance(value, dict),
        "algorithm": is_text,
        "seed": _whole(0, 2**64 - 1),
        "num_envs": _whole(1),
    },
}


def require(values: Any, rules: dict[str, Any], where: str) -> None:
    """Raises ValueError for the first key that is missing or of another kind.

    Args:
        values: plain values, as JSON holds them.
        rules: of each key, that its value keeps to a rule, or the rules of a table; a key that
            ends in "?" may be missing.
        where: what the message calls the values.
    """
    if not isinstance(values, dict):
        message = f"{where} is no table"
        raise ValueError(message)
    for name, rule in rules.items():
        key = name.removesuffix("?")
        if key not in values:
            if key == name:
                message = f"{where} has no {key!r}"
                raise ValueError(message)
        elif isinstance(rule, dict):
            require(values[key], rule, f"{where}: {key}")
        elif not rule(values[key]):
            message = f"{where} has {key} = {values[key]!s:.60}"
            raise ValueError(message)
