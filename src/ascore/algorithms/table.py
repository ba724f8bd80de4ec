"""The table of algorithms: one file each, one row here."""

from __future__ import annotations

import difflib

from ascore.algorithms.anticipation import AS
from ascore.algorithms.contract import Algorithm
from ascore.algorithms.cppo import CPPO
from ascore.algorithms.ippo import IPPO
from ascore.algorithms.ps import PS
from ascore.algorithms.vps import VPS
from ascore.algorithms.vs import VS
from ascore.errors import ConfigError

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm for algorithm in (AS, IPPO, CPPO, VPS, VS, PS)
}


def get_algorithm(name: str) -> Algorithm:
    """The record of that name; an unknown name is an error that lists what there is."""
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    near = difflib.get_close_matches(name, ALGORITHMS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    message = f"unknown algorithm {name!r}; {hint}there is: {', '.join(ALGORITHMS)}"
    raise ConfigError(message)


__all__ = ["ALGORITHMS", "Algorithm", "get_algorithm"]
