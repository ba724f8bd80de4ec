"""Writes reference pages from the program: `<!-- generated: NAME -->` in a page becomes its text.

What a page says about a key, an option, a metric, an algorithm or an environment stands once, in
the source. A key or an option without a sentence stops the build.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

from sphinx.application import Sphinx
from undocumented import public, require_sentences, sentences_below

import ascore
from ascore.algorithms.table import ALGORITHMS, OWNED, keys_read
from ascore.cli import COMMANDS
from ascore.commands.parser import Option, options_of
from ascore.commands.sentences import about_fields
from ascore.config import Config, preset_names
from ascore.envs.factory import describe
from ascore.envs.table import ENVIRONMENTS

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def prose(text: str) -> str:
    """A sentence of the source as Markdown: its brackets and powers are no links or emphasis."""
    parts = text.split("`")
    plain = [re.sub(r"([\[\]*_^<>{}$])", r"\\\1", part) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))


def code(value: object) -> str:
    """A value as it is written."""
    return f"`{value}`" if str(value) else "empty"


# ---- configuration ------------------------------------------------------------------------------


def configuration() -> Iterator[str]:
    """The keys of `Config` in their groups, with type, default, presets and readers."""
    about, hints = about_fields(Config), get_type_hints(Config)
    group = None
    for field in fields(Config):
        sentence = about[field.name]
        if not sentence.text or not sentence.group:
            message = f"Config.{field.name} needs a sentence and a group"
            raise ValueError(message)
        if sentence.group != group:
            group = sentence.group
            yield f"\n## {group}\n"
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        yield f"(key-{field.name})="
        yield f"### `{field.name}`\n"
        yield f"{prose(sentence.text)}\n"
        yield f"- Type: {_type(hints[field.name])}. Default: {_toml(default)}."
        others = _in_presets(field.name, default)
        if others:
            yield f"- In presets: {others}."
        if field.name in OWNED:
            readers = [name for name in ALGORITHMS if field.name in keys_read(name)]
            yield f"- Read by {', '.join(code(name) for name in readers)} alone."
        yield ""


def _type(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is tuple:
        return "list of whole numbers"
    if origin is dict:
        return "table"
    choices = get_args(hint)
    if choices:
        return "one of " + ", ".join(code(choice) for choice in choices)
    names = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return names[hint]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple):
        return code(list(value))
    return code(value)


def _in_presets(key: str, default: Any) -> str:
    """Where a preset sets a key to something else than its default."""
    values: dict[str, list[str]] = {}
    for name, preset in preset_names():
        sets = Config.preset(name, preset=preset)
        value = getattr(sets, key)
        if key not in ("env", "env_params") and value != default:
            values.setdefault(_toml(value), []).append(f"{name} {preset}")
    return "; ".join(f"{value} in {', '.join(where)}" for value, where in values.items())


# ---- metrics ------------------------------------------------------------------------------------


def metrics() -> Iterator[str]:
    """Every name in the record of an update, with its meaning, unit and shape."""
    for name, meaning in ascore.METRICS.items():
        yield f"(metric-{name})="
        yield f"## `{name}`\n"
        yield f"{prose(meaning[0].upper() + meaning[1:])}.\n"


# ---- algorithms and environments ----------------------------------------------------------------


def algorithms() -> Iterator[str]:
    """The table of algorithms with the keys that each reads besides those that all read."""
    rows = []
    for name, algorithm in ALGORITHMS.items():
        own = [code(key) for key in sorted(keys_read(name))]
        learns = "compiled" if algorithm.compiled is not None else "PyTorch"
        rows.append([code(name), prose(algorithm.summary), learns, ", ".join(own) or "none"])
    yield from table(["name", "what it is", "its loss", "keys that not all read"], rows)


def environments() -> Iterator[str]:
    """Sizes, anchors, what `inspect` shows, and parameters of the built-in environments."""
    for name in ENVIRONMENTS:
        entry = describe(name)
        spec = entry["spec"]
        yield f"\n## `{name}`\n"
        yield f"{prose(entry['summary'].capitalize())}.\n"
        yield f"- Agents: {spec['num_agents']} by default; episodes of {spec['horizon']} steps."
        yield f"- Actions: {', '.join(code(action) for action in spec['action_names'])}."
        views = "one view for all" if spec["views"] == 1 else "a view per agent"
        size = spec["obs_shape"][0]
        yield f"- Observations: {views}, {size} entries of type {code(spec['obs_dtype'])}.\n"
        yield "Team returns per episode of scripted play:"
        rows = []
        for anchor in entry["anchors"]:
            given = ", ".join(f"`{key} = {value}`" for key, value in anchor["given"].items())
            error = f" ± {anchor['error']:g}" if anchor["error"] else ""
            return_ = f"{anchor['team_return']:g}{error}"
            rows.append([anchor["label"], return_, given or "defaults", prose(anchor["source"])])
        yield from table(["play", "team return", "with", "where it comes from"], rows)
        yield "`VecEnv.inspect` shows:"
        yield from table(["name", "what"], [[code(k), prose(v)] for k, v in entry["shows"].items()])
        if entry["deeds"]:
            yield "`VecEnv.deeds` counts, per agent and step:"
            rows = [[code(k), prose(v)] for k, v in entry["deeds"].items()]
            yield from table(["name", "what"], rows)
        yield "Parameters (`--env-param NAME=VALUE`, `env_params` in the configuration):"
        rows = [
            [code(p["name"]), code(p["default"]), prose(p["meaning"]), prose(p["source"])]
            for p in entry["parameters"]
        ]
        yield from table(["name", "default", "meaning [range]", "source"], rows)


# ---- command line -------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command with its options in groups, as the parser knows them."""
    for name, command in COMMANDS.items():
        yield f"(command-{name})="
        yield f"## `ascore {name}`\n"
        yield f"```text\nascore {command.options.usage} [options]\n```\n"
        for paragraph in inspect.cleandoc(command.options.__doc__ or "").split("\n\n"):
            yield f"{prose(paragraph)}\n"
        if not command.options.__doc__:
            message = f"the options of ascore {name} need a docstring"
            raise ValueError(message)
        groups: dict[str, list[Option]] = {}
        for option in options_of(command.options):
            if not option.text:
                message = f"{option.name} of ascore {name} needs a sentence"
                raise ValueError(message)
            group = "" if option.mark.positional else option.group
            groups.setdefault(group, []).append(option)
        for group, options in groups.items():
            if group and len(groups) > 2:
                yield f"**{group}**\n"
            for option in options:
                yield from entry(option)


def entry(option: Option) -> Iterator[str]:
    """An option with its sentence, as an entry of a definition list."""
    typed = option.name if option.mark.positional else f"{option.name} {option.value}"
    negated = f", `--no-{option.name[2:]}`" if option.flag and option.default is True else ""
    yield f"`{typed.strip()}`{negated}"
    text = prose(option.text)
    if option.choices:
        text += f" Choose from: {', '.join(code(choice) for choice in option.choices)}."
    key = option.key in Config.names() and option.default == getattr(Config(), option.key)
    plain = option.flag or option.mark.positional
    if (
        not plain
        and option.default not in (None, MISSING, "", ())
        and ("efault:" not in option.text)
    ):
        default = option.default
        text += f" Default: {code(' '.join(map(str, default)) if option.many else default)}"
        text += ", or the preset's." if key else "."
    yield f": {text}\n"


# ---- Python -------------------------------------------------------------------------------------

ROOMS = {
    "envs": "Environments",
    "config": "Configuration",
    "runs": "Training, evaluation and policies",
    "algorithms": "Algorithms",
    "interop": "Other libraries",
    "render": "Pictures",
}
"""Titles of what `import ascore` offers, by the folder it comes from."""

OUTSIDE = (
    "ascore.algorithms.contract",
    "ascore.algorithms.terms",
    "ascore.algorithms.targets",
    "ascore.algorithms.links",
    "ascore.algorithms.ledger",
    "ascore.envs.record",
    "ascore.interop.onnx",
    "ascore.render.replay",
    "ascore.theory",
)
"""Modules that people import from besides `ascore` itself."""


def python() -> Iterator[str]:
    """Everything that `import ascore` offers."""
    require_sentences(ascore)
    rooms: dict[str, list[str]] = {}
    for name in public(ascore):
        home = (
            ascore._LAZY.get(name)
            or getattr(getattr(ascore, name), "__module__", "ascore.envs").partition(".")[2]
        )
        rooms.setdefault(home.split(".")[0], []).append(name)
    for room, names in sorted(rooms.items(), key=lambda pair: [*ROOMS, pair[0]].index(pair[0])):
        yield f"\n## {ROOMS.get(room, room.capitalize())}\n"
        for name in names:
            yield from documented(f"ascore.{name}", getattr(ascore, name))


def modules() -> Iterator[str]:
    """What the modules define that those who write algorithms and the like import."""
    for name in OUTSIDE:
        module = importlib.import_module(name)
        require_sentences(module)
        summary = (module.__doc__ or "").partition("\n\n")[0]
        yield f"\n## `{name}`\n"
        yield f"{prose(summary)}\n"
        for key in public(module):
            yield from documented(f"{name}.{key}", getattr(module, key))


def documented(name: str, value: Any) -> Iterator[str]:
    """The directive of autodoc for a value."""
    kind = (
        "class" if isinstance(value, type) else "function" if inspect.isfunction(value) else "data"
    )
    if kind == "data" and name.count(".") == 1:  # its sentence stands where it is defined
        home = ascore._LAZY.get(name.partition(".")[2], "envs.table")
        name = f"ascore.{home}.{name.partition('.')[2]}"
    home, _, short = name.rpartition(".")
    if kind == "data" and ("", short) not in sentences_below(home):
        message = f"{name} needs a sentence below it"
        raise ValueError(message)
    yield "```{eval-rst}"
    yield f".. auto{kind}:: {name}"
    if kind == "data":
        yield "   :no-value:"
    if kind == "class":
        yield "   :members:"
        yield "   :show-inheritance:" if issubclass(value, BaseException) else ""
    yield "```\n"


GENERATED: dict[str, Callable[[], Iterator[str]]] = {
    "algorithms": algorithms,
    "commands": commands,
    "configuration": configuration,
    "environments": environments,
    "metrics": metrics,
    "modules": modules,
    "python": python,
}


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Puts the generated text in its place before a page is parsed."""
    source[0] = MARK.sub(lambda mark: "\n".join(GENERATED[mark[1]]()), source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the extension."""
    app.connect("source-read", read, priority=600)  # after the links are mended
    return {"parallel_read_safe": True}
