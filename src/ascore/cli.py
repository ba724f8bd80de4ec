"""The command line; with --json, a command prints exactly one JSON object.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from ascore._core import __version__
from ascore.commands.completion import script
from ascore.commands.exits import DONE, MISUSED, ended_by, show_ignored
from ascore.commands.help import command_help, listing, width
from ascore.commands.options import CompletionOptions
from ascore.commands.output import flush_output, reserved, standard_streams
from ascore.commands.parser import given, parse
from ascore.commands.shared import patient
from ascore.commands.table import HERE, PLACES, ROWS, Command
from ascore.errors import AscoreWarning, Terminated, UsageError

MORE = (
    "`ascore COMMAND --help` lists the options of a command, and `ascore --version` prints the "
    "version. `ascore --cmake-dir` and `--include-dir` print the folders that other programs need "
    "in CMake and for the compiler."
)
HELP, VERSION = ("-h", "--help", "help"), ("-V", "--version", "version")


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit status (0 success, 1 failed, 2 usage, 130 interrupted)."""
    if argv is None and os.environ.get("MPLBACKEND", "").startswith("module://"):
        # A notebook's, inherited by a process that draws files alone and may lack the module.
        del os.environ["MPLBACKEND"]
    if argv is None:
        standard_streams()
        sys.unraisablehook = show_ignored
    args = sys.argv[1:] if argv is None else argv
    name, rest = (args[0], args[1:]) if args else ("", [])
    shown = warnings.showwarning
    warnings.showwarning = _shower()
    try:
        ended = _command(name, rest)
        flush_output()
        return ended
    except BaseException as error:
        status = ended_by(error, name) if not isinstance(error, SystemExit) else None
        if status is None:
            raise
        return status
    finally:
        warnings.showwarning = shown


def _command(name: str, rest: list[str]) -> int:
    """Runs one command, or what is none."""
    if name not in COMMANDS:
        return _without_command(name, rest)
    if "-h" in rest or "--help" in rest:
        return _help(name, [word for word in rest if word not in ("-h", "--help")])
    if "--out=" in rest or ("--out", "") in itertools.pairwise(rest):
        message = "--out has an empty name; give it one, or leave it out"
        raise UsageError(message)
    output = reserved() if _wants_json(rest) else contextlib.nullcontext()
    with _ending_by_sigterm(), patient(), output:
        return COMMANDS[name].run(rest)


def _without_command(name: str, rest: list[str]) -> int:
    """Help, the version, places of the installation; or an unknown command."""
    if name in HELP and rest:
        _require_command(rest[0])
        return _help(rest[0], rest[1:])
    if name in HELP or not name:
        print(overview(), end="")
        return DONE if name else MISUSED
    if name in VERSION:
        print(f"ascore {__version__}")
        return DONE
    if name in PLACES:
        return PLACES[name]()
    _require_command(name)
    return MISUSED


def _require_command(name: str) -> None:
    """Raises UsageError if there is no such command; suggests the nearest."""
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        message = f"unknown command {name!r}; {hint}choose from: {', '.join(COMMANDS)}"
        raise UsageError(message)


def overview() -> str:
    """The commands, in groups."""
    groups: dict[str, dict[str, str]] = {}
    for command in COMMANDS.values():
        groups.setdefault(command.group, {})[command.options.usage] = command.summary
    lines = ["usage: ascore COMMAND ...", *listing(groups), ""]
    return "\n".join([*lines, *textwrap.wrap(MORE, width())]) + "\n"


def _help(name: str, rest: Sequence[str]) -> int:
    """Prints the help of a command, with the defaults that the rest of the line leads to."""
    command = COMMANDS[name]
    defaults, note = None, ""
    if command.defaults is not None:
        values = {}
        with contextlib.suppress(UsageError):
            values = given(command.options, rest)
        defaults, note = command.defaults(values)
    print(command_help(command.options, defaults, note), end="")
    return DONE


def _completion(argv: list[str]) -> int:
    """Prints a completion script."""
    options = parse(CompletionOptions, argv)
    print(script(options.shell, {name: row.options for name, row in COMMANDS.items()}), end="")
    return DONE


def _wants_json(args: list[str]) -> bool:
    """Whether --json is among the options; the beginning of the word will do."""
    return any(len(word) > len("--") and "--json".startswith(word) for word in args)


@contextlib.contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM unwind the command, so that environments are closed."""

    def end(number: int, frame: object) -> None:
        raise Terminated(number)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _shower() -> Callable[..., None]:
    """Prints warnings of this package as one line, each once, and others as Python does."""
    printed: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, (AscoreWarning, FutureWarning)):
            text = warnings.formatwarning(message, category, filename, lineno, line)
            print(text, end="", file=file or sys.stderr)
        elif str(message) not in printed:
            printed.add(str(message))
            print(f"ascore: {message}", file=sys.stderr)

    return show


COMMANDS: dict[str, Command] = {
    **ROWS,
    "completion": Command(
        CompletionOptions,
        "a script with which bash, zsh or fish complete commands and options",
        HERE,
        _completion,
    ),
}
