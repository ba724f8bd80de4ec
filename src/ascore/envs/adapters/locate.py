"""Finds what MODULE:CALLABLE names, and says why it cannot be found."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ascore._core import HarvestV1, __version__
from ascore.errors import EnvError

if TYPE_CHECKING:
    from ascore._core import CoreVecEnv


def load(target: str) -> Callable[..., Any]:
    """The function or class called MODULE:CALLABLE.

    Raises:
        EnvError: no such module or name in it, or the import fails.
    """
    found = find(target, "my_module:make_env")
    if not callable(found):
        raise EnvError(
            topic="loading",
            found=f"{target} is a {type(found).__name__}, which cannot be called",
            remedy="name a function or class that returns a new environment",
        )
    result: Callable[..., Any] = found
    return result


def find(target: str, example: str) -> Any:
    """What is called MODULE:NAME.

    The current folder is searched too, as `python -m` does and an installed script does not.

    Args:
        target: the name.
        example: of a name, for the error.

    Raises:
        EnvError: no such module or name in it, or the import fails.
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
        found: Any = importlib.import_module(module)
    except Exception as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent is not None and f"{module}.".startswith(f"{absent}."):
            hint = "run from the folder that holds it, or set PYTHONPATH"
            if module.endswith((".py", "/")) or "/" in module:
                hint = "give the module's name (my_module), not its file"
            raise EnvError(
                topic="loading", found=f"there is no module {module!r}", remedy=hint
            ) from error
        raise EnvError(
            topic="loading",
            found=f"module {module!r} cannot be imported: {crash(error)}",
            remedy="fix the import",
        ) from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise EnvError(
                topic="loading",
                found=f"module {module!r} has no {path!r}",
                remedy=f"name something that is there, as in {example}",
            )
        found = getattr(found, name)
    return found


def is_compiled(found: object) -> bool:
    """Whether it is a class that `ascore/python/vec_env.hpp` made of a C++ environment."""
    return isinstance(found, type) and hasattr(found, "parameter_docs")


def build_compiled(
    found: Callable[..., Any],
    target: str,
    params: Mapping[str, Any],
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
) -> CoreVecEnv:
    """A batch of an environment that was compiled elsewhere.

    Raises:
        EnvError: its module was compiled from headers of another interface.
        ValueError: a parameter out of range or unknown.
    """
    theirs = getattr(found, "interface", 0)
    if theirs != HarvestV1.interface:
        raise EnvError(
            topic="loading",
            found=f"{target} was compiled for interface {theirs} of ascore, and ascore "
            f"{__version__} has interface {HarvestV1.interface}",
            remedy="compile it again with the headers in `python -m ascore --include-dir`",
        )
    return cast("CoreVecEnv", found(num_envs, seed, first_env, num_threads, dict(params)))


def crash(error: BaseException) -> str:
    """An exception in one line, with the place it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"
