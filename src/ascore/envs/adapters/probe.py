"""Learns how long episodes are where nothing says so: by random play, the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.foreign import waiting_for
from ascore.envs.adapters.horizon import REMEDY, UNSTATED
from ascore.envs.legal import drawn
from ascore.errors import EnvError

EPISODES = 10
LONGEST = 2_000
"""Steps within which every episode of the probe must end by itself."""

SLACK = 2
"""Trained play may last longer than random play; where it lasts shorter, nothing is lost but the
meaning of `episodes`."""


@dataclass(frozen=True)
class Learned:
    """The horizon that a probe has given.

    Attributes:
        horizon: steps after which episodes are truncated.
        shortest: of the episodes played.
        longest: of the episodes played.
    """

    horizon: int
    shortest: int
    longest: int

    def __str__(self) -> str:
        if self.shortest == self.longest:
            span = f"{self.longest} steps each"
        else:
            span = f"{self.shortest} to {self.longest} steps"
        return f"{EPISODES} episodes of random play ended by themselves after {span}"


def learn_horizon(name: str, params: Mapping[str, Any], action_bins: int = 0) -> Learned:
    """Plays episodes at random in one copy, with seed 0 whatever the seed of the run.

    Where all last equally long that is the horizon; else it is twice the longest, rounded up to two
    digits.

    Args:
        name: MODULE:CALLABLE.
        params: keyword arguments of the callable.
        action_bins: values that each entry of a continuous action can have; 0 = none.

    Raises:
        EnvError: an episode goes on for too long, or the environment fails.
    """
    lengths: list[int] = []
    core = PythonCore(name, 1, 0, 0, params, horizon=LONGEST + 1, action_bins=action_bins)
    with closing(core), waiting_for(f"{EPISODES} episodes of random play in {name}"):
        core.reset()
        uniform = np.empty((1, core.num_agents), dtype=np.float32)
        everything = core.everything()
        length = 0
        while len(lengths) < EPISODES:
            core.uniforms(uniform)
            core.step(drawn(everything if core.legal is None else core.legal, uniform))
            length += 1
            if length > LONGEST:
                raise EnvError(
                    topic="horizon",
                    found=f"{UNSTATED}, and an episode of random play went on after {LONGEST:,} "
                    "steps",
                    remedy=REMEDY,
                )
            if core.terminated[0] or core.truncated[0]:
                lengths.append(length)
                length = 0
    shortest, longest = min(lengths), max(lengths)
    return Learned(longest if shortest == longest else _slack(longest), shortest, longest)


def _slack(steps: int) -> int:
    """Twice as many, rounded up to two digits."""
    wanted = SLACK * steps
    unit = int(10 ** max(0, len(str(wanted)) - 2))
    return -(-wanted // unit) * unit
