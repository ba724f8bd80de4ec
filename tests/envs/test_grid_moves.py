"""How agents of the grid worlds move and get in each other's way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from grid_boards import (
    CLEAN,
    DOWN,
    FACING_RIGHT,
    FACING_UP,
    IN_ORDER,
    LEFT,
    REVERSED,
    RIGHT,
    STAY,
    STEPS,
    TURN_CLOCKWISE,
    TURN_COUNTERCLOCKWISE,
    UP,
    Cell,
    Scripted,
    act,
    cleanup,
    harvest,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ascore.reference.grid_moves import move_in_turn, move_together

# ---- one agent moving -------------------------------------------------------------------------

OPEN_FLOOR = "\n" + "@@@@@@@\n" + "@     @\n" * 5 + "@PPPPA@\n"


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize(("action", "base"), [(LEFT, 3), (RIGHT, 1), (UP, 0), (DOWN, 2)])
@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("frame", ["profile", "ego", "abs"])
def test_directions(profile: str, frame: str, action: int, base: int, orientation: int) -> None:
    world = harvest(OPEN_FLOOR, (3, 3, orientation), profile=profile, move_frame=frame)
    act(world, action)
    ego = frame == "ego" or (frame == "profile" and profile == "ssd")
    down, right = STEPS[(base + orientation) % 4 if ego else base]
    assert world.agents == [(3 + down, 3 + right)]
    assert world.orientation == [orientation]


def test_facing_right_one_walks_right_by_going_forward() -> None:
    world = harvest(OPEN_FLOOR, (3, 3, FACING_RIGHT))
    for action, cell in ((UP, (3, 4)), (RIGHT, (4, 4)), (DOWN, (4, 3)), (LEFT, (3, 3))):
        act(world, action)
        assert world.agents == [cell]


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("orientation", range(4))
def test_turning(profile: str, orientation: int) -> None:
    world = harvest(OPEN_FLOOR, (3, 3, orientation), profile=profile)
    act(world, TURN_CLOCKWISE)
    assert world.orientation == [(orientation + 1) % 4]
    act(world, TURN_COUNTERCLOCKWISE)
    act(world, TURN_COUNTERCLOCKWISE)
    assert world.orientation == [(orientation + 3) % 4]
    assert world.agents == [(3, 3)]


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("text", ["@@@\n@P@\n@A@", "P@\n@A"])
def test_walls_and_the_edge_of_the_map_stop(profile: str, text: str) -> None:
    start = (1, 1) if text[0] == "@" else (0, 0)
    world = harvest(text, (*start, FACING_UP), profile=profile)
    for action in (UP, LEFT, RIGHT):
        act(world, action)
        assert world.agents == [start]


@pytest.mark.parametrize("letter", "RHSBP ")
def test_everything_but_walls_can_be_walked_on(letter: str) -> None:
    world = cleanup(f"\nP{letter}RB", (0, 0, FACING_UP))
    act(world, RIGHT)
    assert world.agents == [(0, 1)]


# ---- several agents moving, profile "ssd" -----------------------------------------------------


def places(text: str) -> list[Cell]:
    """Cells written as "row.column", or as "column" in row 0."""
    pairs = [place.rpartition(".") for place in text.split()]
    return [(int(row or 0), int(col)) for row, _, col in pairs]


def moved(wishes: str, priority: Sequence[int]) -> list[Cell]:
    """Where agents are that want from one place to another, each written as "place>place"."""
    starts, targets = zip(*(wish.split(">") for wish in wishes.split()), strict=True)
    return move_together(places(" ".join(starts)), places(" ".join(targets)), priority)


@pytest.mark.parametrize(
    ("wishes", "then"),
    [
        ("0>1", "1"),
        ("0>0 1>1", "0 1"),
        ("0>1 1>2", "1 2"),
        ("1>2 0>1", "2 1"),
        ("0>1 1>2 2>3 3>4", "1 2 3 4"),
        ("0>1 1>1", "0 1"),
        ("0>1 1>2 2>2", "0 1 2"),
        ("2>2 1>2 0>1", "2 1 0"),
        ("0>1 1>0", "0 1"),
        ("0>1 1>0 2>3", "0 1 3"),
        ("0>1 1>2 2>1", "0 1 2"),  # the pair does not exchange, so the one behind does not move
        ("0.0>0.1 0.1>1.1 1.1>0.0", "0.1 1.1 0.0"),  # three in a cycle, on no grid there is
        ("0.0>0.1 0.1>1.1 1.1>1.0 1.0>0.0", "0.1 1.1 1.0 0.0"),
        ("0.0>0.1 0.1>1.1 1.1>1.0 1.0>1.0", "0.0 0.1 1.1 1.0"),
    ],
)
def test_moving_without_contests(wishes: str, then: str) -> None:
    n = len(wishes.split())
    for priority in itertools.permutations(range(n)):
        assert moved(wishes, priority) == places(then)


@pytest.mark.parametrize(
    ("wishes", "priority", "then"),
    [
        # Two want one empty cell.
        ("0>1 2>1", (0, 1), "1 2"),
        ("0>1 2>1", (1, 0), "0 1"),
        # Three do.
        ("0.0>0.1 0.2>0.1 1.1>0.1", (2, 0, 1), "0.0 0.2 0.1"),
        # One of those that want it stays there: nobody else gets it, whoever comes first.
        ("0>1 2>1 1>1", (0, 1, 2), "0 2 1"),
        ("0>1 2>1 1>1", (2, 1, 0), "0 2 1"),
        # The occupant leaves: the first in order follows.
        ("0>1 2>1 0.1>1.1", (0, 1, 2), "1 2 1.1"),
        ("0>1 2>1 0.1>1.1", (2, 1, 0), "0 1 1.1"),
        # The occupant wants the cell of one of the two, first or not: nobody moves.
        ("0>1 2>1 1>2", (0, 1, 2), "0 2 1"),
        ("0>1 2>1 1>2", (1, 0, 2), "0 2 1"),
        ("0>1 2>1 1>0", (0, 1, 2), "0 2 1"),
        # The occupant leaves but is stopped: the winner stays behind it.
        ("0>1 2>1 0.1>1.1 1.1>1.1", (0, 1, 2, 3), "0 2 0.1 1.1"),
        # The occupant loses a contest of its own, of a later and of an earlier cell.
        ("0>1 2>1 0.1>1.1 1.0>1.1", (0, 1, 3, 2), "0 2 0.1 1.1"),
        ("0>1 2>1 0.1>1.1 1.0>1.1", (0, 1, 2, 3), "1 2 1.1 1.0"),
        ("2.0>2.1 2.2>2.1 2.1>1.1 1.0>1.1", (0, 1, 3, 2), "2.0 2.2 2.1 1.1"),
        # Who follows a loser stays too; who follows a winner moves.
        ("1>2 3>2 0>1 4>3", (0, 1, 2, 3), "2 3 1 4"),
        ("1>2 3>2 0>1 4>3", (1, 0, 2, 3), "1 2 0 3"),
        # Two contests do not touch each other.
        ("0>1 2>1 4>5 6>5", (3, 1, 2, 0), "0 1 4 5"),
    ],
)
def test_contests(wishes: str, priority: tuple[int, ...], then: str) -> None:
    assert moved(wishes, priority) == places(then)


def largest_move(starts: list[Cell], targets: list[Cell], priority: Sequence[int]) -> list[Cell]:
    """The rule said otherwise: the largest set of agents that can move together.

    Losers of contests cannot. Of the rest, a set can move if every cell it enters is free or left
    by a member of the set that does not come the other way. Unions of such sets are such sets.
    """
    agents = range(len(starts))
    eligible = set()
    for i in agents:
        rivals = [j for j in agents if targets[j] == targets[i] != starts[j]]
        holder = [j for j in agents if starts[j] == targets[i]]
        exchanged = any(targets[h] == starts[j] for h in holder for j in rivals)
        first = min(rivals, key=priority.index) == i if rivals else False
        if targets[i] != starts[i] and first and not exchanged:
            eligible.add(i)
    best: set[int] = set()
    for size in range(len(eligible) + 1):
        for chosen in itertools.combinations(sorted(eligible), size):
            entered = {targets[i] for i in chosen}
            held = {j for j in agents if starts[j] in entered}
            if held <= set(chosen):
                best |= set(chosen)
    return [targets[i] if i in best else starts[i] for i in agents]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), n=st.integers(1, 8), side=st.integers(2, 4))
def test_moving_together_is_the_largest_move(data: Any, n: int, side: int) -> None:
    grid = [(row, col) for row in range(side) for col in range(side)]
    n = min(n, len(grid))
    starts = data.draw(st.permutations(grid))[:n]
    targets = []
    for row, col in starts:
        near = [(row + down, col + right) for down, right in [*STEPS, (0, 0)]]
        targets.append(data.draw(st.sampled_from([cell for cell in near if cell in grid])))
    priority = data.draw(st.permutations(range(n)))
    then = move_together(starts, targets, priority)
    assert len(set(then)) == n
    assert then == largest_move(starts, targets, priority)


def test_a_step_draws_who_comes_first() -> None:
    for word, then in ((IN_ORDER, [(3, 3), (3, 4)]), (REVERSED, [(3, 2), (3, 3)])):
        world = harvest(OPEN_FLOOR, (3, 2, FACING_UP), (3, 4, FACING_UP))
        rng = Scripted(word)
        act(world, RIGHT, LEFT, rng=rng)
        assert world.agents == then
        assert rng.words == []


# ---- several agents moving, profile "features" ------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "targets", "stays", "then"),
    [
        ([0, 1], [1, 1], [False, True], [0, 1]),  # who stays keeps its cell
        ([0, 1], [1, 1], [False, False], [1, 1]),  # who turns or cleans does not
        ([0, 1], [1, 2], [False, False], [1, 2]),
        ([1, 0], [2, 1], [False, False], [2, 1]),
        ([0, 1], [1, 0], [False, False], [1, 0]),  # an exchange
        ([0, 2], [1, 1], [False, False], [1, 2]),  # the lowest index comes first
        ([2, 0], [1, 1], [False, False], [1, 0]),
        ([0, 1, 2], [1, 2, 1], [False, False, False], [1, 2, 2]),  # stopped, and walked over
        ([0, 3], [0, 0], [False, False], [0, 0]),  # who walks into a wall claims nothing
        ([0, 0], [1, 1], [False, False], [1, 0]),
    ],
)
def test_moving_in_turn(
    starts: list[int], targets: list[int], stays: list[bool], then: list[int]
) -> None:
    def row(columns: list[int]) -> list[Cell]:
        return [(0, col) for col in columns]

    assert move_in_turn(row(starts), row(targets), stays) == row(then)


@pytest.mark.parametrize(
    ("action", "shared"),
    [(STAY, False), (TURN_CLOCKWISE, True), (TURN_COUNTERCLOCKWISE, True), (CLEAN, True)],
)
def test_only_who_stays_cannot_be_walked_over(action: int, shared: bool) -> None:
    world = cleanup("\nPPRB", (0, 0, FACING_UP), (0, 1, FACING_UP), profile="features")
    act(world, RIGHT, action)
    assert (world.agents[0] == world.agents[1]) is shared


def test_who_walks_into_a_wall_can_be_walked_over() -> None:
    world = harvest("\nPPA", (0, 0, FACING_UP), (0, 1, FACING_UP), profile="features")
    act(world, UP, LEFT)
    assert world.agents == [(0, 0), (0, 0)]
