"""The table of environments."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator

from ascore.envs import catalogue
from ascore.envs.nearby import if_unknown
from ascore.envs.record import Environment


def _records() -> Iterator[Environment]:
    """Yields the records of all modules in the catalogue, ordered by module name."""
    for module in pkgutil.iter_modules(catalogue.__path__):
        yield importlib.import_module(f"{catalogue.__name__}.{module.name}").RECORD


ENVIRONMENTS: dict[str, Environment] = {record.name: record for record in _records()}
"""The record of every environment, by name."""


def canonical_name(name: str) -> str:
    """The full name of an environment: "exchange" or "exchange-v1" -> "exchange-v1".

    Raises:
        ValueError: the name is unknown; the message lists the known ones and the closest.
    """
    if not isinstance(name, str):
        message = f"name = {name!r} is a {type(name).__name__}; it must be an environment's name"
        raise TypeError(message)
    if name in ENVIRONMENTS:
        return name
    newest = [known for known in ENVIRONMENTS if known.rsplit("-v", 1)[0] == name]
    if newest:
        return newest[-1]
    near = difflib.get_close_matches(
        name, [*ENVIRONMENTS, *(n.rsplit("-v", 1)[0] for n in ENVIRONMENTS)], n=1
    )
    hint = f"did you mean {near[0]!r}? " if near else ""
    elsewhere = None if near else if_unknown(name)
    if elsewhere is not None:
        hint = f"{elsewhere}; "
    message = f"unknown environment {name!r}; {hint}choose from: {', '.join(ENVIRONMENTS)}"
    raise ValueError(message)
