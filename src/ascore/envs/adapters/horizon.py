"""How long the episodes of a Python environment are, and which attribute says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ascore.envs.adapters.choices import Numbered
from ascore.envs.adapters.foreign import FAILURES, shown
from ascore.errors import EnvError

LONGEST = 2**31 - 1
"""Largest allowed horizon in steps."""

OURS = ("horizon", "max_cycles")
"""Attributes that mean nothing else: ours and PettingZoo's. Senseless values are reported."""

OTHERS = ("max_steps", "max_episode_steps", "_max_episode_steps", "max_timesteps", "episode_limit")
"""What other libraries call it; values that are no number of steps are ignored."""

INNER = ("env", "unwrapped", "aec_env", "par_env", "parallel_env", "raw_env", "_env", "base_env",
         "gym_env", "spec")  # fmt: skip
"""Where wrappers keep what they wrap."""

MOST_OBJECTS = 64

UNSTATED = (
    f"the environment has neither {' nor '.join(OURS)}, nor another attribute that says how long "
    "its episodes are"
)
REMEDY = (
    "give it an attribute `horizon`, the number of steps of the longest episode, or say so with "
    "--horizon N"
)


def find_horizon(env: Any) -> tuple[int, str]:
    """Maximum number of steps of an episode, and the attribute that says so.

    Outer wrappers are asked before what they wrap; the one that numbers actions is ours and knows
    nothing.

    Raises:
        EnvError: no attribute says so, or one of ours is no number of steps.
    """
    for place, holder in _nested(env.env if isinstance(env, Numbered) else env):
        ours = OURS if place in ("", "unwrapped.") else ()  # further in it may be another's word
        for name in (*OURS, *OTHERS):
            value = _attribute(holder, name)
            if value is None:
                continue
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if whole and 1 <= value <= LONGEST:
                return int(value), f"{place}{name}"
            if name in ours:
                raise EnvError(
                    topic="horizon",
                    found=f"{place}{name} = {shown(value)}",
                    remedy=f"set it to the number of steps of the longest episode, 1..{LONGEST}",
                )
    raise EnvError(topic="horizon", found=UNSTATED, remedy=REMEDY)


def _nested(env: Any) -> Iterator[tuple[str, Any]]:
    """The environment and all that it wraps, the outermost first, and the path to each."""
    seen, ahead = {id(env)}, [("", env)]
    while ahead and len(seen) < MOST_OBJECTS:
        place, holder = ahead.pop(0)
        yield place, holder
        for name in INNER:
            inner = _attribute(holder, name)
            plain = isinstance(inner, (str, bytes, int, float, list, tuple, dict))
            if inner is not None and not plain and not callable(inner) and id(inner) not in seen:
                seen.add(id(inner))
                ahead.append((f"{place}{name}.", inner))


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except FAILURES:
        return None
