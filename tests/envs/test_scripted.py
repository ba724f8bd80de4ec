"""What scripted policies plan with, held against the environments and against slow ways to know."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ascore
from ascore.envs.table import ENVIRONMENTS
from ascore.experiments.anchors import play, team_returns
from ascore.scripted import scripts
from ascore.scripted.board import CLEAN, FAR, Sight, look
from ascore.scripted.cleanup import Beams
from ascore.scripted.harvest import growth_gained
from ascore.scripted.uniform import uniformly_random

ROOM = """
@@@@@@@@@
@P A@AA @
@ A @   @
@   P A@@
@A@@@@A @
@AP@A@ A@
@@@@@@@@@
"""
RIVER = """
@@@@@@@@@@
@HRH P  B@
@HHH@ B  @
@RHH   HB@
@HHRH  BB@
@@@@@@@@@@
"""


def after_steps(name: str, steps: int, **params: Any) -> ascore.VecEnv:
    env = ascore.make(name, num_envs=20, seed=5, **params)
    env.reset()
    for _ in range(steps):
        env.step(uniformly_random(env))
    return env


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cleanup", {}),
        ("harvest", {"num_agents": 3}),
        ("cleanup", {"map": RIVER, "num_agents": 1}),
        ("harvest", {"map": ROOM, "profile": "features"}),
    ],
    ids=["cleanup", "harvest", "river", "room"],
)
def test_what_is_seen_is_what_is_there(name: str, params: dict[str, Any]) -> None:
    env = after_steps(name, 40, **params)
    sight = look(env)
    for b in range(env.num_envs):
        seen = env.inspect(b)
        width = seen["walls"].shape[1]
        cells = sight.board.cells
        np.testing.assert_array_equal(sight.apples[:, b], seen["apples"].ravel()[cells])
        if name == "cleanup":
            assert sight.waste is not None
            np.testing.assert_array_equal(sight.waste[:, b], seen["waste"].ravel()[cells])
        at = cells[sight.agents[b]]
        np.testing.assert_array_equal(np.stack(np.divmod(at, width), axis=1), seen["agents"])
        np.testing.assert_array_equal(sight.orientation[b], seen["orientation"])


def walked(walls: NDArray[np.uint8], start: tuple[int, int]) -> dict[tuple[int, int], int]:
    """Steps to every cell that can be reached."""
    steps, ahead = {start: 0}, deque([start])
    while ahead:
        row, col = ahead.popleft()
        for to in ((row - 1, col), (row, col + 1), (row + 1, col), (row, col - 1)):
            if not walls[to] and to not in steps:
                steps[to] = steps[row, col] + 1
                ahead.append(to)
    return steps


def test_distances() -> None:
    env = after_steps("harvest", 0, map=ROOM)
    board = look(env).board
    walls = env.inspect()["walls"]
    places = [tuple(map(int, divmod(cell, walls.shape[1]))) for cell in board.cells]
    unreachable = 0
    for i, start in enumerate(places):
        steps = walked(walls, start)
        for j, end in enumerate(places):
            assert board.distance[i, j] == steps.get(end, FAR)
            unreachable += end not in steps
    assert unreachable  # the room has a closet


def test_cells_around() -> None:
    env = after_steps("harvest", 30, map=ROOM)
    sight = look(env)
    width = env.inspect()["walls"].shape[1]
    rows, cols = np.divmod(sight.board.cells, width)
    near = np.maximum(np.abs(rows[:, None] - rows), np.abs(cols[:, None] - cols)) == 1
    np.testing.assert_array_equal(
        sight.board.sum_around(sight.apples.astype(np.int64)), near @ sight.apples.astype(np.int64)
    )


def test_growth_gained() -> None:
    """Against the growth to be expected with and without each apple, added up in full."""
    sight = look(after_steps("harvest", 60))
    rates = np.array([0.0, 0.005, 0.02, 0.05], np.float32)
    board = sight.board
    gained = growth_gained(sight, rates)

    def growth(apples: NDArray[np.bool_]) -> float:
        company = board.sum_around(apples[:, None].astype(np.int64))[:, 0]
        return float(rates[np.minimum(company, 3)][board.orchard & ~apples].sum())

    for b in range(3):
        apples = sight.apples[:, b]
        for cell in np.flatnonzero(apples):
            without = apples.copy()
            without[cell] = False
            change = growth(without) - growth(apples)
            # Sums of some sixty numbers up to 0.05, each rounded to single precision.
            assert gained[cell, b] == pytest.approx(change, abs=60 * 0.05 * 2.0**-22)


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("board_map", ["cleanup_top", RIVER], ids=["top", "river"])
def test_a_shot_cleans_what_was_planned(profile: str, board_map: str) -> None:
    """With one agent nothing is in the way of a beam, and with waste_probability 0 none returns."""
    params = {"profile": profile, "map": board_map, "waste_probability": 0.0}
    env = after_steps("cleanup", 0, num_agents=1, **params)
    shots = 0
    for _ in range(100):
        sight = look(env)
        assert sight.waste is not None
        waste = np.concatenate([sight.waste, np.zeros_like(sight.waste[:1])])
        beams = Beams.of(sight.board, env.params["beam_length"], profile == "features")
        everywhere = np.arange(env.num_envs)
        here, aim = sight.agents[:, 0], sight.orientation[:, 0]
        hits = beams.hits(waste)[here, aim, everywhere]
        shot = np.where(everywhere % 2 == 0, here * 4 + aim, -1)  # every other one shoots
        beams.shoot(waste, shot)
        action = np.where(everywhere[:, None] % 2 == 0, CLEAN, uniformly_random(env) % CLEAN)
        env.step(action.astype(np.int32))
        after: Sight = look(env)
        assert after.waste is not None
        if not env.truncated.any():
            np.testing.assert_array_equal(after.waste, waste[:-1])
            cleaned = (sight.waste & ~after.waste).sum(axis=0)
            np.testing.assert_array_equal(cleaned, np.where(shot >= 0, hits, 0))
            shots += int(cleaned.sum())
        env.step(uniformly_random(env) % CLEAN)
    assert shots > 100


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_same_seed_plays_the_same_games(name: str) -> None:
    """Whatever the number of environments side by side."""
    for label, script in scripts(name).items():
        together = team_returns(name, script, 8, seed=3)
        again = team_returns(name, script, 8, seed=3)
        assert together.tolist() == again.tolist(), label
        alone = team_returns(name, script, 3, seed=3)
        assert together[:3].tolist() == alone.tolist(), label


@pytest.mark.parametrize(
    ("name", "params", "remedy"),
    [
        ("cleanup", {"obs_mode": "rgb"}, "obs_mode = 'planes'"),
        ("harvest", {"obs_mode": "local"}, "obs_mode = 'planes'"),
        ("exchange", {"eaten": "flag"}, "eaten = 'minus_one'"),
        ("exchange", {"open_range": 1}, "open_range = 0"),
        ("navigation", {"block": True}, "block = False"),
        ("navigation", {"num_agents": 5}, "at most 4 agents on 6 x 6 cells"),
    ],
    ids=str,
)
def test_scripts_refuse_what_they_are_not_for(
    name: str, params: dict[str, Any], remedy: str
) -> None:
    env = ascore.make(name, **params)
    env.reset()
    with pytest.raises(ValueError, match=remedy):
        scripts(env.spec.name)["cooperative"](env)


@pytest.mark.parametrize("script", ["selfish", "cooperative"])
def test_navigation_is_played_alike_whatever_is_observed(script: str) -> None:
    returns = [
        team_returns("navigation-v1", scripts("navigation-v1")[script], 20, 2, **params).tolist()
        for params in ({}, {"obs_order": "self_first"}, {"obs_mode": "nearest", "nearest": 1})
    ]
    assert returns[0] == returns[1] == returns[2]


def test_exchange_opens_all_boxes_at_once() -> None:
    """No plan takes fewer than 4.96 steps on average, and none needs more than 8.

    This one gives every agent a box; one agent for two of them is sometimes a step faster.
    """
    env = ascore.make("exchange", num_envs=1_000, seed=4, early_end=True, horizon=9)
    env.reset()
    steps = np.zeros(env.num_envs)
    running = np.ones(env.num_envs, np.bool_)
    while running.any():
        env.step(scripts("exchange-v1")["cooperative"](env))
        steps[running] += 1
        running &= ~(env.terminated | env.truncated)
    assert steps.max() <= 8
    assert 4.8 < steps.mean() < 5.2


@pytest.mark.parametrize("name", ["cleanup", "harvest"])
def test_grids_pay_for_apples_only(name: str) -> None:
    env = ascore.make(name, num_envs=50, seed=6)
    for label, script in scripts(env.spec.name).items():
        env.reset()
        paid = set()
        for _ in range(env.spec.horizon):
            env.step(script(env))
            paid |= set(np.unique(env.reward).tolist())
        expected = {0.0} if (name, label) == ("cleanup", "selfish") else {0.0, 1.0}
        assert paid == expected, label


def test_the_agents_of_a_script_share_the_apples() -> None:
    """Nobody is left standing while the others eat."""
    for name in ("harvest-v1", "cleanup-v1"):
        env = ascore.make(name, num_envs=20, seed=7, num_agents=2)
        harvesters = [0, 1] if name == "harvest-v1" else [1]
        env.reset()
        eaten = np.zeros((20, 2))
        for _ in range(env.spec.horizon):
            env.step(scripts(name)["cooperative"](env))
            eaten += env.reward
        assert (eaten[:, harvesters] > 10).all()


def test_play_counts_one_episode() -> None:
    env = ascore.make("predation", num_envs=3)
    assert play(env, scripts("predation-v1")["selfish"]).tolist() == [-720.0] * 3
