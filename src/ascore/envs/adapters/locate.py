"""Imports the object that MODULE:CALLABLE names, and explains why it cannot be found."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ascore import _core
from ascore.envs.adapters.foreign import FAILURES, asking, crash, waiting_for
from ascore.envs.nearby import if_missing, near
from ascore.errors import EnvError

if TYPE_CHECKING:
    from ascore._core import CoreVecEnv


def load(target: str) -> Callable[..., Any]:
    """Imports the function or class MODULE:CALLABLE.

    Raises:
        EnvError: the module or name does not exist, or the import fails.
    """
    create = find(target, "my_module:make_env")
    if not callable(create):
        raise EnvError(
            topic="loading",
            found=f"{target} is a {type(create).__name__}, which cannot be called",
            remedy="name a function or class that returns a new environment",
        )
    result: Callable[..., Any] = create
    return result


def find(target: str, example: str) -> Any:
    """Imports the object MODULE:NAME.

    The current folder is searched too, as with `python -m` but not with an installed script.

    Args:
        target: MODULE:NAME.
        example: an example of a target, for the error message.

    Raises:
        EnvError: the module or name does not exist, or the import fails.
    """
    module, _, path = target.partition(":")
    if not module or not path:
        raise EnvError(
            topic="loading",
            found=f"{target!r} is not MODULE:NAME",
            remedy=f"write {example}",
        )
    here = os.getcwd()
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    try:
        with waiting_for(f"the import of {module}"):
            value: Any = importlib.import_module(module)
    except FAILURES as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent is not None and f"{module}.".startswith(f"{absent}."):
            problem = f"there is no module {module!r}"
            raise EnvError(topic="loading", found=problem, remedy=if_missing(module)) from error
        raise EnvError(
            topic="loading",
            found=f"module {module!r} cannot be imported: {crash(error)}",
            remedy="fix the import",
        ) from error
    for name in path.split("."):
        with asking(f"{module}:{path}", "loading"):
            if not hasattr(value, name):
                alike = near(name, (key for key in dir(value) if not key.startswith("_")))
                raise EnvError(
                    topic="loading",
                    found=f"module {module!r} has no {path!r}",
                    remedy=f"near it: {alike}"
                    if alike
                    else f"use an existing name, as in {example}",
                )
            value = getattr(value, name)
    return value


def is_compiled(value: object) -> bool:
    """Whether the object is a C++ environment class bound by `ascore/python/vec_env.hpp`."""
    return isinstance(value, type) and hasattr(value, "parameter_docs")


def build_compiled(
    create: Callable[..., Any],
    target: str,
    params: Mapping[str, Any],
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
) -> CoreVecEnv:
    """Creates a batch of an environment that was compiled outside this package.

    Raises:
        EnvError: its module was compiled with headers of another interface version.
        ValueError: a parameter is unknown or out of range.
    """
    interface = getattr(create, "interface", 0)
    if interface != _core.interface:
        raise EnvError(
            topic="loading",
            found=f"{target} was compiled for interface {interface} of ascore, and ascore "
            f"{_core.__version__} has interface {_core.interface}",
            remedy="recompile it with the headers in `python -m ascore --include-dir`",
        )
    return cast("CoreVecEnv", create(num_envs, seed, first_env, num_threads, dict(params)))
