"""Cooperative navigation, version 1: every agent walks to its own landmark without collisions.

In every step an agent loses its distance to its landmark, and one more for each other agent on its
cell. Individual and team interest almost agree; agents only have to avoid each other.

Source:
    "Learning to Cooperate under Private Rewards", section 5.1, Cooperative Navigation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.hearing import within_radius
from ascore.reference.philox import Stream

__all__ = ["Navigation", "NavigationParams"]

STAY, LEFT, RIGHT, DOWN, UP = range(5)

# Row 0 is the top row, so "down" increases the row.
MOVES = {STAY: (0, 0), LEFT: (0, -1), RIGHT: (0, +1), DOWN: (+1, 0), UP: (-1, 0)}

Cell = tuple[int, int]
"""(row, column)."""


@dataclass(frozen=True)
class NavigationParams:
    """The constants; "section 5.1" is of the paper, "our choice" where it says nothing."""

    num_agents: int = 3
    """Agents, and landmarks; section 5.1."""
    size: int = 5
    """Cells along one side of the square grid; section 5.1."""
    horizon: int = 100
    """Steps after which an episode is cut off; section 5.1."""
    metric: Literal["l2", "l1"] = "l2"
    """Distance to the landmark in cells, Euclidean or Manhattan; our choice."""
    dist_scale: float = 1.0
    """Reward units an agent loses per cell of distance; our choice."""
    collision: float = 1.0
    """Reward units an agent loses per other agent on its cell; section 5.1."""
    block: bool = False
    """Whether agents cannot enter another agent's cell; our choice."""
    landmarks: Literal["per_episode", "fixed"] = "per_episode"
    """Whether each episode draws landmarks, or all have those of episode 0; our choice."""
    obs_order: Literal["global", "self_first"] = "global"
    """Whether all agents share a view, or each has one that starts with itself; our choice."""
    neigh_radius: int = 1
    """Distance in cells up to which agents hear each other; our choice."""
    neigh_metric: Literal["cheb", "manhattan"] = "cheb"
    """Metric of `neigh_radius`; our choice."""
    obs_mode: Literal["full", "nearest"] = "full"
    """Whether all observe the full state, or each itself and the others nearest to it; our
    choice."""
    nearest: int = 2
    """Number of others that an agent observes with obs_mode = nearest; our choice."""


class Navigation:
    """One Navigation environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are the published setting.
    """

    name: ClassVar[str] = "navigation-v1"
    action_names: ClassVar[tuple[str, ...]] = ("stay", "left", "right", "down", "up")
    Params: ClassVar[type[NavigationParams]] = NavigationParams
    obs_dtype: ClassVar[type[np.float32]] = np.float32

    def __init__(self, params: NavigationParams | None = None) -> None:
        self.params = NavigationParams() if params is None else params
        self.num_agents = self.params.num_agents
        self.num_actions = len(self.action_names)
        self.horizon = self.params.horizon
        shared = self.params.obs_mode == "full" and self.params.obs_order == "global"
        self.views = 1 if shared else self.num_agents
        seen = self.num_agents if self.params.obs_mode == "full" else 1 + self.params.nearest
        self.obs_size = 4 * seen
        self.obs_scale = 1.0
        self.agents: list[Cell] = []
        self.landmarks: list[Cell] = []

    def reset(self, rng: Stream) -> None:
        """Place landmarks on distinct cells, then agents on distinct cells, landmarks or not.

        Landmarks are drawn even if those of episode 0 are kept, so that agents start on the same
        cells either way.
        """
        size = self.params.size
        cells = [(row, col) for row in range(size) for col in range(size)]
        self.landmarks = rng.sample(cells, self.num_agents)
        self.agents = rng.sample(cells, self.num_agents)
        if self.params.landmarks == "fixed":
            self.landmarks = rng.of_episode(0).sample(cells, self.num_agents)

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Move, then pay for distance and collisions.

        Args:
            rng: fresh stream of this step.
            action: i32[N], indices into `action_names`.

        Returns:
            Reward f32[N], summed in double and rounded once, and False, as only the horizon ends
            an episode.
        """
        self._move(rng, action)
        reward = [0.0] * self.num_agents
        for i in range(self.num_agents):
            others = [self.agents[j] for j in range(self.num_agents) if j != i]
            reward[i] -= self.params.dist_scale * self._distance_to_landmark(i)
            reward[i] -= self.params.collision * others.count(self.agents[i])
        return np.array(reward, dtype=np.float32), False

    def obs(self) -> NDArray[np.float32]:
        """Return the full state, or what each agent sees of it.

        Returns:
            f32[V, 4N], each cell as (x, y), x = column and y = row, divided by size - 1. "global":
            one view, agents 0..N-1, then landmarks 0..N-1. "self_first": view i has agent i and
            landmark i, then agent j and landmark j for every other j in order. With obs_mode =
            nearest, f32[N, 4 + 4k]: of the others the k that are fewest steps away, the nearest
            first, of equally near ones that of lowest index.
        """
        views: list[list[Cell]] = []
        if self.params.obs_mode == "full" and self.params.obs_order == "global":
            views.append(self.agents + self.landmarks)
        else:
            for i in range(self.num_agents):
                view = []
                for j in [i, *self._others(i)]:
                    view += [self.agents[j], self.landmarks[j]]
                views.append(view)
        scale = self.params.size - 1
        entries = [[(col / scale, row / scale) for row, col in view] for view in views]
        return np.array(entries, dtype=np.float32).reshape(self.views, self.obs_size)

    def neighbours(self) -> NDArray[np.uint8]:
        """Return who hears whom in the current state: u8[N, N], [i, j] = 1 if i hears j."""
        p = self.params
        return within_radius(self.agents, p.neigh_radius, p.neigh_metric)

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state: agents and landmarks, i32[N, 2] each, as (row, column)."""
        return {
            "agents": np.array(self.agents, dtype=np.int32).reshape(-1, 2),
            "landmarks": np.array(self.landmarks, dtype=np.int32).reshape(-1, 2),
        }

    def _others(self, i: int) -> list[int]:
        """The others that agent i observes, in order."""
        others = [j for j in range(self.num_agents) if j != i]
        if self.params.obs_mode == "full":
            return others
        row, col = self.agents[i]

        def steps(j: int) -> int:
            return abs(self.agents[j][0] - row) + abs(self.agents[j][1] - col)

        return sorted(others, key=steps)[: self.params.nearest]

    def _move(self, rng: Stream, action: NDArray[np.int32]) -> None:
        if not self.params.block:
            self.agents = [self._target(i, int(action[i])) for i in range(self.num_agents)]
            return
        for i in rng.perm(self.num_agents):
            target = self._target(i, int(action[i]))
            if all(self.agents[j] != target for j in range(self.num_agents) if j != i):
                self.agents[i] = target

    def _target(self, agent: int, action: int) -> Cell:
        row, col = self.agents[agent]
        down, right = MOVES[action]
        last = self.params.size - 1
        return min(max(row + down, 0), last), min(max(col + right, 0), last)

    def _distance_to_landmark(self, agent: int) -> float:
        (row, col), (goal_row, goal_col) = self.agents[agent], self.landmarks[agent]
        if self.params.metric == "l1":
            return abs(row - goal_row) + abs(col - goal_col)
        return math.sqrt((row - goal_row) ** 2 + (col - goal_col) ** 2)
