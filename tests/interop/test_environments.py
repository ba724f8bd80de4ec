"""Other people's environments as examples/environments has them, and what its pages say of them."""

from __future__ import annotations

import ast
import csv
import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

import ascore

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "environments"
RESULTS = ROOT / "docs" / "environments"

# Game -> what it needs, agents, numbers of actions.
GAMES = {
    "spread": ("mpe2", 3, {5}),
    "reference": ("mpe2", 2, {50}),
    "tag": ("mpe2", 4, {5}),
    "adversary": ("mpe2", 3, {5}),
    "crypto": ("mpe2", 3, {4}),
    "foraging": ("lbforaging", 2, {6}),
    "archers": ("pygame", 4, {6}),
    "pursuit": ("scipy", 4, {5}),
    "noughts": ("pygame", 2, {9}),
    "connect_four": ("pygame", 2, {7}),
    "cells": ("mobile_env", 5, {4}),
    "beach": ("momaland", 10, {3}),
    "signals": ("sumo_rl", 4, {4}),
    "cologne": ("sumo_rl", 3, {3, 4}),
}
SMALL = {"num_envs": 2, "rollout_steps": 8, "iterations": 1, "minibatches": 1, "episodes": 50,
         "actor_hidden": [8], "critic_hidden": [8]}  # fmt: skip


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def module(name: str) -> ModuleType:
    """A program of the folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"environments_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def constructors() -> dict[str, ast.FunctionDef]:
    body = ast.parse((FOLDER / "games.py").read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def test_every_constructor_has_at_most_ten_lines() -> None:
    assert set(GAMES) <= set(constructors())
    for name, function in constructors().items():
        lines = sum(
            (statement.end_lineno or 0) - statement.lineno + 1 for statement in function.body[1:]
        )
        assert 1 <= lines <= 10, name


@pytest.mark.filterwarnings("ignore")  # of other people's packages
@pytest.mark.parametrize("game", GAMES)
def test_it_is_trained_as_it_is(game: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, agents, counts = GAMES[game]
    if not has(package):
        pytest.skip(f"there is no package {package}; pip install 'ascore[environments]'")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    for algorithm in ("as", "ippo"):
        config = ascore.Config(f"games:{game}", algorithm=algorithm, **SMALL)
        run = ascore.train(config, tmp_path / algorithm, stop=lambda: True)
        policy = ascore.load_policy(run.path, trust=True)
        assert policy.num_agents == agents
        assert set(policy.action_counts) == counts
        (update,) = run.metrics
        assert len(update["entropy"]) == agents
        assert 0 < max(update["entropy"]) <= math.log(max(counts)) + 1e-6


@pytest.mark.skipif(not has("gymnasium"), reason="there is no package gymnasium")
def test_what_shows_nothing_at_its_end_keeps_what_it_showed_before() -> None:
    """As mobile-env does, whose last observations are an empty dictionary."""
    from gymnasium import Env
    from gymnasium.spaces import Box, Dict, Discrete

    from ascore.envs.adapters.several import several

    class Fading(Env):  # type: ignore[type-arg]
        action_space = Dict({"a": Discrete(2), "b": Discrete(2)})
        observation_space = Dict({"a": Box(0, 9, (1,)), "b": Box(0, 9, (1,))})

        def reset(self, **_: object) -> tuple[dict[str, list[int]], dict[str, object]]:
            self.time = 0
            return {"a": [0], "b": [0]}, {}

        def step(self, action: object) -> tuple[object, ...]:
            self.time += 1
            over = self.time == 3
            shown = {} if over else {"a": [self.time], "b": [self.time]}
            return shown, {"a": 1.0, "b": 2.0}, False, over, {}

    env = several(Fading())
    assert env is not None
    env.reset()
    seen = [env.step({"a": 0, "b": 0})[0] for _ in range(3)]
    assert seen == [{"a": [t], "b": [t]} for t in (1, 2, 2)]
    assert env.agents == []


def rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_has_the_returns_of_all_runs() -> None:
    study = module("study")
    runs = rows("returns")
    seeds: dict[tuple[str, str], set[str]] = {}
    for row in runs:
        seeds.setdefault((row["game"], row["algorithm"]), set()).add(row["seed"])
        assert row["settings"] == study.settings(row["game"])
    assert all(each == set("01234") for each in seeds.values())
    assert study.table(runs) in (ROOT / "docs" / "environments.md").read_text()


def test_the_page_has_what_the_registry_came_to() -> None:
    registry = module("registry")
    tried = rows("registry")
    assert [registry.short(name) for name in registry.MODULES] == [
        row["environment"] for row in tried
    ]
    assert all("trained" in (row["as shipped"], row["with it"]) for row in tried)
    assert registry.table(tried) in (ROOT / "docs" / "environments.md").read_text()


def test_the_page_has_the_steps_per_second() -> None:
    measure = module("measure")
    measured = rows("speed") if (RESULTS / "speed.csv").exists() else []
    page = (ROOT / "docs" / "environments.md").read_text()
    assert measure.fill(page, measured) == page
    made = [{"game": "tag", "agents": 4, "workers_1": "2000", "workers_2": "3500"}]
    lines = measure.fill(page, made).splitlines()
    place = lines.index(measure.BEGIN)
    assert lines[place + 1 : place + 5] == [
        "| environment | agents | 1 worker | 2 workers | gain |",
        "|---|---:|---:|---:|---:|",
        "| `tag` | 4 | 2,000 | 3,500 | 1.75 |",
        measure.END,
    ]
    with pytest.raises(ValueError, match="put them where the table belongs"):
        measure.fill("no marks", made)
