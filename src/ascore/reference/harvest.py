"""Harvest, version 1: apples regrow only near other apples.

An agent that eats an apple gains it, but all agents lose the apples that would have grown around
it. Selfish agents strip the orchard; agents that spare some apples can eat for longer.

Source:
    "Learning to Cooperate under Private Rewards", section 5.1, Harvest.
    Christoffersen et al. 2023, "Get it in writing: formal contracts mitigate social dilemmas in
    multi-agent RL", and its code: the map, the constants and the order of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.grid_maps import Cell, Plane, cells_of, nearest, read_map
from ascore.reference.gridworld import GridWorld
from ascore.reference.philox import Stream

__all__ = ["Harvest", "HarvestParams"]

# "@" wall, "A" orchard, with an apple at reset, "P" spawn cell.
LEGEND = "@AP "
FULL = """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@ P   P      A    P AAAAA    P  A P  @
@  P     A P AA    P    AAA    A  A  @
@     A AAA  AAA    A    A AA AAAA   @
@ A  AAA A    A  A AAA  A  A   A A   @
@AAA  A A    A  AAA A  AAA        A P@
@ A A  AAA  AAA  A A    A AA   AA AA @
@  A A  AAA    A A  AAA    AAA  A    @
@   AAA  A      AAA  A    AAAA       @
@ P  A       A  A AAA    A  A      P @
@A  AAA  A  A  AAA A    AAAA     P   @
@    A A   AAA  A A      A AA   A  P @
@     AAA   A A  AAA      AA   AAA P @
@ A    A     AAA  A  P          A    @
@       P     A         P  P P     P @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""
ALIASES = {"harvest_top": "harvest_1_5"}

NEARBY = 5
"""Squared distance up to which the features count an apple as nearby; the code."""


@dataclass(frozen=True)
class HarvestParams:
    """The constants of Harvest, each with its source.

    "Section 5.1" is of the paper; "the code" is that of Christoffersen et al. 2023, used where the
    paper does not say; "our choice" where neither does.
    """

    num_agents: int = 2
    """Number of agents; the code."""
    map: str = "harvest_top"
    """Name of a map, or its text, with line breaks; 7 x 38 is section 5.1, the cut our choice."""
    profile: Literal["ssd", "features"] = "ssd"
    """Rule set: that of the code's image version ("ssd"), or of its feature version ("features"),
    where agents may share cells and apples grow one after the other; our choice."""
    move_frame: Literal["profile", "ego", "abs"] = "profile"
    """Whether "up" is where the agent faces ("ego") or the top of the map ("abs"); "profile" is
    "ego" for "ssd" and "abs" for "features", as in the code."""
    turns: bool = True
    """Whether agents can turn; the code (they can), Yang et al. 2020 (they cannot)."""
    start: Literal["random", "fixed"] = "random"
    """Whether agents start on any spawn cell and facing anywhere (the code), or on the last, the
    last but one and so on, facing up (Yang et al. 2020, code)."""
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
    regrowth_1: float = 0.005
    """Probability that an apple grows in a step beside one apple; the code."""
    regrowth_2: float = 0.02
    """Probability that an apple grows in a step beside two apples; the code."""
    regrowth_3: float = 0.05
    """Probability that an apple grows in a step beside three or more apples; the code."""
    fire: bool = False
    """Whether agents can fire a beam that costs whom it hits; section 5.1 has none."""
    fire_cost: float = 1.0
    """Paid for firing; Hughes et al. 2018, code."""
    hit_cost: float = 50.0
    """Paid for every beam that hits; Hughes et al. 2018, code."""
    beam_length: int = 5
    """Cells that firing reaches ahead; Hughes et al. 2018, code."""


class Harvest(GridWorld):
    """One Harvest environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are two agents in the upper part of the published map.

    Raises:
        ValueError: the map cannot be read or does not suit `GridWorld`.
    """

    name: ClassVar[str] = "harvest-v1"
    Params: ClassVar[type[HarvestParams]] = HarvestParams

    def __init__(self, params: HarvestParams | None = None) -> None:
        self.params = p = HarvestParams() if params is None else params
        tiles = read_map(p.map, "harvest", FULL, ALIASES, LEGEND)
        super().__init__(
            p,
            tiles,
            orchard="A",
            num_planes=1,
            num_features=10 + 2 * p.num_agents,
            num_around=2 if p.fire else 1,
        )

    def reset(self, rng: Stream) -> None:
        """Put an apple on every cell of the orchard, and place the agents."""
        self.apples = self.orchard.copy()
        self.fired = []
        self._place_agents(rng)

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Turn and move, eat, fire, then grow apples.

        Args:
            rng: fresh stream of this step.
            action: i32[N], indices into `action_names`.

        Returns:
            Reward f32[N], 1 per apple eaten minus what firing costs, and False, as only the horizon
            ends an episode.
        """
        reward = self._move_and_eat(rng, action)
        self._fire(action, reward)
        self._regrow(rng)
        return reward, False

    def _fire(self, action: NDArray[np.int32], reward: NDArray[np.float32]) -> None:
        """Fire for the agents with this action, in any order: no beam changes what another hits."""
        fires = [self.action_names[a] == "fire" for a in action]
        beams = {i: self._beam(i) for i in range(self.num_agents) if fires[i]}
        self.fired = list(beams.values())
        self._charge(reward, fires, [j for i in beams for j in self._hit_by(i, beams[i])])

    def _regrow(self, rng: Stream) -> None:
        """Grow apples near apples: all at once, or one by one with the profile "features"."""
        p = self.params
        probability = (0.0, p.regrowth_1, p.regrowth_2, p.regrowth_3)
        counted = self.apples.copy() if p.profile == "ssd" else self.apples
        self._grow_apples(
            rng, max(probability), lambda cell: probability[min(apples_around(counted, cell), 3)]
        )

    def _planes(self) -> list[Plane]:
        return [self.apples]

    def _planes_around(self) -> list[Plane]:
        """Apples; with fire, what the last step's beams were on."""
        return [self.apples, *([self._lit(self.fired)] if self.params.fire else [])]

    def _features(self, agent: int) -> list[int]:
        apples = cells_of(self.apples)
        row, col = self.agents[agent]
        nearby = [(r, c) for r, c in apples if (r - row) ** 2 + (c - col) ** 2 <= NEARBY]
        # The code's vector has two more entries per agent, which are 0 without its other actions.
        unused = [0] * (2 * self.num_agents)
        return [
            *self._agent_features(agent),
            *nearest(self.agents[agent], apples),
            len(nearby),
            len(apples),
            *unused,
        ]


def apples_around(apples: Plane, cell: Cell) -> int:
    """Return the number of apples on the eight cells around a cell without apple."""
    row, col = cell
    return int(apples[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2].sum())
