"""Values as text in the metadata of an exported policy; C++ reads them in the same way."""

from __future__ import annotations

import math
import re
from typing import Any

from ascore.envs.parameters import NONE, read_value

LONGEST = 10_000
"""Letters of a list that is read; what is longer is text."""

_DIGITS, _WHOLE = re.compile("[0-9]+"), re.compile("[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def text(about: dict[str, str], key: str) -> str:
    """The value of a key that must be there."""
    if key not in about:
        message = f'its metadata lack "{key}"'
        raise ValueError(message)
    return about[key]


def whole(about: dict[str, str], key: str, most: int) -> int:
    """A whole number in 1..most."""
    value = text(about, key)
    digits = value.lstrip("0")
    if not _DIGITS.fullmatch(value) or len(digits) > 19 or not 1 <= int(digits or 0) <= most:
        message = f'{key} = "{value:.60}" is not in 1..{most}'
        raise ValueError(message)
    return int(digits)


def wholes(about: dict[str, str], key: str, most: int) -> tuple[int, ...]:
    """Whole numbers in 1..most with commas between them."""
    parts = text(about, key)[:LONGEST].split(",")
    return tuple(whole({key: part}, key, most) for part in parts)


def number(about: dict[str, str], key: str) -> float:
    """A finite number."""
    value = text(about, key)
    if not _DECIMAL.fullmatch(value) or not math.isfinite(float(value)):
        message = f'{key} = "{value:.60}" is not a number'
        raise ValueError(message)
    return float(value)


def as_value(value: str) -> Any:
    """A parameter's value from its text."""
    if value in ("true", "false", NONE):
        return read_value(value)
    if value.startswith(("[", "{")) and len(value) <= LONGEST:
        return read_value(value)
    if _WHOLE.fullmatch(value):
        return int(value)
    if _DECIMAL.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return value
