"""What a peer may write: everything else is refused with a reason, and nothing of it is learned."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ascore.parties import wire
from ascore.parties.audit import AuditLog
from ascore.parties.courier import Courier, checked
from ascore.parties.letters import ENOUGH, PER_START, Letters
from ascore.parties.transport import in_process
from ascore.parties.wire import Refused

KEY = b"k" * 32
ROWS, ACTIONS = 4, (3, 2)
NAMES = ("firm-a", "firm-b")
Body = dict[str, Any]


def log_probs(rows: int, actions: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, actions)))
    return torch.log_softmax(logits.float(), dim=-1).numpy()


def body(**changes: Any) -> Body:
    """What firm-b writes to firm-a."""
    return {
        "rows": ROWS,
        "own_actions": ACTIONS[1],
        "listener_actions": ACTIONS[0],
        "own": log_probs(ROWS, ACTIONS[1]).tobytes(),
        "anticipation": log_probs(ROWS, ACTIONS[0], 1).tobytes(),
        **changes,
    }


def letter(number: int = 5, sequence: int = 0, **head: Any) -> bytes:
    """A letter of firm-b as bytes."""
    fields = {"run": "trial", "config": KEY, "sender": "firm-b", "kind": wire.DISTRIBUTIONS, **head}
    content = fields.pop("body", body())
    return wire.compose(number=number, sequence=sequence, **fields, **content)


class Desk:
    """The courier of firm-a in round 5, and what firm-b can do to it."""

    def __init__(self, seconds: float = 0.05) -> None:
        ends = in_process(NAMES)
        self.lines: list[str] = []
        mine = Letters(ends["firm-a"], "trial", KEY, AuditLog(None, "firm-a"), 0, self.lines.append)
        self.peer = ends["firm-b"]
        self.courier = Courier(mine, NAMES, 0, ACTIONS, 1, seconds)
        self.links = torch.tensor([[False, True], [True, False]])[:, None, :]

    def deliver(self, number: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
        self.courier.begin([0, 1])  # every round is an update
        own = torch.full((2, ROWS, 2, 3), -1.0)
        return self.courier.deliver(own, self.links, number, 0)

    def heard(self, *contents: bytes, number: int = 5) -> bool:
        """Whether firm-b is in the neighbourhood after it has sent this."""
        for content in contents:
            self.peer.send("firm-a", content)
        received, links = self.deliver(number)
        assert torch.isfinite(received).all()
        return bool(links[0, :, 1].any())


def changed(values: bytes, at: int, value: float) -> bytes:
    array = np.frombuffer(values, dtype=np.float32).copy()
    array[at] = value
    return array.tobytes()


OWN, THEIRS = body()["own"], body()["anticipation"]

BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "nan": (lambda: letter(body=body(own=changed(OWN, 3, np.nan))), "not finite"),
    "infinite": (lambda: letter(body=body(own=changed(OWN, 0, -np.inf))), "not finite"),
    "sum above 1": (lambda: letter(body=body(own=changed(OWN, 1, 3.0))), "does not sum to 1"),
    "sum far above": (lambda: letter(body=body(own=changed(OWN, 1, 3e38))), "does not sum to 1"),
    "sum below 1": (
        lambda: letter(body=body(anticipation=changed(THEIRS, 1, -20.0))),
        "does not sum to 1",
    ),
    "other rows": (lambda: letter(body=body(rows=ROWS + 1)), "another shape"),
    "fewer bytes": (lambda: letter(body=body(own=OWN[:-4])), "another shape"),
    "more bytes": (lambda: letter(body=body(own=OWN + b"\0" * 4)), "another shape"),
    "other actions": (lambda: letter(body=body(own_actions=3)), "another shape"),
    "sender": (lambda: letter(sender="firm-c"), "names another sender"),
    "run": (lambda: letter(run="other"), "of another run"),
    "configuration": (lambda: letter(config=b"x" * 32), "configuration is another"),
    "old round": (lambda: letter(number=4), "too late for its round"),
    "kind": (lambda: letter(kind=wire.READY, body={"update": 5}), "ready is not for an agent"),
    "truncated": (lambda: letter()[:-9], "damaged"),
    "empty": (lambda: b"", "not one of the four"),
    "noise": (lambda: bytes(range(256)), "damaged"),
    "unknown field": (lambda: letter() + b"\xa2\x06\x04gain", "not written as the description"),
    "twice in one": (lambda: letter() + letter(), "not written as the description"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_letters_are_refused_with_a_reason_and_a_good_one_after_them_is_taken(
    case: str,
) -> None:
    make, reason = BAD[case]
    desk = Desk()
    assert not desk.heard(make())
    assert len(desk.lines) == 1, desk.lines
    assert reason in desk.lines[0]
    again = Desk()
    assert again.heard(make(), letter(sequence=9))
    assert len(again.lines) == 1


def test_a_good_letter_arrives_as_it_was_sent() -> None:
    desk = Desk()
    desk.peer.send("firm-a", letter())
    received, links = desk.deliver()
    assert links is desk.links
    assert desk.lines == []
    np.testing.assert_array_equal(received[1, :, 1, :2], log_probs(ROWS, 2))
    assert (received[1, :, 1, 2].exp() == 0).all()
    np.testing.assert_array_equal(received[1, :, 0], log_probs(ROWS, 3, 1))


def test_replayed_duplicated_and_reordered_letters_count_once() -> None:
    desk = Desk()
    first = letter(number=5, sequence=0)
    assert desk.heard(first, first)
    assert desk.heard(first, letter(number=6, sequence=1), number=6)
    assert not desk.heard(letter(number=7, sequence=1), number=7)
    assert desk.lines == ["refused something of firm-b: it came before"]
    # Letter 3 overtook letter 2: that comes too late.
    assert desk.heard(letter(8, 3), letter(7, 2), number=8)


def test_a_letter_of_a_later_round_waits_for_its_round() -> None:
    desk = Desk()
    assert not desk.heard(letter(number=6, sequence=0))
    assert desk.heard(number=6)
    assert desk.lines == []


def test_numbers_go_on_after_a_restart_of_the_sender() -> None:
    desk = Desk()
    assert desk.heard(letter(number=5, sequence=7))
    assert desk.heard(letter(number=6, sequence=PER_START), number=6)
    sender = Letters(in_process(NAMES)["firm-b"], "trial", KEY, AuditLog(None, "firm-b"), 1)
    assert sender._next["firm-a"] == PER_START


def test_nobody_waits_beyond_the_deadline() -> None:
    desk = Desk(seconds=0.3)
    start = time.monotonic()
    assert not desk.heard()
    waited = time.monotonic() - start
    assert waited >= 0.3
    # Who has sent nothing since is not waited for again.
    start = time.monotonic()
    assert not desk.heard(number=6)
    assert time.monotonic() - start < 0.3
    # Anything from it, even of a round that is over, and it is waited for.
    assert desk.heard(letter(6, 0), letter(7, 1), number=7)


def test_who_missed_the_first_round_of_an_update_is_out_of_it() -> None:
    """The policy that drew its actions is known from its first message alone."""
    desk = Desk()
    assert not desk.heard()
    desk.peer.send("firm-a", letter(6, 0))
    _, links = desk.courier.deliver(torch.zeros(2, ROWS, 2, 3), desk.links, 6, 1)
    assert not links[0, 0, 1]
    assert desk.courier.late == {"firm-b": 5}


def test_a_flood_of_bad_letters_ends_the_wait() -> None:
    desk = Desk(seconds=20.0)
    bad = letter(run="other")

    over = threading.Event()

    def put() -> None:
        while not over.is_set():
            desk.peer.send("firm-a", bad)

    sender = threading.Thread(target=put)
    sender.start()
    start = time.monotonic()
    assert not desk.heard()
    assert time.monotonic() - start < 20
    over.set()
    sender.join()
    assert desk.lines == [
        "refused something of firm-b: it is of another run",
        f"refused something of firm-b: {ENOUGH} letters in a row were refused",
    ]


def test_rows_in_which_nobody_is_heard_are_empty() -> None:
    desk = Desk()
    desk.links = torch.zeros(2, ROWS, 2, dtype=torch.bool)
    desk.links[0, 1, 1] = desk.links[1, 2, 0] = True
    own, theirs = log_probs(ROWS, 2), log_probs(ROWS, 3, 1)
    assert not desk.heard(letter())
    assert "says something in a row in which it is not heard" in desk.lines[0]
    for array in (own, theirs):
        array[[0, 2, 3]] = 0
    packed = body(own=own.tobytes(), anticipation=theirs.tobytes())
    fresh = Desk()
    fresh.links = desk.links
    assert fresh.heard(letter(5, 1, body=packed))
    # And so is what firm-a sends: row 2 alone has something.
    content = fresh.peer.receive("firm-a", time.monotonic() + 1)
    assert content is not None
    sent = np.frombuffer(wire.parse(content).distributions.own, dtype=np.float32)
    assert sent.reshape(ROWS, 3).any(axis=1).tolist() == [False, False, True, False]


def allowed(content: bytes) -> bool:
    """Whether a letter is one of firm-b's of round 5, by rules written down once more."""
    try:
        parsed = wire.parse(content)
    except Refused:
        return False
    part = parsed.distributions
    if (parsed.run, parsed.config, parsed.sender, parsed.round) != ("trial", KEY, "firm-b", 5):
        return False
    if (part.rows, part.own_actions, part.listener_actions) != (ROWS, ACTIONS[1], ACTIONS[0]):
        return False
    for values, actions in ((part.own, ACTIONS[1]), (part.anticipation, ACTIONS[0])):
        if len(values) != ROWS * actions * 4:
            return False
        table = np.frombuffer(values, dtype="<f4").reshape(ROWS, actions).astype(np.float64)
        with np.errstate(all="ignore"):
            if not np.isfinite(table).all() or (abs(np.exp(table).sum(1) - 1) > 1e-5).any():
                return False
    return True


def mutated(rng: np.random.Generator, content: bytes) -> bytes:
    """A letter with bytes changed, cut, repeated, put in, or a float in it replaced."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at, kind = int(rng.integers(len(data))), int(rng.integers(5))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 2:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 30))]
        else:
            data[at : at + 4] = np.float32(rng.choice([np.nan, np.inf, -1, 0, 1e-3, 7])).tobytes()
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def test_of_a_thousand_damaged_letters_none_is_accepted_that_should_not_be() -> None:
    rng, good = np.random.default_rng(7), letter()
    everywhere = np.ones(ROWS, dtype=np.bool_)
    accepted = 0
    for _ in range(1000):
        content = mutated(rng, good)
        desk = Desk(seconds=0.0)
        taken = desk.heard(content)
        accepted += taken
        assert taken == allowed(content)
    assert accepted < 300
    assert len(checked(wire.parse(good), (ROWS, 2, 3), everywhere)) == 2
