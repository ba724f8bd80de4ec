"""The punishing beam of Cleanup and Harvest, on the Python references."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from grid_boards import (
    CLEAN,
    FACING_DOWN,
    FACING_LEFT,
    FACING_RIGHT,
    FACING_UP,
    IN_ORDER,
    LEFT,
    REVERSED,
    STAY,
    STEPS,
    Counting,
    Scripted,
    act,
    cleanup,
    harvest,
    stream,
)

from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.harvest import Harvest, HarvestParams

FIRE = {"harvest": 7, "cleanup": 8}
WIDE = "\n" + ("A" * 15 + "\n") * 14 + "PP" + "A" * 13


def test_only_those_who_can_fire_have_the_action() -> None:
    assert Harvest().num_actions == 7
    assert Cleanup().num_actions == 8
    assert Harvest(HarvestParams(fire=True)).action_names[FIRE["harvest"] :] == ("fire",)
    names = Cleanup(CleanupParams(fire=True)).action_names
    assert names[CLEAN:] == ("clean", "fire")
    straight = CleanupParams(fire=True, turns=False)
    assert Cleanup(straight).action_names == tuple(a for a in names if "turn" not in a)


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_what_fire_reaches(profile: str, length: int, orientation: int) -> None:
    """The same cells as cleaning; one other agent at a time, everywhere around the shooter."""
    (down, right), (side_down, side_right) = STEPS[orientation], STEPS[(orientation + 1) % 4]
    reached = set()
    for ahead, side in itertools.product(range(-7, 8), repeat=2):
        if ahead == side == 0:
            continue
        cell = (7 + ahead * down + side * side_down, 7 + ahead * right + side * side_right)
        agents = [(7, 7, orientation), (*cell, FACING_UP)]
        world = harvest(WIDE, *agents, fire=True, profile=profile, beam_length=length)
        reward = act(world, FIRE["harvest"], STAY)
        assert reward[0] == -1
        assert reward[1] in (0, -50)
        if reward[1]:
            reached.add((ahead, side))
    if profile == "ssd":
        middle = {(ahead, 0) for ahead in range(1, length + 1)}
        assert reached == middle | {(ahead, side) for ahead in range(length) for side in (-1, 1)}
    else:
        cells = {(ahead, side) for ahead in range(length + 1) for side in (-1, 0, 1)}
        assert reached == cells - {(0, 0)}


ROW = "\nPPPPPPPA\n"


@pytest.mark.parametrize(
    ("profile", "expected"), [("ssd", [-1, -50, 0, 0]), ("features", [-1, -50, -50, -50])]
)
def test_agents_end_a_lane(profile: str, expected: list[float]) -> None:
    agents = [(0, 0, FACING_RIGHT), *((0, col, FACING_UP) for col in (2, 3, 5))]
    world = harvest(ROW, *agents, fire=True, profile=profile)
    assert act(world, FIRE["harvest"], STAY, STAY, STAY) == expected


def test_walls_and_the_edge_of_the_map_end_a_lane() -> None:
    text = "\nPP@PP\nPPPP@\nA@PPP\n"
    others = [(0, 3, 0), (1, 3, 0), (2, 3, 0)]
    world = harvest(text, (1, 1, FACING_RIGHT), *others, fire=True)
    assert act(world, FIRE["harvest"], STAY, STAY, STAY) == [-1, 0, -50, 0]
    alone = harvest(text, (0, 4, FACING_UP), fire=True)
    assert act(alone, FIRE["harvest"]) == [-1]


def test_every_beam_costs_whom_it_hits_and_what_is_eaten_still_counts() -> None:
    agents = [(0, 0, FACING_RIGHT), (0, 4, FACING_LEFT), (0, 3, FACING_UP)]
    params: dict[str, Any] = {"fire": True, "move_frame": "abs"}
    world = harvest(ROW, *agents, apples=[(0, 2)], **params)
    fire = FIRE["harvest"]
    assert act(world, fire, fire, LEFT) == [-1, -1, 1 - 100]
    assert world.agents == [(0, 0), (0, 4), (0, 2)]  # nobody is moved or held
    assert act(world, STAY, STAY, LEFT) == [0, 0, 0]
    assert world.agents[2] == (0, 1)


def test_those_who_fire_at_each_other_both_pay() -> None:
    agents = [(0, 0, FACING_RIGHT), (0, 1, FACING_LEFT)]
    for profile in ("ssd", "features"):
        world = harvest(ROW, *agents, fire=True, profile=profile)
        assert act(world, FIRE["harvest"], FIRE["harvest"]) == [-51, -51]


def test_on_one_cell_a_beam_hits_all_but_its_shooter() -> None:
    agents = [(0, 1, FACING_RIGHT)] * 3
    world = harvest(ROW, *agents, fire=True, profile="features")
    assert act(world, FIRE["harvest"], FIRE["harvest"], STAY) == [-51, -51, -100]


def test_costs_are_parameters_and_rounded_once() -> None:
    agents = [(0, 0, FACING_RIGHT), (0, 1, FACING_LEFT), (0, 2, FACING_LEFT)]
    world = harvest(ROW, *agents, fire=True, profile="features", fire_cost=0.1, hit_cost=1 / 3)
    fire = FIRE["harvest"]
    # Agent 0 is hit by both others, agent 1 too, and agent 2, which faces left, by agent 0.
    paid = [np.float32(-(0.1 + hits * (1 / 3))) for hits in (2, 2, 1)]
    assert act(world, fire, fire, fire) == paid


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_waste_ends_a_lane_of_fire_unless_told_otherwise(profile: str, stops: bool) -> None:
    text = "\nPPRHRRRB\n"
    agents = [(0, 0, FACING_RIGHT), (0, 4, FACING_UP)]
    world = cleanup(text, *agents, fire=True, profile=profile, waste_stops_fire=stops)
    hit = profile == "features" or not stops
    assert act(world, FIRE["cleanup"], STAY) == [-1, -50 if hit else 0]
    assert world.waste[0, 3]
    assert world.cleaned == [0, 0]


def test_who_stands_on_waste_is_hit() -> None:
    world = cleanup("\nPPRHRRRB\n", (0, 0, FACING_RIGHT), (0, 3, FACING_UP), fire=True)
    assert act(world, FIRE["cleanup"], STAY) == [-1, -50]


@pytest.mark.parametrize(("order", "hit"), [(IN_ORDER, False), (REVERSED, True)])
def test_who_cleans_first_opens_a_way_for_fire(order: int, hit: bool) -> None:
    """Agent 0 fires along the row, agent 1 cleans the waste in it from below."""
    text = "\nPRRHRRB\nRRRRRRB\nRRRPRPB\n"
    agents = [(0, 0, FACING_RIGHT), (2, 3, FACING_UP), (0, 5, FACING_DOWN)]
    world = cleanup(text, *agents[:2], fire=True)
    # With two agents the lane meets nobody; the third is hit through the opening.
    assert act(world, FIRE["cleanup"], CLEAN, rng=Scripted(IN_ORDER, order)) == [-1, 0]
    words = {IN_ORDER: (2**64 - 1, 2**64 - 1), REVERSED: (2**64 - 1, 0)}[order]
    world = cleanup(text, *agents, fire=True)
    # perm(3) is drawn from the back: (keep, keep) is 0 1 2, (keep, swap) is 1 0 2.
    rng = Scripted(2**64 - 1, 2**64 - 1, *words)
    assert act(world, FIRE["cleanup"], CLEAN, STAY, rng=rng) == [-1, 0, -50 if hit else 0]


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("world_class", [Cleanup, Harvest])
def test_firing_draws_nothing(world_class: Any, profile: str) -> None:
    """The same words whether agents fire, stay, or cannot fire; off, the same game."""
    words = {}
    map_ = {Cleanup: "cleanup_mid", Harvest: "harvest_top"}[world_class]
    for fire, action in ((False, STAY), (True, STAY), (True, FIRE[world_class.__name__.lower()])):
        params = world_class.Params(num_agents=4, map=map_, profile=profile, fire=fire)
        world = world_class(params)
        world.reset(stream(0))
        rng = Counting(5, 0, 0, 1)
        world.step(rng, np.full(4, action, np.int32))
        words[fire, action] = (rng.words, world.agents, world.apples.tolist())
    assert len({str(value) for value in words.values()}) == 1


@pytest.mark.parametrize("world_class", [Cleanup, Harvest])
def test_a_fixed_start_draws_nothing_and_nobody_turns(world_class: Any) -> None:
    params = world_class.Params(
        num_agents=2,
        map={Cleanup: "cleanup_lio7", Harvest: "harvest_top"}[world_class],
        start="fixed",
        turns=False,
    )
    world = world_class(params)
    rng = Counting(5, 0, 0, 1)
    world.reset(rng)
    assert rng.words == 0
    if world_class is Cleanup:  # as published: agent 0 on the river's side
        assert world.agents == [(5, 2), (1, 4)]
    assert world.orientation == [FACING_UP, FACING_UP]
    for step in range(1, 20):
        world.step(stream(step), np.array([5 % world.num_actions, step % 5], np.int32))
        assert world.orientation == [FACING_UP, FACING_UP]
