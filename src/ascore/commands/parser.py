"""Reads a command line: one grammar for all commands, described by a dataclass per command.

    ascore COMMAND [WORD ...] [--option VALUE | --option=VALUE | --flag | --no-flag] ...

Options may stand anywhere, and `_` is read as `-`. The beginning of a name will do if no other
option begins with it. The last value of an option counts, except where it may be repeated.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ascore.commands.sentences import about_fields
from ascore.config import RENAMED, present_name
from ascore.errors import UsageError

T = TypeVar("T")
Kind = TypeVar("Kind", bound="Line")


class Line:
    """Base of the dataclasses of options.

    Attributes:
        usage: the command and its words, such as "train ENV".
        needs: what must stand there, such as "an environment".
        example: a line that works, after "ascore".
    """

    usage: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    example: ClassVar[str] = ""

    @classmethod
    def command(cls) -> str:
        """Name of the command."""
        return cls.usage.partition(" ")[0]


@dataclass(frozen=True)
class Mark:
    """How a field appears on the command line, in `Annotated`.

    Attributes:
        positional: a word without a name.
        repeated: every use of the option adds to its values.
        hidden: it is no option.
        name: of the option, if it is not that of the field.
        shown: the value's name in the help.
    """

    positional: bool = False
    repeated: bool = False
    hidden: bool = False
    name: str = ""
    shown: str = ""


Positional: TypeAlias = Annotated[T, Mark(positional=True)]
Repeated: TypeAlias = Annotated[T, Mark(repeated=True)]
Hidden: TypeAlias = Annotated[T, Mark(hidden=True)]

LONGEST = 24
"""Characters of choices that stand beside an option's name; longer lists stand in its text."""

_KINDS = {int: ("N", "a whole number"), float: ("X", "a number"), Path: ("PATH", "a path")}


@dataclass(frozen=True)
class Option:
    """An option or a positional word of a command.

    Attributes:
        key: name of the field.
        name: as typed, such as --actor-lr; RUN for a positional word.
        text: its sentence.
        group: title under which it stands in the help.
        kind: type of one value; bool for a flag.
        choices: values that are allowed; () = all of this type.
        default: of the dataclass; MISSING = it must be given.
        mark: how it appears.
        many: it takes several values.
    """

    key: str
    name: str
    text: str
    group: str
    kind: type
    choices: tuple[str, ...]
    default: Any
    mark: Mark
    many: bool

    @property
    def flag(self) -> bool:
        """Whether it takes no value."""
        return self.kind is bool

    @property
    def value(self) -> str:
        """The value's name in the help."""
        if self.flag:
            return ""
        if self.mark.shown:
            return self.mark.shown
        short = "|".join(self.choices)
        if 0 < len(short) <= LONGEST:
            return short
        return _KINDS.get(self.kind, (self.key.split("_")[-1].upper(), ""))[0]

    def read(self, word: str) -> Any:
        """A word of the command line as a value.

        Raises:
            UsageError: it has another form, or is none of the choices.
        """
        if self.choices:
            word = present_name(self.key, word, RENAMED.get(self.key, {}))
            if word not in self.choices:
                near = _near(word, self.choices)
                message = f"{self.name} {word!r} is not possible; {near}choose from: "
                raise UsageError(message + ", ".join(self.choices))
            return word
        if self.kind is Path and not word:  # it would mean the working directory
            leave = ", or leave it out" if self.default is not MISSING else ""
            message = f"{self.name} has an empty name; give it one{leave}"
            raise UsageError(message)
        if "\0" in word:
            message = f"{self.name} {word!r:.200} is not possible; leave out the NUL"
            raise UsageError(message)
        try:
            return self.kind(word)
        except ValueError as error:
            message = f"{self.name} {word!r} is not {_KINDS[self.kind][1]}"
            raise UsageError(message) from error


def options_of(kind: type) -> tuple[Option, ...]:
    """The options of a command, in the order of the fields."""
    hints, about = get_type_hints(kind, include_extras=True), about_fields(kind)
    listed = []
    for field in fields(kind):
        mark, hint = Mark(), hints[field.name]
        if get_origin(hint) is Annotated:
            hint, *marks = get_args(hint)
            mark = next((each for each in marks if isinstance(each, Mark)), mark)
        if mark.hidden:
            continue
        one, choices, many = _type(hint)
        spelt = (mark.name or field.name).replace("_", "-")
        name = mark.shown or spelt.upper() if mark.positional else f"--{spelt}"
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        text, group = about[field.name].text, about[field.name].group
        listed.append(Option(field.name, name, text, group, one, choices, default, mark, many))
    return tuple(listed)


def _type(hint: Any) -> tuple[type, tuple[str, ...], bool]:
    """(type of one value, choices, whether there are several) of an annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _type(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        one, choices, _ = _type(args[0])
        return one, choices, True
    if origin is Literal:
        return str, args, False
    return hint, (), False


def parse(kind: type[Kind], argv: Sequence[str]) -> Kind:
    """The options of a command with their values.

    Args:
        kind: dataclass of the options.
        argv: the words after the name of the command.

    Raises:
        UsageError: the line cannot be read.
    """
    values = given(kind, argv)
    for option in options_of(kind):
        if option.default is MISSING and option.key not in values:
            raise missing(kind, "" if option.mark.positional else f"{option.name} {option.value}")
    return kind(**values)


def missing(kind: type[Line], what: str = "") -> UsageError:
    """The error for a word or an option that is not there."""
    message = f"{kind.command()} needs {what or kind.needs}, as in: ascore {kind.example}"
    return UsageError(message)


def given(kind: type[Line], argv: Sequence[str]) -> dict[str, Any]:
    """What the line gives, by name of the field; what it leaves out is not there.

    Raises:
        UsageError: it cannot be read.
    """
    options = options_of(kind)
    by_name = {o.name: o for o in options if not o.mark.positional}
    values: dict[str, Any] = {}
    loose: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            loose += words
            break
        if not _is_option(word):
            loose.append(word)
            continue
        name, equals, text = word.partition("=")
        option, setting = _find(by_name, name, kind.command())
        if option.flag:
            if equals:
                message = f"{word} is not possible; write {name}, which takes no value"
                raise UsageError(message)
            values[option.key] = setting
            continue
        taken = [text] if equals else list(_take(option, words))
        if not taken:
            message = f"{option.name} needs a value, as in: {option.name} {option.value}"
            raise UsageError(message)
        read = tuple(option.read(each) for each in taken)
        if option.mark.repeated:
            values[option.key] = (*values.get(option.key, ()), *read)
        else:
            values[option.key] = read if option.many else read[0]
    _place([o for o in options if o.mark.positional], loose, values, kind.command())
    return values


def _is_option(word: str) -> bool:
    """Whether a word is the name of an option, and neither a value, as -1, nor standard input."""
    return word.startswith("-") and len(word) > 1 and not word[1].isdigit() and word[1] != "."


def _take(option: Option, words: list[str]) -> Iterator[str]:
    """Removes the values of an option from the words that follow it."""
    if words and not words[0].startswith("--"):
        yield words.pop(0)
    while option.many and words and not _is_option(words[0]):
        if option.mark.repeated and not option.choices:
            return  # one value for every use
        if option.kind is int and not words[0].isdigit():
            return
        yield words.pop(0)


def _find(by_name: dict[str, Option], name: str, command: str) -> tuple[Option, bool]:
    """The option that a name means, and what it sets a flag to."""
    name = name.replace("_", "-")
    negated = {f"--no-{n[2:]}": n for n, option in by_name.items() if option.flag}
    if name in negated:
        return by_name[negated[name]], False
    if name in by_name:
        return by_name[name], True
    begun = [each for each in by_name if each.startswith(name)] if len(name) > 2 else []
    if len(begun) == 1:
        return by_name[begun[0]], True
    if begun:
        message = f"{name} may be {', '.join(begun)}; write the whole name"
        raise UsageError(message)
    near = _near(name, [*by_name, *negated])
    message = f"{command} has no option {name}; {near}see `ascore {command} --help`"
    raise UsageError(message)


def _place(options: list[Option], loose: list[str], values: dict[str, Any], command: str) -> None:
    """Gives words without a name to the positional options, in order."""
    for option in options:
        if option.many and loose:
            values[option.key] = tuple(option.read(word) for word in loose)
            loose = []
        elif loose:
            values[option.key] = option.read(loose.pop(0))
    if loose:
        message = f"{command} has no use for {loose[0]!r}; see `ascore {command} --help`"
        raise UsageError(message)


def _near(word: str, known: Sequence[str]) -> str:
    """Part of a message that names the nearest of the known words; "" if none is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}? " if near else ""
