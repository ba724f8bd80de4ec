"""Cooperative Predation, version 1: predators on a line approach the prey or stay away.

The rewards of a step depend only on the number of agents that approach. Staying away while others
approach is best for a single agent, but if all stay away, all get less than if all approach.

Source:
    "Learning to Cooperate under Private Rewards", section 5.1, Cooperative Predation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ascore.reference.philox import Stream
from ascore.reference.weights import read_weights

__all__ = ["Predation", "PredationParams"]

# Rewards of the two-agent game, in reward units per step; section 5.1 of the paper.
BOTH_APPROACH = -1
APPROACH_ALONE = -4
STAY_AWAY_ALONE = 0
BOTH_STAY_AWAY = -3


@dataclass(frozen=True)
class PredationParams:
    """The constants; "section 5.1" is of the paper, "our choice" where it says nothing."""

    num_agents: int = 8
    """Number of predators; section 5.3."""
    horizon: int = 30
    """Steps after which an episode is cut off; section 5.1."""
    length: float = 30.0
    """Length of the interval [0, length] of all positions; section 5.1."""
    step_length: float = 1.0
    """Distance of one move, in units of position; section 5.1."""
    approach: Literal["sign", "distance"] = "sign"
    """Whether moving in the prey's direction is enough, or the distance must shrink; our choice."""
    mixed: Literal["literal", "pairwise"] = "literal"
    """Rewards when only some approach: -4 and 0 (section 5.1), or the mean of the two-agent game
    over all partners; our choice."""
    obs_scale: float = 1 / 30
    """Factor on the observed distances, per unit of position; our choice."""
    neigh_radius: float = 0.1
    """Distance, as a fraction of length, up to which agents hear each other; section 5.1."""
    obs_mode: Literal["full", "nearest"] = "full"
    """Whether all observe the full state, or each itself and the others nearest to it; our
    choice."""
    nearest: int = 2
    """Number of others that an agent observes with obs_mode = nearest; our choice."""
    weights: str = "equal"
    """How much approaching costs each agent, as factors on its rewards then; our choice."""


class Predation:
    """One Predation environment, with code that follows the rules line by line.

    Args:
        params: constants; the defaults are the published setting with eight predators.
    """

    name: ClassVar[str] = "predation-v1"
    action_names: ClassVar[tuple[str, ...]] = ("left", "right")
    Params: ClassVar[type[PredationParams]] = PredationParams
    obs_dtype: ClassVar[type[np.float32]] = np.float32

    def __init__(self, params: PredationParams | None = None) -> None:
        self.params = PredationParams() if params is None else params
        self.num_agents = self.params.num_agents
        self.num_actions = len(self.action_names)
        self.horizon = self.params.horizon
        self.views = 1 if self.params.obs_mode == "full" else self.num_agents
        self.obs_scale = 1.0  # the observation already includes params.obs_scale
        full = self.params.obs_mode == "full"
        self.obs_size = self.num_agents if full else 1 + self.params.nearest
        self.weights = read_weights(self.params.weights, self.num_agents)
        self.prey = 0.0
        self.predators: list[float] = []

    def reset(self, rng: Stream) -> None:
        """Place the prey, then the predators, uniformly on the line."""
        self.prey = self.params.length * rng.u01()
        self.predators = [self.params.length * rng.u01() for _ in range(self.num_agents)]

    def step(self, rng: Stream, action: NDArray[np.int32]) -> tuple[NDArray[np.float32], bool]:
        """Compute the rewards of the choices and move.

        Args:
            rng: stream of this step; Predation draws nothing from it.
            action: i32[N], 0 = left, 1 = right.

        Returns:
            Reward f32[N], and False, as only the horizon ends an episode.
        """
        p = self.params
        moved = []
        approaches = []
        for x, choice in zip(self.predators, action, strict=True):
            direction = 1.0 if choice == 1 else -1.0
            target = min(max(x + direction * p.step_length, 0.0), p.length)
            if p.approach == "sign":
                approaches.append(direction * (self.prey - x) > 0)
            else:
                approaches.append(abs(target - self.prey) < abs(x - self.prey))
            moved.append(target)
        self.predators = moved
        reward = [
            payoff * weight if approached else payoff
            for payoff, weight, approached in zip(
                self._rewards(approaches), self.weights, approaches, strict=True
            )
        ]
        return np.array(reward, dtype=np.float32), False

    def obs(self) -> NDArray[np.float32]:
        """Return (predator - prey) * obs_scale of those that are observed.

        Returns:
            f32[N], all of them; or, with obs_mode = nearest, f32[N, 1 + k]: row i holds predator i,
            then the k nearest to it, of equally near ones that of lowest index first.
        """
        distances = [(x - self.prey) * self.params.obs_scale for x in self.predators]
        if self.params.obs_mode == "full":
            return np.array(distances, dtype=np.float32)
        rows = [[distances[j] for j in [i, *self._nearest(i)]] for i in range(self.num_agents)]
        return np.array(rows, dtype=np.float32)

    def neighbours(self) -> NDArray[np.uint8]:
        """Return who hears whom in the current state: u8[N, N], [i, j] = 1 if i hears j."""
        n = self.num_agents
        neighbours = np.zeros((n, n), dtype=np.uint8)
        for i in range(n):
            for j in range(n):
                distance = abs(self.predators[i] - self.predators[j]) / self.params.length
                neighbours[i, j] = i != j and distance <= self.params.neigh_radius
        return neighbours

    def inspect(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of the state: positions on the line, agents f64[N] and prey f64[1]."""
        return {
            "agents": np.array(self.predators, dtype=np.float64),
            "prey": np.array([self.prey], dtype=np.float64),
        }

    def _nearest(self, i: int) -> list[int]:
        others = [j for j in range(self.num_agents) if j != i]
        others.sort(key=lambda j: (abs(self.predators[j] - self.predators[i]), j))
        return others[: self.params.nearest]

    def _rewards(self, approaches: list[bool]) -> list[float]:
        k = sum(approaches)
        if self.params.mixed == "pairwise":
            return [self._mean_payoff(approached, k) for approached in approaches]
        if k == self.num_agents:
            return [float(BOTH_APPROACH)] * self.num_agents
        if k == 0:
            return [float(BOTH_STAY_AWAY)] * self.num_agents
        return [
            float(APPROACH_ALONE if approached else STAY_AWAY_ALONE) for approached in approaches
        ]

    def _mean_payoff(self, approached: bool, k: int) -> float:
        partners = self.num_agents - 1
        approaching = k - 1 if approached else k
        away = partners - approaching
        if approached:
            return (BOTH_APPROACH * approaching + APPROACH_ALONE * away) / partners
        return (STAY_AWAY_ALONE * approaching + BOTH_STAY_AWAY * away) / partners
