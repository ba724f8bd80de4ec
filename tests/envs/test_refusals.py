"""Every refusal of a Python environment: its cause, its sentence, and that its remedy works.

The sites are read from the source, so a new refusal without a row here makes a test fail.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from halls import OBSERVATIONS, Hall, Straying

import ascore
from ascore import _core
from ascore.envs.adapters.horizon import find_horizon
from ascore.envs.adapters.locate import build_compiled
from ascore.envs.factory import batch
from ascore.errors import EnvError
from ascore.interop.check import examine

PACKAGE = Path(ascore.__file__).parent
FILES = [*sorted((PACKAGE / "envs" / "adapters").glob("*.py")), PACKAGE / "envs" / "factory.py"]
MEADOW, BROKEN = "python_envs:Meadow", "python_envs:Broken"
RUDE, HALL, SHOP = "strangers:Rude", "halls:Hall", "shops:Shop"


@dataclass(frozen=True)
class Refusal:
    """A refusal, and what to do about it.

    Attributes:
        trigger: raises it.
        message: what it says, as a regular expression.
        cure: does what its remedy says; works.
    """

    trigger: Callable[[], Any]
    message: str
    cure: Callable[[], Any]


def play(name: str, steps: int = 4, *, horizon: int = 0, **more: Any) -> None:
    """Takes the first legal action of every agent a few times in two copies."""
    keys = {key: more.pop(key) for key in ("env_workers", "action_bins") if key in more}
    with batch(name, more, 2, horizon=horizon, **keys) as env:
        env.reset()
        for _ in range(steps):
            action = np.zeros((2, env.spec.num_agents), np.int32)
            env.step(action if env.legal is None else env.legal.argmax(-1).astype(np.int32))


def of(name: str, **params: Any) -> Callable[[], None]:
    return lambda: play(name, **params)


SOUND = of(MEADOW)


def closed(workers: int) -> Callable[[], None]:
    def call() -> None:
        env = batch(MEADOW, {}, 2, env_workers=workers)
        env.close()
        env.reset()

    return call


def without_import() -> None:
    """A module that the program has made."""
    module = types.ModuleType("made_here")
    vars(module)["Meadow"] = sys.modules["python_envs"].Meadow
    sys.modules["made_here"] = module
    play("made_here:Meadow", env_workers=2)


def write(name: str, text: str) -> Callable[[], None]:
    """Writes a module into the current folder and plays its `make`."""

    def call() -> None:
        Path(f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        play(f"{name}:make")

    return call


def compiled(interface: int) -> Callable[[], Any]:
    kind = type("Compiled", (_core.PredationV1,), {"interface": interface, "parameter_docs": []})
    return lambda: build_compiled(kind, "module:Class", {})


def inspect() -> None:
    ascore.make(MEADOW).inspect()


def render() -> None:
    hall = Hall()
    assert hall.render() == "2 guests"


def save(count: int | None) -> Callable[[], Any]:
    return lambda: ascore.make(MEADOW, 2).save_state(0, count)


IMPORTS = "from python_envs import Meadow as make\n"

REFUSALS = {
    # ---- finding and making it
    "not MODULE:NAME": Refusal(of("python_envs:"), r"is not MODULE:NAME; write my_module", SOUND),
    "no module": Refusal(
        of("not_here_yet:make"), r"no module 'not_here_yet'; .*folder that contains it",
        write("not_here_yet", IMPORTS),
    ),
    "import fails": Refusal(
        write("half_done", "1 / 0\n"), r"'half_done' cannot be imported: ZeroDivisionError.*; fix",
        write("half_done", IMPORTS),
    ),
    "no such name": Refusal(of("python_envs:Medow"), r"has no 'Medow'; near it: Meadow", SOUND),
    "not callable": Refusal(of("python_envs:number"), r"cannot be called; name a function", SOUND),
    "another interface": Refusal(
        compiled(-1), r"compiled for interface -1 .*; recompile it", compiled(_core.interface)
    ),
    "constructor": Refusal(
        of(MEADOW, sheep=3), r"Meadow\(sheep=3\) fails: TypeError.*--env-param", of(MEADOW, cows=3)
    ),
    "no methods": Refusal(
        of("python_envs:nothing"), r"without the methods .*; return a pettingzoo.ParallelEnv",
        of("strangers:Forage"),
    ),
    "one object": Refusal(of("python_envs:the_same"), r"same object every time; return a", SOUND),
    "copies differ": Refusal(of("python_envs:moody"), r"differs from copy 0.*; let agents", SOUND),
    "closed": Refusal(closed(0), r"are closed; make new ones", SOUND),
    # ---- agents, spaces and horizon
    "nobody": Refusal(of(BROKEN, how="nobody"), r"possible_agents is \[\]; set it in", SOUND),
    "twice": Refusal(of(BROKEN, how="twice"), r"repeats a name; list each name once", SOUND),
    "space fails": Refusal(of(BROKEN, how="action_space"), r"fails: KeyE.*; return that", SOUND),
    "continuous": Refusal(
        of(HALL, act=["plane"]), r"continuous; .*2\.\.16, with --action-bins K",
        of(HALL, act=["plane"], action_bins=16),
    ),
    "too many bins": Refusal(
        of(HALL, act=["plane"], action_bins=20), r"lower --action-bins to 16 or less",
        of(HALL, act=["plane"], action_bins=16),
    ),
    "unbounded": Refusal(
        of(HALL, act=["endless"], action_bins=4), r"no finite bounds; give it a finite low",
        of(HALL, act=["plane"], action_bins=4),
    ),
    "too many entries": Refusal(
        of(HALL, act=["arms"], action_bins=2), r"give it fewer entries",
        of(HALL, act=["four"], action_bins=2),
    ),
    "too many combinations": Refusal(
        of(HALL, act=["wide"]), r"729 combinations .*; make it Discrete\(n\)",
        of(HALL, act=["from five"]),
    ),
    "other actions": Refusal(
        of(HALL, act=["pair"]), r"Tuple.*; make it Discrete\(n\).* or a MultiDiscrete",
        of(HALL, act=["multi"]),
    ),
    "text": Refusal(
        of(HALL, act=["two"], see=["text"]), r"Text.*, a text, .*; give its characters",
        of(HALL, act=["two"], see=["text as numbers"]),
    ),
    "deep text": Refusal(
        of(HALL, act=["two"], see=["deep"]), r"whose part \['ears'\]\[1\] is a text, which",
        of(HALL, act=["two"], see=["nested"]),
    ),
    "sequence": Refusal(
        of(HALL, act=["two"], see=["sequence"]), r"a sequence of any length.*; pad it: a Tuple",
        of(HALL, act=["two"], see=["padded sequence"]),
    ),
    "graph": Refusal(
        of(HALL, act=["two"], see=["graph"]), r"a graph of any size.*; pad it: a Box of node",
        of(HALL, act=["two"], see=["padded graph"]),
    ),
    "nothing to see": Refusal(
        of(HALL, act=["two"], see=["nothing"]), r"has no entries; give the agent .* a constant",
        of(HALL, act=["two"], see=["constant"]),
    ),
    "other observations": Refusal(
        of(RUDE, how="sour observation space"), r"no space of gymnasium.spaces .*; use Box", SOUND
    ),
    "bad horizon": Refusal(of(BROKEN, how="bad horizon"), r"horizon = 0; set it to the", SOUND),
    "no horizon": Refusal(
        lambda: find_horizon(Straying()), r"neither horizon .*; give it an attribute `horizon`",
        of("halls:Straying", horizon=4),
    ),
    "no end": Refusal(
        of("halls:Straying", fixed=-1), r"went on after 2,000 steps; .*--horizon N",
        of("halls:Straying", fixed=-1, horizon=4),
    ),
    # ---- while it is played
    "reset fails": Refusal(of(RUDE, how="exit in reset"), r"reset\(seed=\d+\) fails: Sys", SOUND),
    "nobody there": Refusal(of(BROKEN, how="empty"), r"no agent after.*; fill `agents`", SOUND),
    "no list": Refusal(of("halls:Listless"), r"no list `agents`.*; keep the active ag", SOUND),
    "reset returns": Refusal(of(BROKEN, how="old reset"), r"returned a dict.*; return", SOUND),
    "step fails": Refusal(of(BROKEN, how="crash"), r"step\(.*fails: KeyError: 'hay' \(pyt", SOUND),
    "step returns": Refusal(of(BROKEN, how="gym"), r"returned 4 values.*; return \(obs, re", SOUND),
    "cannot be read": Refusal(of(RUDE, how="sour agents"), r"reading what it re", SOUND),
    "stranger": Refusal(of(BROKEN, how="stranger"), r"'fox' is not one of.*; list", SOUND),
    "shape": Refusal(of(BROKEN, how="shape"), r"is not in Box.*; return an element of obs", SOUND),
    "nan": Refusal(of(BROKEN, how="nan"), r"holds nan.*; every entry must be a finite", SOUND),
    "words": Refusal(of(BROKEN, how="words"), r"reward .*'much'.*; return a number below", SOUND),
    "infinite": Refusal(of(BROKEN, how="infinite"), r"is inf.*; every reward must be a fi", SOUND),
    "flags": Refusal(of(RUDE, how="flags"), r"terminations .*; return true or", SOUND),
    "silent": Refusal(of(BROKEN, how="silent"), r"no entry for agent .*; return an", SOUND),
    "neighbour": Refusal(of(BROKEN, how="neighbour"), r"neighbour 'fox'.*; give names", SOUND),
    "mask": Refusal(
        of(SHOP, where="info", mask=[1]), r"an action_mask of type .*; give one entry per action",
        of(SHOP, where="info"),
    ),
    "nothing legal": Refusal(
        of(SHOP, where="obs", sold_out=2), r"no legal action.*; leave it one, say one that",
        of(SHOP, where="obs"),
    ),
    # ---- what is asked of a batch
    "state": Refusal(inspect, r"cannot be inspected; .* its own render\(\)", render),
    "part": Refusal(save(1), r"only be saved and loaded together; continue with", save(None)),
    "threads": Refusal(
        lambda: ascore.make(MEADOW, 2, num_threads=2), r"num_threads = 2.*set env_workers",
        of(MEADOW, env_workers=2),
    ),
    "bins of compiled": Refusal(
        lambda: ascore.make("exchange", action_bins=3), r"action_bins = 3.*; leave action_bins out",
        lambda: ascore.make("exchange"),
    ),
    "workers of compiled": Refusal(
        lambda: ascore.make("exchange", 2, env_workers=2), r"; leave env_workers out; num_threads",
        lambda: ascore.make("exchange", 2, num_threads=2),
    ),
    "program's own": Refusal(
        without_import, r"made by the program itself.*; put it into a module of its own", SOUND
    ),
    "argument": Refusal(
        of(MEADOW, env_workers=2, hear=lambda: True), r"hear .*cannot be sent.*env_workers to 0",
        of(MEADOW, env_workers=0, hear=lambda: True),
    ),
    "closed workers": Refusal(closed(2), r"are closed; make new", of(MEADOW, env_workers=2)),
    "in a worker": Refusal(
        of(BROKEN, how="crash", env_workers=2), r"KeyError: 'hay' .*; fix",
        of(MEADOW, env_workers=2),
    ),
}  # fmt: skip
if "one of" in OBSERVATIONS:
    REFUSALS["one of"] = Refusal(
        of(HALL, act=["two"], see=["one of"]),
        r"one of several spaces.*; give a Dict of all of them",
        of(HALL, act=["two"], see=["all alternatives"]),
    )

# Errors that are made elsewhere and passed on are refusals of the place where they are made.
MAKERS = ("EnvError", "_fault")


def sites() -> set[tuple[str, int, int]]:
    """File and first and last line of every statement that raises a refusal."""
    places = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                called = node.exc.func
                name = (
                    called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                )
                if name in MAKERS:
                    places.add((str(path), node.lineno, node.end_lineno or node.lineno))
    return places


def lines(error: BaseException | None) -> set[tuple[str, int]]:
    """Where an error has passed, with those that led to it."""
    passed: set[tuple[str, int]] = set()
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            passed.add((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return passed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("not_here_yet", "half_done", "made_here"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.usefixtures("folder")
def test_a_refusal_says_what_to_do_and_that_works(name: str) -> None:
    refusal = REFUSALS[name]
    with pytest.raises(EnvError, match=refusal.message) as caught:
        refusal.trigger()
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    refusal.cure()


@pytest.mark.usefixtures("folder")
def test_every_refusal_of_the_source_is_among_them() -> None:
    passed: set[tuple[str, int]] = set()
    for refusal in REFUSALS.values():
        with pytest.raises(EnvError) as caught:
            refusal.trigger()
        passed |= lines(caught.value)
    missed = {
        f"{Path(file).name}:{first}"
        for file, first, last in sites()
        if not any(at == file and first <= line <= last for at, line in passed)
    }
    assert missed == set(), "add a row to REFUSALS"


CHECKED = [
    (HALL, {"act": ["pair", "two"]}, "actions"),
    (HALL, {"act": ["two"], "see": ["text"]}, "observations"),
    ("halls:Straying", {"fixed": -1}, "horizon"),
    (BROKEN, {"how": "nobody"}, "agents"),
    (BROKEN, {"how": "crash"}, "API"),
    (BROKEN, {"how": "nan"}, "observations"),
    (BROKEN, {"how": "infinite"}, "rewards"),
    ("python_envs:the_same", {}, "loading"),
]


@pytest.mark.parametrize(("target", "params", "topic"), CHECKED)
def test_a_check_reports_them_with_their_remedy(
    target: str, params: dict[str, Any], topic: str
) -> None:
    with pytest.raises(EnvError) as caught:
        play(target, **params)
    (problem,) = (f for f in examine(target, params, steps=20).findings if f.verdict == "problem")
    assert problem.topic == caught.value.topic == topic
    assert problem.remedy == caught.value.remedy


def test_the_sites_are_read() -> None:
    files = [Path(file).name for file, *_ in sites()]
    assert files.count("external.py") >= 10
    assert files.count("loading.py") >= 4
    assert "choices.py" not in files  # it says why; `loading` refuses
