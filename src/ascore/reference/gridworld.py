"""The common base of both grid environments: orientation, movement, eating, observations.

A cell is (row, column), row 0 at the top. Directions and orientations are 0 up, 1 right, 2 down,
3 left, so that a quarter turn clockwise adds 1. Cells outside the map act as walls.

Source:
    Christoffersen et al. 2023, "Get it in writing: formal contracts mitigate social dilemmas in
    multi-agent RL": the rules of movement, eating and observation.
    Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas",
    and eugenevinitsky/sequential_social_dilemma_games, social_dilemmas/envs/map_env.py and
    agent.py: firing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ascore.reference.grid_constants import GridParams
from ascore.reference.grid_maps import (
    MOST_CELLS,
    Cell,
    Plane,
    beside,
    cells_of,
)
from ascore.reference.grid_moves import move_in_turn, move_together
from ascore.reference.hearing import within_radius
from ascore.reference.philox import Stream

__all__ = ["CLEAN", "Colour", "GridParams", "GridWorld"]

LEFT, RIGHT, UP, DOWN, STAY, TURN_CLOCKWISE, TURN_COUNTERCLOCKWISE, CLEAN = range(8)

DIRECTION_OF_MOVE = {UP: 0, RIGHT: 1, DOWN: 2, LEFT: 3}
TURNS = {TURN_CLOCKWISE: +1, TURN_COUNTERCLOCKWISE: -1}

SIGHT = 7
"""Number of cells that an agent sees to each side in its local view."""

WALL_COLOUR = (180, 180, 180)
APPLE_COLOUR = (0, 255, 0)
AGENT_COLOURS = (
    (0, 0, 255),
    (2, 81, 154),
    (204, 0, 204),
    (216, 30, 54),
    (254, 151, 0),
    (100, 255, 255),
    (99, 99, 255),
    (250, 204, 255),
    (238, 223, 16),
)

Colour = tuple[int, int, int]
"""(red, green, blue), each 0..255."""


class GridWorld:
    """Agents with orientations on a map with walls and apples; base of both environments.

    Args:
        params: constants.
        tiles: characters of the map, [H, W]; `read_map` makes them.
        orchard: character of the cells on which apples grow.
        num_planes: number of planes in obs_mode "planes", without those of the agents.
        num_features: number of entries of a view in obs_mode "features".
        num_around: number of planes in the centred modes, without those of `_planes_around`.

    Raises:
        ValueError: the map has no orchard cell, too many, or fewer spawn cells than agents; or
            append_orientation is used with an obs_mode that has no room for it.
    """

    action_names: tuple[str, ...] = (
        "left",
        "right",
        "up",
        "down",
        "stay",
        "turn_clockwise",
        "turn_counterclockwise",
    )
    obs_dtype: ClassVar[type[np.uint8]] = np.uint8

    def __init__(
        self,
        params: GridParams,
        tiles: NDArray[np.str_],
        orchard: str,
        num_planes: int,
        num_features: int,
        num_around: int,
    ) -> None:
        self._shared = params
        if not params.turns:
            self.action_names = tuple(a for a in self.action_names if "turn" not in a)
        if params.fire:
            self.action_names = (*self.action_names, "fire")
        self.num_agents = n = params.num_agents
        self.num_actions = len(self.action_names)
        self.horizon = params.horizon

        self.height, self.width = tiles.shape
        self.walls: Plane = tiles == "@"
        self.orchard: Plane = tiles == orchard
        self.spawn_cells = cells_of(tiles == "P")
        if not 1 <= self.orchard.sum() <= MOST_CELLS:
            message = (
                f"the map has {self.orchard.sum()} cells {orchard!r}, where apples grow; 1 to"
                f" {MOST_CELLS} are allowed"
            )
            raise ValueError(message)
        if len(self.spawn_cells) < n:
            message = (
                f"the map has {len(self.spawn_cells)} spawn cells 'P' and num_agents = {n}; every"
                " agent needs one: choose another map or fewer agents"
            )
            raise ValueError(message)
        centred = params.obs_mode in ("centred", "centred_turned")
        if params.append_orientation and params.obs_mode != "rgb" and not centred:
            message = (
                f"append_orientation = True does not go with obs_mode = {params.obs_mode!r}; only"
                " 'rgb', 'centred' and 'centred_turned' lack orientations"
            )
            raise ValueError(message)

        mode = params.obs_mode
        area = self.height * self.width
        self.views = 1 if mode in ("planes", "rgb") else n
        longer = max(self.height, self.width)
        self.seen_rows = 2 * (self.height if mode == "centred" else longer) - 1
        self.seen_cols = 2 * (self.width if mode == "centred" else longer) - 1
        around = (3 + num_around) * self.seen_rows * self.seen_cols
        around += 4 if params.append_orientation else 0
        self.obs_size = {
            "planes": (num_planes + n) * area + 4 * n,
            "rgb": 3 * area + (4 * n if params.append_orientation else 0),
            "local": 3 * (2 * SIGHT + 1) ** 2,
            "features": num_features,
            "centred": around,
            "centred_turned": around,
        }[mode]
        self.obs_scale = 1 / 255 if mode in ("rgb", "local") else 1.0

        self.agents: list[Cell] = []
        self.orientation: list[int] = []
        self.fired: list[list[Cell]] = []
        self.eaten = [0] * n
        self.hit = [0] * n
        self.apples: Plane = np.zeros_like(self.walls)

    # ---- observations ------------------------------------------------------------------------

    def obs(self) -> NDArray[np.uint8]:
        """Return the observation of the current state; multiply it by `obs_scale`.

        Returns:
            u8[V, O]. "planes": one view of 0 and 1, planes [H, W] of things, then of agents 0..N-1,
            then a one-hot orientation [4] of each agent. "rgb": one view, the coloured map
            [H, W, 3]; with append_orientation, one-hot orientations of 0 and 255 follow. "local":
            view i is [15, 15, 3], the picture around agent i, rotated so that it faces up, black
            outside the map. "features": view i holds the features of agent i, at most 255.
            "centred": view i is planes [2 H - 1, 2 W - 1] of 0 and 1 with agent i in the middle:
            itself, the other agents, walls, then those of `_planes_around`; nothing lies outside
            the map. With append_orientation, the one-hot orientation [4] of agent i follows.
            "centred_turned": the same, [2 L - 1, 2 L - 1] with L the longer of H and W, rotated so
            that the agent faces up.
        """
        mode = self._shared.obs_mode
        if mode == "planes":
            entries = [*self._planes(), *(self._plane_of(i) for i in range(self.num_agents))]
            return self._one_view([*entries, self._one_hot_orientations()])
        if mode == "rgb":
            if self._shared.append_orientation:
                return self._one_view([self._picture(), 255 * self._one_hot_orientations()])
            return self._one_view([self._picture()])
        if mode == "local":
            return np.stack([self._local_view(i).ravel() for i in range(self.num_agents)])
        if mode in ("centred", "centred_turned"):
            return np.stack([self._centred_view(i) for i in range(self.num_agents)])
        features = [self._features(i) for i in range(self.num_agents)]
        return np.array(features).clip(max=255).astype(np.uint8)

    def _planes(self) -> list[Plane]:
        """Return the planes of all things except agents."""
        raise NotImplementedError

    def _planes_around(self) -> list[Plane]:
        """Return the planes of all things except agents and walls, for the centred modes."""
        raise NotImplementedError

    def _coloured(self) -> list[tuple[Plane, Colour]]:
        """Return planes with their colours, without agents; later ones cover earlier ones."""
        return [(self.walls, WALL_COLOUR), (self.apples, APPLE_COLOUR)]

    def _features(self, agent: int) -> list[int]:
        """Return the features of an agent in obs_mode "features"."""
        raise NotImplementedError

    def _agent_features(self, agent: int) -> list[int]:
        """Return row, column and orientation of the agent and of the first other agent."""
        others = [j for j in range(self.num_agents) if j != agent]
        entries: list[int] = []
        for i in [agent, *others[:1]]:
            entries += [*self.agents[i], self.orientation[i]]
        return entries if others else [*entries, 0, 0, 0]

    def _one_view(
        self, parts: Iterable[NDArray[np.bool_] | NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        return np.concatenate([part.ravel() for part in parts]).astype(np.uint8)[None, :]

    def _plane_of(self, agent: int) -> Plane:
        plane = np.zeros_like(self.walls)
        plane[self.agents[agent]] = True
        return plane

    def _one_hot_orientations(self) -> NDArray[np.uint8]:
        return np.eye(4, dtype=np.uint8)[self.orientation]

    def _picture(self) -> NDArray[np.uint8]:
        picture = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        for plane, colour in self._coloured():
            picture[plane] = colour
        for i, cell in enumerate(self.agents):
            picture[cell] = AGENT_COLOURS[i % len(AGENT_COLOURS)]
        return picture

    def _local_view(self, agent: int) -> NDArray[np.uint8]:
        picture = np.pad(self._picture(), [(SIGHT, SIGHT), (SIGHT, SIGHT), (0, 0)])
        row, col = self.agents[agent]
        window = picture[row : row + 2 * SIGHT + 1, col : col + 2 * SIGHT + 1]
        # A counterclockwise rotation brings the part clockwise of "up" to the top.
        turned: NDArray[np.uint8] = np.rot90(window, self.orientation[agent])
        return turned

    def _centred_view(self, agent: int) -> NDArray[np.uint8]:
        others = [self._plane_of(j) for j in range(self.num_agents) if j != agent]
        everyone_else = np.any([np.zeros_like(self.walls), *others], axis=0)
        row, col = self.agents[agent]
        top, left = self.seen_rows // 2 - row, self.seen_cols // 2 - col
        entries = []
        for plane in (self._plane_of(agent), everyone_else, self.walls, *self._planes_around()):
            seen = np.zeros((self.seen_rows, self.seen_cols), dtype=np.uint8)
            seen[top : top + self.height, left : left + self.width] = plane
            turns = self.orientation[agent] if self._shared.obs_mode == "centred_turned" else 0
            entries.append(np.rot90(seen, turns).ravel())  # as in `_local_view`
        if self._shared.append_orientation:
            entries.append(self._one_hot_orientations()[agent])
        return np.concatenate(entries)

    def _lit(self, beams: Sequence[Sequence[Cell]]) -> Plane:
        """Return the plane of the cells that beams are on."""
        plane = np.zeros_like(self.walls)
        for beam in beams:
            for cell in beam:
                plane[cell] = True
        return plane

    # ---- neighbours and state ----------------------------------------------------------------

    def neighbours(self) -> NDArray[np.uint8]:
        """Return who hears whom in the current state: u8[N, N], [i, j] = 1 if i hears j."""
        p = self._shared
        beyond_the_map = self.height + self.width  # all cells are closer than that
        radius = p.neigh_radius if p.graph == "radius" else beyond_the_map
        return within_radius(self.agents, radius, p.neigh_metric)

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state.

        Returns:
            agents i32[N, 2] as (row, column), orientation i32[N], and u8[H, W] of 0 and 1: walls;
            apples; orchard, where apples can grow.
        """
        return {
            "agents": np.array(self.agents, dtype=np.int32).reshape(-1, 2),
            "orientation": np.array(self.orientation, dtype=np.int32),
            "walls": self.walls.astype(np.uint8),
            "apples": self.apples.astype(np.uint8),
            "orchard": self.orchard.astype(np.uint8),
        }

    def deeds(self) -> dict[str, NDArray[np.int32]]:
        """Return what agents did in the last step, i32[N] each.

        Returns:
            eaten: apples. hit: beams of fire that hit the agent, if there is fire.
        """
        counts = {"eaten": self.eaten} | ({"hit": self.hit} if self._shared.fire else {})
        return {name: np.array(count, dtype=np.int32) for name, count in counts.items()}

    # ---- rules of both environments ----------------------------------------------------------

    def _place_agents(self, rng: Stream) -> None:
        """Place agents on distinct spawn cells with orientations, all drawn uniformly.

        With start = "fixed" nothing is drawn: agent 0 is on the last spawn cell in row-major order,
        agent 1 on the last but one and so on, and all face up.
        """
        if self._shared.start == "fixed":
            self.agents = self.spawn_cells[::-1][: self.num_agents]
            self.orientation = [0] * self.num_agents
            return
        free = list(self.spawn_cells)
        self.agents = []
        self.orientation = []
        for _ in range(self.num_agents):
            self.agents.append(free.pop(rng.below(len(free))))
            if self._shared.profile == "ssd":
                self.orientation.append(rng.below(4))
        if self._shared.profile == "features":
            self.orientation = [rng.below(4) for _ in range(self.num_agents)]

    def _move_and_eat(self, rng: Stream, action: NDArray[np.int32]) -> NDArray[np.float32]:
        """Turn, move and eat; return the number of apples each agent ate, f32[N]."""
        agents = range(self.num_agents)
        targets = [self._target(i, int(action[i])) for i in agents]
        if self._shared.profile == "ssd":
            self._turn(action)
            self.agents = move_together(self.agents, targets, rng.perm(self.num_agents))
            return self._eat(agents)
        stays = [action[i] == STAY for i in agents]
        self.agents = move_in_turn(self.agents, targets, stays)
        reward = self._eat([i for i in agents if action[i] in (*DIRECTION_OF_MOVE, STAY)])
        self._turn(action)
        return reward

    def _target(self, agent: int, action: int) -> Cell:
        here = self.agents[agent]
        if action not in DIRECTION_OF_MOVE:
            return here
        direction = DIRECTION_OF_MOVE[action]
        frame = self._shared.move_frame
        if frame == "ego" or (frame == "profile" and self._shared.profile == "ssd"):
            direction += self.orientation[agent]
        ahead = beside(here, direction)
        return ahead if self._is_open(ahead) else here

    def _is_open(self, cell: Cell) -> bool:
        row, col = cell
        inside = 0 <= row < self.height and 0 <= col < self.width
        return inside and not self.walls[cell]

    def _turn(self, action: NDArray[np.int32]) -> None:
        if not self._shared.turns:
            return
        self.orientation = [
            (orientation + TURNS.get(int(a), 0)) % 4
            for orientation, a in zip(self.orientation, action, strict=True)
        ]

    def _eat(self, eaters: Iterable[int]) -> NDArray[np.float32]:
        eaten = np.zeros(self.num_agents, dtype=np.float32)
        for i in eaters:
            if self.apples[self.agents[i]]:
                self.apples[self.agents[i]] = False
                eaten[i] = 1
        self.eaten = [int(count) for count in eaten]
        return eaten

    def _beam(self, agent: int, stops: Callable[[Cell], bool] = lambda _: False) -> list[Cell]:
        """Return the cells of an agent's beam, three lanes one after the other.

        The middle lane starts ahead of the agent and the others beside it. Each ends at a wall, at
        an agent, and at a cell where `stops` is true; that cell is part of it. With the profile
        "features" all lanes start level with the agent, are one cell longer, and end only at walls.
        """
        here, facing = self.agents[agent], self.orientation[agent]
        shielded = self._shared.profile == "ssd"
        middle = beside(here, facing) if shielded else here
        length = self._shared.beam_length + (0 if shielded else 1)
        cells = []
        for start in (middle, beside(here, facing + 1), beside(here, facing - 1)):
            for cell in self._lane(start, facing, length):
                cells.append(cell)
                if shielded and (stops(cell) or cell in self.agents):
                    break
        return cells

    def _charge(
        self, reward: NDArray[np.float32], fires: Sequence[bool], hit: Sequence[int]
    ) -> None:
        """Take from the rewards what firing costs, and being hit.

        Args:
            reward: f32[N], changed in place.
            fires: whether each agent fires.
            hit: agents that are hit, each as often as beams hit it.
        """
        p = self._shared
        self.hit = [hit.count(i) for i in range(self.num_agents)]
        for i in range(self.num_agents):
            paid = (p.fire_cost if fires[i] else 0.0) + p.hit_cost * self.hit[i]
            reward[i] = float(reward[i]) - paid

    def _hit_by(self, agent: int, beam: Collection[Cell]) -> list[int]:
        """Return the agents on the cells of an agent's beam; never itself."""
        return [j for j, cell in enumerate(self.agents) if j != agent and cell in beam]

    def _lane(self, start: Cell, direction: int, length: int) -> Iterator[Cell]:
        """Yield up to `length` cells from `start` on, until a wall."""
        cell = start
        for _ in range(length):
            if not self._is_open(cell):
                return
            yield cell
            cell = beside(cell, direction)

    def _grow_apples(
        self, rng: Stream, largest: float, probability: Callable[[Cell], float]
    ) -> None:
        """Grow apples on bare cells, one cell after the other in row-major order.

        Growth is rare and random words are expensive, so a random byte screens each cell first: it
        is below q = ceil(256 `largest`) with probability q / 256. Only then a u01 is drawn, and an
        apple grows if it is below 256 p / q, which makes the total probability p.

        Args:
            rng: stream of this step. Nothing is drawn if `largest` is 0; otherwise the bytes of all
                cells are drawn, then the u01s of those that pass, whatever their probability.
            largest: maximum probability of any cell, in [0, 1].
            probability: gives the probability p of a bare cell, in [0, `largest`]; called in the
                order of the cells, after the growth of earlier ones.
        """
        if largest == 0:
            return
        passing = math.ceil(largest * 256)
        bare = self._bare_cells()
        for cell, byte in zip(bare, rng.bytes(len(bare)), strict=True):
            if byte < passing:
                self.apples[cell] = rng.u01() < probability(cell) * 256 / passing

    def _bare_cells(self) -> list[Cell]:
        """Return the orchard cells without apple and agent, in row-major order."""
        bare = self.orchard & ~self.apples
        for cell in self.agents:
            bare[cell] = False
        return cells_of(bare)
