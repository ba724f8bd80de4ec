"""Planes of the whole map around an agent, on the Python references and in the compiled batch."""

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
    act,
    cleanup,
    harvest,
)
from numpy.typing import NDArray

import ascore

SEEN = """
@@@@@
@HSB@
@RPP@
@@@@@
"""
PLANES = ("self", "others", "wall", "water", "waste", "apple", "clean", "fire")


def seen(obs_mode: str, **more: Any) -> Any:
    agents = [(2, 3, FACING_LEFT), (1, 1, FACING_DOWN)]
    return cleanup(SEEN, *agents, apples=[(1, 3)], obs_mode=obs_mode, **more)


def planes(world: Any, agent: int) -> dict[str, NDArray[np.uint8]]:
    size = world.seen_rows * world.seen_cols
    view = world.obs()[agent]
    stack = view[: view.size // size * size].reshape(-1, world.seen_rows, world.seen_cols)
    return dict(zip(PLANES, stack, strict=False))


def ones(plane: NDArray[np.uint8]) -> list[list[int]]:
    return np.argwhere(plane).tolist()


def test_the_whole_map_from_everywhere() -> None:
    world = seen("centred")
    assert (world.views, world.obs_size, world.obs_scale) == (2, 7 * 7 * 9, 1.0)
    assert world.obs().dtype == np.uint8
    first = planes(world, 0)  # on row 2, column 3: the map begins at row 1, column 1 of the plane
    assert ones(first["self"]) == [[3, 4]]
    assert ones(first["others"]) == [[2, 2]]
    assert ones(first["water"]) == [[2, 2], [2, 3], [3, 2]]
    assert ones(first["waste"]) == [[2, 2]]
    assert ones(first["apple"]) == [[2, 4]]
    assert ones(first["clean"]) == []
    assert first["wall"].sum() == 14
    assert first["wall"][1, 1:6].all()
    assert not first["wall"][0].any()
    second = planes(world, 1)  # on row 1, column 1
    assert ones(second["self"]) == [[3, 4]]
    assert ones(second["others"]) == [[4, 6]]
    assert ones(second["apple"]) == [[3, 6]]


def test_turned_so_that_the_agent_faces_up() -> None:
    world = seen("centred_turned")
    assert (world.views, world.obs_size) == (2, 7 * 9 * 9)
    first = planes(world, 0)  # faces left: what is above it lies to its right
    assert ones(first["self"]) == [[4, 4]]
    assert ones(first["apple"]) == [[4, 5]]
    assert ones(first["others"]) == [[2, 5]]  # two ahead, one to the right
    second = planes(world, 1)  # faces down
    assert ones(second["apple"]) == [[4, 2]]
    assert ones(second["others"]) == [[3, 2]]


def test_own_orientation_after_the_planes() -> None:
    for mode in ("centred", "centred_turned"):
        plain, more = seen(mode), seen(mode, append_orientation=True)
        assert more.obs_size == plain.obs_size + 4
        assert more.obs()[:, :-4].tolist() == plain.obs().tolist()
        assert more.obs()[:, -4:].tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]


def test_harvest_has_no_water() -> None:
    world = harvest("\nPAA", (0, 1, FACING_RIGHT), apples=[(0, 2)], obs_mode="centred")
    assert world.obs().reshape(4, 5).tolist() == [
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0],
    ]


def test_beams_of_the_last_step_show_each_kind_in_its_plane() -> None:
    text = "\nRRRRRRB\nRRRRRRB\nPPPPPPB\n"
    agents = [(1, 1, FACING_RIGHT), (2, 5, FACING_UP)]
    world = cleanup(text, *agents, obs_mode="centred", fire=True, beam_length=2)
    fire = world.action_names.index("fire")
    act(world, CLEAN, fire)
    here = planes(world, 0)
    origin = world.seen_rows // 2 - 1, world.seen_cols // 2 - 1

    def on_map(plane: NDArray[np.uint8]) -> list[list[int]]:
        return [[row - origin[0], col - origin[1]] for row, col in ones(plane)]

    # Side lanes start beside an agent, and are as long as the middle one.
    assert on_map(here["clean"]) == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 1], [2, 2]]
    assert on_map(here["fire"]) == [[0, 5], [1, 4], [1, 5], [1, 6], [2, 4], [2, 6]]
    act(world, STAY, STAY)
    assert not planes(world, 0)["clean"].any()
    assert not planes(world, 1)["fire"].any()


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("mode", ["centred", "centred_turned"])
def test_every_cell_by_the_formula(mode: str, orientation: int) -> None:
    """An apple at a time, anywhere on a map that is wider than high."""
    text = "\n" + "A" * 6 + "\nAAPPAA\n"
    world = harvest(text, (1, 2, orientation), (1, 3, FACING_UP), obs_mode=mode)
    (up_down, up_right), (side_down, side_right) = STEPS[orientation], STEPS[(orientation + 1) % 4]
    for row, col in itertools.product(range(2), range(6)):
        world.apples[:] = False
        world.apples[row, col] = True
        down, right = row - 1, col - 2
        if mode == "centred_turned":
            ahead = down * up_down + right * up_right
            down, right = -ahead, down * side_down + right * side_right
        middle = world.seen_rows // 2, world.seen_cols // 2
        apple = world.obs()[0].reshape(4, world.seen_rows, world.seen_cols)[3]
        assert ones(apple) == [[middle[0] + down, middle[1] + right]]


@pytest.mark.parametrize(
    ("name", "params", "size"),
    [
        ("cleanup", {"map": "cleanup_full", "num_agents": 5}, 7 * 49 * 35),
        ("cleanup", {}, 7 * 21 * 35),
        ("harvest", {"map": "harvest_full", "num_agents": 7, "fire": True}, 5 * 31 * 75),
    ],
)
def test_sizes_of_the_published_maps(name: str, params: dict[str, Any], size: int) -> None:
    env = ascore.make(name, obs_mode="centred", **params)
    assert (env.spec.views, env.spec.obs_shape) == (env.spec.num_agents, (size,))
    assert (env.spec.obs_dtype, env.spec.obs_scale) == ("uint8", 1.0)
