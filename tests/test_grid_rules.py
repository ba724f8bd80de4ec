"""The rules of Cleanup and Harvest, one by one, on small maps played by the Python twins.

Maps show what a test is about: "H" is waste, "R" clean river, "B" and "A" orchard, "P" spawn
cells. Agents are put where a test wants them, wherever the spawn cells are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ascore.reference import (
    Cleanup,
    CleanupParams,
    Exchange,
    Harvest,
    HarvestParams,
    Navigation,
    Predation,
    Stream,
    VecEnv,
)
from ascore.reference import cleanup as cleanup_rules
from ascore.reference import harvest as harvest_rules
from ascore.reference.gridworld import move_in_turn, move_together, nearest, read_map

LEFT, RIGHT, UP, DOWN, STAY, TURN_CLOCKWISE, TURN_COUNTERCLOCKWISE, CLEAN = range(8)
FACING_UP, FACING_RIGHT, FACING_DOWN, FACING_LEFT = range(4)
STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1)]

Cell = tuple[int, int]
World = Cleanup | Harvest

# Words that make `perm(2)` the order 0, 1 and the order 1, 0.
IN_ORDER, REVERSED = 2**63, 0


class Scripted(Stream):
    """Random numbers that a test wrote down."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def word(self) -> int:
        return self.words.pop(0)


def stream(step: int = 1, seed: int = 5) -> Stream:
    return Stream(seed, 0, 0, step)


def u01(value: float) -> int:
    """The word that `u01` turns into `value`."""
    return int(value * 2.0**64)


def pair_of(low: int, high: int = 0) -> int:
    """The word that `halves` turns into `low` and `high`."""
    return low | high << 32


def placed(world: Any, *agents: tuple[int, int, int], apples: Iterable[Cell] = ()) -> Any:
    """Put agents at (row, column, orientation), waste as the map has it, and apples."""
    assert len(agents) == world.num_agents
    world.agents = [(row, col) for row, col, _ in agents]
    world.orientation = [orientation for _, _, orientation in agents]
    world.apples = np.zeros_like(world.walls)
    for cell in apples:
        world.apples[cell] = True
    if isinstance(world, Cleanup):
        world.waste = world.dirty_at_reset.copy()
    return world


def cleanup(
    text: str, *agents: tuple[int, int, int], apples: Iterable[Cell] = (), **params: Any
) -> Any:
    """A Cleanup world in which, unless asked for, nothing grows."""
    frozen = {"apple_probability": 0.0, "waste_probability": 0.0, "num_agents": len(agents)}
    return placed(Cleanup(CleanupParams(map=text, **(frozen | params))), *agents, apples=apples)


def harvest(
    text: str, *agents: tuple[int, int, int], apples: Iterable[Cell] = (), **params: Any
) -> Any:
    """A Harvest world in which, unless asked for, nothing grows."""
    frozen = {f"regrowth_{k}": 0.0 for k in (1, 2, 3)} | {"num_agents": len(agents)}
    return placed(Harvest(HarvestParams(map=text, **(frozen | params))), *agents, apples=apples)


def act(world: Any, *action: int, rng: Stream | None = None) -> list[float]:
    reward, terminated = world.step(rng or stream(), np.array(action, np.int32))
    assert reward.dtype == np.float32
    assert reward.shape == (world.num_agents,)
    assert terminated is False
    return reward.tolist()


def rows_with(letter: str, plane: NDArray[np.bool_]) -> list[str]:
    return ["".join(letter if here else "." for here in row) for row in plane]


def cells(plane: NDArray[np.bool_]) -> set[Cell]:
    return {(int(row), int(col)) for row, col in np.argwhere(plane)}


# ---- maps ------------------------------------------------------------------------------------

CLEANUP_TOP = """
@@@@@@@@@@@@@@@@@@
@RRRRRR     BBBBB@
@HHHHHH      BBBB@
@RRRRRR     BBBBB@
@RRRRR  P    BBBB@
@RRRRR    P BBBBB@
@HHHHH       BBBB@
@RRRRR      BBBBB@
@HHHHHHSSSSSSBBBB@
@HHHHHHSSSSSSBBBB@
@@@@@@@@@@@@@@@@@@
"""
HARVEST_TOP = """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@ P   P      A    P AAAAA    P  A P  @
@  P     A P AA    P    AAA    A  A  @
@     A AAA  AAA    A    A AA AAAA   @
@ A  AAA A    A  A AAA  A  A   A A   @
@AAA  A A    A  AAA A  AAA        A P@
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""


def tiles(family: str, text: str) -> NDArray[np.str_]:
    rules = {"cleanup": cleanup_rules, "harvest": harvest_rules}[family]
    return read_map(text, family, rules.FULL, rules.ALIASES, rules.LEGEND)


def count(map_: NDArray[np.str_], letters: str) -> dict[str, int]:
    return {letter: int((map_ == letter).sum()) for letter in letters}


def drawn(map_: NDArray[np.str_]) -> str:
    return "\n" + "".join("".join(row) + "\n" for row in map_)


def test_the_default_maps_are_the_printed_ones() -> None:
    assert drawn(tiles("cleanup", CleanupParams().map)) == CLEANUP_TOP
    assert drawn(tiles("harvest", HarvestParams().map)) == HARVEST_TOP
    assert drawn(tiles("cleanup", "cleanup_mid")) == drawn(tiles("cleanup", "cleanup_10_18"))


@pytest.mark.parametrize(
    ("name", "shape", "letters"),
    [
        ("cleanup_full", (25, 18), {"H": 56, "R": 63, "B": 103, "P": 10, "S": 12}),
        ("cleanup_1_23", (25, 18), {"H": 56, "R": 63, "B": 103, "P": 10, "S": 12}),
        ("cleanup_1_9", (11, 18), {"H": 23, "R": 27, "B": 40, "P": 2, "S": 12}),
        ("cleanup_top", (11, 18), {"H": 23, "R": 27, "B": 40, "P": 2, "S": 12}),
        ("cleanup_3_11", (11, 18), {"H": 22, "R": 26, "B": 40, "P": 5, "S": 12}),
        ("cleanup_9_17", (11, 18), {"H": 26, "R": 21, "B": 40, "P": 8, "S": 6}),
        ("cleanup_mid", (11, 18), {"H": 20, "R": 26, "B": 40, "P": 8, "S": 0}),
        ("cleanup_15_23", (11, 18), {"H": 22, "R": 20, "B": 41, "P": 3, "S": 0}),
        ("cleanup_10_10", (3, 18), {"H": 0, "R": 5, "B": 4, "P": 2, "S": 0}),
        ("harvest_full", (16, 38), {"A": 155, "P": 20}),
        ("harvest_top", (7, 38), {"A": 58, "P": 9}),
        ("harvest_1_5", (7, 38), {"A": 58, "P": 9}),
        ("harvest_2_6", (7, 38), {"A": 68, "P": 4}),
        ("harvest_3_7", (7, 38), {"A": 74, "P": 1}),
        ("harvest_4_8", (7, 38), {"A": 71, "P": 1}),
        ("harvest_5_9", (7, 38), {"A": 65, "P": 3}),
        ("harvest_6_10", (7, 38), {"A": 65, "P": 3}),
        ("harvest_7_11", (7, 38), {"A": 59, "P": 4}),
        ("harvest_8_12", (7, 38), {"A": 58, "P": 5}),
        ("harvest_9_13", (7, 38), {"A": 53, "P": 6}),
        ("harvest_10_14", (7, 38), {"A": 46, "P": 9}),
    ],
)
def test_windows_of_the_full_maps(name: str, shape: Cell, letters: dict[str, int]) -> None:
    map_ = tiles(name.split("_")[0], name)
    assert map_.shape == shape
    assert count(map_, "".join(letters)) == letters
    edge = np.ones(shape, bool)
    edge[1:-1, 1:-1] = False
    assert (map_ == "@").tolist() == edge.tolist()


def test_a_map_may_be_given_as_text() -> None:
    by_name = Cleanup().inspect()
    for text in (CLEANUP_TOP, CLEANUP_TOP.strip(), CLEANUP_TOP + "\n\n"):
        given_ = Cleanup(CleanupParams(map=text)).inspect()
        assert all(given_[key].tolist() == by_name[key].tolist() for key in by_name)
    assert Harvest(HarvestParams(map=HARVEST_TOP)).orchard.sum() == 58
    one_row = Harvest(HarvestParams(map="\nP A", num_agents=1))
    assert one_row.walls.tolist() == [[False, False, False]]
    assert one_row.orchard.tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"map": "cleanup_tip"}, r"'cleanup_tip'.*cleanup_full, cleanup_top, cleanup_mid"),
        ({"map": "harvest_top"}, r"'harvest_top'.*cleanup_A_B"),
        ({"map": ""}, r"map ''"),
        ({"map": "cleanup_0_9"}, r"'cleanup_0_9'"),
        ({"map": "cleanup_01_9"}, r"'cleanup_01_9'"),
        ({"map": "cleanup_9_1"}, r"rows 9 to 1.*1\.\.23"),
        ({"map": "cleanup_1_24"}, r"rows 1 to 24.*1\.\.23"),
        ({"map": "\nPPRB\nPP"}, r"map row 1 has 2 cells and row 0 has 4.*blanks"),
        ({"map": "\nPPRA"}, r"map row 0 has 'A'"),
        ({"map": "\n"}, r"1 rows of 0 cells"),
        ({"map": "\nPPRB" + " " * 61}, r"1 rows of 65 cells.*64"),
        ({"map": "PPRB\n" * 65}, r"65 rows of 4 cells.*64"),
        ({"map": "\nPPR"}, r"0 cells 'B'"),
        ({"map": "\nPPB"}, r"0 river cells"),
        ({"map": "PPR" + "B" * 30 + "\n" + ("B" * 33 + "\n") * 32}, r"1086 cells 'B'.*1024"),
        ({"map": "PPB" + "R" * 30 + "\n" + ("H" * 33 + "\n") * 32}, r"1086 river cells.*1024"),
        ({"num_agents": 3}, r"2 spawn cells.*num_agents = 3"),
        ({"append_orientation": True}, r"append_orientation.*'planes'"),
        ({"append_orientation": True, "obs_mode": "local"}, r"append_orientation.*'local'"),
        ({"threshold_restoration": 0.4}, r"threshold_restoration = 0\.4.*depletion = 0\.4"),
        ({"threshold_depletion": 0.0}, r"threshold_restoration = 0\.0.*depletion = 0\.0"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_what_does_not_go_together_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cleanup(CleanupParams(**params))


def test_harvest_refuses_what_is_not_its_own() -> None:
    with pytest.raises(ValueError, match=r"'cleanup_top'.*harvest_full, harvest_top"):
        Harvest(HarvestParams(map="cleanup_top"))
    with pytest.raises(ValueError, match=r"rows 1 to 15.*1\.\.14"):
        Harvest(HarvestParams(map="harvest_1_15"))
    with pytest.raises(ValueError, match=r"map row 0 has 'R'"):
        Harvest(HarvestParams(map="\nPPAR"))


def test_the_constants_stand_in_their_order() -> None:
    expected = {
        "num_agents": 2,
        "map": "cleanup_top",
        "profile": "ssd",
        "move_frame": "profile",
        "waste_mode": "scan",
        "horizon": 100,
        "obs_mode": "planes",
        "append_orientation": False,
        "graph": "complete",
        "neigh_radius": 1,
        "neigh_metric": "cheb",
        "threshold_depletion": 0.4,
        "threshold_restoration": 0.0,
        "apple_probability": 0.05,
        "waste_probability": 0.5,
        "beam_length": 5,
    }
    assert list(asdict(CleanupParams()).items()) == list(expected.items())
    left_out = {
        "waste_mode",
        "threshold_depletion",
        "threshold_restoration",
        "apple_probability",
        "waste_probability",
        "beam_length",
    }
    shared = [key for key in asdict(CleanupParams()) if key not in left_out]
    assert list(asdict(HarvestParams())) == [*shared, "regrowth_1", "regrowth_2", "regrowth_3"]
    assert list(asdict(HarvestParams()).values())[-3:] == [0.005, 0.02, 0.05]
    assert len(Cleanup.action_names) == Cleanup().num_actions == 8
    assert Harvest.action_names == Cleanup.action_names[:7]
    assert Harvest().num_actions == 7


# ---- one agent moving ------------------------------------------------------------------------

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


# ---- several agents moving, profile "ssd" ----------------------------------------------------


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
        rng = Scripted(word, 0)
        act(world, RIGHT, LEFT, rng=rng)
        assert world.agents == then
        assert rng.words == []  # and one word for the one bare cell of the orchard


# ---- several agents moving, profile "features" -----------------------------------------------


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


# ---- eating ----------------------------------------------------------------------------------


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


# ---- cleaning --------------------------------------------------------------------------------


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
        told = after_cleaning(text, *agents, clean=(0, 1), rng=Scripted(IN_ORDER, order))
        assert told[1] == counts
    told = after_cleaning(text, *agents, clean=(0, 1), profile="features", rng=Scripted())
    assert told[1] == [1, 0]


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


# ---- growth in Cleanup -----------------------------------------------------------------------

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
    first_too_large = math.ceil(probability * 2**32)
    words = [pair_of(first_too_large - 1, first_too_large)] * 4 + [pair_of(0, 0)]
    act(world, STAY, rng=Scripted(*words))
    # Every other cell of the orchard, row by row, was given a number just small enough.
    assert rows_with("A", world.apples)[1:] == ["..........A.A.A", "...........A.A."]


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
    assert used.words == (2 if profile == "ssd" else 0) + 3  # two orders, six cells


class Counting(Stream):
    """A stream that knows how much was drawn from it."""

    words = 0

    def word(self) -> int:
        self.words += 1
        return super().word()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, 2 + 5 + 2),  # two orders, nine cells of orchard, one cell of river that succeeds
        ({"waste_probability": 0.0}, 2 + 5),
        ({"apple_probability": 0.0}, 2 + 2),
        ({"apple_probability": 0.0, "waste_probability": 0.0}, 2),
        ({"profile": "features"}, 5 + 1),
        ({"profile": "features", "waste_probability": 0.0}, 5),
    ],
    ids=str,
)
def test_what_is_drawn(params: dict[str, Any], words: int) -> None:
    rng = Counting(5, 0, 0, 1)
    world = with_waste(0, (0, 10, 0), (0, 12, 0), **({"waste_probability": 1.0} | params))
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


# ---- growth in Harvest -----------------------------------------------------------------------


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
def test_more_apples_around_grow_apples_faster(count_: int, profile: str) -> None:
    text = "\nPAAA\n AAA\n AAA"
    around = [(r, c) for r in range(3) for c in range(1, 4) if (r, c) != (1, 2)]
    probability = [0.0, 0.005, 0.02, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05][count_]
    first_too_large = math.ceil(probability * 2**32)
    for half, grows in ((first_too_large - 1, True), (first_too_large, False)):
        if half < 0:
            continue
        chances = {"regrowth_1": 0.005, "regrowth_2": 0.02, "regrowth_3": 0.05}
        world = harvest(text, (0, 0, 0), apples=around[:count_], profile=profile, **chances)
        bare = [(r, c) for r in range(3) for c in range(1, 4) if (r, c) not in around[:count_]]
        halves = [half if cell == (1, 2) else 2**32 - 1 for cell in bare] + [0]
        words = [pair_of(*halves[k : k + 2]) for k in range(0, len(bare), 2)]
        act(world, STAY, rng=Scripted(*words))
        assert world.apples[1, 2] == grows
        assert world.apples.sum() == count_ + grows


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


# ---- resets ----------------------------------------------------------------------------------


def words_of(seed: int, episode: int) -> Any:
    """NumPy's own words of the reset of environment 3."""
    return np.random.Philox(
        key=np.array([seed, 3], np.uint64), counter=np.array([0, 0, episode, 0], np.uint64)
    )


@pytest.mark.parametrize("profile", ["ssd", "features"])
@pytest.mark.parametrize("world_class", [Cleanup, Harvest])
def test_agents_start_on_different_spawn_cells(world_class: Any, profile: str) -> None:
    n = 3
    map_ = {Cleanup: "cleanup_mid", Harvest: "harvest_top"}[world_class]
    params = world_class.Params(num_agents=n, map=map_, profile=profile)
    world = world_class(params)
    for episode in range(50):
        world.reset(Stream(11, 3, episode, 0))
        words = [int(word) for word in words_of(11, episode).random_raw(2 * n)]
        places, turns = (words[::2], words[1::2]) if profile == "ssd" else (words[:n], words[n:])
        free = [(int(r), int(c)) for r, c in np.argwhere(tiles(map_.split("_")[0], map_) == "P")]
        for i in range(n):
            assert world.agents[i] == free.pop(places[i] * len(free) >> 64)
            assert world.orientation[i] == turns[i] >> 62


def test_harvest_starts_with_all_apples_and_draws_for_agents_only() -> None:
    world = Harvest(HarvestParams(num_agents=9))
    rng = Counting(1, 0, 0, 0)
    world.reset(rng)
    assert world.apples.tolist() == world.orchard.tolist()
    assert world.apples.sum() == 58
    assert rng.words == 18
    assert len(set(world.agents)) == 9


def test_cleanup_starts_as_dirty_as_its_map_and_with_nothing_grown() -> None:
    world = Cleanup()
    world.waste[1, 1] = world.apples[1, 12] = True
    world.cleaned = [2, 3]
    rng = Counting(1, 0, 0, 0)
    world.reset(rng)
    assert cells(world.waste) == cells(tiles("cleanup", "cleanup_top") == "H")
    assert not world.apples.any()
    assert world.cleaned == [0, 0]
    assert rng.words == 4  # 23 of 50 is beyond the threshold


def test_a_clean_river_lets_things_grow_at_reset() -> None:
    world = Cleanup(CleanupParams(map="\nRRRPPBB", apple_probability=1.0, waste_probability=1.0))
    rng = Counting(1, 0, 0, 0)
    world.reset(rng)
    assert rows_with("A", world.apples) == [".....AA"]
    assert world.waste.sum() == 1
    assert rng.words == 4 + 1 + 2


def test_where_agents_start_nothing_grows() -> None:
    """Spawn cells and orchard never coincide on a map, but the rule holds at reset as well."""
    world = Cleanup(CleanupParams(map="\nRPPBB", apple_probability=1.0, waste_probability=0.0))
    world.spawn_cells = [(0, 3), (0, 4)]
    world.reset(stream(0))
    assert not world.apples.any()


# ---- what agents see -------------------------------------------------------------------------

SEEN = """
@@@@@
@HSB@
@RPP@
@@@@@
"""


def seen(obs_mode: str, **more: Any) -> Any:
    agents = [(2, 3, FACING_LEFT), (1, 1, FACING_DOWN)]
    return cleanup(SEEN, *agents, apples=[(1, 3)], obs_mode=obs_mode, **more)


def test_planes() -> None:
    world = seen("planes")
    obs = world.obs()
    assert (world.views, world.obs_size, world.obs_scale) == (1, 4 * 20 + 8, 1.0)
    assert obs.shape == (1, 88)
    assert obs.dtype == np.uint8
    planes = obs[0, :80].reshape(4, 4, 5)
    assert [np.argwhere(plane).tolist() for plane in planes] == [
        [[1, 1]],  # waste, although agent 1 stands there
        [[1, 3]],
        [[2, 3]],
        [[1, 1]],
    ]
    assert obs[0, 80:].tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
    assert obs.max() == 1


def test_planes_of_harvest_have_no_waste() -> None:
    world = harvest("\nPAA", (0, 1, FACING_RIGHT), apples=[(0, 2)])
    assert world.obs().tolist() == [[0, 0, 1, 0, 1, 0, 0, 1, 0, 0]]


def test_rgb() -> None:
    world = seen("rgb")
    wall, water, apple = [180, 180, 180], [113, 75, 24], [0, 255, 0]
    blue, navy = [0, 0, 255], [2, 81, 154]
    obs = world.obs()
    assert (world.views, world.obs_size, world.obs_scale) == (1, 60, 1 / 255)
    assert obs.dtype == np.uint8
    expected = [
        [wall] * 5,
        [wall, navy, water, apple, wall],
        [wall, water, [0, 0, 0], blue, wall],
        [wall] * 5,
    ]
    assert obs.reshape(4, 5, 3).tolist() == expected
    world.agents[1] = (2, 2)
    world.apples[:] = False
    expected[1][1:4] = [[99, 156, 194], water, [0, 0, 0]]
    expected[2][2] = navy
    assert world.obs().reshape(4, 5, 3).tolist() == expected


def test_orientations_after_the_colours() -> None:
    world = seen("rgb", append_orientation=True)
    assert world.obs_size == 68
    assert world.obs()[0, :60].tolist() == seen("rgb").obs()[0].tolist()
    assert world.obs()[0, 60:].tolist() == [0, 0, 0, 255, 0, 0, 255, 0]


def test_waste_may_settle_on_what_was_clean_and_shows() -> None:
    world = seen("rgb")
    world.waste[2, 1] = True
    assert world.obs().reshape(4, 5, 3)[2, 1].tolist() == [99, 156, 194]


def test_agents_have_nine_colours_and_later_ones_cover_earlier_ones() -> None:
    agents = [(0, col, 0) for col in range(10)] + [(0, 0, 0)]
    world = harvest("\n" + "P" * 11 + "A", *agents, obs_mode="rgb", profile="features")
    row = world.obs().reshape(12, 3).tolist()
    colours = [
        [0, 0, 255],
        [2, 81, 154],
        [204, 0, 204],
        [216, 30, 54],
        [254, 151, 0],
        [100, 255, 255],
        [99, 99, 255],
        [250, 204, 255],
        [238, 223, 16],
    ]
    assert row[1:9] == colours[1:]
    assert row[9] == colours[0]
    assert row[0] == colours[1]  # agent 10 on agent 0
    assert row[11] == [0, 0, 0]  # orchard without an apple


@pytest.mark.parametrize("orientation", range(4))
def test_local_views_face_up(orientation: int) -> None:
    """Every entry by the formula, on a map with waste here and there, larger than a view."""
    rng = np.random.default_rng(0)
    text = "P" * 20 + "\n" + "\n".join("".join(rng.choice(list("@HRSB "), 20)) for _ in range(17))
    agents = [(9, 8, orientation), (2, 17, (orientation + 1) % 4), (8, 8, 0)]
    world = cleanup(text, *agents, obs_mode="local")
    assert (world.views, world.obs_size, world.obs_scale) == (3, 675, 1 / 255)
    picture = cleanup(text, *agents, obs_mode="rgb").obs().reshape(18, 20, 3)
    views = world.obs().reshape(3, 15, 15, 3)
    for i, (row, col, facing) in enumerate(agents):
        (up_down, up_right), (right_down, right_right) = STEPS[facing], STEPS[(facing + 1) % 4]
        for vr, vc in itertools.product(range(15), repeat=2):
            r = row + (7 - vr) * up_down + (vc - 7) * right_down
            c = col + (7 - vr) * up_right + (vc - 7) * right_right
            inside = 0 <= r < 18 and 0 <= c < 20
            assert views[i, vr, vc].tolist() == (picture[r, c].tolist() if inside else [0, 0, 0])


@pytest.mark.parametrize(
    ("orientation", "where"),
    [(FACING_UP, (6, 9)), (FACING_RIGHT, (5, 6)), (FACING_DOWN, (8, 5)), (FACING_LEFT, (9, 8))],
)
def test_an_apple_up_one_and_right_two(orientation: int, where: Cell) -> None:
    world = harvest("\n  A\nP  ", (1, 0, orientation), apples=[(0, 2)], obs_mode="local")
    view = world.obs().reshape(15, 15, 3)
    assert np.argwhere(view.any(axis=2)).tolist() == sorted([[7, 7], list(where)])
    assert view[where].tolist() == [0, 255, 0]


def test_nearest() -> None:
    assert nearest((3, 3), []) == (0, 0)
    assert nearest((3, 3), [(3, 3)]) == (3, 3)
    assert nearest((3, 3), [(1, 1), (1, 2), (3, 6)]) == (1, 2)  # three steps to both: the first
    assert nearest((3, 3), [(1, 3), (3, 1), (3, 5), (5, 3)]) == (1, 3)
    assert nearest((3, 3), [(1, 1), (3, 6)]) == (3, 6)  # four steps along a diagonal of two


def test_features_of_cleanup() -> None:
    text = """
HHRRRBBB
RRRRRBBB
PPPRRRHR
"""
    agents = [(2, 3, FACING_LEFT), (1, 4, FACING_DOWN), (0, 2, FACING_RIGHT)]
    world = cleanup(text, *agents, apples=[(0, 6), (1, 7)], obs_mode="features")
    assert (world.views, world.obs_size, world.obs_scale) == (3, 15, 1.0)
    assert world.obs().dtype == np.uint8
    assert world.obs().tolist() == [
        [2, 3, 3, 1, 4, 2, 0, 6, 2, 6, 2, 3, 0, 0, 0],  # apples five away both: the upper one
        [1, 4, 2, 2, 3, 3, 0, 6, 2, 6, 2, 3, 0, 0, 0],
        [0, 2, 1, 2, 3, 3, 0, 6, 0, 1, 2, 3, 0, 0, 0],  # the first other is agent 0, not 1
    ]
    act(world, STAY, STAY, TURN_CLOCKWISE)
    act(world, STAY, STAY, TURN_CLOCKWISE)
    act(world, STAY, STAY, CLEAN)
    assert world.obs()[:, 8:].tolist() == [
        [2, 6, 2, 2, 0, 0, 1],
        [2, 6, 2, 2, 0, 0, 1],
        [0, 0, 2, 2, 0, 0, 1],
    ]
    act(world, STAY, STAY, STAY)
    assert world.obs()[:, 12:].tolist() == [[0, 0, 0]] * 3


def test_features_of_harvest() -> None:
    text = "\n" + "AAAAAAA\n" * 7 + "PP     "
    agents = [(3, 3, FACING_UP), (7, 1, FACING_LEFT)]
    everywhere = list(itertools.product(range(7), range(7)))
    world = harvest(text, *agents, apples=everywhere, obs_mode="features")
    assert (world.views, world.obs_size) == (2, 14)
    # Within a squared distance of 5: all of 5 x 5 but its corners. Its own cell counts.
    assert world.obs()[0].tolist() == [3, 3, 0, 7, 1, 3, 3, 3, 21, 49, 0, 0, 0, 0]
    assert world.obs()[1].tolist() == [7, 1, 3, 3, 3, 0, 6, 1, 4 + 3, 49, 0, 0, 0, 0]


def test_features_when_there_is_nothing_and_nobody() -> None:
    world = cleanup("\nRPB", (0, 1, FACING_DOWN), obs_mode="features")
    assert world.obs().tolist() == [[0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    alone = harvest("\nPA", (0, 0, FACING_DOWN), obs_mode="features")
    assert alone.obs().tolist() == [[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(("amount", "shown"), [(255, 255), (256, 255), (300, 255)])
def test_counts_beyond_255_show_as_255(amount: int, shown: int) -> None:
    dirty = ("H" * amount).ljust(320, "R")
    grown = "B" * 320
    rows = [text[k : k + 64] for text in (dirty, grown) for k in range(0, 320, 64)]
    apples = [(5 + k // 64, k % 64) for k in range(amount)]
    world = cleanup("\n".join([*rows, "P" * 64]), (10, 0, 0), apples=apples, obs_mode="features")
    assert world.obs()[0, 10:12].tolist() == [shown, shown]


# ---- who hears whom, and the state in the open -----------------------------------------------


@pytest.mark.parametrize(
    ("params", "pairs"),
    [
        ({}, {(0, 1), (0, 2), (1, 2)}),
        ({"graph": "radius"}, {(0, 1)}),
        ({"graph": "radius", "neigh_metric": "manhattan"}, set()),
        ({"graph": "radius", "neigh_radius": 2}, {(0, 1), (1, 2)}),
        ({"graph": "radius", "neigh_radius": 2, "neigh_metric": "manhattan"}, {(0, 1), (1, 2)}),
        ({"graph": "radius", "neigh_radius": 0}, set()),
    ],
    ids=str,
)
def test_neighbours(params: dict[str, Any], pairs: set[Cell]) -> None:
    world = harvest("\nPPP \nA   ", (0, 0, 0), (1, 1, 0), (1, 3, 0), **params)
    heard = world.neighbours()
    assert heard.dtype == np.uint8
    assert {(int(i), int(j)) for i, j in np.argwhere(heard)} == pairs | {(j, i) for i, j in pairs}


def test_agents_on_one_cell_hear_each_other_within_radius_0() -> None:
    params = {"profile": "features", "graph": "radius", "neigh_radius": 0}
    assert harvest("\nPPA", (0, 1, 0), (0, 1, 0), **params).neighbours().tolist() == [
        [0, 1],
        [1, 0],
    ]


def same(inspected: dict[str, Any], expected: dict[str, tuple[type, Any]]) -> None:
    assert list(inspected) == list(expected)
    for name, (dtype, value) in expected.items():
        assert inspected[name].dtype == dtype, name
        assert inspected[name].tolist() == value, name


def test_inspecting_a_grid() -> None:
    world = seen("features")
    frame, row = [1] * 5, [1, 0, 0, 0, 1]
    nothing = [0] * 5
    shared = {
        "agents": (np.int32, [[2, 3], [1, 1]]),
        "orientation": (np.int32, [3, 2]),
        "walls": (np.uint8, [frame, row, row, frame]),
        "apples": (np.uint8, [nothing, [0, 0, 0, 1, 0], nothing, nothing]),
        "orchard": (np.uint8, [nothing, [0, 0, 0, 1, 0], nothing, nothing]),
    }
    only_here = {
        "waste": (np.uint8, [nothing, [0, 1, 0, 0, 0], nothing, nothing]),
        "river": (np.uint8, [nothing, [0, 1, 0, 0, 0], [0, 1, 0, 0, 0], nothing]),
        "stream": (np.uint8, [nothing, [0, 0, 1, 0, 0], nothing, nothing]),
    }
    same(world.inspect(), shared | only_here)
    world.inspect()["apples"][:] = 1
    world.inspect()["waste"][:] = 1
    same(world.inspect(), shared | only_here)
    assert list(Harvest().inspect()) == list(shared)


def test_inspecting_the_other_worlds() -> None:
    exchange = Exchange()
    exchange.agents, exchange.boxes = [(0, 1), (2, 3), (4, 4)], [(1, 1), (2, 2), (3, 3)]
    exchange.opened, exchange.eaten = [False, True, True], [False, False, True]
    same(
        exchange.inspect(),
        {
            "agents": (np.int32, [[0, 1], [2, 3], [4, 4]]),
            "boxes": (np.int32, [[1, 1], [2, 2], [3, 3]]),
            "food": (np.int32, [0, 1, 2]),
        },
    )
    navigation = Navigation()
    navigation.agents, navigation.landmarks = [(0, 1)] * 3, [(4, 2)] * 3
    landmarks = (np.int32, [[4, 2]] * 3)
    same(navigation.inspect(), {"agents": (np.int32, [[0, 1]] * 3), "landmarks": landmarks})
    predation = Predation()
    predation.predators, predation.prey = [0.25] * 8, 0.5
    same(predation.inspect(), {"agents": (np.float64, [0.25] * 8), "prey": (np.float64, [0.5])})


@pytest.mark.parametrize("world_class", [Cleanup, Exchange, Harvest, Navigation, Predation])
def test_batches_have_the_type_and_scale_of_their_world(world_class: Any) -> None:
    env = VecEnv([world_class() for _ in range(2)], 0)
    env.reset()
    grid = world_class in (Cleanup, Harvest)
    assert env.obs.dtype == env.final_obs.dtype == (np.uint8 if grid else np.float32)
    assert env.obs_scale == 1.0
    assert env.obs.any()
    ours, theirs = env.inspect(1), env.environments[1].inspect()
    assert {key: value.tolist() for key, value in ours.items()} == {
        key: value.tolist() for key, value in theirs.items()
    }


# ---- whatever happens ------------------------------------------------------------------------


@st.composite
def maps(draw: Any, letters: str, needed: str, num_agents: int) -> str:
    """A map of any shape with what it needs, and anything else elsewhere."""
    height, width = draw(st.integers(2, 7)), draw(st.integers(5, 8))
    forced = [*needed, *"P" * num_agents]
    free = height * width - len(forced)
    others = draw(st.lists(st.sampled_from(letters), min_size=free, max_size=free))
    all_ = draw(st.permutations(forced + others))
    return "\n" + "\n".join("".join(all_[k * width : (k + 1) * width]) for k in range(height))


def fraction() -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, 0.05, 0.5, 1.0])


def check_movement(world: Any, before: list[Cell], action: NDArray[np.int32]) -> None:
    for i, (row, col) in enumerate(world.agents):
        assert 0 <= row < world.height
        assert 0 <= col < world.width
        assert not world.walls[row, col]
        steps = abs(row - before[i][0]) + abs(col - before[i][1])
        assert steps <= (1 if action[i] < STAY else 0)
    if world.params.profile == "ssd":
        assert len(set(world.agents)) == world.num_agents
        exchanged = [
            (i, j)
            for i, j in itertools.combinations(range(world.num_agents), 2)
            if world.agents[i] == before[j] and world.agents[j] == before[i]
        ]
        assert exchanged == []


def check_apples(world: Any, before: NDArray[np.bool_], reward: NDArray[np.float32]) -> None:
    under_agents = np.zeros_like(world.walls)
    for cell in world.agents:
        under_agents[cell] = True
    eaten, new = before & ~world.apples, world.apples & ~before
    assert eaten.sum() == reward.sum()
    assert set(reward.tolist()) <= {0.0, 1.0}
    assert not (eaten & ~under_agents).any()
    assert not (new & under_agents).any()
    assert not (world.apples & ~world.orchard).any()


def check_waste(world: Any, before: NDArray[np.bool_], had_apples: NDArray[np.bool_]) -> None:
    p = world.params
    cleaned, new = sum(world.cleaned), int((world.waste & ~before).sum())
    assert not (world.waste & ~world.river).any()
    # Waste may settle where it was cleaned a moment ago, so count instead of comparing places.
    settled = int(world.waste.sum() - before.sum()) + cleaned
    assert new <= settled <= 1
    density = (before.sum() - cleaned) / world.river.sum()
    if density >= p.threshold_depletion:
        assert settled == 0
        assert not (world.apples & ~had_apples).any()
    elif p.waste_probability == 1.0:
        assert settled == 1
    if p.profile == "ssd":
        assert max(world.cleaned) <= 3


def check_obs(world: Any) -> None:
    obs = world.obs()
    assert obs.shape == (world.views, world.obs_size)
    assert obs.dtype == np.uint8
    if world.params.obs_mode == "planes":
        n, area = world.num_agents, world.height * world.width
        facts = obs[0, : -4 * n].reshape(-1, area)
        assert facts[-n:].sum(axis=1).tolist() == [1] * n
        assert obs[0, -4 * n :].reshape(n, 4).argmax(axis=1).tolist() == world.orientation
        assert facts[-n - 1].sum() == world.apples.sum()


def play(world: Any, seed: int, steps: int) -> None:
    numpy_rng = np.random.default_rng(seed)
    world.reset(stream(0, seed))
    spawn_cells = set(world.spawn_cells)
    assert len(set(world.agents)) == world.num_agents
    assert set(world.agents) <= spawn_cells
    for step in range(1, steps + 1):
        action = numpy_rng.integers(0, world.num_actions, world.num_agents, dtype=np.int32)
        agents, apples = list(world.agents), world.apples.copy()
        waste = world.waste.copy() if isinstance(world, Cleanup) else None
        reward, terminated = world.step(stream(step, seed), action)
        assert not terminated
        check_movement(world, agents, action)
        check_apples(world, apples, reward)
        if waste is not None:
            check_waste(world, waste, apples)
        check_obs(world)
        assert set(world.orientation) <= {0, 1, 2, 3}


SHARED = {
    "profile": st.sampled_from(["ssd", "features"]),
    "move_frame": st.sampled_from(["profile", "ego", "abs"]),
    "obs_mode": st.sampled_from(["planes", "rgb", "local", "features"]),
}
PLAYS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PLAYS
@given(
    data=st.data(),
    n=st.integers(1, 6),
    shared=st.fixed_dictionaries(SHARED),
    own=st.fixed_dictionaries(
        {
            "waste_mode": st.sampled_from(["scan", "once"]),
            "apple_probability": fraction(),
            "waste_probability": fraction(),
            "threshold_depletion": st.sampled_from([0.3, 0.4, 1.0]),
            "threshold_restoration": st.sampled_from([0.0, 0.25]),
            "beam_length": st.integers(1, 6),
        }
    ),
    seed=st.integers(0, 2**32),
)
def test_whatever_happens_in_cleanup(
    data: Any, n: int, shared: dict[str, Any], own: dict[str, Any], seed: int
) -> None:
    map_ = data.draw(maps("@HHRRSBBP ", "RB", n))
    play(Cleanup(CleanupParams(num_agents=n, map=map_, **shared, **own)), seed, steps=25)


@PLAYS
@given(
    data=st.data(),
    n=st.integers(1, 6),
    shared=st.fixed_dictionaries(SHARED),
    own=st.fixed_dictionaries({f"regrowth_{k}": fraction() for k in (1, 2, 3)}),
    seed=st.integers(0, 2**32),
)
def test_whatever_happens_in_harvest(
    data: Any, n: int, shared: dict[str, Any], own: dict[str, Any], seed: int
) -> None:
    map_ = data.draw(maps("@AAAP  ", "A", n))
    play(Harvest(HarvestParams(num_agents=n, map=map_, **shared, **own)), seed, steps=25)
