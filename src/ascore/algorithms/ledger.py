"""The communication ledger: how many numbers of which kind each agent sent in an update.

N agents. Everything is counted per sender and link: what two neighbours receive counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ascore.algorithms.coarsening import FLOAT_BYTES, Form, Full
from ascore.algorithms.graph import Pairs

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Traffic:
    """What went over the links in one update.

    Attributes:
        rows: S = T*B, joint actions of the batch.
        states: rows, and the states whose value closes an unfinished sum of rewards.
        rows_there: i64 [senders], rows at which an agent was there.
        states_there: i64 [senders], likewise of the states.
        pairs: the L links that were used at some state: `listener` i and `sender` j of each.
        on_rows: i64 [L], rows for which i heard j.
        on_states: i64 [L], states for which i heard j.
        rounds: sendings of action distributions.
        mixes: rounds of consensus.
        mixed_with: i64 [N], with how many others an agent exchanged parameters in each of them.
        action_counts: A_i of every agent.
        actor_size: parameters of one agent's actor.
        critic_size: parameters of one agent's critic.
        senders: agents outside; a centre that acts for all is one agent to the learner.
        private_obs: entries of an observation that one agent alone sees; 0 when all see the state.
        form: in which distributions are sent.
    """

    rows: int
    states: int
    rows_there: I64
    states_there: I64
    pairs: Pairs
    on_rows: I64
    on_states: I64
    rounds: int
    mixes: int
    mixed_with: I64
    action_counts: I64
    actor_size: int
    critic_size: int
    senders: int
    private_obs: int
    form: Form = field(default_factory=Full)

    def by_sender(self, numbers: I64) -> I64:
        """Adds up what went over each link, i64 [L], for every agent that sent it, i64 [N]."""
        total = np.zeros(self.pairs.num_agents, dtype=np.int64)
        np.add.at(total, self.pairs.sender, numbers)
        return total

    @property
    def rows_heard(self) -> I64:
        """`on_rows` as a matrix i64 [N, N]: entry [j, i] is what i received from j."""
        return self._matrix(self.on_rows)

    @property
    def states_heard(self) -> I64:
        """`on_states` likewise."""
        return self._matrix(self.on_states)

    @property
    def linked(self) -> npt.NDArray[np.bool_]:
        """Whether i and j could speak at some row, in one direction or the other, bool [N, N]."""
        met = self._matrix(self.on_rows) > 0
        return np.logical_or(met, met.T)

    def _matrix(self, numbers: I64) -> I64:
        n = self.pairs.num_agents
        matrix = np.zeros((n, n), dtype=np.int64)
        matrix[self.pairs.sender, self.pairs.listener] = numbers
        return matrix


@dataclass(frozen=True)
class Sent:
    """What each agent sent of a kind of thing that is not of float32.

    Attributes:
        numbers: how many numbers, i64 [senders].
        bytes: how many bytes they are, i64 [senders].
    """

    numbers: I64
    bytes: I64


Sends = Callable[[Traffic], Mapping[str, I64 | Sent]]
"""traffic -> numbers each agent sent, i64 [senders], by kind of thing; float32 unless `Sent` says
how many bytes they are, or they are entries of observations."""


def nothing(traffic: Traffic) -> dict[str, I64]:
    """Agents send nothing."""
    return {}


def entries(sent: Mapping[str, I64 | Sent], senders: int, obs_bytes: int) -> dict[str, list[int]]:
    """Metrics of an update: floats and bytes per agent, in all and by kind.

    Args:
        sent: by kind, see `Sends`.
        senders: how many agents there are.
        obs_bytes: size of one entry of an observation.
    """
    zero = np.zeros(senders, dtype=np.int64)
    kinds = {
        kind: each
        if isinstance(each, Sent)
        else Sent(each, each * (obs_bytes if kind == "observation" else FLOAT_BYTES))
        for kind, each in sent.items()
    }
    counts = {
        "floats_sent": sum((each.numbers for each in kinds.values()), zero),
        "bytes_sent": sum((each.bytes for each in kinds.values()), zero),
    }
    for kind, each in kinds.items():
        counts[f"floats_{kind}"] = each.numbers
        counts[f"bytes_{kind}"] = each.bytes
    return {key: value.tolist() for key, value in counts.items()}
