"""What a run has spent of its privacy, and the noise of its next update.

Every update takes K steps, and each releases two noised gradients, the policy's and the critic's.
An episode is in one update, and in all of its steps. Its clipped gradient can be replaced by any
other of the same norm, so a sum moves by at most twice the clipping norm.
"""

from __future__ import annotations

import math

from ascore.dp.accountant import epsilon_of, mu_of
from ascore.errors import ConfigError

NETWORKS = 2
"""Noised gradients of a step: the policy's with its anticipations, and the critic's."""
REPLACED = 2.0
"""Clipping norms by which the sum moves where one episode's rewards are replaced."""


class Budget:
    """The account of one agent; all agents have the same.

    Args:
        unit: what the budget is for: one "episode", or one "environment" of the batch, which gives
            an episode in every update.
        epsilon: that must not be exceeded; 0 = whatever comes.
        delta: at which epsilon is stated.
        noise_multiplier: deviation of the noise in clipping norms; 0 = what just keeps the budget.
        steps: K of an update.
        updates: of the run.

    Attributes:
        spent: sum of mu^2 over all updates, what an environment's episodes have cost together.
        largest: of mu^2 among the updates, what an episode has cost at most.

    Raises:
        ConfigError: neither epsilon nor noise is given; an episode costs more than the budget.
    """

    def __init__(
        self,
        unit: str,
        epsilon: float,
        delta: float,
        noise_multiplier: float,
        steps: int,
        updates: int,
    ) -> None:
        self.unit, self.epsilon, self.delta = unit, epsilon, delta
        self.steps, self.updates = steps, updates
        self.spent = self.largest = 0.0
        self._given = noise_multiplier
        if epsilon == 0 and noise_multiplier == 0:
            message = (
                "dp needs noise: set epsilon, and the noise follows, or noise_multiplier, and "
                "epsilon does"
            )
            raise ConfigError(message)
        self._limit = mu_of(epsilon, delta) ** 2 if epsilon > 0 else math.inf
        if noise_multiplier > 0 and self.cost(noise_multiplier) > self._limit:
            costs = epsilon_of(math.sqrt(self.cost(noise_multiplier)), delta)
            least = self._noise_for(self._limit)
            message = (
                f"noise_multiplier = {noise_multiplier:g} lets one update cost epsilon = "
                f"{costs:.3g}, more than {epsilon:g}; set it to {least:.3g} or more, or to 0, "
                "which means what just keeps the budget"
            )
            raise ConfigError(message)

    def cost(self, noise_multiplier: float) -> float:
        """Mu^2 of an update."""
        return NETWORKS * self.steps * (REPLACED / noise_multiplier) ** 2

    def _noise_for(self, cost: float) -> float:
        return REPLACED * math.sqrt(NETWORKS * self.steps / cost) * (1 + 1e-12)

    def noise(self, done: int) -> float:
        """Deviation of the noise of the next update, in clipping norms.

        Args:
            done: updates so far.
        """
        if self._given > 0:
            return self._given
        if self.unit == "episode":
            return self._noise_for(self._limit)
        return self._noise_for((self._limit - self.spent) / max(self.updates - done, 1))

    def exhausted(self, done: int) -> bool:
        """Whether another update would cost more than the budget."""
        if self.unit == "episode":
            return False  # none costs more, which was seen to at the beginning
        left = self._limit - self.spent
        least = self.cost(self._given) if self._given > 0 else 1e-6 * self._limit  # what is of use
        return least > left

    def take(self, noise_multiplier: float) -> None:
        """Counts an update."""
        cost = self.cost(noise_multiplier)
        self.spent += cost
        self.largest = max(self.largest, cost)

    def epsilons(self) -> tuple[float, float]:
        """What it has cost: epsilon of one episode, and of one environment's episodes together."""
        of_episode = epsilon_of(math.sqrt(self.largest), self.delta)
        return of_episode, epsilon_of(math.sqrt(self.spent), self.delta)
