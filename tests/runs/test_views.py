"""What Python and notebooks show of configurations, runs, environments and policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run

import ascore
from ascore.config import preset_names

PRESETS = preset_names()


@pytest.mark.parametrize(("env", "preset"), PRESETS)
def test_a_preset_is_shown_by_its_name_alone(env: str, preset: str) -> None:
    config = ascore.Config.preset(env, "ippo", preset)
    name = "" if preset == "tuned" else f", preset={preset!r}"
    assert repr(config) == f"Config.preset('{env}-v1', algorithm='ippo'{name})"


@pytest.mark.parametrize(
    "config",
    [
        ascore.Config.preset("exchange", seed=3, actor_hidden=(32, 16), penalty_weight=2.5),
        ascore.Config.preset("predation", preset="crowd", env_params={"num_agents": 20}),
        ascore.Config(env="orchard:Orchard", algorithm="my:ALGORITHM", horizon=9),
        ascore.Config(env="harvest-v1", episodes=7),
        ascore.Config.preset("predation", preset="crowd", env_params={"mixed": "pairwise"}),
        ascore.Config.preset("predation", preset="crowd").replace(env_params={}),
        ascore.Config(env="predation-v99", algorithm="ia", algorithm_params={"alpha": 2.0}),
    ],
    ids=lambda config: config.env,
)
def test_the_text_of_a_configuration_makes_it_again(config: ascore.Config) -> None:
    again = eval(repr(config), {"Config": ascore.Config})
    assert again == config


def test_a_configuration_shows_what_differs_from_its_preset() -> None:
    config = ascore.Config.preset("exchange", seed=3, penalty_weight=2.5)
    assert repr(config) == (
        "Config.preset('exchange-v1', algorithm='as', seed=3, penalty_weight=2.5)"
    )
    assert config.differences() == ("tuned", {"seed": (0, 3), "penalty_weight": (8.0, 2.5)})
    other = config.replace(env_params={"num_agents": 2})
    assert other.differences()[1]["env.num_agents"] == (None, 2)
    page = config._repr_html_()
    assert "penalty_weight" in page
    assert "actor_lr" not in page
    assert "All else as in the preset tuned." in page
    other = ascore.Config(env="exchange-v99")  # a version that has no preset
    assert "Everything as in the defaults." in other._repr_html_()
    assert "Everything as in the preset tuned." in ascore.Config.preset("a:B")._repr_html_()


def test_a_run_shows_its_outcome_and_the_anchors(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", [-100.0, -62.5])
    assert repr(run) == (
        f"Run({str(run.path)!r}: as on predation-v1, seed 0; finished, 64 episodes; team return "
        "-62.50 at the end of training; anchors: random -120, selfish -180, cooperative -60)"
    )
    page = run._repr_html_()
    assert "-62.50" in page
    assert "cooperative -60" in page
    other = made_run(tmp_path / "other", [-100.0], finished=False)
    assert "not finished, 1 updates logged" in repr(other)


@pytest.mark.parametrize("damage", ["summary.json", "metrics.jsonl"])
def test_a_damaged_run_can_be_looked_at(tmp_path: Path, damage: str) -> None:
    run = made_run(tmp_path / "run", [-100.0], finished=damage == "summary.json")
    (run.path / damage).write_text("{")
    (run.path / damage).write_text("[]\n" if damage == "metrics.jsonl" else "[]")
    assert "cannot be read: " in repr(run)
    assert "cannot be read: " in run._repr_html_()


def test_environments_are_one_line() -> None:
    env = ascore.make("exchange", num_envs=64)
    words = "'exchange-v1', 3 agents, 6 actions, obs float32 [1, 12], horizon 300"
    assert repr(env.spec) == f"Spec({words})"
    assert repr(env) == f"VecEnv(64 x {words})"


def test_different_numbers_of_actions_show() -> None:
    spec = ascore.Spec("x", 2, 5, (3,), "float32", 10, 2, tuple("abcde"), action_counts=(2, 5))
    assert repr(spec) == "Spec('x', 2 agents, 2 to 5 actions, obs float32 [2, 3], horizon 10)"


def policy(networks: int) -> ascore.Policy:
    ones: Any = [np.ones((networks, 4, 8), np.float32), np.ones((networks, 8), np.float32)]
    last: Any = [np.ones((networks, 8, 6), np.float32), np.ones((networks, 6), np.float32)]
    return ascore.Policy("exchange-v1", {}, [tuple(ones), tuple(last)], {}, 1.0, 3, 6)


def test_policies_and_evaluations_are_one_line(tmp_path: Path) -> None:
    assert repr(policy(3)) == "Policy('exchange-v1', 3 agents, 6 actions, 3 networks 4-8-6)"
    config = ascore.Config.preset("predation", num_envs=2, episodes=2, env_params={"num_agents": 2})
    run = ascore.train(config, tmp_path / "run")
    text = repr(ascore.evaluate(run, episodes=5))
    assert text.startswith("Evaluation(team return -")
    assert "over 5 episodes; per agent -" in text
    assert max(len(text), len(repr(run.policy)), len(repr(config))) < 200


def test_errors_are_exported() -> None:
    import ascore.errors

    names = {
        name
        for name, value in vars(ascore.errors).items()
        if isinstance(value, type)
        and value.__module__ == "ascore.errors"
        and name not in ("Terminated", "UsageError")
    }
    ours = {"Terminated", "UsageError"}  # of the command line
    assert names - ours == names & set(ascore.__all__)


@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i2", "uint16", ">i4", "int64", "uint64"])
def test_actions_of_any_integer_type_are_checked_and_taken(dtype: str) -> None:
    envs = [ascore.make("exchange", num_envs=4) for _ in range(2)]
    for env in envs:
        env.reset()
    action = np.arange(12).reshape(4, 3) % 6
    envs[0].step(action.astype(np.int32))
    envs[1].step(action.astype(dtype))
    assert np.array_equal(envs[0].obs, envs[1].obs)
    with pytest.raises(ValueError, match=r"action\[0, ?0\] = 7 is outside 0..5"):
        envs[1].step(np.full((4, 3), 7, dtype))
    for other in (action.astype(np.float32), action > 1, action.tolist()):
        with pytest.raises(TypeError):
            envs[1].step(other)
