"""One grammar for all commands: what is read, and what is refused in which words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from ascore.cli import COMMANDS
from ascore.commands.parser import Line, Mark, Positional, Repeated, given, options_of, parse
from ascore.commands.sentences import about_fields
from ascore.errors import UsageError


@dataclass(frozen=True)
class Example(Line):
    """Bake."""

    usage: ClassVar[str] = "bake CAKE"
    needs: ClassVar[str] = "a cake"
    example: ClassVar[str] = "bake tart"

    # Dough
    cake: Positional[str]
    """What to bake."""
    grams: int = 100
    """Weight of the dough,
    in grams."""
    layers: tuple[int, ...] = (1,)
    """Heights of the layers."""

    # Oven
    heat: float = 180.0
    """Temperature."""
    mode: Literal["fan", "top"] = "fan"
    """Where heat comes from."""
    fruit: Annotated[tuple[str, ...], Mark(repeated=True, shown="NAME=VALUE")] = ()
    """What goes in."""
    tins: Repeated[tuple[Literal["round", "square"], ...]] = ()
    """Forms."""
    out: Path | None = None
    """Rack."""
    grease: bool = False
    """Whether to grease."""
    sieve: bool = True
    """Whether to sieve."""


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("tart", {"cake": "tart"}),
    ("--grams 5 tart", {"cake": "tart", "grams": 5}),
    ("--grams=5 tart --grams 6", {"cake": "tart", "grams": 6}),
    ("tart --grams -5", {"cake": "tart", "grams": -5}),
    ("--layers 1 2 tart", {"cake": "tart", "layers": (1, 2)}),
    ("--layers 1 2 --layers 3 tart", {"cake": "tart", "layers": (3,)}),
    ("--heat 2e2 tart", {"cake": "tart", "heat": 200.0}),
    ("--mode top tart", {"cake": "tart", "mode": "top"}),
    ("--fruit a=1 tart --fruit b=2", {"cake": "tart", "fruit": ("a=1", "b=2")}),
    (
        "tart --tins round square --tins round",
        {"cake": "tart", "tins": ("round", "square", "round")},
    ),
    ("--grease tart --no-sieve", {"cake": "tart", "grease": True, "sieve": False}),
    ("--out x tart", {"cake": "tart", "out": Path("x")}),
    ("--out=a=b tart", {"cake": "tart", "out": Path("a=b")}),
    ("--gre tart", {"cake": "tart", "grease": True}),
    ("-- --tart", {"cake": "--tart"}),
]


@pytest.mark.parametrize(("line", "values"), GOOD)
def test_what_is_read(line: str, values: dict[str, Any]) -> None:
    assert given(Example, line.split()) == values
    assert parse(Example, line.split()) == Example(**values)


BAD = [
    ("", "bake needs a cake, as in: ascore bake tart"),
    ("tart --gramms 5", "bake has no option --gramms; did you mean '--grams'? see "
     "`ascore bake --help`"),
    ("tart -x", "bake has no option -x; see `ascore bake --help`"),
    ("tart --gr 5", "--gr may be --grams, --grease; write the whole name"),
    ("tart --grams", "--grams needs a value, as in: --grams N"),
    ("tart --grams --grease", "--grams needs a value, as in: --grams N"),
    ("tart --grams many", "--grams 'many' is not a whole number"),
    ("tart --grams 1.5", "--grams '1.5' is not a whole number"),
    ("tart --heat hot", "--heat 'hot' is not a number"),
    ("tart --layers 1 x", "bake has no use for 'x'; see `ascore bake --help`"),
    ("tart --mode tap", "--mode 'tap' is not possible; did you mean 'top'? choose from: fan, top"),
    ("tart --grease=yes", "--grease=yes is not possible; write --grease, which takes no value"),
    ("tart pie", "bake has no use for 'pie'; see `ascore bake --help`"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), BAD)
def test_what_is_refused(line: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(Example, line.split())
    assert str(error.value) == message


def test_sentences_and_groups_are_those_of_the_source() -> None:
    about = about_fields(Example)
    assert (about["grams"].text, about["grams"].group) == (
        "Weight of the dough, in grams.",
        "Dough",
    )
    assert about["heat"].group == "Oven"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_sentence(command: str) -> None:
    row = COMMANDS[command]
    assert row.options.command() == command
    assert row.options.__doc__
    assert row.summary
    for option in options_of(row.options):
        assert option.text.endswith((".", ")")), f"{option.name} is not explained"
        assert option.text[0].isupper() or option.text.split()[0].islower(), option.name


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_command_can_be_read(command: str) -> None:
    name, *words = COMMANDS[command].options.example.split()
    assert name == command
    parse(COMMANDS[command].options, words)


def test_values_that_were_renamed_are_still_read() -> None:
    with pytest.warns(FutureWarning, match="is now called engine"):
        assert given(COMMANDS["train"].options, ["--backend", "fused"]) == {"backend": "engine"}
