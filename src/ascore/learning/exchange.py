"""The message step: policies and anticipations that agents send before a loss is computed.

N agents, S rows, H heads, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ascore.algorithms.coarsening import form_of
from ascore.algorithms.contract import Algorithm
from ascore.algorithms.heads import Heads
from ascore.algorithms.terms import Messages, Places, corrections_base, own_policy
from ascore.config import Config
from ascore.learning.own_rows import KnownHeads
from ascore.runtime.ranks import Ranks
from ascore.streams import STREAM_MESSAGE, generator

Watch: TypeAlias = Callable[[str, Tensor], None]
"""(kind, what all agents send) -> nothing: `policy`, log pi^{ij} [N, S, H, A]; `value`, those of
the states of a rollout, those after its last step and those in which episodes ended [N, M];
`critic` (in reward units) or `actor`, parameters [N, P]. Not to be kept or changed."""


def unwatched(kind: str, sent: Tensor) -> None:
    """Nobody looks at what is sent."""


class MessageExchange:
    """Assembles messages according to the algorithm and the configuration.

    Args:
        algorithm: what is sent.
        config: of the run.
        ranks: those that share the rows of a batch.

    Attributes:
        corrects: whether an anticipation is a correction of the policy its subject sent last.
        places: whose the agents' heads are; None = head j is of agent j.
        watch: is shown the messages.
    """

    places: Places | None = None
    watch: Watch = staticmethod(unwatched)

    def __init__(self, algorithm: Algorithm, config: Config, ranks: Ranks) -> None:
        self.corrects = algorithm.sends_policies and config.anticipation == "correction"
        self._config, self._ranks = config, ranks
        self._form = form_of(config.message_form if algorithm.sends_policies else "full")

    def refer(self, heads: Heads, device: torch.device) -> None:
        """Says whose the agents' heads are from now on, and where the networks are."""
        self.places = Places.at(heads, device)
        self._agents = torch.arange(len(heads.subjects), device=device)
        whole = np.arange(len(heads.subjects))
        members = heads.members if isinstance(heads, KnownHeads) else whole
        self._numbers: list[int] = members.tolist()

    def base(self, sent: Tensor, owners: Tensor) -> Tensor:
        """Base of corrections: sent f32 [N, M, H, A], owners i64 [n] -> [n, M, H, A]."""
        places = None if self.places is None else self.places.of(owners)
        return corrections_base(own_policy(sent, self._agents, self.places), owners, places)

    @torch.no_grad()
    def reply(self, log_probs: Tensor) -> Tensor:
        """Anticipations as sent to others; with corrections, added to the policies just received.

        Args:
            log_probs: outputs of the networks, f32 [N, M, H, A].
        """
        if not self.corrects:
            return log_probs
        return torch.log_softmax(self.base(log_probs, self._agents).add_(log_probs), dim=-1)

    @torch.no_grad()
    def sent(self, log_probs: Tensor, number: int, iteration: int) -> Tensor:
        """What distributions are taken for by all who receive them; the same tensor where all of
        them is sent.

        Draws follow from the seed, the update, the iteration and the agent, of the rows of all
        ranks.

        Args:
            log_probs: f32 [N, S, H, A].
            number: of the update.
            iteration: of the update, 0..K-1.
        """
        _, rows, heads, _ = log_probs.shape
        size, rank = self._ranks.size, self._ranks.rank

        def draw(method: Literal["random", "standard_normal"], count: int) -> Tensor:
            envs = self._config.num_envs // size
            time, env = np.divmod(np.arange(rows), envs)
            mine = time * self._config.num_envs + rank * envs + env

            def of_agent(agent: int) -> Tensor:
                rng = generator(self._config.seed, STREAM_MESSAGE, number, iteration, agent)
                numbers = getattr(rng, method)((rows * size, heads, count), dtype=np.float32)
                return torch.from_numpy(numbers[mine])

            return torch.stack([of_agent(agent) for agent in self._numbers]).to(log_probs.device)

        return self._form.received(log_probs, draw)

    def messages(
        self, log_probs: Tensor, old: Tensor, neighbours: Tensor | None
    ) -> Messages | None:
        """The messages: own policies and anticipations, for the agents that hear them.

        Args:
            log_probs: f32 [N, S, H, A], as `sent` gives them.
            old: f32 [N, S, H], log of the old probability of the actions taken, likewise.
            neighbours: bool [N, S or 1, H]; None = nothing is sent in this update.
        """
        if neighbours is None:
            return None
        self.watch("policy", log_probs)
        if self.places is None:
            announced = old.diagonal(dim1=0, dim2=2)
        else:
            announced = old[self._agents, :, self.places.own].T
        return Messages(log_probs.contiguous(), announced, neighbours, self.places)
