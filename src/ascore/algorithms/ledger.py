"""The communication ledger: how many numbers of which kind each agent sent in an update.

N agents. Everything is counted per sender and link: what two neighbours receive counts twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

FLOAT_BYTES = 4
"""Distributions, values, parameters and rewards travel as float32."""


@dataclass(frozen=True)
class Traffic:
    """What went over the links in one update; entry [j, i] is what i received from j.

    Attributes:
        rows: S = T*B, joint actions of the batch.
        states: rows, and the states whose value closes an unfinished sum of rewards.
        rows_there: i64 [senders], rows at which an agent was there.
        states_there: i64 [senders], likewise of the states.
        rows_heard: i64 [N, N], rows for which i heard j.
        states_heard: i64 [N, N], states for which i heard j.
        rounds: sendings of action distributions.
        mixes: rounds of consensus.
        linked: bool [N, N], i and j exchanged parameters in each of them.
        action_counts: A_i of every agent.
        actor_size: parameters of one agent's actor.
        critic_size: parameters of one agent's critic.
        senders: agents outside; a centre that acts for all is one agent to the learner.
        private_obs: entries of an observation that one agent alone sees; 0 when all see the state.
    """

    rows: int
    states: int
    rows_there: I64
    states_there: I64
    rows_heard: I64
    states_heard: I64
    rounds: int
    mixes: int
    linked: npt.NDArray[np.bool_]
    action_counts: I64
    actor_size: int
    critic_size: int
    senders: int
    private_obs: int


Sends = Callable[[Traffic], dict[str, I64]]
"""traffic -> numbers each agent sent, i64 [senders], by kind of thing."""


def nothing(traffic: Traffic) -> dict[str, I64]:
    """Agents send nothing."""
    return {}


def listeners(heard: npt.NDArray[np.bool_]) -> I64:
    """How often i heard j, i64 [N, N] at [j, i].

    Args:
        heard: bool [..., N, N], [i, j] true where i hears j.
    """
    n = heard.shape[-1]
    count: I64 = heard.reshape(-1, n, n).sum(axis=0, dtype=np.int64).T
    return count


def entries(sent: dict[str, I64], senders: int, obs_bytes: int) -> dict[str, list[int]]:
    """Metrics of an update: floats and bytes per agent, in all and by kind.

    Args:
        sent: numbers by kind, i64 [senders] each.
        senders: how many agents there are.
        obs_bytes: size of one entry of an observation; all else is float32.
    """
    zero = np.zeros(senders, dtype=np.int64)
    sizes = {kind: obs_bytes if kind == "observation" else FLOAT_BYTES for kind in sent}
    counts = {
        "floats_sent": sum(sent.values(), zero),
        "bytes_sent": sum((count * sizes[kind] for kind, count in sent.items()), zero),
    }
    for kind, count in sent.items():
        counts[f"floats_{kind}"] = count
        counts[f"bytes_{kind}"] = count * sizes[kind]
    return {key: value.tolist() for key, value in counts.items()}
