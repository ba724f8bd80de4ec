"""Rewards of one agent, which stay where they are: their type refuses to be turned into bytes.

T steps, B environments, V views, O observation entries, N agents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ascore.errors import PartyError


@dataclass(frozen=True)
class Transition:
    """A step as everybody sees it, from which a party computes its own reward.

    Attributes:
        obs: [B, V, O], the state in which actions were chosen.
        action: i32 [B, N], the joint action.
        next_obs: [B, V, O], the state after it; of an episode that has ended, its last one.
        ended: bool [B], whether an episode ended with the step.
    """

    obs: npt.NDArray[Any]
    action: npt.NDArray[np.int32]
    next_obs: npt.NDArray[Any]
    ended: npt.NDArray[np.bool_]


RewardFn = Callable[[Transition], npt.NDArray[np.float32]]
"""A step -> the reward of one agent, f32 [B]. It runs in the agent's own process."""


class OwnReward:
    """Rewards of one agent, f32 [B]: they can be learned from, and nothing else.

    Pickling, copying into bytes, JSON, text and NumPy's conversions are refused or say nothing.

    Args:
        values: f32 [B].

    Raises:
        PartyError: a reward is not a finite number, or there is not one per environment.
    """

    __slots__ = ("__values",)

    def __init__(self, values: npt.ArrayLike, num_envs: int) -> None:
        problem = ""
        try:
            with np.errstate(over="ignore"):
                array = np.array(values, dtype=np.float32)
        except (ValueError, TypeError, OverflowError):
            array = np.empty(0, dtype=np.float32)
            problem = f"is a {type(values).__name__} that holds no numbers"
        if not problem and array.shape != (num_envs,):
            problem = f"has shape {array.shape}"
        elif not problem and not np.isfinite(array).all():
            problem = "is not finite"
        if problem:
            message = (
                f"the reward {problem}; return one finite number for each of the {num_envs} "
                "environments"
            )
            raise PartyError(message)
        self.__values = array

    def learn_from(self, into: npt.NDArray[np.float32]) -> None:
        """Writes the rewards into the learner's own buffer, f32 [B]."""
        into[:] = self.__values

    def __repr__(self) -> str:
        return f"OwnReward({len(self.__values)} environments, kept here)"

    def _refuse(self, *_: object) -> NoReturn:
        message = "a reward stays with its party; it cannot be serialised"
        raise PartyError(message)

    __reduce_ex__ = __reduce__ = __getstate__ = __bytes__ = __copy__ = __deepcopy__ = _refuse
    __array__ = __iter__ = __len__ = __getitem__ = __float__ = __format__ = _refuse
