"""Suggests what a module's name was meant to be, without importing anything."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

MOST_NAMES = 6
MOST_BYTES = 1 << 20  # of a module whose source is read for names
PARALLEL = "parallel_env"  # how such modules name what makes their environment

VERSIONED = re.compile(r".+_v\d+$")  # how PettingZoo and its relatives name environments


def near(name: str, names: Iterable[str]) -> str:
    """The names most like one, as a list in words; empty if there are none."""
    return ", ".join(difflib.get_close_matches(name, list(names), n=3))


def if_missing(module: str) -> str:
    """What to do if there is no such module."""
    if "/" in module or module.endswith(".py"):
        return "give the module's name (my_module), not its file"
    known, spec = _walk(module)
    if spec is None:
        alike = near(module.partition(".")[0], _top_level())
        return (
            f"{f'near it: {alike}; ' if alike else ''}run from the folder that contains it, set "
            f"PYTHONPATH, or pip install {module.partition('.')[0]} if it is a package"
        )
    rest = module[len(known) + 1 :].partition(".")[0]
    names = _modules_in(spec)
    alike = near(rest, names) or _few(names)
    return f"{known} has {alike}" if alike else f"{known} is a module, not a package"


def if_unknown(name: str) -> str | None:
    """What to write instead of an unknown environment's name; None if there is no suggestion."""
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    known, spec = _walk(name)
    if spec is None:
        return f"{name.partition('.')[0]} is not installed" if "." in name else None
    if known != name:
        return f"{if_missing(name)}; write MODULE:parallel_env"
    inside = [part for part in _modules_in(spec) if VERSIONED.match(part)]
    if inside:
        return (
            f"{name} is a package; write {name}.{inside[0]}:parallel_env, or one of {_few(inside)}"
        )
    makers = _makers(spec)
    if PARALLEL in makers:
        return f"it is a module: did you mean {name}:parallel_env?"
    choice = f", NAME one of {_few(makers)}" if makers else ""
    return f"it is a module: write {name}:NAME{choice}"


def _walk(module: str) -> tuple[str, ModuleSpec | None]:
    """The longest beginning of a module's name that exists, and where it is."""
    top, *rest = module.split(".")
    known, spec = top, _find_top(top)
    for part in rest:
        places = spec.submodule_search_locations if spec else None
        inner = PathFinder.find_spec(part, list(places)) if places else None
        if inner is None:
            break
        known, spec = f"{known}.{part}", inner
    return known, spec


def _find_top(name: str) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, [os.getcwd(), *sys.path]) or importlib.util.find_spec(
            name
        )
    except (ImportError, ValueError, OSError):
        return None


def _modules_in(spec: ModuleSpec) -> list[str]:
    names = {module.name for module in pkgutil.iter_modules(spec.submodule_search_locations or [])}
    return sorted(name for name in names if not name.startswith("_"))


def _makers(spec: ModuleSpec) -> list[str]:
    """Public functions and classes in a module's source, and `parallel_env` however it is made."""
    source = str(spec.origin)
    try:
        if not source.endswith(".py") or os.path.getsize(source) > MOST_BYTES:
            return []
        body = ast.parse(Path(source).read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    names: list[str] = []
    for part in body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            names.append(part.name)
        elif isinstance(part, ast.ImportFrom):
            names += [PARALLEL for each in part.names if (each.asname or each.name) == PARALLEL]
        elif isinstance(part, ast.Assign):
            names += [
                PARALLEL for to in part.targets if isinstance(to, ast.Name) and to.id == PARALLEL
            ]
    return [name for name in names if not name.startswith("_")]


def _top_level() -> set[str]:
    return {module.name for module in pkgutil.iter_modules([os.getcwd(), *sys.path])}


def _few(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
