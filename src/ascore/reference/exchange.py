"""Exchange, version 1: every agent's food is locked in a box that only other agents can open.

Opening a box costs the opener and rewards the owner. A selfish agent never opens one, but all
agents gain if they open each other's. By default the team return is +6 if all boxes are opened and
-9 if none is.

Source:
    "Learning to Cooperate under Private Rewards", section 5.1, Exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.hearing import within_radius
from ascore.reference.philox import Stream
from ascore.reference.weights import read_weights

__all__ = ["Exchange", "ExchangeParams"]

STAY, LEFT, RIGHT, DOWN, UP, OPEN = range(6)

# Row 0 is the top row, so "down" increases the row.
MOVES = {LEFT: (0, -1), RIGHT: (0, +1), DOWN: (+1, 0), UP: (-1, 0)}

Cell = tuple[int, int]
"""(row, column)."""


@dataclass(frozen=True)
class ExchangeParams:
    """The constants; "section 5.1" is of the paper, "our choice" where it says nothing."""

    num_agents: int = 3
    """Agents, and boxes; section 5.1."""
    size: int = 5
    """Cells along one side of the square grid; section 5.1."""
    horizon: int = 300
    """Steps after which an episode is cut off; section 5.1."""
    opener: Literal["any", "next"] = "any"
    """Who may open box b: any agent but b (section 5.1), or only agent (b + 1) mod N."""
    open_range: int = 0
    """Manhattan distance in cells from which a box can be opened; our choice."""
    food: Literal["immediate", "pickup"] = "immediate"
    """Whether the owner gains at once, or when it stands on its open box; our choice."""
    cost: float = 5.0
    """Reward units the opener loses; section 5.1."""
    gain: float = 10.0
    """Reward units the owner gains; section 5.1."""
    time_cost: float = 0.01
    """Reward units every agent loses per step; section 5.1."""
    useless_open_cost: float = 0.0
    """Reward units lost by "open" with no box to open; our choice."""
    contest: Literal["random", "lowest"] = "random"
    """Order in which openers of one step act: random, or lowest index first; our choice."""
    early_end: bool = False
    """Whether the episode terminates once all food is eaten; the paper's returns need False."""
    time_cost_after: bool = True
    """Whether steps that start with all food eaten cost time; the paper's returns need True."""
    eaten: Literal["minus_one", "flag"] = "minus_one"
    """How eaten food is observed: as pair (-1, -1), or as one more entry per box; our choice."""
    agents_on_boxes: bool = False
    """Whether agents may start on the cell of a box; our choice."""
    collisions: Literal["none", "block"] = "none"
    """Whether an agent can enter another agent's cell; our choice."""
    neigh_radius: int = 1
    """Distance in cells up to which agents hear each other; our choice."""
    neigh_metric: Literal["cheb", "manhattan"] = "cheb"
    """Metric of `neigh_radius`; our choice."""
    weights: str = "equal"
    """What its own food is worth to each agent, as factors on `gain`; our choice."""


class Exchange:
    """One Exchange environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are the published setting.
    """

    name: ClassVar[str] = "exchange-v1"
    action_names: ClassVar[tuple[str, ...]] = ("stay", "left", "right", "down", "up", "open")
    Params: ClassVar[type[ExchangeParams]] = ExchangeParams
    obs_dtype: ClassVar[type[np.float32]] = np.float32

    def __init__(self, params: ExchangeParams | None = None) -> None:
        self.params = ExchangeParams() if params is None else params
        self.num_agents = self.params.num_agents
        self.num_actions = len(self.action_names)
        self.horizon = self.params.horizon
        self.views = 1
        self.obs_scale = 1.0
        self.weights = read_weights(self.params.weights, self.num_agents)
        self.obs_size = (5 if self.params.eaten == "flag" else 4) * self.num_agents
        self.agents: list[Cell] = []
        self.boxes: list[Cell] = []
        self.opened: list[bool] = []
        self.eaten: list[bool] = []

    def reset(self, rng: Stream) -> None:
        """Place boxes, then agents, on distinct cells; close every box."""
        n, size = self.num_agents, self.params.size
        cells = [(row, col) for row in range(size) for col in range(size)]
        if self.params.agents_on_boxes:
            self.boxes = rng.sample(cells, n)
            self.agents = rng.sample(cells, n)
        else:
            places = rng.sample(cells, 2 * n)
            self.boxes, self.agents = places[:n], places[n:]
        self.opened = [False] * n
        self.eaten = [False] * n

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Move, open boxes, eat, and pay the time cost.

        Args:
            rng: fresh stream of this step.
            action: i32[N], indices into `action_names`.

        Returns:
            Reward f32[N], summed in double and rounded once, and whether the episode terminated.
        """
        p = self.params
        reward = [0.0] * self.num_agents
        over_before = all(self.eaten)

        self._move(rng, action)

        lowest_first = list(range(self.num_agents))
        order = rng.perm(self.num_agents) if p.contest == "random" else lowest_first
        for opener in order:
            if action[opener] != OPEN:
                continue
            box = self._box_for(opener)
            if box is None:
                reward[opener] -= p.useless_open_cost
                continue
            self.opened[box] = True
            reward[opener] -= p.cost
            if p.food == "immediate":
                self.eaten[box] = True
                reward[box] += p.gain * self.weights[box]

        if p.food == "pickup":
            for i in range(self.num_agents):
                if self.opened[i] and not self.eaten[i] and self.agents[i] == self.boxes[i]:
                    self.eaten[i] = True
                    reward[i] += p.gain * self.weights[i]

        if p.time_cost_after or not over_before:
            for i in range(self.num_agents):
                reward[i] -= p.time_cost

        return np.array(reward, dtype=np.float32), p.early_end and all(self.eaten)

    def obs(self) -> NDArray[np.float32]:
        """Return the full state, the same for every agent.

        Returns:
            f32[4N]: (x, y) of agents 0..N-1, then of food items 0..N-1, x = column and y = row,
            divided by size - 1. Eaten food is (-1, -1). With eaten="flag" it keeps its position and
            N entries follow: 0 = closed, 0.5 = open and uneaten, 1 = eaten.
        """
        scale = self.params.size - 1
        entries: list[float] = []
        for row, col in self.agents:
            entries += [col / scale, row / scale]
        for (row, col), eaten in zip(self.boxes, self.eaten, strict=True):
            if eaten and self.params.eaten == "minus_one":
                entries += [-1.0, -1.0]
            else:
                entries += [col / scale, row / scale]
        if self.params.eaten == "flag":
            for opened, eaten in zip(self.opened, self.eaten, strict=True):
                entries.append(1.0 if eaten else 0.5 if opened else 0.0)
        return np.array(entries, dtype=np.float32)

    def neighbours(self) -> NDArray[np.uint8]:
        """Return who hears whom in the current state: u8[N, N], [i, j] = 1 if i hears j."""
        p = self.params
        return within_radius(self.agents, p.neigh_radius, p.neigh_metric)

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state.

        Returns:
            agents i32[N, 2] and boxes i32[N, 2] as (row, column), and food i32[N]: 0 in a closed
            box, 1 in an open one, 2 eaten.
        """
        food = [
            2 if eaten else 1 if opened else 0
            for opened, eaten in zip(self.opened, self.eaten, strict=True)
        ]
        return {
            "agents": np.array(self.agents, dtype=np.int32).reshape(-1, 2),
            "boxes": np.array(self.boxes, dtype=np.int32).reshape(-1, 2),
            "food": np.array(food, dtype=np.int32),
        }

    def _move(self, rng: Stream, action: NDArray[np.int32]) -> None:
        if self.params.collisions == "none":
            self.agents = [self._target(i, int(action[i])) for i in range(self.num_agents)]
            return
        for i in rng.perm(self.num_agents):
            target = self._target(i, int(action[i]))
            if all(self.agents[j] != target for j in range(self.num_agents) if j != i):
                self.agents[i] = target

    def _target(self, agent: int, action: int) -> Cell:
        row, col = self.agents[agent]
        down, right = MOVES.get(action, (0, 0))
        last = self.params.size - 1
        return min(max(row + down, 0), last), min(max(col + right, 0), last)

    def _box_for(self, opener: int) -> int | None:
        row, col = self.agents[opener]
        for box, (box_row, box_col) in enumerate(self.boxes):
            if self.params.opener == "any":
                permitted = opener != box
            else:
                permitted = opener == (box + 1) % self.num_agents
            distance = abs(row - box_row) + abs(col - box_col)
            if permitted and not self.opened[box] and distance <= self.params.open_range:
                return box
        return None
