"""One word for one thing: no two classes of one name, and no words that have gone come back."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "ascore"

# Classes of one name in several modules, and why that is one thing.
SHARED = {
    "Keys": "what an algorithm adds to a configuration; one in the file of each algorithm",
    "VecEnv": "ascore.reference has the slow twin, which stands in for it",
}

# Names that classes and functions no longer have: what to say instead.
GONE = {
    "World": "Ranks (processes of one run), Workload (what a bench times) or Panel (of a figure)",
    "Bound": "a limit: Bound of ascore.theory; the measuring stick is the yardstick",
    "fused": "engine (compiled networks) or kernel (Numba)",
    "told": "the value",
    "found": "the value",
    "said": "the value",
}
ALLOWED = {("theory", "Bound")}

# Variables that name no value. Rooms that are free of them; in the end all.
VAGUE = {"told", "found", "said"}
ROOMS_WITHOUT = ("algorithms", "envs")


@cache
def modules() -> dict[str, ast.Module]:
    """Trees by name, such as learning.batch."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def definitions(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> dict[str, list[str]]:
    """Modules by the name of what they define at their top level."""
    places = defaultdict(list)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, kind):
                places[node.name].append(module)  # type: ignore[attr-defined]
    return places


def words(name: str) -> set[str]:
    """A name, and the parts that underscores make of it."""
    return {name.strip("_"), *name.split("_")}


def variables(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that are assigned or are parameters, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_no_class_is_named_as_another() -> None:
    several = {name: at for name, at in definitions(ast.ClassDef).items() if len(at) > 1}
    assert several.keys() == SHARED.keys(), several


@pytest.mark.parametrize("word", sorted(GONE))
def test_no_class_or_function_bears_a_word_that_has_gone(word: str) -> None:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bearers = {
        (module, name)
        for name, at in definitions(kinds).items()
        if word in words(name)
        for module in at
    }
    assert bearers <= ALLOWED, f"say {GONE[word]}"


@pytest.mark.parametrize("room", ROOMS_WITHOUT)
def test_variables_name_their_value(room: str) -> None:
    vague = [
        f"{module}:{line} {name}"
        for module, tree in modules().items()
        if module.split(".")[0] == room
        for name, line in variables(tree)
        if name in VAGUE
    ]
    assert vague == []


def test_the_checks_see_what_they_look_for() -> None:
    tree = ast.parse("told = 1\ndef f(said):\n    for found in said: pass\n")
    assert {name for name, _ in variables(tree)} == VAGUE
    assert words("_what_was_told") >= {"told"}
    assert {module.split(".")[0] for module in modules()} >= set(ROOMS_WITHOUT)
    assert definitions(ast.ClassDef)["Policy"] == ["runs.policy"]
