"""Eating, and how apples grow back in Harvest."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from grid_boards import (
    CLEAN,
    DOWN,
    FACING_UP,
    RIGHT,
    STAY,
    TURN_CLOCKWISE,
    UP,
    Counting,
    Scripted,
    act,
    cleanup,
    harvest,
    just_below,
    just_not_below,
    rows_with,
    words_of_bytes,
)

from ascore.reference import harvest as harvest_rules

# ---- eating -----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", range(8))
@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_eating_what_is_underfoot(profile: str, action: int) -> None:
    world = cleanup("@@@\n@B@\nPR@", (1, 1, FACING_UP), apples=[(1, 1)], profile=profile)
    if action in (DOWN,):
        assert act(world, action) == [0.0]
        assert world.apples[1, 1]
        return
    eats = profile == "ssd" or action <= STAY
    assert act(world, action) == [float(eats)]
    assert world.apples[1, 1] == (not eats)


def test_an_apple_is_eaten_where_the_agent_ends() -> None:
    world = harvest("\nPA", (0, 0, FACING_UP), apples=[(0, 1)])
    assert act(world, RIGHT) == [1.0]
    assert not world.apples.any()
    assert act(world, STAY) == [0.0]


def test_a_shared_apple_goes_to_the_lowest_index_that_eats() -> None:
    def both_on_an_apple() -> Any:
        agents = [(0, 0, FACING_UP), (0, 0, FACING_UP)]
        return cleanup("\nBPPR", *agents, apples=[(0, 0)], profile="features")

    assert act(both_on_an_apple(), STAY, STAY) == [1.0, 0.0]
    assert act(both_on_an_apple(), CLEAN, STAY) == [0.0, 1.0]
    assert act(both_on_an_apple(), TURN_CLOCKWISE, UP) == [0.0, 1.0]
    assert act(both_on_an_apple(), CLEAN, TURN_CLOCKWISE) == [0.0, 0.0]


# ---- growth in Harvest ------------------------------------------------------------------------


def test_apples_around_a_cell_are_those_of_eight_cells() -> None:
    apples = np.ones((3, 4), bool)
    assert harvest_rules.apples_around(apples, (0, 0)) - 1 == 3
    assert harvest_rules.apples_around(apples, (0, 1)) - 1 == 5
    assert harvest_rules.apples_around(apples, (2, 3)) - 1 == 3
    assert harvest_rules.apples_around(apples, (1, 3)) - 1 == 5
    assert harvest_rules.apples_around(apples, (1, 1)) - 1 == 8
    apples[:] = False
    for cell in itertools.product(range(3), range(4)):
        apples[cell] = True
        near = max(abs(cell[0] - 1), abs(cell[1] - 1)) <= 1
        assert harvest_rules.apples_around(apples, (1, 1)) == near
        apples[cell] = False


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("count_", range(9))
@pytest.mark.parametrize("chances", [(0.005, 0.02, 0.05), (0.3, 0.02, 0.1)])
def test_apples_grow_by_how_many_are_around(
    chances: tuple[float, float, float], count_: int, profile: str
) -> None:
    """Only the cell in the middle passes the bytes, below 256 of the largest chance of all."""
    text = "\nPAAA\n AAA\n AAA"
    around = [(r, c) for r in range(3) for c in range(1, 4) if (r, c) != (1, 2)]
    limit = math.ceil(max(chances) * 256)
    rest = 256 * (0.0, *chances, *[chances[2]] * 5)[count_] / limit
    cases: list[tuple[int, list[int], bool]] = [
        (limit, [], False),
        (limit - 1, [just_not_below(rest)], False),
        (0, [just_not_below(rest)], False),
    ]
    if rest > 0:
        cases.append((limit - 1, [just_below(rest)], True))
    regrowth = {f"regrowth_{k + 1}": chance for k, chance in enumerate(chances)}
    for byte, passed, grows in cases:
        world = harvest(text, (0, 0, 0), apples=around[:count_], profile=profile, **regrowth)
        bare = [(r, c) for r in range(3) for c in range(1, 4) if (r, c) not in around[:count_]]
        bytes_ = [byte if cell == (1, 2) else 255 - (cell[0] + cell[1]) for cell in bare]
        rng = Scripted(*words_of_bytes(*bytes_), *passed)
        act(world, STAY, rng=rng)
        assert world.apples[1, 2] == grows
        assert world.apples.sum() == count_ + grows
        assert rng.words == []


def test_bytes_of_all_cells_are_drawn_before_what_decides() -> None:
    """All cells pass; those without a chance draw like the others, and the draws are in order."""
    chances = {"regrowth_1": 0.5, "regrowth_2": 1.0, "regrowth_3": 0.0}
    world = harvest("\nPAAAAAAAAAAAA", (0, 0, 0), apples=[(0, 2), (0, 4), (0, 8)], **chances)
    # Bare are columns 1, 3, 5, 6, 7, 9, 10, 11, 12, with 1, 2, 1, 0, 1, 1, 0, 0, 0 apples beside.
    large, small = just_not_below(0.5), just_below(0.5)
    passed = [small, just_below(1.0), large, 0, small, large, 0, 0, 0]
    rng = Scripted(*words_of_bytes(*range(9)), *passed)
    act(world, STAY, rng=rng)
    assert rows_with("A", world.apples) == [".AAAA..AA...."]
    assert rng.words == []


@pytest.mark.parametrize(
    ("profile", "then"), [("ssd", ".AA.........."), ("features", ".AAA.........")]
)
def test_an_apple_of_this_step_raises_a_chance_by_the_rules_features(
    profile: str, then: str
) -> None:
    chances = {"regrowth_1": 0.5, "regrowth_2": 1.0, "regrowth_3": 0.0}
    world = harvest("\nPAAAAAAAAAAAA", (0, 0, 0), apples=[(0, 1)], profile=profile, **chances)
    # Columns 2 to 12 are bare; 2 and 3 draw what suffices beside an apple, the others do not.
    draws = [just_below(0.5)] * 2 + [just_not_below(0.5)] * 9
    rng = Scripted(*words_of_bytes(*[0] * 11), *draws)
    act(world, STAY, rng=rng)
    assert rows_with("A", world.apples) == [then]
    assert rng.words == []


@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_nothing_is_drawn_for_apples_that_never_grow(profile: str) -> None:
    world = harvest("\nPPAAA", (0, 0, 0), (0, 1, 0), apples=[(0, 2)], profile=profile)
    rng = Counting(5, 0, 0, 1)
    act(world, STAY, STAY, rng=rng)
    assert rng.words == (1 if profile == "ssd" else 0)  # the order


def test_new_apples_count_only_by_the_rules_features() -> None:
    chances = {"regrowth_1": 1.0, "regrowth_2": 1.0, "regrowth_3": 1.0}
    agents = [(1, 0, 0)]
    text = "\nAAAAA A\nP      "
    together = harvest(text, *agents, apples=[(0, 1)], **chances)
    act(together, STAY)
    assert rows_with("A", together.apples)[0] == "AAA...."
    one_by_one = harvest(text, *agents, apples=[(0, 1)], profile="features", **chances)
    act(one_by_one, STAY)
    assert rows_with("A", one_by_one.apples)[0] == "AAAAA.."  # the way to the right, not the left
    to_the_left = harvest(text, *agents, apples=[(0, 4)], profile="features", **chances)
    act(to_the_left, STAY)
    assert rows_with("A", to_the_left.apples)[0] == "...AA.."


@pytest.mark.parametrize("profile", ["ssd", "features"])
def test_an_eaten_apple_does_not_count_and_does_not_grow_back_underfoot(profile: str) -> None:
    chances = {"regrowth_1": 1.0, "regrowth_2": 1.0, "regrowth_3": 1.0}
    world = harvest("\nPAA", (0, 0, 0), apples=[(0, 1)], profile=profile, **chances)
    assert act(world, RIGHT) == [1.0]
    assert not world.apples.any()
    world = harvest("\nPAAA", (0, 0, 0), apples=[(0, 1), (0, 2)], profile=profile, **chances)
    assert act(world, RIGHT) == [1.0]
    assert rows_with("A", world.apples) == ["..AA"]
