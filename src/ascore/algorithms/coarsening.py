"""Forms of messages that say less than a policy does, and what receivers take them for.

A actions. Receivers know which of them are legal, so those that are not keep the probability 0; all
others have a positive one. Bytes are those of one distribution on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.coercion import read_form
from ascore.envs.legal import ILLEGAL

I64 = npt.NDArray[np.int64]

Draw = Callable[[Literal["random", "standard_normal"], int], Tensor]
"""(method of a NumPy generator, m) -> numbers [..., m] for every distribution [..., A]."""

FLOAT_BYTES = 4
BYTE_ACTIONS = 256
"""Actions whose number is one byte; of more it is two."""
LEAST = 1e-8
"""Probability of an action for which rounding leaves nothing."""


class Form(Protocol):
    """One way to send a distribution."""

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """Logarithms of what receivers take distributions for, as log_probs [..., A]."""
        ...

    def numbers(self, actions: I64) -> I64:
        """How many numbers are sent for distributions over so many actions."""
        ...

    def bytes(self, actions: I64) -> I64:
        """How many bytes these are."""
        ...


@dataclass(frozen=True)
class Full:
    """Every probability, as float32."""

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """As they are, the same tensor."""
        return log_probs

    def numbers(self, actions: I64) -> I64:
        """A."""
        return actions

    def bytes(self, actions: I64) -> I64:
        """4 A."""
        return FLOAT_BYTES * actions


@dataclass(frozen=True)
class Top:
    """The `count` largest probabilities, each with its action; the others share the rest evenly."""

    count: int

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """Of equal probabilities, that of the action with the lower number is sent."""
        order = log_probs.argsort(dim=-1, descending=True, stable=True)
        kept = torch.zeros_like(log_probs, dtype=torch.bool)
        kept.scatter_(-1, order[..., : self.count], value=True)
        others = legal(log_probs) & ~kept
        rest = 1.0 - (log_probs.exp() * kept).sum(dim=-1, keepdim=True)
        share = rest / others.sum(dim=-1, keepdim=True).clamp(min=1)
        return torch.where(others, share.clamp(min=LEAST).log(), log_probs)

    def numbers(self, actions: I64) -> I64:
        """Probabilities and actions; all probabilities where there are no more."""
        return np.where(actions > self.count, 2 * self.count, actions)

    def bytes(self, actions: I64) -> I64:
        """A float32 and one or two bytes for each."""
        each = FLOAT_BYTES + np.where(actions > BYTE_ACTIONS, 2, 1)
        return np.where(actions > self.count, self.count * each, FLOAT_BYTES * actions)


@dataclass(frozen=True)
class Bits:
    """Which of 2^count equal parts of 0..1 every probability is in; its middle is taken."""

    count: int

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """Middles, divided by their sum."""
        parts = 2**self.count
        middle = ((log_probs.exp() * parts).floor().clamp(max=parts - 1) + 0.5) / parts
        return normalised(middle, legal(log_probs))

    def numbers(self, actions: I64) -> I64:
        """A."""
        return actions

    def bytes(self, actions: I64) -> I64:
        """Rounded up to whole bytes."""
        return -(-actions * self.count // 8)


@dataclass(frozen=True)
class Sampled:
    """`count` actions, drawn independently; their shares are taken, and one more shared evenly."""

    count: int

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """(c_a + 1/L) / (count + 1), where action a of L legal ones was drawn c_a times."""
        below = log_probs.double().exp().cumsum(dim=-1)
        points = draw("random", self.count) * below[..., -1:]
        drawn = torch.searchsorted(below, points.contiguous(), right=True)
        counts = torch.zeros_like(log_probs)
        counts.scatter_add_(-1, drawn, torch.ones_like(drawn, dtype=counts.dtype))
        possible = legal(log_probs)
        even = 1.0 / possible.sum(dim=-1, keepdim=True)
        return normalised(counts + even, possible)

    def numbers(self, actions: I64) -> I64:
        """One for each."""
        return np.full_like(actions, self.count)

    def bytes(self, actions: I64) -> I64:
        """One or two for each."""
        return self.count * np.where(actions > BYTE_ACTIONS, 2, 1)


@dataclass(frozen=True)
class Noise(Full):
    """Every probability, with normal noise on its logarithm, and all divided by their sum."""

    deviation: float  # nats

    def received(self, log_probs: Tensor, draw: Draw) -> Tensor:
        """softmax(log p + noise)."""
        noise = self.deviation * draw("standard_normal", log_probs.shape[-1])
        noised = torch.where(legal(log_probs), log_probs + noise, ILLEGAL)
        return torch.log_softmax(noised, dim=-1)


def form_of(text: str) -> Form:
    """The form that `message_form` names.

    Raises:
        ConfigError: there is none of this name, or its number is out of range.
    """
    name, number = read_form(text)
    if name == "full":
        return Full()
    if name == "noise":
        return Noise(number)
    if name == "sampled":
        return Sampled(int(number))
    return Top(int(number)) if name == "top" else Bits(int(number))


def legal(log_probs: Tensor) -> Tensor:
    """Actions that were not forbidden, bool of the same shape."""
    return log_probs > ILLEGAL / 2


def normalised(weights: Tensor, possible: Tensor) -> Tensor:
    """Logarithms of weights divided by their sum over the actions that are possible."""
    share = weights / (weights * possible).sum(dim=-1, keepdim=True)
    return torch.where(possible, share.log(), ILLEGAL)
