"""Values of the configuration: converted to the type of their key, or refused by name."""

from __future__ import annotations

import math
import numbers
import reprlib
from typing import Any, Literal, TypeAlias, get_args, get_origin

import numpy as np
import numpy.typing as npt

from ascore.envs.parameters import NONE, STORABLE, storable
from ascore.errors import ConfigError
from ascore.reading import DEEPEST_KEY

ParamValue: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

MOST_ROWS = 1024
"""Agents whose links may be written as a matrix of digits."""

_LARGEST = float(np.finfo(np.float32).max)

# How values are shown in messages: a matrix of links in full, a megabyte of text not.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlong = 60
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 20


def coerce(key: str, value: Any, hint: Any) -> Any:
    """A value converted to the type of its key.

    Raises:
        ConfigError: another type, or a number that is not finite.
    """
    origin = get_origin(hint)
    if origin is Literal:
        choices = get_args(hint)
        if isinstance(value, bool) and str(value).lower() in choices:
            value = str(value).lower()  # --set reads the word true as a flag
        require(key, value, value in choices, "one of " + ", ".join(map(str, choices)))
        return value
    if origin is tuple:
        ok = isinstance(value, (list, tuple, np.ndarray)) and all(_is_whole(v) for v in value)
        require(key, value, ok, "a list of whole numbers")
        return tuple(int(v) for v in value)
    if origin is dict:
        ok = isinstance(value, dict) and all(isinstance(name, str) for name in value)
        require(key, value, ok, "a table of parameter values")
        for name in value:
            require(f"a name in {key}", name, storable(name), STORABLE)
        return {name: _plain(f"{key}[{name!r}]", entry) for name, entry in value.items()}
    if hint is float:
        number = _number(value)
        require(key, value, math.isfinite(number), "a finite number")
        require(key, value, abs(number) <= _LARGEST, "at most 3.4e38: it is used as a float32")
        return number
    if hint is int:
        require(key, value, _is_whole(value), "a whole number")
        return int(value)
    if hint is bool:
        require(key, value, isinstance(value, (bool, np.bool_)), "true or false")
        return bool(value)
    require(key, value, isinstance(value, str), "text")
    require(key, value, storable(value), STORABLE)
    return str(value)


def _is_whole(value: Any) -> bool:
    """Any integral type, Python's or NumPy's, but no boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _plain(key: str, value: Any, depth: int = 0) -> ParamValue:
    """A parameter as one of the types that TOML and JSON hold; the word None is None.

    Tuples become lists, so that a callable gets the same from the command line, from a run and from
    an exported policy.
    """
    rule = f"nested at most {DEEPEST_KEY // 2} deep"
    require(f"{key:.80}", value, depth < DEEPEST_KEY // 2, rule)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or (isinstance(value, str) and value == NONE):
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(f"{key}[{k}]", entry, depth + 1) for k, entry in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        for name in value:
            require(f"a name in {key}", name, storable(name), STORABLE)
        return {name: _plain(f"{key}[{name!r}]", entry, depth + 1) for name, entry in value.items()}
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str):
        require(key, value, storable(value), STORABLE)
        return str(value)
    if _is_whole(value):
        return int(value)
    number = _number(value)
    require(key, value, math.isfinite(number), "true, false, None, a finite number, text or a list")
    return number


def _number(value: Any) -> float:
    """Any real type as a float; nan for other types and for numbers too large for a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def require(key: str, value: Any, ok: bool, rule: str) -> None:
    """Raises ConfigError with the key, its value and the rule unless `ok`."""
    if not ok:
        message = f"{key} = {_SHORT.repr(value)} is not allowed; it must be {rule}"
        raise ConfigError(message)


FORMS: dict[str, tuple[float, float]] = {
    "top": (1, 1024),
    "bits": (1, 16),
    "sampled": (1, 1024),
    "noise": (1e-3, 100),
}
"""Least and largest number of every form of messages but `full`, which has none."""


def read_form(text: str) -> tuple[str, float]:
    """Name and number of a form of messages: "bits-4" is ("bits", 4), "full" is ("full", 0).

    Raises:
        ConfigError: no such form, or its number is out of range.
    """
    name, _, digits = text.partition("-")
    low, high = FORMS.get(name, (math.nan, math.nan))
    plain = digits.replace(".", "", 1) if name == "noise" else digits
    number = float(digits) if plain.isdecimal() and plain.isascii() else math.nan
    rule = (
        "full, top-K, bits-B, sampled-M with whole numbers (K and M 1..1024, B 1..16), or noise-S "
        "with a deviation of 0.001..100 nats, as in top-2, bits-4, sampled-8 and noise-0.5"
    )
    require("message_form", text, text == "full" or low <= number <= high, rule)
    return ("full", 0.0) if text == "full" else (name, number)


def read_matrix(text: str) -> npt.NDArray[np.bool_]:
    """Links from rows of digits: "011,101,110" is the complete graph of three agents.

    Row i, digit j: 1 where i hears j.

    Raises:
        ConfigError: not square, another character than 0 and 1, or an agent that hears itself.
    """
    rows = text.replace(" ", "").split(",")
    if len(rows) > MOST_ROWS:
        message = (
            f"graph_matrix has {len(rows):,} rows, more than {MOST_ROWS:,}; for so many agents "
            "choose a graph by its name, such as ring, nearest or random_one"
        )
        raise ConfigError(message)
    if not text or any(len(row) != len(rows) or set(row) - {"0", "1"} for row in rows):
        message = (
            f"graph_matrix = {text!r:.60} is not a square of 0 and 1; "
            'write N rows of N digits with commas between them, as in "010,101,010"'
        )
        raise ConfigError(message)
    links = np.array([[digit == "1" for digit in row] for row in rows])
    if links.diagonal().any():
        own = int(np.flatnonzero(links.diagonal())[0])
        message = (
            f"graph_matrix = {text!r:.60} lets agent {own} hear itself; its digit {own} must be 0"
        )
        raise ConfigError(message)
    return links
