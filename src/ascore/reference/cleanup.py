"""Cleanup, version 1: apples grow only if agents keep the river clean.

Waste collects in the river. The more waste, the fewer apples grow in the orchard, and above a
threshold none. Eating an apple is rewarded; cleaning is not, and is done far from the apples. So a
selfish agent waits in the orchard, and if all agents do, no apples grow.

Source:
    "Learning to Cooperate under Private Rewards", section 5.1, Cleanup.
    Christoffersen et al. 2023, "Get it in writing: formal contracts mitigate social dilemmas in
    multi-agent RL", and its code: the map, the constants and the order of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.grid_maps import MOST_CELLS, Cell, Plane, beside, cells_of, nearest, read_map
from ascore.reference.gridworld import CLEAN, Colour, GridWorld
from ascore.reference.philox import Stream

__all__ = ["Cleanup", "CleanupParams"]

# "@" wall, "H" river with waste at reset, "R" clean river, "S" stream, "B" orchard, "P" spawn cell.
LEGEND = "@HRSBP "
FULL = """
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
@RRRRR   P P BBBB@
@HHHHH   P  BBBBB@
@RRRRRR    P BBBB@
@HHHHHH P   BBBBB@
@RRRRR       BBBB@
@HHHH    P  BBBBB@
@RRRRR       BBBB@
@HHHHH  P P BBBBB@
@RRRRR       BBBB@
@HHHH       BBBBB@
@RRRRR       BBBB@
@HHHHH      BBBBB@
@RRRRR       BBBB@
@HHHH       BBBBB@
@@@@@@@@@@@@@@@@@@
"""
ALIASES = {"cleanup_top": "cleanup_1_9", "cleanup_mid": "cleanup_10_18"}

WATER_COLOUR = (113, 75, 24)
WASTE_COLOUR = (99, 156, 194)


@dataclass(frozen=True)
class CleanupParams:
    """The constants of Cleanup, each with its source.

    "Section 5.1" is of the paper; "the code" is that of Christoffersen et al. 2023, used where the
    paper does not say; "our choice" where neither does.
    """

    num_agents: int = 2
    """Number of agents; the code."""
    map: str = "cleanup_top"
    """Name of a map, or its text, with line breaks; 11 x 18 is section 5.1, the cut our choice."""
    profile: Literal["ssd", "features"] = "ssd"
    """Rule set: that of the code's image version ("ssd"), or of its feature version ("features"),
    where agents may share cells and only walls stop the beam; our choice."""
    move_frame: Literal["profile", "ego", "abs"] = "profile"
    """Whether "up" is where the agent faces ("ego") or the top of the map ("abs"); "profile" is
    "ego" for "ssd" and "abs" for "features", as in the code."""
    waste_mode: Literal["scan", "once"] = "scan"
    """Whether new waste tries cell after cell until it succeeds (the code), or one cell."""
    horizon: int = 100
    """Steps after which an episode is cut off; section 5.1."""
    obs_mode: Literal["planes", "rgb", "local", "features"] = "planes"
    """Whether agents see the whole state, the map in colours, their surroundings in colours, or a
    few numbers; our choice."""
    append_orientation: bool = False
    """Whether orientations follow the colours of "rgb", which do not show them; our choice."""
    graph: Literal["complete", "radius"] = "complete"
    """Whether all agents hear each other, or those near each other; our choice."""
    neigh_radius: int = 1
    """Distance in cells up to which agents hear each other if graph = "radius"; our choice."""
    neigh_metric: Literal["cheb", "manhattan"] = "cheb"
    """Metric of `neigh_radius`; our choice."""
    threshold_depletion: float = 0.4
    """Share of the river with waste from which on nothing grows, apples or waste; the code."""
    threshold_restoration: float = 0.0
    """Share of the river with waste up to which apples grow fastest; the code."""
    apple_probability: float = 0.05
    """Largest probability that an apple grows in a cell in a step; the code."""
    waste_probability: float = 0.5
    """Probability that waste settles in a cell where it tries; the code."""
    beam_length: int = 5
    """Cells the cleaning beam reaches ahead; the code."""


class Cleanup(GridWorld):
    """One Cleanup environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are two agents in the upper part of the published map.

    Raises:
        ValueError: the map cannot be read, has no river or more than 1024 cells of it, or does not
            suit `GridWorld`; or the thresholds are in the wrong order.
    """

    name: ClassVar[str] = "cleanup-v1"
    action_names: ClassVar[tuple[str, ...]] = (*GridWorld.action_names, "clean")
    Params: ClassVar[type[CleanupParams]] = CleanupParams

    def __init__(self, params: CleanupParams | None = None) -> None:
        self.params = p = CleanupParams() if params is None else params
        tiles = read_map(p.map, "cleanup", FULL, ALIASES, LEGEND)
        super().__init__(p, tiles, orchard="B", num_planes=2, num_features=12 + p.num_agents)
        self.dirty_at_reset: Plane = tiles == "H"
        self.river: Plane = self.dirty_at_reset | (tiles == "R")
        self.stream: Plane = tiles == "S"
        if not 1 <= self.river.sum() <= MOST_CELLS:
            message = (
                f"the map has {self.river.sum()} river cells 'H' and 'R'; 1 to {MOST_CELLS} are"
                " allowed"
            )
            raise ValueError(message)
        if not p.threshold_restoration < p.threshold_depletion:
            message = (
                f"threshold_restoration = {p.threshold_restoration} is not below"
                f" threshold_depletion = {p.threshold_depletion}; apples grow more slowly from the"
                " one to the other"
            )
            raise ValueError(message)
        self.waste: Plane = np.zeros_like(self.river)
        self.cleaned = [0] * self.num_agents

    def reset(self, rng: Stream) -> None:
        """Put waste as on the map, remove apples, place agents, and grow apples and waste once."""
        self.waste = self.dirty_at_reset.copy()
        self.apples = np.zeros_like(self.river)
        self.cleaned = [0] * self.num_agents
        self._place_agents(rng)
        self._spawn(rng)

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Turn and move, eat, clean, then grow apples and waste.

        Args:
            rng: fresh stream of this step.
            action: i32[N], indices into `action_names`.

        Returns:
            Reward f32[N], 1 per apple eaten, and False, as only the horizon ends an episode.
        """
        reward = self._move_and_eat(rng, action)
        self._clean(rng, action)
        self._spawn(rng)
        return reward, False

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state.

        Returns:
            The state from `GridWorld.inspect`, and u8[H, W] of 0 and 1: waste; river, where waste
            can settle; stream, where it cannot.
        """
        return super().inspect() | {
            "waste": self.waste.astype(np.uint8),
            "river": self.river.astype(np.uint8),
            "stream": self.stream.astype(np.uint8),
        }

    # ---- cleaning ----------------------------------------------------------------------------

    def _clean(self, rng: Stream, action: NDArray[np.int32]) -> None:
        """Clean for the agents with action "clean", one after the other."""
        shielded = self.params.profile == "ssd"
        self.cleaned = [0] * self.num_agents
        for i in rng.perm(self.num_agents) if shielded else range(self.num_agents):
            if action[i] == CLEAN:
                hit = self._shielded_beam(i) if shielded else self._open_beam(i)
                for cell in hit:
                    self.waste[cell] = False
                self.cleaned[i] = len(hit)

    def _shielded_beam(self, agent: int) -> list[Cell]:
        """Return the waste on three lanes that start beside and ahead of the agent.

        Each lane ends at a wall, at an agent, and at the first waste, which blocks the beam.
        """
        here, facing = self.agents[agent], self.orientation[agent]
        hit = []
        for start in (beside(here, facing), beside(here, facing + 1), beside(here, facing - 1)):
            for cell in self._lane(start, facing, self.params.beam_length):
                if self.waste[cell]:
                    hit.append(cell)
                if self.waste[cell] or cell in self.agents:
                    break
        return hit

    def _open_beam(self, agent: int) -> list[Cell]:
        """Return the waste on three lanes that start level with the agent and end only at walls."""
        here, facing = self.agents[agent], self.orientation[agent]
        return [
            cell
            for start in (here, beside(here, facing + 1), beside(here, facing - 1))
            for cell in self._lane(start, facing, self.params.beam_length + 1)
            if self.waste[cell]
        ]

    # ---- growth ------------------------------------------------------------------------------

    def _spawn(self, rng: Stream) -> None:
        """Grow apples and waste, unless the river is too dirty for either."""
        p = self.params
        density = int(self.waste.sum()) / int(self.river.sum())
        if density >= p.threshold_depletion:
            return
        if density <= p.threshold_restoration:
            apple_probability = p.apple_probability
        else:
            over = density - p.threshold_restoration
            span = p.threshold_depletion - p.threshold_restoration
            apple_probability = p.apple_probability * (1 - over / span)
        self._grow_apples(rng, apple_probability, lambda _: apple_probability)
        if p.waste_probability > 0:
            self._settle_waste(rng)

    def _settle_waste(self, rng: Stream) -> None:
        """Put waste on at most one clean river cell, with or without an agent on it.

        Cells are tried one by one until waste settles, in random order, or in row-major order with
        the profile "features".
        """
        clean = cells_of(self.river & ~self.waste)
        for k in range(len(clean)):
            if self.params.profile == "ssd":
                other = k + rng.below(len(clean) - k)
                clean[k], clean[other] = clean[other], clean[k]
            if rng.u01() < self.params.waste_probability:
                self.waste[clean[k]] = True
                return
            if self.params.waste_mode == "once":
                return

    # ---- what agents see ---------------------------------------------------------------------

    def _planes(self) -> list[Plane]:
        return [self.waste, self.apples]

    def _coloured(self) -> list[tuple[Plane, Colour]]:
        water = self.river | self.stream
        return [*super()._coloured(), (water, WATER_COLOUR), (self.waste, WASTE_COLOUR)]

    def _features(self, agent: int) -> list[int]:
        apples, waste = cells_of(self.apples), cells_of(self.waste)
        return [
            *self._agent_features(agent),
            *nearest(self.agents[agent], apples),
            *nearest(self.agents[agent], waste),
            len(apples),
            len(waste),
            *self.cleaned,
        ]
