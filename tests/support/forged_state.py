"""Saved states of environments with other contents and the checksum that belongs to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STARTED, STATES = 8, 9
"""Where the payload says whether there is a state, and where the states begin."""


def forged(state: NDArray[np.uint8], at: int, value: bytes) -> NDArray[np.uint8]:
    """A state with other bytes in its payload, and the checksum that belongs to them."""
    state = state.copy()
    begins = 16 + int(state[:8].view(np.uint64)[0])
    state[begins + at : begins + at + len(value)] = np.frombuffer(value, np.uint8)
    checksum = 0xCBF29CE484222325
    for byte in state[begins:].tolist():
        checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    state[8:16] = np.array([checksum], np.uint64).view(np.uint8)
    return state
