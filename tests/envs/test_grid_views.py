"""Where the grid worlds start, and what of them is seen."""

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
    STAY,
    STEPS,
    TURN_CLOCKWISE,
    Cell,
    Counting,
    act,
    cells,
    cleanup,
    harvest,
    rows_with,
    stream,
    tiles,
)

from ascore.envs.table import ENVIRONMENTS
from ascore.reference import Stream, VecEnv
from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.exchange import Exchange
from ascore.reference.grid_maps import nearest
from ascore.reference.harvest import Harvest, HarvestParams
from ascore.reference.navigation import Navigation
from ascore.reference.predation import Predation

# ---- resets -----------------------------------------------------------------------------------


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
    assert rng.words == 4 + (1 + 2) + 2  # for agents, apples, waste


def test_where_agents_start_nothing_grows() -> None:
    """Spawn cells and orchard never coincide on a map, but the rule holds at reset as well."""
    world = Cleanup(CleanupParams(map="\nRPPBB", apple_probability=1.0, waste_probability=0.0))
    world.spawn_cells = [(0, 3), (0, 4)]
    world.reset(stream(0))
    assert not world.apples.any()


# ---- what agents see --------------------------------------------------------------------------

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


# ---- who hears whom, and the state in the open ------------------------------------------------


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


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_batches_have_the_type_and_scale_of_their_world(name: str) -> None:
    world_class = ENVIRONMENTS[name].load_twin()
    env = VecEnv([world_class() for _ in range(2)], 0)
    env.reset()
    core = ENVIRONMENTS[name].core(2, 0)
    core.reset()
    assert env.obs.dtype == env.final_obs.dtype == core.obs.dtype
    assert env.obs_scale == core.obs_scale
    np.testing.assert_array_equal(env.obs, core.obs)
    ours, theirs = env.inspect(1), env.environments[1].inspect()
    assert {key: value.tolist() for key, value in ours.items()} == {
        key: value.tolist() for key, value in theirs.items()
    }
