"""What agents do, and the measures of it, against values by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import every

import ascore
from ascore.config import Config
from ascore.experiments import sweeps
from ascore.runs.deeds import MEASURES, Tally, measured, measures_of

LEFT, RIGHT, UP, STAY = 0, 1, 2, 4
CLEAN = FIRE = 5  # nobody turns, so in Cleanup and in Harvest it is the first action after STAY
# Places are taken from the last P on: agent 0 is on the right, agent 1 on the left. All face up.
TREES = "\n".join(["@@@@@", "@A A@", "@   @", "@P P@", "@@@@@"])
RIVER = "\n".join(["@@@@@", "@H B@", "@   @", "@P P@", "@@@@@"])


def orchard(**params: Any) -> ascore.VecEnv:
    return ascore.make(
        "harvest", 2, 0, map=TREES, turns=False, start="fixed", horizon=6,
        regrowth_1=0.0, regrowth_2=0.0, regrowth_3=0.0, **params,
    )  # fmt: skip


def tallied(env: ascore.VecEnv, plays: list[list[list[int]]]) -> Tally:
    env.reset()
    tally = Tally(env)
    for actions in plays:
        action = np.array(actions, dtype=np.int32)
        tally.step(action, np.ones(env.num_envs, dtype=np.bool_))
        env.step(action)
    return tally


def test_who_eats_and_when_by_hand() -> None:
    """In game 0 agent 0 eats in step 2, agent 1 in step 3; in game 1 agent 0 in step 5."""
    stay = [STAY, STAY]
    plays = [
        [[UP, STAY], stay], [[UP, UP], stay], [[STAY, UP], stay],
        [stay, [UP, STAY]], [stay, [UP, STAY]], [stay, stay],
    ]  # fmt: skip
    deeds = tallied(orchard(), plays).deeds()
    assert list(deeds) == ["eaten"]  # nobody can be hit
    eaten = deeds["eaten"]
    assert eaten.per_agent == [1.0, 0.5]
    assert eaten.shares == pytest.approx([2 / 3, 1 / 3])
    assert eaten.mean_step == pytest.approx((2 + 3 + 5) / 3)
    assert eaten.steps_without == pytest.approx(1 - 3 / (2 * 6 * 2))
    assert measured(deeds, "harvest-v1") == {"sustainability": pytest.approx(10 / 3)}


def test_who_is_hit_by_hand() -> None:
    """Agent 0 fires up from below agent 1, twice in game 0 and never in game 1."""
    env = orchard(fire=True)
    plays = [
        [[STAY, RIGHT], [STAY, STAY]],
        [[STAY, UP], [STAY, STAY]],
        [[LEFT, STAY], [STAY, STAY]],
        [[FIRE, STAY], [STAY, STAY]],
        [[FIRE, FIRE], [STAY, STAY]],
        [[STAY, STAY], [STAY, STAY]],
    ]
    deeds = tallied(env, plays).deeds()
    assert deeds["hit"].per_agent == [0.0, 1.0]
    assert deeds["hit"].shares == [0.0, 1.0]
    assert deeds["hit"].mean_step == 4.5
    assert deeds["hit"].steps_without == pytest.approx(1 - 2 / (2 * 6 * 2))
    values = measured(deeds, "harvest-v1")
    assert values == {"sustainability": None, "peace": pytest.approx(11 / 12)}


def test_who_cleans_by_hand() -> None:
    """Agent 1 stands below the river, agent 0 shoots at nothing."""
    env = ascore.make(
        "cleanup", 1, 0, map=RIVER, turns=False, start="fixed", horizon=6, waste_probability=0.0,
        threshold_depletion=0.5, apple_probability=0.0,
    )  # fmt: skip
    plays = [[[CLEAN, STAY]], [[CLEAN, CLEAN]], [[CLEAN, CLEAN]], *[[[STAY, STAY]]] * 3]
    deeds = tallied(env, plays).deeds()
    assert list(deeds) == ["eaten", "cleaned"]
    assert deeds["cleaned"].per_agent == [0.0, 1.0]
    assert deeds["cleaned"].mean_step == 2.0
    assert all(math.isnan(share) for share in deeds["eaten"].shares)
    assert deeds["eaten"].to_dict()["shares"] is None
    assert measured(deeds, "cleanup-v1") == {"sustainability": None}


def test_an_apple_that_is_worth_nothing_is_eaten() -> None:
    env = ascore.make(
        "cleanup", 1, 0, map=RIVER, turns=False, start="fixed", horizon=6, waste_probability=0.0,
        threshold_depletion=1.0, apple_probability=1.0, weights="0 1",
    )  # fmt: skip
    env.reset()
    eaten = 0
    for action in (CLEAN, CLEAN, UP, UP, STAY):
        step = np.array([[action, CLEAN]], dtype=np.int32)
        deeds = env.deeds(0, step)
        eaten += int(deeds["eaten"][0])
        env.step(step)
        assert env.reward[0, 0] == 0
    assert eaten == 1


@pytest.mark.parametrize(("name", "params"), every(lambda case: case.variants))
def test_the_record_says_what_is_told(name: str, params: dict[str, Any]) -> None:
    env = ascore.make(name, 2, 3, **params)
    env.reset()
    action = np.zeros((2, env.spec.num_agents), dtype=np.int64)
    record = ascore.ENVIRONMENTS[name]
    assert env.tells == bool(record.deeds)
    if not env.tells:
        with pytest.raises(ValueError, match=f"{name} does not tell what its agents do"):
            env.deeds(0, action)
        return
    before = env.save_state()
    deeds = env.deeds(1, action)
    assert list(deeds) == [key for key in record.deeds if key != "hit" or params.get("fire")]
    for counts in deeds.values():
        assert counts.dtype == np.int32
        assert counts.shape == (env.spec.num_agents,)
    assert (env.save_state() == before).all()
    assert all(measure.deed in record.deeds for measure in record.measures.values())
    with pytest.raises(IndexError, match=r"index = 2 is outside 0\.\.1"):
        env.deeds(2, action)
    with pytest.raises(ValueError, match="is outside 0"):
        env.deeds(0, action + 99)


def test_measures_have_one_meaning_each() -> None:
    assert MEASURES == ("sustainability", "peace")
    assert measures_of("exchange-v1") == measures_of("mine:Own") == {}


def test_evaluations_and_sweeps_have_them(tmp_path: Path) -> None:
    params = {"map": TREES, "turns": False, "start": "fixed", "fire": True, "horizon": 20}
    keys = {"num_envs": 2, "actor_hidden": (4,), "critic_hidden": (4,)}
    config = Config(env="harvest-v1", env_params=params, **keys)
    run = ascore.train(config.replace(episodes=4), tmp_path / "run")
    result = ascore.evaluate(run, episodes=30)
    eaten, hit = result.deeds["eaten"], result.deeds["hit"]
    assert sum(eaten.per_agent) > 0.5
    assert sum(hit.per_agent) > 0.5
    fired = 50 * sum(hit.per_agent) - (sum(eaten.per_agent) - result.team_return.mean)
    assert fired < 0  # what firing costs is all that is missing
    assert fired == pytest.approx(round(fired * 30) / 30)
    assert set(result.measures) == {"sustainability", "peace"}
    values = json.loads(json.dumps(result.to_dict()))
    assert values["measures"] == pytest.approx(result.measures)
    assert values["deeds"]["hit"]["shares"] == pytest.approx(hit.shares)


def test_a_table_of_a_sweep_has_a_column_for_each() -> None:
    row = {"setting": "as", "seconds": 9.0, "lowest_return": 0.0, "nash_welfare": 0.0}
    table = [
        row | {"seed": 0, "team_return": 1.0, "sustainability": 40.0, "peace": 0.5},
        row | {"seed": 1, "team_return": 2.0, "sustainability": None, "peace": 0.75},
    ]
    heads, _, cells = (line.split("|") for line in sweeps.as_markdown(table).splitlines()[:3])
    shown = dict(zip(map(str.strip, heads), map(str.strip, cells), strict=True))
    assert (shown["sustainability"], shown["peace"]) == ("40", "0.625")
