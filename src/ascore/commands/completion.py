"""Scripts with which shells complete commands, options and their values.

They are written out in full, so that a shell need not start Python for every key.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ascore.commands.parser import Line, Option, options_of
from ascore.envs.table import ENVIRONMENTS

Kinds = Mapping[str, type[Line]]
"""By command: its options."""

SHELLS = ("bash", "zsh", "fish")


def script(shell: str, kinds: Kinds) -> str:
    """The script for a shell.

    Args:
        shell: one of `SHELLS`.
        kinds: the commands.
    """
    if shell == "fish":
        return "\n".join(_fish(kinds)) + "\n"
    bash = "\n".join(_bash(kinds)) + "\n"
    # zsh reads bash's script after this; compinit must have run.
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash if shell == "zsh" else bash


def algorithm_names() -> tuple[str, ...]:
    """Those of `ascore.algorithms.table`, read from the sources: importing it needs PyTorch."""
    folder = Path(__file__).parents[1] / "algorithms"
    sources = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    record = re.compile(r'^[A-Z]\w* = Algorithm\(\s*name="([^"]+)"', re.MULTILINE)
    return tuple(name for source in sources for name in record.findall(source))


def _values(option: Option) -> tuple[str, ...]:
    """What may stand for a value, if that is known."""
    if option.key in ("algorithm", "compare"):
        return algorithm_names()
    if option.mark.positional and option.key in ("env", "target"):
        return tuple(name.rsplit("-v", 1)[0] for name in ENVIRONMENTS)
    return option.choices


def _name(option: Option) -> str:
    """An option as typed; a flag that is on can only be switched off."""
    return f"--no-{option.name[2:]}" if option.default is True else option.name


def _names(kind: type[Line]) -> list[str]:
    """The options of a command."""
    return [_name(o) for o in options_of(kind) if not o.mark.positional] + ["--help"]


# A value after "=" stands in a word of its own in bash, and in the option's in zsh.
_SPLIT = """\
    if [ "$before" = "=" ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
    case "$current" in
    =) current= ;;
    --*=*) before=${current%%=*} start=${current%%=*}= current=${current#*=} ;;
    esac
"""


def _bash(kinds: Kinds) -> Iterator[str]:
    yield "_ascore() {"
    yield "    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options= words="
    yield "    local before=${COMP_WORDS[COMP_CWORD-1]} start="
    yield "    COMPREPLY=()"
    yield from _SPLIT.splitlines()
    yield '    if [ "$COMP_CWORD" -eq 1 ]; then'
    every = " ".join([*kinds, "help", "version", "--help", "--version"])
    yield f'        COMPREPLY=($(compgen -W "{every}" -- "$current"))'
    yield "        return"
    yield "    fi"
    yield '    case "$command $before" in'
    for command, kind in kinds.items():
        for option in options_of(kind):
            if option.mark.positional or option.flag:
                continue
            words = " ".join(_values(option))
            # Without known values the shell completes the names of files.
            reply = f'COMPREPLY=($(compgen -P "$start" -W "{words}" -- "$current")); '
            reply = reply if words else ""
            yield f'    "{command} {option.name}") {reply}return ;;'
    yield "    esac"
    yield '    case "$command" in'
    for command, kind in kinds.items():
        places = [word for o in options_of(kind) if o.mark.positional for word in _values(o)]
        options, words = " ".join(_names(kind)), " ".join(places)
        yield f'    {command}) options="{options}" words="{words}" ;;'
    yield f'    help) words="{" ".join(kinds)}" ;;'
    yield "    esac"
    yield '    case "$current" in'
    yield '    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;'
    yield '    *) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;'
    yield "    esac"
    yield "}"
    yield "complete -o bashdefault -o default -F _ascore ascore"


def _fish(kinds: Kinds) -> Iterator[str]:
    begin = "complete -c ascore"
    named = " ".join(kinds)
    yield f"{begin} -n '__fish_seen_subcommand_from help' -f -a {shlex.quote(named)}"
    for command in [*kinds, "help", "version"]:
        text = shlex.quote(_sentence((kinds[command].__doc__ or "") if command in kinds else ""))
        yield f"{begin} -n __fish_use_subcommand -f -a {command} -d {text}"
    for command, kind in kinds.items():
        there = f"{begin} -n '__fish_seen_subcommand_from {command}'"
        for option in options_of(kind):
            words = " ".join(_values(option))
            if option.mark.positional:
                if words:
                    yield f"{there} -a {shlex.quote(words)}"
                continue
            takes = "" if option.flag else f" -x -a {shlex.quote(words)}" if words else " -r"
            text = shlex.quote(_sentence(option.text))
            yield f"{there} -l {_name(option)[2:]}{takes} -d {text}"
        yield f"{there} -l help -s h -d 'Show this help'"


def _sentence(text: str) -> str:
    """The beginning of a text, to its first full stop or semicolon, for a list of choices."""
    words = " ".join(text.split())
    for mark in (". ", "; "):
        words = words.partition(mark)[0]
    return words.rstrip(".")
