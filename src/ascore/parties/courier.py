"""The round of messages of one agent: what the learner sends, and what it gets in return.

N agents, S rows of a batch, A actions, A_i of agent i, K iterations of an update.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ascore.envs.legal import ILLEGAL
from ascore.parties import wire
from ascore.parties.letters import Letters
from ascore.parties.wire import Refused

F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

TOLERANCE = 1e-5
"""How far from 1 a distribution may sum: that of a network, in float32, is within 1e-6."""


class Courier:
    """The `Delivery` of a party.

    Who has not sent its messages of the first round of an update by the deadline is out of this
    update, and who is late in a later round is out from then on: the policy that drew its actions
    is known from its first message alone. Whoever was out and has sent nothing since is not waited
    for.

    Args:
        letters: of this party.
        names: of the agents, in their order.
        agent: which of them this is.
        action_counts: A_i.
        iterations: K.
        seconds: deadline of a round.

    Attributes:
        members: who takes part in this update, from `begin`.
        late: names of those who were out, by the number of the round in which they were missed.
    """

    def __init__(
        self,
        letters: Letters,
        names: Sequence[str],
        agent: int,
        action_counts: Sequence[int],
        iterations: int,
        seconds: float,
    ) -> None:
        self.letters, self.names, self.agent = letters, tuple(names), agent
        self.counts, self.iterations, self.seconds = tuple(action_counts), iterations, seconds
        self.members: frozenset[int] = frozenset()
        self.late: dict[str, int] = {}
        self._out: set[int] = set()
        self._quiet: set[int] = set()
        self._ahead: dict[int, Any] = {}

    def begin(self, members: Collection[int]) -> None:
        """Starts an update with the agents that take part in it."""
        self.members = frozenset(members) - {self.agent}
        self._out = set(range(len(self.names))) - self.members - {self.agent}
        self.late = {}

    def deliver(
        self, log_probs: Tensor, neighbours: Tensor, number: int, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """Sends to all who hear this agent, then waits for all whom it hears.

        What has come is written into `log_probs` itself.
        """
        me, round_number = self.agent, number * self.iterations + iteration
        rows = log_probs.shape[1]
        links = np.ascontiguousarray(neighbours.expand(-1, rows, -1).numpy().transpose(0, 2, 1))
        messages = log_probs.numpy()
        for j in sorted(self.members):
            if links[j, me].any():
                self._send(j, messages[me], links[j, me], round_number)
        deadline = time.monotonic() + self.seconds
        messages[:me] = messages[me + 1 :] = 0
        heard = neighbours
        for j in range(len(self.names)):
            if j == me or not links[me, j].any():
                continue
            both = None if j in self._out else self._await(j, round_number, links[me, j], deadline)
            if both is None:
                self._out.add(j)
                heard = heard.clone() if heard is neighbours else heard
                heard[me, :, j] = False
                self.late.setdefault(self.names[j], round_number)
                continue
            for subject, part in zip((j, me), both, strict=True):
                actions = part.shape[1]
                messages[j, :, subject, :actions] = part
                messages[j, :, subject, actions:] = ILLEGAL
        return log_probs, heard

    def _send(self, listener: int, mine: F32, heard: Bool, number: int) -> None:
        own, theirs = self.counts[self.agent], self.counts[listener]
        self.letters.send(
            self.names[listener],
            wire.DISTRIBUTIONS,
            number,
            rows=len(mine),
            own_actions=own,
            listener_actions=theirs,
            own=_packed(mine[:, self.agent, :own], heard),
            anticipation=_packed(mine[:, listener, :theirs], heard),
        )

    def _await(self, j: int, number: int, heard: Bool, deadline: float) -> tuple[F32, F32] | None:
        """The distributions of agent j in a round; None if they have not come by the deadline."""
        name = self.names[j]
        while True:
            letter = self._ahead.pop(j, None)
            if letter is None:
                letter = self.letters.receive(name, time.monotonic())
            if letter is None and j not in self._quiet:
                letter = self.letters.receive(name, deadline)
            if letter is None:
                self._quiet.add(j)
                return None
            self._quiet.discard(j)
            if letter.round > number:
                self._ahead[j] = letter
                return None
            try:
                if letter.round < number:
                    reason = "it came too late for its round"
                    raise Refused(reason)
                sizes = len(heard), self.counts[j], self.counts[self.agent]
                return checked(letter, sizes, heard)
            except Refused as error:
                self.letters.refuse(name, str(error))


def _packed(log_probs: F32, heard: Bool) -> bytes:
    """[S, A] row by row, with zeros where nothing is to be heard."""
    if not heard.all():
        log_probs = np.where(heard[:, None], log_probs, np.float32(0))
    return log_probs.astype("<f4", copy=False).tobytes()


def checked(letter: Any, sizes: tuple[int, int, int], heard: Bool) -> tuple[F32, F32]:
    """What a letter says, once it is sure that it may be learned from.

    Args:
        letter: from `Letters.receive`.
        sizes: S, A_j of the sender, A_i of the reader.
        heard: bool [S], in which rows the reader hears the sender.

    Returns:
        log pi^{jj} f32 [S, A_j], log pi^{ji} f32 [S, A_i].

    Raises:
        Refused: it is no pair of distributions of these sizes.
    """
    if not letter.HasField(wire.DISTRIBUTIONS):
        reason = f"a {wire.kind_of(letter)} is not for an agent"
        raise Refused(reason)
    body = letter.distributions
    rows, own, mine = sizes
    if (body.rows, body.own_actions, body.listener_actions) != sizes:
        reason = "it has another shape"
        raise Refused(reason)
    both = []
    for content, actions in ((body.own, own), (body.anticipation, mine)):
        if len(content) != rows * actions * 4:
            reason = "it has another shape"
            raise Refused(reason)
        both.append(_distributions(content, rows, actions, heard))
    return both[0], both[1]


def _distributions(content: bytes, rows: int, actions: int, heard: Bool) -> F32:
    values = np.frombuffer(content, dtype="<f4").reshape(rows, actions)
    ones = np.ones(actions, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(values @ ones).all():  # a row's sum is not, if one of its numbers is not
            reason = "a number is not finite"
            raise Refused(reason)
        wrong = np.abs(np.exp(values) @ ones - 1) > TOLERANCE
    if not heard.all():
        if values[~heard].any():
            reason = "it says something in a row in which it is not heard"
            raise Refused(reason)
        wrong &= heard
    if wrong.any():
        reason = f"a distribution does not sum to 1 within {TOLERANCE:g}"
        raise Refused(reason)
    return values
