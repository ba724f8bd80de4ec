"""The one door to every environment: built-in ones by name, other people's by MODULE:CALLABLE.

What comes out is a `VecEnv` in either case, so nobody behind this door asks where it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ascore import envs
from ascore.envs import VecEnv


def is_external(name: str) -> bool:
    """Whether a name is MODULE:CALLABLE, somebody else's environment, and not one of the table."""
    return isinstance(name, str) and ":" in name


def make(
    name: str,
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
    **params: Any,
) -> VecEnv:
    """A batch of environments.

    Args:
        name: environment, with or without its version; or MODULE:CALLABLE of a class compiled from
            a C++ environment, or of a function or class that returns a PettingZoo `ParallelEnv`
            (needs the extra `pettingzoo`).
        num_envs: B, at least 1.
        seed: 0..2**64-1; with the number of an environment it keys all that environment draws.
        num_threads: 0 = as many as the work is worth; results do not depend on it. Python
            environments always run in one.
        first_env: number of the first environment of the batch.
        params: the environment's own parameters, `ascore envs` lists them; for a Python environment
            the keyword arguments of the callable.

    Raises:
        ValueError: unknown name or parameter, or a value out of range; names the value and what is
            allowed.
        TypeError: a parameter of another type.
        EnvError: somebody else's environment that cannot be loaded or trained on; `ascore
            check-env` explains.
    """
    return batch(name, params, num_envs, seed, num_threads, first_env)


def batch(
    name: str,
    params: Mapping[str, Any],
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
) -> VecEnv:
    """`make` with the parameters in a table, where one may be called `name` or `seed` as well."""
    if not is_external(name):
        return envs.make(name, num_envs, seed, num_threads, first_env, **params)
    envs.check_place(num_envs, seed, first_env, num_threads)
    from ascore.interop.locate import build_compiled, is_compiled, load

    found = load(name)
    if is_compiled(found):
        core = build_compiled(found, name, params, num_envs, seed, num_threads, first_env)
        return VecEnv(core, name)
    from ascore.interop.external import PythonCore

    return VecEnv(PythonCore(name, num_envs, seed, first_env, params), name)


def anchor_values(name: str, params: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(label, team return) of the anchors that hold; a Python environment has none."""
    return [] if is_external(name) else envs.anchor_values(name, params)
