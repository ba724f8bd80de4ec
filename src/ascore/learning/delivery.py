"""How messages reach agents that others train: the one thing that leaves a party's learner.

N agents, S rows of a batch, A actions.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Delivery(Protocol):
    """Sends one agent's messages of a round and brings those of the others.

    Attributes:
        agent: whose learner this is, 0..N-1.
    """

    agent: int

    def deliver(
        self, log_probs: Tensor, neighbours: Tensor, number: int, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """One round of messages.

        Args:
            log_probs: f32 [N, S, N, A]; only the agent's own row is set, log pi^{ij}(.|s). What
                has come may be written into the others.
            neighbours: bool [N, S or 1, N], who hears whom.
            number: of the update.
            iteration: of the update, 0..K-1.

        Returns:
            The same with the policies pi^{jj} and anticipations pi^{ji} that have arrived for this
            agent, and the links over which they came: those of an agent that was late or silent
            are gone.
        """
        ...
