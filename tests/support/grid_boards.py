"""Small maps and scripted random numbers for tests of the grid worlds, on the Python references.

Letters of the maps: "H" is waste, "R" clean river, "B" and "A" orchard, "P" spawn
cells. Tests place agents at any cell, regardless of the spawn cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ascore.reference import Stream
from ascore.reference import cleanup as cleanup_rules
from ascore.reference import harvest as harvest_rules
from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.grid_maps import read_map
from ascore.reference.harvest import Harvest, HarvestParams

LEFT, RIGHT, UP, DOWN, STAY, TURN_CLOCKWISE, TURN_COUNTERCLOCKWISE, CLEAN = range(8)
FACING_UP, FACING_RIGHT, FACING_DOWN, FACING_LEFT = range(4)
FACING_WORDS = ("up", "right", "down", "left")
STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1)]

Cell = tuple[int, int]
GridTwin = Cleanup | Harvest

# Words that make `perm(2)` the order 0, 1 and the order 1, 0.
IN_ORDER, REVERSED = 2**63, 0


# The published default maps, cut to the size given in the paper.
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


class Scripted(Stream):
    """A stream of the random numbers that a test gives."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def word(self) -> int:
        return self.words.pop(0)


def stream(step: int = 1, seed: int = 5) -> Stream:
    return Stream(seed, 0, 0, step)


def u01(value: float) -> int:
    """The word that `u01` turns into `value`."""
    return int(value * 2.0**64)


def words_of_bytes(*values: int) -> list[int]:
    """The words that `bytes` turns into these values."""
    packed = bytes(values)
    return [int.from_bytes(packed[k : k + 8], "little") for k in range(0, len(packed), 8)]


def just_below(value: float) -> int:
    """The word that `u01` turns into the largest number below `value`."""
    return (math.ceil(value * 2.0**53) - 1) << 11


def just_not_below(value: float) -> int:
    """The word that `u01` turns into the smallest number not below `value`."""
    return math.ceil(value * 2.0**53) << 11


def placed(world: Any, *agents: tuple[int, int, int], apples: Iterable[Cell] = ()) -> Any:
    """Places agents at (row, column, orientation), waste as on the map, and apples."""
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
    """A Cleanup world in which nothing grows by default."""
    frozen = {"apple_probability": 0.0, "waste_probability": 0.0, "num_agents": len(agents)}
    return placed(Cleanup(CleanupParams(map=text, **(frozen | params))), *agents, apples=apples)


def harvest(
    text: str, *agents: tuple[int, int, int], apples: Iterable[Cell] = (), **params: Any
) -> Any:
    """A Harvest world in which nothing grows by default."""
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


class Counting(Stream):
    """A stream that counts the words drawn from it."""

    words = 0

    def word(self) -> int:
        self.words += 1
        return super().word()


def tiles(family: str, text: str) -> NDArray[np.str_]:
    rules = {"cleanup": cleanup_rules, "harvest": harvest_rules}[family]
    return read_map(text, family, rules.FULL, rules.ALIASES, rules.LEGEND)


def drawn(map_: NDArray[np.str_]) -> str:
    return "\n" + "".join("".join(row) + "\n" for row in map_)


def state_lines(trace: Any, obs: NDArray[np.uint8]) -> Iterator[str]:
    """The map with agents by number, apples as `a` and waste as `w`; or what features say."""
    n = trace.params["num_agents"]
    if trace.params.get("obs_mode") == "features":  # agent 0's view
        places = [obs[:3], obs[3:6]]
        for i, (row, col, facing) in enumerate(np.array(places).tolist()):
            yield f"  agent {i}: row {row} column {col}, faces {FACING_WORDS[facing]}"
        return
    rows = trace.params["map"].split("\n")
    if trace.params.get("obs_mode", "planes") != "planes":  # what agent 0 sees around itself
        height, width = 2 * len(rows) - 1, 2 * len(rows[0]) - 1
        if trace.params["obs_mode"] == "centred_turned":
            height = width = max(height, width)
        planes = obs.reshape(-1, height, width)
        letters = "*&@~wa+!" if len(planes) > 5 else "*&@a!"  # Cleanup, Harvest
        for line in zip(*planes, strict=True):
            shown = np.full(width, ".")
            for plane, letter in zip(line, letters[: len(planes)], strict=True):
                shown[plane.astype(bool)] = letter
            yield "  |" + "".join(shown) + "|"
        return
    layers = (obs.size - 4 * n) // (len(rows) * len(rows[0])) - n
    planes = obs[: -4 * n].reshape(layers + n, len(rows), len(rows[0]))
    facing = obs[-4 * n :].reshape(n, 4).argmax(axis=1)
    for r, tiles in enumerate(rows):
        line = ""
        for c, tile in enumerate(tiles):
            shown = tile.lower() if tile in "P" else tile
            for layer, letter in enumerate("wa"[-layers:]):
                shown = letter if planes[layer, r, c] else shown
            for i in range(n):
                shown = str(i) if planes[layers + i, r, c] else shown
            line += shown
        yield "  |" + line + "|"
    yield "  " + ", ".join(f"agent {i} faces {FACING_WORDS[f]}" for i, f in enumerate(facing))


def beams_and_views(**crowd: Any) -> tuple[dict[str, Any], ...]:
    """Variants of firing, of planes around an agent, and of agents that do not turn.

    Args:
        crowd: parameters under which many agents are close to each other.
    """
    costs = {"fire_cost": 0.1, "hit_cost": 1 / 3, "beam_length": 2}
    return (
        {"fire": True, **crowd},
        {"fire": True, **costs, **crowd},
        {"fire": True, "profile": "features", **crowd},
        {"fire": True, "obs_mode": "centred", **crowd},
        {"fire": True, "obs_mode": "centred_turned", **crowd},
        {"obs_mode": "centred", "append_orientation": True},
        {"obs_mode": "centred", "profile": "features", **crowd},
        {"obs_mode": "centred_turned"},
        {"obs_mode": "centred_turned", "append_orientation": True, **crowd},
        {"obs_mode": "centred", "num_agents": 1},
        {"turns": False, **crowd},
        {"turns": False, "fire": True, **crowd},
        {"turns": False, "profile": "features", **crowd},
        {"start": "fixed", **crowd},
        {"start": "fixed", "profile": "features"},
    )
