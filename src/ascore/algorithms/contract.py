"""What an algorithm is: one record that answers what is learned, sent and minimised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ascore.config import Config
from ascore.objectives import Batch, Inbox, LossTerms

Objective = Callable[[Batch, Tensor, "Inbox | None", Config], LossTerms]
"""(rows, log_probs [n, M, H, A], inbox, config) -> loss terms.

Of other agents it reads what the inbox holds, and nothing else.
"""

Ledger = Callable[[npt.NDArray[np.int64], Sequence[int]], npt.NDArray[np.int64]]
"""(listeners, action_counts) -> floats sent, i64 [N].

`listeners[j, i]` counts the rows for which i hears j.
"""


@dataclass(frozen=True)
class Algorithm:
    """Independent PPO is all defaults; everything else says how it differs.

    `shares` is the privacy boundary: only the learner's message step, which this switches on, and
    never an objective, reads across the agent axis.
    """

    name: str
    summary: str
    objective: Objective
    anticipates: bool = False  # does the actor grow a head per peer?
    shares: bool = False  # are own and anticipated distributions sent?
    floats_sent: Ledger | None = None  # None: nothing ever leaves an agent
