"""Stops a build at a public name without a sentence, and runs Doxygen over the headers.

Docstrings of this package are plain text in Google's style; here they become reStructuredText.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError, PycodeError
from sphinx.pycode import ModuleAnalyzer

ROOT = Path(__file__).resolve().parent.parent.parent
XML = ROOT / "docs" / "_build" / "doxygen"
HEADERS = {"core": "cpp/include/ascore", "python": "python/vec_env.hpp"}
"""Projects of breathe; two headers have one name, which it could not tell apart in one project."""

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Source|Yields):$")
TRAILING = re.compile(r"^ {4}(\w+): [^#\n]*# (.+)$", re.MULTILINE)


def trailing_comments(kind: type) -> dict[str, str]:
    """What stands behind the fields of a dataclass, as in `action: Tensor  # i64 [M, N]`."""
    return dict(TRAILING.findall(inspect.getsource(kind)))


def sentences_below(module: str) -> set[tuple[str, str]]:
    """(class or "", name) of the values in a module that have a sentence below them."""
    try:
        return set(ModuleAnalyzer.for_module(module).find_attr_docs())
    except PycodeError:  # it has no source
        return set()


def explained(kind: type) -> set[str]:
    """Fields of a dataclass that have a sentence: in its docstring, below, or behind them."""
    text = inspect.getdoc(kind) or ""
    listed = set(re.findall(r"^ {4}(\w+): ", text.partition("Attributes:")[2], re.MULTILINE))
    below = sentences_below(kind.__module__)
    return (
        listed
        | {name for owner, name in below if owner == kind.__name__}
        | {*trailing_comments(kind)}
    )


def undocumented(name: str, value: Any) -> Iterator[str]:
    """Public names in and below a value that nothing explains."""
    if isinstance(value, (type, FunctionType)) and not inspect.getdoc(value):
        yield name
    if not isinstance(value, type):
        return
    if is_dataclass(value):
        own = {field.name for field in fields(value) if not field.name.startswith("_")}
        yield from (f"{name}.{field}" for field in sorted(own - explained(value)))
    for key, member in vars(value).items():
        plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        explains = inspect.isfunction(plain) or isinstance(plain, (property, cached_property))
        if explains and not key.startswith("_") and not plain.__doc__:
            yield f"{name}.{key}"


def public(module: ModuleType) -> list[str]:
    """Names that a module offers: its `__all__`; or what it defines, and values with a sentence."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("_")]
    values = {name for owner, name in sentences_below(module.__name__) if not owner}
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, TypeVar)
        and (name in values or getattr(value, "__module__", None) == module.__name__)
    ]


def require_sentences(module: ModuleType) -> None:
    """Raises ExtensionError for the public names of a module that have no sentence."""
    missing = [
        entry
        for name in public(module)
        for entry in undocumented(f"{module.__name__}.{name}", getattr(module, name))
    ]
    if missing:
        message = f"give these a docstring: {', '.join(missing)}"
        raise ExtensionError(message)


def as_rest(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Turns a docstring into what napoleon and reStructuredText understand."""
    if is_dataclass(value) and what == "class" and "Attributes:" not in lines:
        comments = trailing_comments(value)
        if comments:
            lines += ["", "Attributes:", *(f"    {key}: {text}" for key, text in comments.items())]
    rest: list[str] = [""] if what in ("attribute", "data", "property") else []
    literal = in_section = False
    for line in lines:
        in_section |= SECTION.match(line) is not None
        if line.strip() and not line.startswith("    "):
            literal = False
        if not in_section and not literal and line.startswith("    ") and not _last(rest).strip():
            rest += ["::", ""]
            literal = True
        rest.append(line if literal else escaped(line))
    lines[:] = rest


def _last(lines: list[str]) -> str:
    return lines[-1] if lines else ""


def escaped(line: str) -> str:
    """A line in which no character but the backtick has a meaning; `code` becomes ``code``."""
    parts = line.split("`")
    if len(parts) % 2 == 0 or "``" in line:
        return line
    for index, part in enumerate(parts):
        plain = re.sub(r"([*|])", r"\\\1", part)
        plain = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", plain)
        plain = re.sub(r"(: +\w)\.", r"\1\\.", plain)  # "num_agents: N." is no numbered list
        parts[index] = f"``{part}``" if index % 2 else plain
    return "".join(parts)


def doxygen(app: Sphinx) -> None:
    """Writes the XML of the headers that breathe reads.

    Raises:
        ExtensionError: Doxygen is missing, or a public name has no comment.
    """
    if shutil.which("doxygen") is None:
        message = "doxygen is not installed; install it (apt install doxygen, brew install doxygen)"
        raise ExtensionError(message)
    options = (ROOT / "docs" / "_site" / "Doxyfile").read_text()
    for name, headers in HEADERS.items():
        folder = XML / name
        folder.mkdir(parents=True, exist_ok=True)
        given = f"{options}INPUT = {headers}\nOUTPUT_DIRECTORY = {folder}\n"
        result = subprocess.run(
            ["doxygen", "-"], input=given, cwd=ROOT, capture_output=True, text=True
        )
        if result.returncode or result.stderr:
            message = f"doxygen: {result.stderr}"
            raise ExtensionError(message)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension."""
    app.connect("builder-inited", doxygen)
    app.connect("autodoc-process-docstring", as_rest, priority=400)  # before napoleon
    return {"parallel_read_safe": True}
