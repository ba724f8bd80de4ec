"""What --env-param means: one reading for every command, and commands that can be copied back."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

import pytest

import ascore
from ascore.cli import main
from ascore.commands.shared import parameters
from ascore.config import Config
from ascore.envs.parameters import as_options, read_value, value_text
from ascore.errors import ConfigError
from ascore.interop.check import examine, report

VALUES: list[tuple[str, Any]] = [
    ("3", 3),
    ("-0.5", -0.5),
    ("1e-3", 1e-3),
    ("true", True),
    ("True", True),
    ("false", False),
    ("None", None),
    ("[5,5]", [5, 5]),
    ("(5, 5)", [5, 5]),
    ("[true, null, 1.5]", [True, None, 1.5]),
    ("[[1, 2], []]", [[1, 2], []]),
    ('{"a": [1], "b": false}', {"a": [1], "b": False}),
    ("'3'", "3"),
    ("north", "north"),
    ("a b", "a b"),
    ("lbforaging:Foraging-8x8-2p-1f-v3", "lbforaging:Foraging-8x8-2p-1f-v3"),
    ("", ""),
    ("[", "["),
    ("1,2", [1, 2]),
    ("x=1", "x=1"),
    ("{1, 2}", "{1, 2}"),
    ("b'x'", "b'x'"),
    ("[" * 500, "[" * 500),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_and_back(text: str, value: Any) -> None:
    assert read_value(text) == value
    assert type(read_value(text)) is type(value)
    assert read_value(value_text(value)) == value


def test_options_survive_a_shell() -> None:
    params = {"size": [5, 5], "limit": None, "map": "a b\n$(x)'", "text": "3", "on": True, "x": -1}
    words = shlex.split(as_options(params))
    assert words[::2] == ["--env-param"] * len(params)
    assert parameters(tuple(words[1::2])) == params


def test_runs_keep_every_value(tmp_path: Path) -> None:
    """From the command line to the configuration, the checkpoint and the exported file."""
    params = {"size": [5, [1, None]], "limit": None, "about": {"a": None, "b": True}, "n": 2}
    config = Config(
        env="python_envs:Pasture", env_params=params, episodes=2, num_envs=2, actor_hidden=(4,)
    )
    assert Config(env="x:y", env_params={"size": (5, (1, "None"))}).env_params == {
        "size": [5, [1, None]]
    }
    run = ascore.train(config, tmp_path / "run")
    assert Config.load(run.path / "config.toml") == config
    assert run.policy.env_params == params
    exported = ascore.load_policy(ascore.export_policy(run.path, tmp_path / "p.safetensors"))
    assert exported.env_params == params
    played = [ascore.evaluate(p, episodes=2, seed=1, trust=True) for p in (run, exported)]
    assert played[0].team_returns.tolist() == played[1].team_returns.tolist()
    assert ascore.resume(run.path, episodes=4).config.env_params == params


@pytest.mark.parametrize("value", [math.inf, [math.nan], {1: 2}, {1, 2}, object(), b"x"])
def test_what_no_file_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"env_params\['x'\].* is not allowed"):
        Config(env="a:b", env_params={"x": value})


def test_the_recommended_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = ("size=[5, [1, None]]", "limit=None", "about={'a': None, 'b': True}", "n=2")
    text = report(examine("python_envs:Pasture", parameters(pairs), steps=10))
    command = text.splitlines()[-1].partition(": ")[2]
    words = shlex.split(command)
    assert words[:3] == ["ascore", "train", "python_envs:Pasture"]
    quick = ["--episodes", "2", "--num-envs", "2", "--actor-hidden", "4", "--evaluate", "0"]
    assert main([*words[1:], *quick, "--out", "run"]) == 0, capsys.readouterr().err


def test_compiled_environments_say_what_they_take() -> None:
    for value in (None, [5, 5]):
        with pytest.raises((TypeError, ValueError), match="num_agents"):
            ascore.make("exchange", num_agents=value)
