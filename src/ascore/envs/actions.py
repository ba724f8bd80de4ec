"""Arrays of actions that a batch is given: converted where they can be, refused where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def as_int32(action: Any) -> npt.NDArray[np.int32] | None:
    """Converts an integer array of another type to i32; None for i32 and for anything else.

    Raises:
        ValueError: i32 cannot hold a number.
    """
    if not isinstance(action, np.ndarray) or action.dtype.kind not in "iu":
        return None
    if action.dtype == np.int32:
        return None
    limits = np.iinfo(np.int32)
    bad = np.argwhere((action < limits.min) | (action > limits.max))
    if len(bad):
        place = ",".join(map(str, bad[0]))
        message = f"action[{place}] = {action[tuple(bad[0])]} is not the number of an action"
        raise ValueError(message)
    return np.ascontiguousarray(action, dtype=np.int32)


def check_actions(
    action: Any, shape: tuple[int, ...], action_counts: Sequence[int], name: str
) -> None:
    """Checks an array of actions before a step, like compiled batches.

    Raises:
        TypeError: `action` is not an int32 array.
        ValueError: the shape differs, or an action is outside 0..A_i-1.
    """
    if not isinstance(action, np.ndarray) or action.dtype != np.int32:
        kind = action.dtype if isinstance(action, np.ndarray) else type(action).__name__
        message = f"action is {kind}; it must be an int32 array"
        raise TypeError(message)
    if action.shape != shape:
        message = f"action has shape {action.shape}; it must be {shape}"
        raise ValueError(message)
    bad = np.argwhere((action < 0) | (action >= np.array(action_counts)))
    if len(bad):
        b, i = bad[0]
        who = name if len(set(action_counts)) == 1 else f"agent {i} of {name}"
        message = (
            f"action[{b},{i}] = {action[b, i]} is outside 0..{action_counts[i] - 1}; "
            f"{who} has {action_counts[i]} actions"
        )
        raise ValueError(message)
