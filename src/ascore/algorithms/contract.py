"""What an algorithm is: one record that answers what is seen, learned, sent and minimised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ascore.algorithms import ledger
from ascore.algorithms.links import Links
from ascore.algorithms.targets import Targets
from ascore.algorithms.terms import Batch, Inbox, LossTerms
from ascore.config import Config
from ascore.envs.vec_env import Spec, VecEnv

F32 = npt.NDArray[np.float32]

Objective = Callable[[Batch, Tensor, "Inbox | None", Config], LossTerms]
"""(rows, log_probs [n, M, H, A], inbox, config) -> loss terms.

Of other agents it reads what the inbox holds, and nothing else.
"""

Estimate = Callable[[F32, F32], Targets]
"""(value [T+1, B, N], final_value [T, B, N]) -> targets of Eq. 17-18 on the agents' own rewards."""

Advantages = Callable[[Estimate, F32, F32, "Links | None", Config], Targets]
"""(estimate, value, final_value, links, config) -> targets; links are None when nothing is sent."""


class Compiled(IntEnum):
    """The losses that are compiled, each equal to an objective in PyTorch."""

    OWN_RATIO = 0
    """Clipped surrogate on the own policy's ratio: `ippo.objective`."""
    JOINT_RATIO = 1
    """Clipped surrogate on one ratio over all heads: `ps.objective`."""
    ANTICIPATION = 2
    """Eq. 13-16: `anticipation.objective`; without messages as OWN_RATIO."""


def own_values(
    estimate: Estimate, value: F32, final_value: F32, links: Links | None, config: Config
) -> Targets:
    """Every agent judges by its own values."""
    return estimate(value, final_value)


@dataclass(frozen=True)
class View:
    """What the learner takes for the environment.

    Attributes:
        spec: sizes the learner sees, from those of the environment.
        env: the environment the learner sees, from the real one.
    """

    spec: Callable[[Spec, Config], Spec]
    env: Callable[[VecEnv], VecEnv]


LOCAL = View(spec=lambda spec, config: spec, env=lambda env: env)


@dataclass(frozen=True)
class Algorithm:
    """Independent PPO is all defaults; everything else says how it differs.

    Only `view`, `advantages`, the message step that `sends_policies` switches on, and `mixes` read
    across the agent axis: that is the privacy boundary. An objective never does.

    Attributes:
        name: in the configuration.
        summary: one line for help texts.
        objective: what the actor minimises.
        compiled: which compiled loss equals the objective; None = PyTorch trains it.
        view: whether the agents are seen as they are, or as one centre that acts for all.
        head_per_agent: the actor grows one head per agent: anticipations, or a joint policy.
        has_links: the graph matters: something is sent over its links.
        sends_policies: own policies and anticipations are sent before the loss.
        advantages: whose values an advantage is made of.
        mixes: which parameters are averaged with the neighbours' after a step.
        sends: the ledger of an update.
    """

    name: str
    summary: str
    objective: Objective
    compiled: Compiled | None = None
    view: View = LOCAL
    head_per_agent: bool = False
    has_links: bool = False
    sends_policies: bool = False
    advantages: Advantages = own_values
    mixes: Literal["nothing", "actor", "critic"] = "nothing"
    sends: ledger.Sends = ledger.nothing
