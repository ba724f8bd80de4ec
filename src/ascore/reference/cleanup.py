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

from ascore.reference.grid_maps import MOST_CELLS, Cell, Plane, cells_of, nearest, read_map
from ascore.reference.gridworld import Colour, GridWorld
from ascore.reference.philox import Stream
from ascore.reference.weights import read_weights

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
# The maps of Yang et al. 2020, 011235813/lio, lio/env/maps.py: CLEANUP_SMALL_SYM and
# CLEANUP_10x10_SYM.
LIO_7 = """
@@@@@@@
@H  PB@
@H   B@
@    B@
@    B@
@ P  B@
@@@@@@@
"""
LIO_10 = """
@@@@@@@@@@
@HH   P B@
@RR    BB@
@HH     B@
@RR    BB@
@HH P   B@
@RR    BB@
@HH     B@
@RRP   BB@
@@@@@@@@@@
"""
ALIASES = {
    "cleanup_top": "cleanup_1_9",
    "cleanup_mid": "cleanup_10_18",
    "cleanup_lio7": LIO_7,
    "cleanup_lio10": LIO_10,
}

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
    turns: bool = True
    """Whether agents can turn; the code (they can), Yang et al. 2020 (they cannot)."""
    start: Literal["random", "fixed"] = "random"
    """Whether agents start on any spawn cell and facing anywhere (the code), or on the last, the
    last but one and so on, facing up (Yang et al. 2020, code)."""
    waste_mode: Literal["scan", "once"] = "scan"
    """Whether new waste tries cell after cell until it succeeds (the code), or one cell."""
    horizon: int = 100
    """Steps after which an episode is cut off; section 5.1."""
    obs_mode: Literal["planes", "rgb", "local", "features", "centred", "centred_turned"] = "planes"
    """Whether agents see the whole state, the map in colours, their surroundings in colours, a few
    numbers, or the whole map around themselves, turned with them or not; our choice."""
    append_orientation: bool = False
    """Whether orientations follow the colours of "rgb", and an agent's own the planes around it,
    which do not show them; our choice."""
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
    """Cells that the cleaning beam and fire reach ahead; the code."""
    fire: bool = False
    """Whether agents can fire a beam that costs whom it hits; section 5.1 has none."""
    fire_cost: float = 1.0
    """Paid for firing; Hughes et al. 2018, code."""
    hit_cost: float = 50.0
    """Paid for every beam that hits; Hughes et al. 2018, code."""
    waste_stops_fire: bool = True
    """Whether waste ends a lane of fire as it ends one that cleans, with the profile "ssd"; our
    choice: in the code of Hughes et al. 2018 only walls and agents do."""
    weights: str = "equal"
    """What an apple is worth to each agent; our choice."""


class Cleanup(GridWorld):
    """One Cleanup environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are two agents in the upper part of the published map.

    Raises:
        ValueError: the map cannot be read, has no river or more than 1024 cells of it, or does not
            suit `GridWorld`; or the thresholds are in the wrong order.
    """

    name: ClassVar[str] = "cleanup-v1"
    action_names: tuple[str, ...] = (*GridWorld.action_names, "clean")
    Params: ClassVar[type[CleanupParams]] = CleanupParams

    def __init__(self, params: CleanupParams | None = None) -> None:
        self.params = p = CleanupParams() if params is None else params
        tiles = read_map(p.map, "cleanup", FULL, ALIASES, LEGEND)
        super().__init__(
            p,
            tiles,
            orchard="B",
            num_planes=2,
            num_features=12 + p.num_agents,
            num_around=5 if p.fire else 4,
        )
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
        self.weights = np.array(read_weights(p.weights, p.num_agents), dtype=np.float32)
        self.waste: Plane = np.zeros_like(self.river)
        self.cleaned = [0] * self.num_agents
        self.washed: list[list[Cell]] = []

    def reset(self, rng: Stream) -> None:
        """Put waste as on the map, remove apples, place agents, and grow apples and waste once."""
        self.waste = self.dirty_at_reset.copy()
        self.apples = np.zeros_like(self.river)
        self.cleaned = [0] * self.num_agents
        self.washed = self.fired = []
        self._place_agents(rng)
        self._spawn(rng)

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Turn and move, eat, clean and fire, then grow apples and waste.

        Args:
            rng: fresh stream of this step.
            action: i32[N], indices into `action_names`.

        Returns:
            Reward f32[N], an apple's weight where one is eaten minus what firing costs, and False,
            as only the horizon ends an episode.
        """
        reward = self._move_and_eat(rng, action) * self.weights
        self._clean_and_fire(rng, action, reward)
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

    def deeds(self) -> dict[str, NDArray[np.int32]]:
        """Return what agents did in the last step, i32[N] each.

        Returns:
            Those of `GridWorld.deeds`; between them, cleaned: river cells rid of waste.
        """
        deeds = super().deeds()
        cleaned = np.array(self.cleaned, dtype=np.int32)
        return {"eaten": deeds.pop("eaten"), "cleaned": cleaned, **deeds}

    # ---- beams -------------------------------------------------------------------------------

    def _clean_and_fire(
        self, rng: Stream, action: NDArray[np.int32], reward: NDArray[np.float32]
    ) -> None:
        """Clean and fire for the agents with these actions, one after the other."""
        shielded = self.params.profile == "ssd"
        does = [self.action_names[a] for a in action]
        self.cleaned = [0] * self.num_agents
        self.washed, self.fired = [], []
        hit: list[int] = []
        for i in rng.perm(self.num_agents) if shielded else range(self.num_agents):
            if does[i] == "clean":
                beam = self._beam(i, self._dirty)
                dirty = [cell for cell in beam if self.waste[cell]]
                for cell in dirty:
                    self.waste[cell] = False
                self.cleaned[i] = len(dirty)
                self.washed.append(beam)
            elif does[i] == "fire":
                beam = self._beam(i, self._dirty) if self.params.waste_stops_fire else self._beam(i)
                hit += self._hit_by(i, beam)
                self.fired.append(beam)
        self._charge(reward, [act == "fire" for act in does], hit)

    def _dirty(self, cell: Cell) -> bool:
        return bool(self.waste[cell])

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

    def _planes_around(self) -> list[Plane]:
        """River and stream, waste, apples, and what the last step's beams were on, each kind."""
        beams = [self.washed, *([self.fired] if self.params.fire else [])]
        return [
            self.river | self.stream,
            self.waste,
            self.apples,
            *(self._lit(kind) for kind in beams),
        ]

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
