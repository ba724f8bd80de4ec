"""What computes an update: one interface, three implementations.

`pytorch` is the reference, `kernel` replaces its loss by a compiled one, `engine` computes whole
small networks without an interpreter. They give the same up to rounding.

N agents, S rows of a batch, H heads per agent, A actions, V views, O observation entries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from torch import Tensor

from ascore.algorithms.heads import Heads
from ascore.algorithms.terms import Messages
from ascore.learning.anticipations import F64, anticipation_sums
from ascore.learning.batch import Rows
from ascore.learning.networks import ALL, Actor, Critic
from ascore.learning.optimizer import AgentAdam
from ascore.learning.presence import I64


@dataclass(frozen=True)
class Networks:
    """Everything that learns: N actors, N critics, and their optimisers."""

    actor: Actor
    critic: Critic
    actor_adam: AgentAdam
    critic_adam: AgentAdam


class Backend(ABC):
    """Computes the networks and takes the steps of an update.

    An update calls `begin` once; `refer` whenever ratios or messages have a new reference; `clear`
    at the start of every iteration and `step` for each of its minibatches; `statistics` at the end.

    Attributes:
        heads: of whom the heads are that have a place in messages.
    """

    heads: Heads

    @abstractmethod
    def values(self, obs: npt.NDArray[Any]) -> Tensor:
        """Normalised values: obs [M, V, O] of the environment -> f32 [N, M]."""

    @abstractmethod
    def begin(self, rows: Rows) -> None:
        """Takes the batch of an update."""

    @abstractmethod
    def log_probs(self, owners: slice = ALL) -> Tensor:
        """Log pi^{ij}(.|s) of some owners on all rows of the batch, f32 [n, S, H, A].

        Of agents that another rank trains, only what those of this rank hear.
        """

    @abstractmethod
    def refer(self, old: Tensor, messages: Messages | None) -> None:
        """Sets what ratios and penalties refer to from now on.

        Args:
            old: f32 [N, S, H], log of the old probability of the actions taken.
            messages: what was last sent on the rows of the batch; None = nothing.
        """

    def anticipated(self, old: Tensor, messages: Messages, rows: Rows, env: str) -> F64:
        """Sums of what agents anticipate of those they hear, of all rows: f64 [N, K].

        Args:
            old: as given to `refer` last.
            messages: likewise.
            rows: as given to `begin`.
            env: name of the environment, for the meanings of actions.
        """
        return anticipation_sums(
            messages.log_probs.cpu().numpy(),
            old.cpu().numpy(),
            messages.neighbours.cpu().numpy(),
            rows.raw,
            env,
            self.heads,
            rows.meant,
        )

    @abstractmethod
    def clear(self) -> None:
        """Forgets the statistics of earlier steps."""

    @abstractmethod
    def step(self, owners: slice, part: Tensor | None, total: int | I64) -> None:
        """One gradient step of some owners on one minibatch.

        Where not all rows are everybody's (`Rows.presence`), each owner's loss is a mean over its
        own rows of the minibatch. One that has none takes no step.

        Args:
            owners: which agents.
            part: the minibatch's rows on this rank, i64 [m]; None = all rows in their order.
            total: how many rows the minibatch has on all ranks; where not all are everybody's, of
                each agent, i64 [N].

        Raises:
            NonFiniteError: a loss or gradient is not finite; no parameter has moved.
        """

    def groups(self, owners: slice) -> Sequence[slice]:
        """The owners in groups, each of which takes all steps of an iteration before the next.

        For steps between which nothing is sent and nothing mixed: then no agent depends on another,
        and the order changes no bit.
        """
        return (owners,)

    @abstractmethod
    def statistics(self) -> dict[str, Tensor]:
        """Averages over the minibatches since `clear`, f32 [N] each, by the name of the metric.

        Those in which an agent had no row do not count; NaN if it had none in any.
        """

    @abstractmethod
    def set_rates(self, actor_lr: float, critic_lr: float) -> None:
        """Takes new learning rates; the optimisers have them already."""
