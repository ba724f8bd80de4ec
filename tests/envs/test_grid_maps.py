"""Maps of the grid worlds: the published ones, windows of them, and text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from grid_boards import (
    CLEANUP_TOP,
    HARVEST_TOP,
    Cell,
    drawn,
    tiles,
)
from numpy.typing import NDArray

from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.harvest import Harvest, HarvestParams


def count(map_: NDArray[np.str_], letters: str) -> dict[str, int]:
    return {letter: int((map_ == letter).sum()) for letter in letters}


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
        (
            {"append_orientation": True, "obs_mode": "local"},
            r"append_orientation.*'local'.*'centred_turned'",
        ),
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
        "turns": True,
        "start": "random",
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
        "fire": False,
        "fire_cost": 1.0,
        "hit_cost": 50.0,
        "waste_stops_fire": True,
        "weights": "equal",
    }
    assert list(asdict(CleanupParams()).items()) == list(expected.items())
    left_out = {
        "waste_mode",
        "threshold_depletion",
        "threshold_restoration",
        "apple_probability",
        "waste_probability",
        "waste_stops_fire",
        "weights",
    }
    own = {"regrowth_1": 0.005, "regrowth_2": 0.02, "regrowth_3": 0.05}
    shared = {key: value for key, value in expected.items() if key not in left_out}
    assert asdict(HarvestParams()) == shared | {"map": "harvest_top"} | own
    assert len(Cleanup.action_names) == Cleanup().num_actions == 8
    assert Harvest.action_names == Cleanup.action_names[:7]
    assert Harvest().num_actions == 7
