"""Cleaning, and what grows in Cleanup."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from grid_boards import (
    CLEAN,
    FACING_LEFT,
    FACING_RIGHT,
    FACING_UP,
    IN_ORDER,
    LEFT,
    REVERSED,
    RIGHT,
    STAY,
    STEPS,
    Counting,
    Scripted,
    act,
    cells,
    cleanup,
    drawn,
    just_below,
    just_not_below,
    placed,
    rows_with,
    stream,
    tiles,
    u01,
    words_of_bytes,
)

from ascore.reference.cleanup import Cleanup, CleanupParams

# ---- cleaning ---------------------------------------------------------------------------------


def after_cleaning(
    text: str, *agents: tuple[int, int, int], clean: Iterable[int] = (0,), **more: Any
) -> tuple[str, list[int]]:
    """Let the agents in `clean` clean, the others stay; return the map and who cleaned how much."""
    rng = more.pop("rng", None)
    world = cleanup(text, *agents, **more)
    act(world, *(CLEAN if i in clean else STAY for i in range(len(agents))), rng=rng)
    map_ = tiles("cleanup", text)
    map_[world.river] = np.where(world.waste, "H", "R")[world.river]
    return drawn(map_), world.cleaned


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_what_the_beam_reaches(profile: str, length: int, orientation: int) -> None:
    """One piece of waste at a time, everywhere around the agent."""
    text = "R" * 15 + "\n" + ("R" * 15 + "\n") * 13 + "P" + "R" * 13 + "B"
    world = cleanup(text, (7, 7, orientation), profile=profile, beam_length=length)
    (down, right), (side_down, side_right) = STEPS[orientation], STEPS[(orientation + 1) % 4]
    reached = set()
    for ahead, side in itertools.product(range(-7, 8), repeat=2):
        cell = (7 + ahead * down + side * side_down, 7 + ahead * right + side * side_right)
        if world.river[cell]:
            world.waste[cell] = True
            act(world, CLEAN)
            if not world.waste[cell]:
                assert world.cleaned == [1]
                reached.add((ahead, side))
            world.waste[cell] = False
    if profile == "ssd":  # the middle lane begins one cell ahead, those at its sides level
        middle = {(ahead, 0) for ahead in range(1, length + 1)}
        sides = {(ahead, side) for ahead in range(length) for side in (-1, 1)}
        assert reached == middle | sides
    else:
        assert reached == {(ahead, side) for ahead in range(length + 1) for side in (-1, 0, 1)}


def test_waste_shields_what_is_behind() -> None:
    text = """
RRHHRRB
RRRHRHR
RRRRHHR
PPPPRRR
"""
    left, cleaned = after_cleaning(text, (1, 1, FACING_RIGHT))
    assert (
        left
        == """
RRRHRRB
RRRRRHR
RRRRRHR
PPPPRRR
"""
    )
    assert cleaned == [3]


def test_the_beam_of_the_other_rules_cleans_all_it_meets() -> None:
    text = """
HHHHHHHHB
HHHHHHHHH
HHHHHHHHH
PPPPHHHHH
"""
    left, cleaned = after_cleaning(text, (1, 1, FACING_RIGHT), profile="features")
    assert (
        left
        == """
HRRRRRRHB
HRRRRRRHH
HRRRRRRHH
PPPPHHHHH
"""
    )
    assert cleaned == [18]


@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_walls_end_a_lane(profile: str) -> None:
    text = """
RR@HRRB
RRR@HRR
@@RRRHR
PPPPRRR
"""
    left, cleaned = after_cleaning(text, (1, 1, FACING_RIGHT), profile=profile)
    assert left == text  # the lane below begins in a wall
    assert cleaned == [0]


def test_lanes_end_at_the_edge_of_the_map() -> None:
    text = "\nRHR\nPRB\nHRH\n"
    assert after_cleaning(text, (0, 2, FACING_RIGHT)) == (text, [0])
    left, cleaned = after_cleaning(text, (0, 2, FACING_LEFT))
    assert left == "\nRRR\nPRB\nHRH\n"
    assert cleaned == [1]


def test_agents_end_a_lane_and_stand_on_waste_that_is_cleaned() -> None:
    text = """
RRHRHRB
RRRRHRR
RRRRRHR
PPPPRRR
"""
    others = [(0, 2, FACING_UP), (1, 3, FACING_UP), (2, 5, FACING_UP)]
    left, cleaned = after_cleaning(text, (1, 1, FACING_RIGHT), *others)
    assert (
        left
        == """
RRRRHRB
RRRRHRR
RRRRRRR
PPPPRRR
"""
    )
    assert cleaned == [2, 0, 0, 0]
    left, cleaned = after_cleaning(text, (1, 1, FACING_RIGHT), *others, profile="features")
    assert "H" not in left
    assert cleaned == [4, 0, 0, 0]


@pytest.mark.parametrize("order", [IN_ORDER, REVERSED])
def test_a_later_cleaner_finds_what_an_earlier_one_left(order: int) -> None:
    """The upper row is the middle lane of one and a side lane of the other: each cleans one."""
    text = "\nRRHHHH\nRRRRRR\nPPRRRB\n"
    agents = [(0, 1, FACING_RIGHT), (1, 2, FACING_RIGHT)]
    left, cleaned = after_cleaning(text, *agents, clean=(0, 1), rng=Scripted(IN_ORDER, order))
    assert left == "\nRRRRHH\nRRRRRR\nPPRRRB\n"
    assert cleaned == [1, 1]


def test_cleaners_come_in_drawn_order() -> None:
    """One piece of waste that both reach: the first one cleans it."""
    text = "\nRRHR\nRRRR\nPPRB\n"
    agents = [(0, 1, FACING_RIGHT), (1, 2, FACING_RIGHT)]
    for order, counts in ((IN_ORDER, [1, 0]), (REVERSED, [0, 1])):
        outcome = after_cleaning(text, *agents, clean=(0, 1), rng=Scripted(IN_ORDER, order))
        assert outcome[1] == counts
    outcome = after_cleaning(text, *agents, clean=(0, 1), profile="features", rng=Scripted())
    assert outcome[1] == [1, 0]


def test_cleaning_follows_moving_and_precedes_growth() -> None:
    """Half the river is dirty; cleaning it lets the apple grow in the same step."""
    world = cleanup("\nRHPPB", (0, 0, FACING_RIGHT), (0, 2, FACING_UP), apple_probability=1.0)
    act(world, STAY, RIGHT)
    assert not world.apples.any()
    act(world, CLEAN, RIGHT)  # agent 1 leaves for the orchard before anything grows
    assert world.cleaned == [1, 0]
    assert not world.waste.any()
    assert not world.apples.any()
    act(world, STAY, LEFT)
    assert cells(world.apples) == {(0, 4)}
    assert world.cleaned == [0, 0]


def test_cleaning_pays_nothing() -> None:
    world = cleanup("\nRHPB", (0, 0, FACING_RIGHT))
    assert act(world, CLEAN) == [0.0]


# ---- growth in Cleanup ------------------------------------------------------------------------

# 20 cells of river, of which a test makes some dirty; 9 cells of orchard.
SLOW = "\n" + "RRRRRRRRRRPPPPP\n" + "RRRRRRRRRRBBBBB\n" + "          BBBB \n"


def with_waste(amount: int, *agents: tuple[int, int, int], **params: Any) -> Any:
    world = placed(Cleanup(CleanupParams(map=SLOW, num_agents=len(agents), **params)), *agents)
    for cell in sorted(cells(world.river))[:amount]:
        world.waste[cell] = True
    return world


@pytest.mark.parametrize(("amount", "grows"), [(0, True), (7, True), (8, False), (20, False)])
def test_nothing_grows_from_the_threshold_on(amount: int, grows: bool) -> None:
    """8 of 20 is 0.4: at the threshold and not below it."""
    certain = {"apple_probability": 1.0, "threshold_restoration": 0.39, "waste_probability": 1.0}
    world = with_waste(amount, (0, 12, 0), **certain)
    act(world, STAY)
    assert world.apples.sum() == (9 if grows else 0)
    assert world.waste.sum() == amount + (1 if grows else 0)


@pytest.mark.parametrize(
    ("amount", "restoration", "probability"),
    [
        (0, 0.0, 0.8),
        (4, 0.0, 0.8 * (1 - 0.2 / 0.4)),
        (7, 0.0, 0.8 * (1 - 0.35 / 0.4)),
        (4, 0.2, 0.8),
        (3, 0.2, 0.8),
        (6, 0.2, 0.8 * (1 - (0.3 - 0.2) / (0.4 - 0.2))),
    ],
)
def test_apples_grow_more_slowly_the_dirtier_the_river(
    amount: int, restoration: float, probability: float
) -> None:
    world = with_waste(
        amount,
        (0, 12, 0),
        apple_probability=0.8,
        waste_probability=0.0,
        threshold_restoration=restoration,
    )
    limit = math.ceil(probability * 256)  # of bytes; then as much of u01 as makes up for it
    bytes_ = [limit - 1, limit, 0, limit - 1, 255, limit - 1, limit, limit - 1, 0]
    rest = 256 * probability / limit
    passed = [just_below, just_not_below, just_below, just_not_below, just_below, just_not_below]
    rng = Scripted(*words_of_bytes(*bytes_), *(word(rest) for word in passed))
    act(world, STAY, rng=rng)
    assert rows_with("A", world.apples)[1:] == ["..........A..A.", "............A.."]
    assert rng.words == []


@pytest.mark.parametrize("probability", [0.001, 0.05, 0.7])
def test_apples_grow_as_often_as_told(probability: float) -> None:
    """27,000 chances; the count is within five standard deviations."""
    world = with_waste(0, (0, 12, 0), apple_probability=probability, waste_probability=0.0)
    grown = 0
    for step in range(3_000):
        act(world, STAY, rng=stream(step))
        grown += int(world.apples.sum())
        world.apples[:] = False
    expected = 27_000 * probability
    assert abs(grown - expected) < 5 * math.sqrt(expected * (1 - probability))


@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_no_apple_grows_under_an_agent_or_where_one_is(profile: str) -> None:
    on_the_orchard = [(1, 11, 0), (2, 13, 0)]
    world = with_waste(
        0, *on_the_orchard, profile=profile, apple_probability=1.0, waste_probability=0.0
    )
    world.apples[1, 14] = True
    used = Counting(5, 0, 0, 1)
    act(world, STAY, STAY, rng=used)
    assert rows_with("A", world.apples)[1:] == ["..........A.AAA", "..........AAA.."]
    # Two orders; bytes of six cells, which all pass.
    assert used.words == (2 if profile == "ssd" else 0) + 1 + 6


@pytest.mark.parametrize(
    ("params", "words"),
    [
        # Two orders; bytes of nine cells of orchard, which all pass; a cell of river that succeeds.
        ({}, 2 + (2 + 9) + 2),
        ({"waste_probability": 0.0}, 2 + (2 + 9)),
        ({"apple_probability": 0.0}, 2 + 2),
        ({"apple_probability": 0.0, "waste_probability": 0.0}, 2),
        ({"profile": "features"}, (2 + 9) + 1),
        ({"profile": "features", "waste_probability": 0.0}, 2 + 9),
    ],
    ids=str,
)
def test_what_is_drawn(params: dict[str, Any], words: int) -> None:
    rng = Counting(5, 0, 0, 1)
    certain = {"apple_probability": 1.0, "waste_probability": 1.0}
    world = with_waste(0, (0, 10, 0), (0, 12, 0), **(certain | params))
    act(world, STAY, STAY, rng=rng)
    assert rng.words == words


def test_nothing_is_drawn_where_nothing_can_grow() -> None:
    rng = Counting(5, 0, 0, 1)
    act(with_waste(8, (0, 10, 0), (0, 12, 0)), STAY, STAY, rng=rng)
    assert rng.words == 2


FAIL, SUCCEED = u01(0.5), u01(0.5) - 2**11


@pytest.mark.parametrize(
    ("profile", "waste_mode", "words", "then"),
    [
        # Random order: a word for which of those not tried yet, a word for whether it settles.
        ("ssd", "scan", [u01(0.99), SUCCEED], "HRRRH"),
        ("ssd", "scan", [0, SUCCEED], "HHRRR"),
        ("ssd", "scan", [u01(0.99), FAIL, 0, SUCCEED], "HRHRR"),
        # The last of the four took the first one's place, and the first its.
        ("ssd", "scan", [u01(0.99), FAIL, u01(0.99), SUCCEED], "HHRRR"),
        ("ssd", "scan", [0, FAIL, 0, FAIL, 0, FAIL, 0, SUCCEED], "HRRRH"),
        ("ssd", "scan", [0, FAIL, 0, FAIL, 0, FAIL, 0, FAIL], "HRRRR"),
        ("ssd", "once", [u01(0.99), SUCCEED], "HRRRH"),
        ("ssd", "once", [u01(0.99), FAIL], "HRRRR"),
        # Row-major order: only the second kind of word.
        ("features", "scan", [SUCCEED], "HHRRR"),
        ("features", "scan", [FAIL, FAIL, SUCCEED], "HRRHR"),
        ("features", "scan", [FAIL, FAIL, FAIL, FAIL], "HRRRR"),
        ("features", "once", [SUCCEED], "HHRRR"),
        ("features", "once", [FAIL], "HRRRR"),
    ],
)
def test_waste_settles_at_most_once(
    profile: str, waste_mode: str, words: list[int], then: str
) -> None:
    world = cleanup(
        "\nHRRRRPB",
        (0, 1, FACING_UP),  # it does not keep waste away
        profile=profile,
        waste_mode=waste_mode,
        waste_probability=0.5,
    )
    rng = Scripted(*words)
    act(world, STAY, rng=rng)
    assert "".join(np.where(world.waste, "H", "R")[0, :5]) == then
    assert rng.words == []


def test_waste_settles_evenly() -> None:
    """Ten thousand steps on four clean cells: 2,500 each, within five standard deviations."""
    world = cleanup("\nHRRRRPB", (0, 5, FACING_UP), waste_probability=0.9)
    counts = np.zeros(5, int)
    for step in range(10_000):
        world.waste = world.dirty_at_reset.copy()
        act(world, STAY, rng=stream(step))
        counts += world.waste[0, :5]
    assert counts[0] == 10_000
    assert counts[1:].sum() > 9_990  # all four fail once in ten thousand
    assert abs(counts[1:] - 2_500).max() < 5 * 43.3
