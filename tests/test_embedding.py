"""The installed package from outside Python: the same bytes from four languages, exported policies.

A CMake project in `tests/embedding` is built against the installed package, as a stranger would.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import hostile_policies
import numpy as np
import numpy.typing as npt
import pybind11
import pytest
from policies import STATES, random_policy, states
from shared import shared

import ascore
from ascore.cli import main
from ascore.commands import installed
from ascore.envs.legal import padding
from ascore.errors import CheckpointError, EnvError
from ascore.interop.check import examine
from ascore.runs.policy import Policy, export_policy, load_policy
from ascore.runs.tensorfile import metadata, parse

HERE = Path(__file__).resolve().parent
STEPS = 150

# What is compiled here is compared, not timed, and optimising it takes longer than running it. That
# Python's module is optimised makes equal bytes say more.
UNOPTIMISED = [
    *(f"-DCMAKE_{language}_FLAGS_RELEASE=-O0 -DNDEBUG" for language in ("C", "CXX")),
    "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF",
]


def build(folder: Path) -> None:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for command in (
        [
            *("cmake", "-S", str(HERE / "embedding"), "-B", str(folder), "-G", "Ninja"),
            *("-DCMAKE_BUILD_TYPE=Release", *UNOPTIMISED, f"-DPython_EXECUTABLE={sys.executable}"),
            f"-Dascore_DIR={installed.cmake_dir()}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ],
        ["cmake", "--build", str(folder)],
    ):
        path = shutil.which(command[0], path=tools)
        assert path, "cmake and ninja come with the extra [test]"
        done = subprocess.run(
            [path, *command[1:]],
            env={**os.environ, "PATH": tools},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled programs."""
    return shared(tmp_path_factory, "embedding", build)


INCLUDE = HERE.parent / "cpp/include"
HEADERS = [path for path in sorted(INCLUDE.rglob("*.hpp")) if "nn" not in path.parts]


def included(header: Path) -> set[Path]:
    """A header and all of ours that it includes."""
    names = re.findall(r'^#include "(.*)"$', header.read_text(), re.MULTILINE)
    return {header}.union(*(included(INCLUDE / name) for name in names))


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: str(path.relative_to(INCLUDE)))
def test_every_header_asks_what_the_compiler_can_do(header: Path) -> None:
    assert INCLUDE / "ascore/compiler.hpp" in included(header)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("header", ["vec_env", "envs/all"])
def test_an_older_standard_ends_in_one_sentence(compiler: str, header: str, tmp_path: Path) -> None:
    """One `#error`, and no error that follows from another."""
    program = shutil.which(compiler)
    if program is None:
        pytest.skip(f"there is no {compiler}")
    file = tmp_path / "program.cpp"
    file.write_text(f'#include "ascore/{header}.hpp"\nascore::VecEnv<ascore::Predation>* env;\n')
    command = [program, "-fsyntax-only", f"-I{INCLUDE}", "-std=c++17", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    first, stop = re.findall(r"^.*error: (.*)$", done.stderr, re.MULTILINE)
    assert first.endswith('"ascore needs C++20; compile with -std=c++20 or newer"')
    assert stop.startswith(("ascore/no_such_file", "'ascore/no_such_file"))


def output(program: Path, *args: str, given: bytes = b"") -> bytes:
    done = subprocess.run([program, *args], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def trace(name: str) -> bytes:
    """What the programs print, from Python."""
    env = ascore.make(name, num_envs=5, seed=7, first_env=3)
    env.reset()
    uniform = np.empty((5, env.spec.num_agents), dtype=np.float32)
    parts = []
    for _ in range(STEPS):
        env.uniforms(uniform)
        action = (uniform * np.float32(env.spec.num_actions)).astype(np.int32)
        env.step(action)
        for array in (
            *(action, env.obs, env.final_obs, env.reward, env.neighbours),
            *(env.terminated, env.truncated, env.episode, env.time),
        ):
            parts.append(array.tobytes())
    return b"".join(parts)


@pytest.mark.parametrize("name", ascore.ENVIRONMENTS)
def test_four_languages_see_the_same_bytes(
    built: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(built))
    import trace_cython

    expected = trace(name)
    for threads in (1, 3):
        arguments = (name, str(STEPS), str(threads))
        assert output(built / "trace_cpp", *arguments) == expected
        assert output(built / "trace_c", *arguments) == expected
        assert trace_cython.trace(name.encode(), STEPS, threads) == expected


def test_cython_raises_what_went_wrong(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(built))
    import trace_cython

    with pytest.raises(ValueError, match=r'unknown environment "orchard"; choose from: cleanup-v1'):
        trace_cython.trace(b"orchard", 1, 1)


def test_another_version_of_the_header_is_refused(built: Path) -> None:
    lines = output(built / "mismatch").decode().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("2 the program was compiled with version 2 of ascore.h, this ")
        assert line.endswith("has version 1; compile both from one version of ascore")


def test_stepping_through_the_c_interface_changes_nothing(built: Path) -> None:
    """The program fails if buffers differ; its times are for the eye."""
    lines = output(built / "speed", "50", "3").decode().splitlines()
    assert [line.split()[0] for line in lines] == ["harvest-v1", "harvest-v1", "predation-v1"]


# ---- exported policies -----------------------------------------------------------------------


def bytes_of(*arrays: np.ndarray) -> bytes:
    """What `policy` reads."""
    return b"".join(x.size.to_bytes(8, "little") + x.tobytes() for x in arrays)


def compare(
    built: Path, tmp_path: Path, policy: Policy, legal: npt.NDArray[np.uint8] | None = None
) -> None:
    """Python's and C++'s results over the same states."""
    file = export_policy(policy, tmp_path / "actor.safetensors")
    obs, uniform = states(policy.env)
    given = bytes_of(obs, uniform, np.zeros(0, np.uint8) if legal is None else legal)
    kind = "f32" if obs.dtype == np.float32 else "u8"
    printed = output(built / "policy", str(file), str(obs.shape[1]), kind, given=given)
    expected = policy.log_probs(obs, legal)
    log_probs = np.frombuffer(printed, np.float32, expected.size).reshape(expected.shape)
    greedy, drawn = np.frombuffer(printed, np.int32, offset=expected.nbytes).reshape(
        2, STATES, policy.num_agents
    )
    assert len(expected) == STATES
    chosen = expected > -1e8
    assert np.abs(log_probs - expected)[chosen].max() <= 1e-6
    np.testing.assert_allclose(log_probs[~chosen], -1e9, rtol=1e-6)
    np.testing.assert_array_equal(greedy, policy.act(obs, legal=legal))
    # Exponentials are those of another library: a number within their rounding of a border may
    # fall on its other side.
    assert (drawn != policy.act(obs, uniform, legal)).mean() < 1e-4
    for action in (greedy, drawn) if legal is not None else ():
        assert np.take_along_axis(legal, action[..., None], axis=-1).all()
    again = load_policy(file)
    np.testing.assert_array_equal(again.log_probs(obs, legal), expected)
    assert again.action_counts == policy.action_counts
    assert (again.env, again.env_params) == (policy.env, policy.env_params)


@pytest.mark.parametrize(
    "policy",
    [
        random_policy("exchange-v1", [64, 64], 2.0),
        random_policy("predation-v1", [32], 8.0),
        random_policy("harvest-v1", [32, 16], 3.0),
        random_policy("navigation-v1", [16], 2.0, centre=True),
    ],
    ids=lambda policy: policy.env,
)
def test_exported_policies_act_alike(built: Path, tmp_path: Path, policy: Policy) -> None:
    compare(built, tmp_path, policy)


@pytest.mark.parametrize("counts", [(6, 6, 6), (6, 2, 3)])
@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_policies_of_agents_that_differ_act_alike(
    built: Path, tmp_path: Path, counts: tuple[int, ...], centre: bool, masked: bool
) -> None:
    policy = random_policy("exchange-v1", [16], 3.0, centre=centre, counts=counts)
    assert policy.centralised == centre
    lacking = padding(counts, 6)
    legal = np.random.default_rng(0).integers(0, 2, (STATES, 3, 6), dtype=np.uint8)
    legal[:, :, 1] = 1
    compare(built, tmp_path, policy, legal * ~lacking if masked else None)
    if not centre:
        assert (np.exp(policy.log_probs(states(policy.env)[0]))[:, lacking] == 0).all()


def test_a_trained_policy_acts_alike(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ascore.Config.preset("predation", algorithm="as").replace(
        env_params={"num_agents": 3, "obs_scale": 0.05, "mixed": "pairwise"}, episodes=640
    )
    run = ascore.train(config, out=tmp_path / "run")
    policy = load_policy(tmp_path / "run")
    assert policy.log_probs(ascore.make("predation", num_agents=3).reset()[0]).shape == (1, 3, 2)
    assert main(["export", str(run.path), "--out", str(tmp_path / "cli.safetensors")]) == 0
    assert "policy for predation-v1 written to" in capsys.readouterr().out
    saved = (tmp_path / "cli.safetensors").read_bytes()
    assert saved == export_policy(run.path, tmp_path / "api.safetensors").read_bytes()
    about = metadata(saved)
    assert (about["format"], about["version"]) == ("ascore.policy", "1")
    assert about["env_param.mixed"] == "pairwise"
    assert set(parse(saved)) == {
        f"layers.{k}.{part}" for k in range(len(policy.layers)) for part in ("weight", "bias")
    }
    again = load_policy(tmp_path / "cli.safetensors")
    assert again.env_params == {"num_agents": 3, "obs_scale": 0.05, "mixed": "pairwise"}
    spec = ascore.make(again.env, **again.env_params).spec
    assert spec.num_agents == 3
    obs = np.random.default_rng(0).normal(size=(STATES, 1, spec.obs_shape[0])).astype(np.float32)
    uniform = np.random.default_rng(1).random((STATES, 3), dtype=np.float32)
    given = bytes_of(obs, uniform, np.zeros(0, np.uint8))
    printed = output(built / "policy", str(tmp_path / "cli.safetensors"), "1", "f32", given=given)
    expected = policy.log_probs(obs)
    log_probs = np.frombuffer(printed, np.float32, expected.size).reshape(expected.shape)
    assert np.abs(log_probs - expected).max() <= 1e-6
    greedy = np.frombuffer(printed, np.int32, uniform.size, expected.nbytes).reshape(uniform.shape)
    np.testing.assert_array_equal(greedy, policy.act(obs))


def test_safetensors_itself_reads_an_exported_policy(tmp_path: Path) -> None:
    from safetensors import safe_open

    policy = random_policy("exchange-v1", [8], 1.0)
    file = export_policy(policy, tmp_path / "folder" / "actor.safetensors")
    with safe_open(file, "numpy") as tensors:
        assert tensors.metadata()["env"] == "exchange-v1"
        np.testing.assert_array_equal(tensors.get_tensor("layers.1.bias"), policy.layers[1][1])


def cut(data: bytes) -> bytes:
    return data[:-4]


def renamed(data: bytes) -> bytes:
    return data.replace(b'"ascore.policy"', b'"somebody.else"')


def newer(data: bytes) -> bytes:
    return data.replace(b'"version":"1"', b'"version":"2"')


@pytest.mark.parametrize(
    ("damage", "word"), [(cut, "lies at"), (renamed, "somebody.else"), (newer, "2")]
)
def test_a_damaged_export_is_refused_on_both_sides(
    built: Path, tmp_path: Path, damage: Callable[[bytes], bytes], word: str
) -> None:
    file = export_policy(random_policy("exchange-v1", [8], 1.0), tmp_path / "actor.safetensors")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert file.read_bytes() != whole
    with pytest.raises(CheckpointError, match=word):
        load_policy(file)
    done = subprocess.run([built / "policy", str(file), "1", "f32"], capture_output=True, text=True)
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert word in done.stderr


def complaints(built: Path, tmp_path: Path, files: Sequence[bytes]) -> list[tuple[str, str]]:
    """Why Python and why C++ refuse each of the files; empty where they load it."""
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    given = "".join(f"{path}\n" for path in paths).encode()
    theirs = output(built / "accepts", given=given).decode(errors="replace").split("\n")[:-1]
    ours = []
    for path in paths:
        try:
            load_policy(path)
            ours.append("")
        except CheckpointError as error:
            ours.append(str(error))
    return list(zip(ours, theirs, strict=True))


def test_unusual_policies_are_loaded_by_both(built: Path, tmp_path: Path) -> None:
    names, files = zip(*hostile_policies.accepted(), strict=True)
    refusals = complaints(built, tmp_path, files)
    assert dict(zip(names, refusals, strict=True)) == dict.fromkeys(names, ("", ""))


def test_hostile_policies_are_refused_by_both_in_the_same_words(
    built: Path, tmp_path: Path
) -> None:
    names, files, words = zip(*hostile_policies.refused(), strict=True)
    assert len(set(names)) == len(names) > 150
    for name, word, both in zip(names, words, complaints(built, tmp_path, files), strict=True):
        for message in both:
            assert re.search(word, message), f"{name}: {both}"


def test_mutated_policies_are_loaded_by_both_or_by_neither(built: Path, tmp_path: Path) -> None:
    refusals = complaints(built, tmp_path, list(hostile_policies.mutated(1500, seed=3)))
    assert [both for both in refusals if (both[0] == "") != (both[1] == "")] == []
    loaded = refusals.count(("", ""))
    assert 10 < loaded < 300  # the others differ from a sound file in something that counts


# ---- environments compiled elsewhere ---------------------------------------------------------

ORCHARD = "orchard:Orchard"


@pytest.fixture(scope="session")
def compiled_orchard(built: Path) -> ModuleType:
    """The module, imported once; other tests know one of that name in Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(built))
        patch.setitem(sys.modules, "orchard", None)
        del sys.modules["orchard"]
        return importlib.import_module("orchard")


@pytest.fixture
def orchard(built: Path, compiled_orchard: ModuleType, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the environment in `examples/environment_cpp`."""
    monkeypatch.syspath_prepend(str(built))
    monkeypatch.setitem(sys.modules, "orchard", compiled_orchard)
    return ORCHARD


def test_a_compiled_environment_plays_by_its_rules(orchard: str) -> None:
    env = ascore.make(orchard, num_envs=3, seed=4, gardeners=4, cost=2.0)
    assert (env.spec.name, env.spec.num_agents, env.spec.horizon) == (orchard, 4, 20)
    assert env.spec.action_names == ("rest", "water")
    assert env.params == {"gardeners": 4, "cost": 2.0}
    obs, _ = env.reset()
    dry = obs[:, 0, 0].astype(np.float64)
    rng = np.random.default_rng(0)
    assert (env.neighbours == 1 - np.eye(4, dtype=np.uint8)).all()
    for t in range(20):
        action = rng.integers(2, size=(3, 4), dtype=np.int32)
        obs, reward, terminated, truncated, info = env.step(action)
        water = action.sum(axis=1)
        dry = 0.5 * dry + 0.5 * (1 - water / 4)
        np.testing.assert_array_equal(reward, (water[:, None] - 2.0 * action).astype(np.float32))
        seen = info["final_obs"] if t == 19 else obs
        np.testing.assert_allclose(seen[:, 0, 0], dry, rtol=1e-6)
        assert not terminated.any()
        assert (truncated == (t == 19)).all()
    np.testing.assert_allclose(env.inspect(0)["dry"], obs[0, 0], rtol=1e-6)


def test_parameters_of_a_compiled_environment_are_checked(orchard: str) -> None:
    with pytest.raises(ValueError, match=r"gardeners = 0 is outside 1..64"):
        ascore.make(orchard, gardeners=0)
    with pytest.raises(ValueError, match=r'orchard-v1 has no parameter "boats"; its parameters'):
        ascore.make(orchard, boats=2)


def test_a_compiled_environment_is_trained_on_and_resumed(orchard: str, tmp_path: Path) -> None:
    config = ascore.Config(
        env=orchard,
        env_params={"gardeners": 2},
        episodes=128,
        actor_hidden=(8,),
        critic_hidden=(8,),
    )
    whole = ascore.train(config, out=tmp_path / "whole")
    half = ascore.train(config.replace(episodes=64), out=tmp_path / "half")
    again = ascore.resume(half.path, episodes=128)
    for mine, others in zip(
        load_policy(whole.path).layers, load_policy(again.path).layers, strict=True
    ):
        np.testing.assert_array_equal(mine[0], others[0])
    evaluation = ascore.evaluate(whole, episodes=20)
    assert 0 <= evaluation.team_return.mean <= 20
    assert load_policy(export_policy(whole.path, tmp_path / "a.safetensors")).env == orchard


def test_a_compiled_environment_is_looked_at(orchard: str) -> None:
    result = examine(orchard, {"gardeners": 2}, steps=50)
    assert result.trainable
    assert [finding.topic for finding in result.findings] == [
        "loading",
        "observations",
        "rewards",
        "determinism",
    ]
    assert "2 agents, 2 actions, 1 entries of float32, horizon 20" in result.findings[0].found


def test_a_module_of_another_interface_is_refused(
    orchard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old_orchard.py").write_text(
        "import orchard\n\n\nclass Orchard(orchard.Orchard):\n    interface = 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvError, match=r"old_orchard:Orchard was compiled for interface 0 "):
        ascore.make("old_orchard:Orchard")
    assert not examine("old_orchard:Orchard").trainable


# ---- where it lies ---------------------------------------------------------------------------


def test_the_command_line_says_where_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cmake-dir"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert {path.name for path in folder.iterdir()} == {
        "ascoreConfig.cmake",
        "ascoreConfigVersion.cmake",
        "ascoreLibraries.cmake",
    }
    assert main(["--include-dir"]) == 0
    include = Path(capsys.readouterr().out.strip())
    assert (include / "ascore" / "ascore.h").is_file()
    assert (include / "ascore" / "python" / "vec_env.hpp").is_file()
    assert not (include / "ascore" / "nn").exists()


def test_export_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = export_policy(random_policy("exchange-v1", [8], 1.0), tmp_path / "a.safetensors")
    out = tmp_path / "b.safetensors"
    assert main(["export", str(file), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(out),
        "env": "exchange-v1",
        "bytes": out.stat().st_size,
    }
