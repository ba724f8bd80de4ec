"""The built-in environments, as the views for other libraries need them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ascore.envs.factory import in_python, make
from ascore.envs.vec_env import VecEnv


def built_in(
    name: str, num_envs: int, seed: int | None, num_threads: int, params: dict[str, Any], other: str
) -> VecEnv:
    """A batch of a built-in environment.

    Args:
        name: name of the environment, with or without its version.
        num_envs: number of environments.
        seed: 0..2**64-1; None = a new one each time.
        num_threads: threads that step them; 0 = as many as pay.
        params: parameters of the environment.
        other: what is said, after its name, of an environment that is written in Python.

    Raises:
        ValueError: it is written in Python, or as `make`.
        TypeError: as `make`.
    """
    if in_python(name):
        message = f"{name} {other}"
        raise ValueError(message)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return make(name, num_envs, seed, num_threads=num_threads, **params)
