"""What parties write to each other: one protobuf, described here and built when it is imported.

Every field is required and of a fixed width, so a message of given sizes always has as many bytes.
`schema()` is the same description as a .proto file, for programs in other languages.

S rows, A actions, B environments, N agents, V views, O observation entries.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

PACKAGE = "ascore.parties"

DISTRIBUTIONS, READY, STATE, ACTION = "distributions", "ready", "state", "action"
KINDS = (DISTRIBUTIONS, READY, STATE, ACTION)

# Name of a message -> its fields: type and name, numbered from 1. An optional field ends in "?".
_MESSAGES: dict[str, tuple[str, ...]] = {
    "Distributions": (
        "fixed32 rows",
        "fixed32 own_actions",
        "fixed32 listener_actions",
        "bytes own",
        "bytes anticipation",
    ),
    "Ready": ("fixed64 update",),
    "State": (
        "fixed32 step",
        "bytes obs",
        "bytes action",
        "bytes ended",
        "bytes final_obs",
        "bytes clock",
        "bytes members",
        "bytes neighbours?",
        "bytes legal?",
        "bytes sizes?",
        "bytes own_reward?",
    ),
    "Action": ("fixed32 step", "bytes action"),
    "Letter": (
        "string run",
        "bytes config",
        "string sender",
        "fixed64 round",
        "fixed64 sequence",
        f"Distributions {DISTRIBUTIONS}?",
        f"Ready {READY}?",
        f"State {STATE}?",
        f"Action {ACTION}?",
    ),
}
_ABOUT = {
    "Distributions": "natural logarithms of probabilities, float32, little-endian, row by row: of "
    "the sender's own policy and of what it anticipates of the reader; zeros in rows in which the "
    "reader does not hear the sender",
    "Ready": "sent by an agent to the environment: it can begin this update or a later one",
    "State": "sent by the environment: the state after the joint action, arrays in C order; "
    "members = who takes part in this update; own_reward, if at all, to its owner alone",
    "Action": "sent by an agent to the environment: one int32 per environment",
    "Letter": "the only message on the wire; exactly one of the last four fields is set",
}


class Refused(ValueError):
    """What has come is not what it must be; the text is the reason, for the log."""


def schema() -> str:
    """The messages as a .proto file."""
    lines = ['syntax = "proto2";', f"package {PACKAGE};"]
    for name, fields in _MESSAGES.items():
        lines += ["", f"// {_ABOUT[name]}.", f"message {name} {{"]
        for number, (label, kind, field) in enumerate(map(_parsed, fields), 1):
            lines.append(f"  {label} {kind} {field} = {number};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _parsed(field: str) -> tuple[str, str, str]:
    kind, name = field.split()
    return ("optional" if name.endswith("?") else "required", kind, name.rstrip("?"))


@cache
def _letter() -> Any:
    """The class of letters."""
    file = descriptor_pb2.FileDescriptorProto(
        name="ascore/parties.proto", package=PACKAGE, syntax="proto2"
    )
    field_type = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (label, kind, field) in enumerate(map(_parsed, fields), 1):
            entry = message.field.add(name=field, number=number)
            entry.label = getattr(field_type, f"LABEL_{label.upper()}")
            if kind in _MESSAGES:
                entry.type, entry.type_name = field_type.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                entry.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Letter"))


def compose(
    run: str, config: bytes, sender: str, number: int, sequence: int, kind: str, **body: Any
) -> bytes:
    """A letter as bytes.

    Args:
        run: name of the run.
        config: 32 bytes, hash of the configuration.
        sender: name of the party.
        number: of the round.
        sequence: number of the letter on this link.
        kind: which of the four it is.
        body: its fields, whole numbers and bytes; None = an optional field that is not set.

    Raises:
        TypeError: a value is neither a number nor bytes, such as a reward.
    """
    letter = _letter()(run=run, config=config, sender=sender, round=number, sequence=sequence)
    part = getattr(letter, kind)
    part.SetInParent()
    for field, value in body.items():
        if value is None:
            continue
        if type(value) not in (int, bytes):
            message = f"{kind}.{field} is {type(value).__name__}; it must be a number or bytes"
            raise TypeError(message)
        setattr(part, field, value)
    content: bytes = letter.SerializeToString(deterministic=True)
    return content


def parse(content: bytes) -> Any:
    """A letter from bytes.

    Raises:
        Refused: it is damaged, lacks a field, or has more than the description says.
    """
    letter = _letter()()
    try:
        letter.MergeFromString(content)
    except DecodeError as error:
        reason = "damaged"
        raise Refused(reason) from error
    if not letter.IsInitialized() or sum(letter.HasField(kind) for kind in KINDS) != 1:
        reason = "not one of the four letters"
        raise Refused(reason)
    # Unknown fields, repeated ones and longer spellings of the same are where more could hide.
    letter.DiscardUnknownFields()
    if letter.ByteSize() != len(content):
        reason = "not written as the description says"
        raise Refused(reason)
    return letter


def kind_of(letter: Any) -> str:
    """Which of the four it is."""
    return next(kind for kind in KINDS if letter.HasField(kind))


def public_part(content: bytes) -> bytes:
    """The letter without a reward: what may be remembered of it, if only as a digest.

    A reward of few possible values could be guessed from the digest of a known state with it.
    """
    letter = parse(content)
    if letter.HasField(STATE) and letter.state.HasField("own_reward"):
        letter.state.ClearField("own_reward")
        cleared: bytes = letter.SerializeToString(deterministic=True)
        return cleared
    return content
