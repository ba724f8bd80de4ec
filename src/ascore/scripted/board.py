"""Maps of the grid environments for planning: positions of agents and things, and distances.

B environments, N agents, M walkable cells in row-major order. Arrays over cells have them first,
[M, B], so that looking up the cells next to each cell copies whole rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import VecEnv
from ascore.scripted.reading import require

AnyArray = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left, as the orientations
STAY, TURN_CLOCKWISE, TURN_COUNTERCLOCKWISE, CLEAN = 4, 5, 6, 7
MOVES = np.array([2, 1, 3, 0])  # the action that moves along each direction
FAR = 10_000  # longer than any path on a map of 64 x 64 cells


class Board:
    """The constant part of a map.

    Attributes:
        cells: i64 [M], row-major numbers of the walkable cells on the map.
        next: i64 [M, 4], the cell after a step in each direction; the cell itself at a wall.
        around: i64 [M, 8], the cells around each cell; M where there is none.
        orchard: bool [M], cells on which apples can grow.
    """

    def __init__(self, walls: Bools, orchard: Bools) -> None:
        height, width = walls.shape
        self.cells: Ints = np.flatnonzero(~walls)
        self.orchard: Bools = orchard.ravel()[self.cells]
        number = np.full((height + 2, width + 2), -1)
        numbers = np.full(walls.size, -1)
        numbers[self.cells] = np.arange(self.cells.size)
        number[1:-1, 1:-1] = numbers.reshape(walls.shape)
        row, col = np.divmod(self.cells, width)

        def beside(down: int, right: int) -> Ints:
            neighbours: Ints = number[row + 1 + down, col + 1 + right]
            return neighbours

        here = np.arange(self.cells.size)
        steps = [beside(*step) for step in DIRECTIONS]
        self.next: Ints = np.stack([np.where(to < 0, here, to) for to in steps], axis=1)
        ring = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]
        near = np.stack([beside(*step) for step in ring], axis=1)
        self.around: Ints = np.where(near < 0, here.size, near)

    @cached_property
    def distance(self) -> I16:
        """Number of steps between cells, i16 [M, M]; FAR if there is no path."""
        return self.to_nearest(np.eye(len(self.cells), dtype=np.bool_))

    def sum_around(self, values: AnyArray) -> AnyArray:
        """Sum over the cells around each cell: [M, B] of any type -> [M, B]."""
        padded = np.concatenate([values, np.zeros_like(values[:1])])
        total = padded[self.around[:, 0]]
        for neighbour in self.around.T[1:]:
            total += padded[neighbour]
        return total

    def to_nearest(self, goals: Bools, fee: I16 | None = None) -> I16:
        """Cost of the cheapest path from each cell to any goal.

        Args:
            goals: bool [M, B].
            fee: i16 [M, B], cost of entering a cell, at least 1; None = 1.

        Returns:
            i16 [M, B], 0 at the goals, FAR if there is no path.
        """
        cost = np.where(goals, 0, FAR).astype(np.int16)
        entry, best, other = (np.empty_like(cost) for _ in range(3))
        while True:
            np.add(cost, 1 if fee is None else fee, out=entry)
            np.take(entry, self.next[:, 0], axis=0, out=best)
            for direction in range(1, 4):
                np.take(entry, self.next[:, direction], axis=0, out=other)
                np.minimum(best, other, out=best)
            np.minimum(best, cost, out=best)
            if np.array_equal(best, cost):
                return cost
            cost, best = best, cost


@lru_cache(maxsize=16)
def _board(shape: tuple[int, int], walls: bytes, orchard: bytes) -> Board:
    def grid(data: bytes) -> Bools:
        plane: Bools = np.frombuffer(data, np.uint8).reshape(shape).astype(np.bool_)
        return plane

    return Board(grid(walls), grid(orchard))


@dataclass(frozen=True)
class Sight:
    """The current states of B environments, read from their observations.

    Attributes:
        board: the map of all environments.
        apples: bool [M, B].
        waste: bool [M, B]; None on maps without a river.
        agents: i64 [B, N], cells of the agents.
        orientation: i64 [B, N], directions of the agents.
        egocentric: whether moves are relative to the orientation.
        turning: whether agents can turn.
    """

    board: Board
    apples: Bools
    waste: Bools | None
    agents: Ints
    orientation: Ints
    egocentric: bool
    turning: bool

    @property
    def clean(self) -> int:
        """The action that cleans."""
        return CLEAN if self.turning else STAY + 1

    def move(self, agent: int, direction: Ints) -> Ints:
        """Actions i64 [B] that move the agent in these directions i64 [B]."""
        turned = (direction - self.orientation[:, agent]) % 4 if self.egocentric else direction
        actions: Ints = MOVES[turned]
        return actions


def look(env: VecEnv) -> Sight:
    """Reads the planes that `cleanup-v1` and `harvest-v1` observe by default.

    Raises:
        ValueError: the environment has other observations.
    """
    require(env, obs_mode="planes")
    state = env.inspect(0)
    walls = state["walls"]
    board = _board(walls.shape, walls.tobytes(), state["orchard"].tobytes())
    n = env.spec.num_agents
    obs = env.obs[:, 0]
    planes = obs[:, : -4 * n].reshape(env.num_envs, -1, walls.size)[..., board.cells]
    things = planes[:, :-n].astype(np.bool_).transpose(1, 2, 0)  # [waste,] apples
    frame = env.params["move_frame"]
    return Sight(
        board=board,
        apples=np.ascontiguousarray(things[-1]),
        waste=np.ascontiguousarray(things[0]) if len(things) > 1 else None,
        agents=planes[:, -n:].argmax(axis=-1),
        orientation=obs[:, -4 * n :].reshape(-1, n, 4).argmax(axis=-1),
        egocentric=frame == "ego" or (frame == "profile" and env.params["profile"] == "ssd"),
        turning=env.params["turns"],
    )
