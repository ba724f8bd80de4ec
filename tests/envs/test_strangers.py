"""Environments as other libraries have them: what is read and cast, and how failures are told."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import strangers
from gymnasium import spaces
from gymnasium.spaces.utils import flatten
from halls import OBSERVATIONS, QUICK, Hall
from hypothesis import given
from hypothesis import strategies as st
from lines import without_waiting

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.adapters.horizon import find_horizon
from ascore.envs.adapters.spaces import of_gymnasium, reader, size_of, unreadable
from ascore.envs.factory import batch
from ascore.errors import AscoreWarning, EnvError
from ascore.interop import trial
from ascore.interop.check import examine
from ascore.streams import episode_seed


def refused(name: str) -> bool:
    return unreadable(OBSERVATIONS[name]) is not None


def findings(target: str, steps: int = 60, **params: Any) -> dict[str, list[str]]:
    """What a check says, by verdict and topic."""
    result = examine(f"strangers:{target}", params, steps=steps)
    by_topic: dict[str, list[str]] = {}
    for finding in result.findings:
        by_topic.setdefault(f"{finding.verdict}: {finding.topic}", []).append(finding.found)
    return by_topic


# ---- the horizon ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "horizon",
        "max_cycles",
        "max_steps",
        "_max_episode_steps",
        "unwrapped.env.max_cycles",
        "unwrapped.max_steps",
        "env.env.env.max_episode_steps",
        "aec_env.env.max_cycles",
        "env.spec.max_episode_steps",
    ],
)
def test_the_horizon_is_found_wherever_it_is(place: str) -> None:
    assert ascore.make("strangers:Wrapped", place=place).spec.horizon == 5
    assert findings("Wrapped", place=place)["good: horizon"][0] == f"5 steps ({place})"


def test_outer_wrappers_are_asked_first() -> None:
    env = strangers.Wrapped("env.max_steps", 7)
    env.max_steps = 3
    assert find_horizon(env) == (3, "max_steps")
    assert find_horizon(strangers.Wrapped("max_steps", None, env=env)) == (3, "env.max_steps")


@pytest.mark.parametrize("value", [None, "many", 0, 2.5, True, -1])
def test_other_peoples_words_that_are_no_horizon_are_passed_over(value: Any) -> None:
    with pytest.raises(EnvError, match=r"neither horizon nor max_cycles.* --horizon N"):
        find_horizon(strangers.Wrapped("max_steps", value))


def test_wrappers_that_hold_each_other_end() -> None:
    a, b = strangers.Inner(), strangers.Inner()
    a.env, b.env = b, a
    with pytest.raises(EnvError, match="neither horizon"):
        find_horizon(a)


def test_a_horizon_can_be_given(tmp_path: Path) -> None:
    """It is a key of the run: training, resuming, evaluation and the exported policy have it."""
    params = {"place": "nowhere.at_all"}
    config = Config(env="strangers:Wrapped", env_params=params, horizon=3, **QUICK)
    run = ascore.train(config, tmp_path / "run")
    assert run.summary["env_steps"] == run.summary["updates"] * 3 * 2
    assert ascore.evaluate(run, episodes=3).episode_length == 3
    exported = ascore.export_policy(run.path, tmp_path / "policy.safetensors")
    assert ascore.evaluate(exported, episodes=3, trust=True).episode_length == 3
    assert ascore.resume(run.path, episodes=12).config.horizon == 3
    with pytest.warns(AscoreWarning, match="after 5 steps each, so horizon = 5;"):
        assert ascore.make("strangers:Wrapped", **params).spec.horizon == 5
    assert batch("strangers:Wrapped", params, horizon=3).spec.horizon == 3
    result = examine("strangers:Wrapped", params, steps=20, horizon=3)
    assert result.trainable
    assert result.conclusion.endswith("--env-param place=nowhere.at_all --horizon 3")


def test_a_horizon_of_a_compiled_environment_is_its_parameter() -> None:
    config = Config(env="exchange-v1", env_params={"num_agents": 2}, horizon=7)
    assert (config.env_params, config.horizon) == ({"num_agents": 2, "horizon": 7}, 0)
    assert config.replace(horizon=9).env_params["horizon"] == 9
    assert batch("exchange", {"num_agents": 2}, horizon=7).spec.horizon == 7


def test_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "4", "--evaluate", "2"]
    stranger = ["strangers:Wrapped", "--env-param", "place=x.y", "--horizon", "3"]
    assert main(["train", *stranger, *quick, "--out", "a"]) == 0
    assert Config.load("a/config.toml").horizon == 3
    assert main(["train", "exchange", "--horizon", "3", *quick, "--out", "b"]) == 0
    assert Config.load("b/config.toml").env_params["horizon"] == 3
    assert main(["check-env", *stranger, "--steps", "20"]) == 0
    assert "3 steps, as given" in capsys.readouterr().out


# ---- a space per agent in gymnasium ------------------------------------------------------------


@pytest.mark.parametrize("form", ["tuple", "list", "dict"])
@pytest.mark.parametrize("flags", ["one", "each", "all"])
def test_a_space_per_agent(form: str, flags: str) -> None:
    env = ascore.make("strangers:Forage", 2, seed=3, form=form, flags=flags)
    assert (env.spec.num_agents, env.spec.num_actions, env.spec.horizon) == (3, 2, 4)
    twins = [strangers.Forage(form, flags=flags) for _ in range(2)]
    env.reset()
    seen = [twin.reset(seed=episode_seed(3, b, 0))[0] for b, twin in enumerate(twins)]
    rng = np.random.default_rng(0)
    for t in range(4):
        for b in range(2):
            rows = list(seen[b].values()) if form == "dict" else seen[b]
            for i in range(3):
                gone = flags == "each" and i == 0 and t >= 2
                np.testing.assert_array_equal(env.obs[b, i], rows[i] * (not gone))
        action = rng.integers(0, 2, (2, 3))
        _, reward, terminated, _, _ = env.step(action)
        for b, twin in enumerate(twins):
            acts = [0 if flags == "each" and i == 0 and t >= 2 else int(action[b, i])
                    for i in range(3)]  # fmt: skip
            seen[b], earned, *_ = twin.step(
                dict(zip(twin.names, acts, strict=True)) if form == "dict" else tuple(acts)
            )
            earned = list(earned.values()) if form == "dict" else earned
            expected = [0 if flags == "each" and i == 0 and t >= 2 else earned[i] for i in range(3)]
            np.testing.assert_array_equal(reward[b], np.float32(expected))
        assert terminated.all() == (t == 3)
    topics = findings("Forage", form=form, flags=flags)
    assert not any(key.startswith("problem") for key in topics), topics
    assert "good: pickling" in topics
    names = "blue, green, red" if form == "dict" else "agent_0, agent_1, agent_2"
    assert topics["good: agents"][0] == f"3: {names}"


def test_it_trains(tmp_path: Path) -> None:
    run = ascore.train(Config(env="strangers:Forage", algorithm="as", **QUICK), tmp_path / "run")
    assert ascore.evaluate(run, episodes=3).episode_length == 4


def test_one_reward_for_all_is_refused() -> None:
    env = ascore.make("strangers:Forage", reward="one")
    env.reset()
    with pytest.raises(EnvError, match=r"the rewards are .*, one for all; return one per agent"):
        env.step(np.ones((1, 3), np.int32))


def test_what_is_neither_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "single", lambda: strangers.gymnasium.make("CartPole-v1"), False)
    with pytest.raises(EnvError, match=r"ParallelEnv, or a gymnasium environment .*Tuple or Dict"):
        ascore.make("strangers:single")


# ---- spaces and numbers ------------------------------------------------------------------------


def test_spaces_of_the_old_package_are_read() -> None:
    mine, old = ascore.make("python_envs:Meadow", 2, seed=1), ascore.make("strangers:OldGym", 2, 1)
    assert mine.spec.num_actions == old.spec.num_actions
    for env in (mine, old):
        env.reset()
        env.step(np.ones((2, 2), np.int32))
    np.testing.assert_array_equal(mine.obs, old.obs)
    topics = findings("OldGym")
    assert not any(key.startswith("problem") for key in topics)
    assert any("old package gym" in text for text in topics["advice: API"])


@pytest.mark.parametrize(
    ("space", "like"),
    [
        (strangers.old("Discrete", n=3, start=2), spaces.Discrete(3, start=2)),
        (strangers.old("Discrete", n=np.int64(3)), spaces.Discrete(3)),
        (strangers.old("MultiDiscrete", nvec=np.array([2, 3])), spaces.MultiDiscrete([2, 3])),
        (strangers.old("MultiBinary", n=4), spaces.MultiBinary(4)),
        (
            strangers.old("Tuple", spaces=(strangers.old("Discrete", n=3),)),
            spaces.Tuple((spaces.Discrete(3),)),
        ),
        (
            strangers.old("Dict", spaces={"a": strangers.old("Discrete", n=3)}),
            spaces.Dict({"a": spaces.Discrete(3)}),
        ),
        (strangers.old("Graph"), None),
        (strangers.old("Discrete"), None),
        (strangers.old("Tuple", spaces=(3,)), None),
        (3, None),
    ],
)
def test_every_old_space(space: Any, like: Any) -> None:
    assert of_gymnasium(space) == like


@pytest.mark.parametrize("how", ["array", "float", "floats", "bits"])
def test_whole_numbers_of_any_type_are_cast_with_advice(how: str) -> None:
    env = ascore.make("strangers:Loose", how=how)
    env.reset()
    env.step(np.ones((1, 2), np.int32))
    expected = {"array": np.eye(6)[1], "float": np.eye(6)[1], "bits": [1, 0],
                "floats": np.concatenate([np.eye(6)[1], np.eye(6)[1]])}[how]  # fmt: skip
    np.testing.assert_array_equal(env.obs[0, 0], np.float32(expected))
    topics = findings("Loose", how=how)
    assert not any(key.startswith("problem") for key in topics)
    floats_fit = gymnasium.__version__.startswith("0.")  # MultiDiscrete took them before 1.0
    if how != "bits" and not (how == "floats" and floats_fit):
        assert any("is not in" in text for text in topics["advice: observations"])


@pytest.mark.parametrize(
    ("how", "reason"),
    [("half", "it holds 0.5"), ("text", "it is of type"), ("two", r"its shape is \(2,\)")],
)
def test_other_numbers_are_refused(how: str, reason: str) -> None:
    with pytest.raises(EnvError, match=rf"is not in Discrete\(6\) \({reason}"):
        ascore.make("strangers:Loose", how=how).reset()


@st.composite
def shapes(draw: st.DrawFn, depth: int = 2) -> spaces.Space[Any]:
    kinds = ["box", "ints", "discrete", "multi", "binary"] + ["dict", "tuple"] * (depth > 0)
    kind = draw(st.sampled_from(kinds))
    if kind == "box":
        dtype = draw(st.sampled_from([np.float32, np.float64, np.float16]))
        return spaces.Box(-1, 1, draw(st.sampled_from([(), (2,), (2, 1, 3)])), dtype)
    if kind == "ints":
        return spaces.Box(0, 9, (3,), np.int64)
    if kind == "discrete":
        return spaces.Discrete(draw(st.integers(1, 4)), start=draw(st.integers(-2, 2)))
    if kind == "multi":
        return spaces.MultiDiscrete(draw(st.sampled_from([[2, 3], [[2, 1], [4, 3]]])))
    if kind == "binary":
        return spaces.MultiBinary(draw(st.sampled_from([3, [2, 2]])))
    parts = draw(st.lists(shapes(depth - 1), min_size=1, max_size=3))
    if kind == "tuple":
        return spaces.Tuple(parts)
    return spaces.Dict({f"k{9 - i}": part for i, part in enumerate(parts)})


@pytest.mark.parametrize("name", [name for name in OBSERVATIONS if not refused(name)])
def test_every_space_is_trained_on(name: str, tmp_path: Path) -> None:
    """For an update, with another agent whose observations are of another size."""
    params = {"act": ["two", "two", "two"], "see": [name, "box", name]}
    env, copy = ascore.make("halls:Hall", 1, seed=3, **params), Hall(**params)
    seen, _ = copy.reset(seed=episode_seed(3, 0, 0))
    env.reset()
    space = copy.observation_space("guest_0")
    row = np.asarray(flatten(space, seen["guest_0"]), dtype=np.float32)
    assert env.spec.obs_shape == (max(row.size, 3),)
    np.testing.assert_array_equal(env.obs[0, 0, : row.size], row)
    np.testing.assert_array_equal(env.obs[0, 0, row.size :], 0)
    config = Config(env="halls:Hall", env_params=params, algorithm="as", **QUICK)
    run = ascore.train(config, tmp_path / "run")
    assert run.finished
    assert ascore.evaluate(run, episodes=2).episode_length == 4
    result = examine("halls:Hall", params, steps=12)
    assert result.trainable
    (sizes,) = (f.found for f in result.findings if f.topic == "observations" and "once" in f.found)
    assert "as gymnasium flattens" in sizes or "different sizes" in sizes or row.size == 3


@given(shapes(), st.integers(0, 1000))
def test_rows_are_what_gymnasium_flattens(space: spaces.Space[Any], seed: int) -> None:
    space.seed(seed)
    value = space.sample()
    row = np.full(size_of(space), np.nan, dtype=np.float32)
    reader(space)(value, row)
    np.testing.assert_array_equal(row, np.asarray(flatten(space, value), dtype=np.float32))


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    env = ascore.make("strangers:Camera", 2)
    assert (env.spec.obs_dtype, env.spec.obs_scale) == ("uint8", 1 / 255)
    assert env.obs.nbytes == 2 * 2 * 8 * 8 * 3
    env.reset()
    assert env.obs.max() == 255
    config = Config(env="strangers:Camera", backend="auto", **QUICK)
    run = ascore.train(config, tmp_path / "run")
    assert run.policy.obs_scale == 1 / 255
    resumed = ascore.resume(run.path, episodes=12)
    assert np.isfinite(ascore.evaluate(resumed, episodes=2).team_return.mean)
    env = ascore.make("strangers:Camera", high=1, top=1)
    assert (env.spec.obs_dtype, env.spec.obs_scale) == ("uint8", 1.0)


def test_bytes_that_are_bits_are_told() -> None:
    topics = findings("Camera", top=1)
    assert any("bytes of 0 and 1 in a space up to 255" in t for t in topics["advice: observations"])
    assert "advice: observations" not in findings("Camera", high=1, top=1)
    assert "advice: observations" not in findings("Camera")


def test_our_own_planes_keep_their_scale() -> None:
    for mode, scale in (("planes", 1.0), ("rgb", 1 / 255)):
        params = {"name": "cleanup", "obs_mode": mode}
        env = batch("ascore:parallel_env", params)
        assert (env.spec.obs_dtype, env.spec.obs_scale) == ("uint8", scale)
        assert ascore.make("cleanup", obs_mode=mode).spec.obs_scale == pytest.approx(scale)


def test_a_check_keeps_no_observations() -> None:
    """Seven million bytes per step would add up."""
    env = ascore.make("strangers:Camera", side=400, horizon=50)
    tracemalloc.start()
    trace = trial.play(env, 40)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trace.obs) == 40
    assert peak < 12 * env.obs.nbytes
    again = trial.play(ascore.make("strangers:Camera", side=400, horizon=50), 40)
    assert trace.first_difference(again) is None
    other = trial.play(ascore.make("strangers:Camera", seed=1, side=400, horizon=50), 40)
    assert trace.first_difference(other) == "observations differ from step 0 on"


# ---- what a check says of the cost, and of sides ------------------------------------------------


def test_the_cost_of_training_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascore.interop.costs.LONG_RUN_SECONDS", 1000.0)
    result = examine("strangers:Dozing", steps=5)
    costs = result.costs
    assert 0 < costs["steps_per_second"] < 10
    config = Config.preset("strangers:Dozing")  # what a run of it begins with
    steps, copies = 5 * config.episodes, config.num_envs
    assert costs["seconds_per_update"] == pytest.approx(copies * 5 / costs["steps_per_second"])
    assert costs["seconds_per_run"] == pytest.approx(steps / costs["steps_per_second"])
    assert costs["bytes_per_update"] > copies * 5 * 2 * 2 * 4
    topics = [finding.topic for finding in result.findings]
    assert topics.index("memory") < topics.index("speed") < topics.index("rewards")
    (speed,) = (finding for finding in result.findings if finding.topic == "speed")
    assert speed.verdict == "advice"
    assert f"a run of {config.episodes:,} episodes for" in speed.found


def test_memory_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascore.learning.memory.free_bytes", lambda: 1000)
    result = examine("python_envs:Meadow", steps=5)
    (memory,) = (finding for finding in result.findings if finding.topic == "memory")
    assert memory.verdict == "advice"
    assert "1.0 kB are free" in memory.found
    assert memory.remedy.startswith("use fewer agents")


def test_what_a_check_gives_against_too_little_memory_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ascore.learning.memory.LIBRARY_BYTES", 0)  # which no remedy makes smaller
    herd = examine("python_envs:Meadow", {"cows": 100}, steps=5)
    free = herd.costs["bytes_per_update"] // 6
    monkeypatch.setattr("ascore.learning.memory.free_bytes", lambda: free)
    herd = examine("python_envs:Meadow", {"cows": 100}, steps=5)
    (memory,) = (finding for finding in herd.findings if finding.topic == "memory")
    train = ["train", "python_envs:Meadow", "--env-param", "cows=100", "--episodes", "32",
             "--evaluate", "0", "--env-workers", "0"]  # fmt: skip
    assert main([*train, "--out", str(tmp_path / "as it is")]) == 1
    assert "or use fewer agents or graph = nearest, in which" in capsys.readouterr().err
    options = memory.remedy.removeprefix("give ").partition(",")[0].split()
    assert options[:1] == ["--num-envs"]
    assert options[4:6] == ["--graph", "nearest"]
    assert main([*train, *options, "--out", str(tmp_path / "smaller")]) == 0


def test_sides_are_told() -> None:
    (text,) = findings("Chase")["advice: interests"]
    assert "mostly gains when cow_2 loses" in text
    assert "AS maximises the sum of all rewards" in text
    assert "good: interests" in findings("Camera")


def test_progress_is_shown_before_the_first_update(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["train", "strangers:Dozing", "--episodes", "4", "--num-envs", "4", "--actor-hidden",
            "4", "--evaluate", "4", "--env-workers", "0",
            "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(args) == 0
    err = capsys.readouterr().err
    assert "as: step " in err.partition("update 1 of 1")[0]
    assert "of 5 before the next update, " in err
    assert "of 4 evaluation episodes" in err


# ---- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", strangers.FAILURES)
def test_every_failure_of_theirs_is_one_line(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["check-env", "strangers:Rude", "--env-param", f"how={how}", "--steps", "20"])
    printed = capsys.readouterr()
    assert status == 1, printed
    assert printed.err == ""
    assert "problem" in printed.out
    args = ["--episodes", "2", "--num-envs", "2", "--actor-hidden", "4", "--out"]
    args += [str(tmp_path / "run"), "--env-param", f"how={how}"]
    status = main(["train", "strangers:Rude", *args])
    printed = capsys.readouterr()
    assert status == 1
    lines = without_waiting(printed.err)
    assert [line.startswith("ascore: ") for line in lines] == [True], printed.err


def test_what_is_no_exception_ends_a_command_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["strangers:Rude", "--env-param", "how=no Exception in step"]
    here = ["train", *args, "--out", str(tmp_path / "here"), "--env-workers", "0"]
    for argv in (["check-env", *args], here):
        assert main(argv) == 1
        *_, line = without_waiting(capsys.readouterr().err)
        assert line.startswith("ascore: BaseException (strangers.py:")
        assert line.endswith(") is no Exception and ends the command; raise an Exception instead")
    assert main(["train", *args, "--out", str(tmp_path / "there"), "--env-workers", "2"]) == 1
    *_, line = without_waiting(capsys.readouterr().err)
    assert line.startswith("ascore: a worker process fails: BaseException (strangers.py:")


@pytest.mark.filterwarnings("always::ascore.AscoreWarning")
def test_copies_that_cannot_be_closed_are_told_once_and_the_run_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--episodes", "4", "--num-envs", "4", "--actor-hidden", "4", "--env-param", "how=close"]
    out = tmp_path / "run"
    assert main(["train", "strangers:Rude", *args, "--evaluate", "2", "--out", str(out)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "close() of Rude" in line]
    (line,) = lines
    assert line.startswith("ascore: close() of Rude fails: OSError: not now (strangers.py:")
    assert line.endswith("; it may leave things open")
    assert ascore.Run.open(out).finished


def test_a_del_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Sticky:
        def __del__(self) -> None:
            message = "still\nhere"
            raise ValueError(message)

    monkeypatch.setattr(sys, "unraisablehook", None)
    monkeypatch.setattr(sys, "argv", ["ascore", "--version"])
    assert main() == 0
    Sticky()
    err = capsys.readouterr().err
    assert err.startswith("ascore: ")
    assert "Sticky.__del__ fails and is ignored: ValueError: still here (test_" in err
    assert err.count("\n") == 1


def test_a_module_that_exits_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaver.py").write_text("import sys\nsys.exit()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvError, match=r"'leaver' cannot be imported: SystemExit"):
        ascore.make("leaver:make")


# ---- names -------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package like PettingZoo's relatives; whoever imports it leaves a trace."""
    root = tmp_path / "mpe9"
    root.mkdir()
    trace = "import pathlib\npathlib.Path(__file__).with_suffix('.seen').touch()\n"
    (tmp_path / "own9.py").write_text(f"{trace}class Field: ...\ndef _hidden(): ...\nSIZE = 3\n")
    (tmp_path / "made9.py").write_text(f"{trace}def env(): ...\nfrom inner import parallel_env\n")
    (tmp_path / "torn9.py").write_text(f"{trace}def env(:\n")
    trace += "env = parallel_env = print\n"
    for name in ("__init__", "simple_spread_v3", "simple_tag_v3", "_helpers"):
        (root / f"{name}.py").write_text(trace)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    return "mpe9"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mpe9.simple_spread_v3", "did you mean mpe9.simple_spread_v3:parallel_env?"),
        ("own9", "it is a module: write own9:NAME, NAME one of Field; choose from"),
        ("made9", "did you mean made9:parallel_env?"),
        ("torn9", "it is a module: write torn9:NAME; choose from"),
        ("mpe9.simple_spread_v2", "mpe9 has simple_spread_v3.*; write MODULE:parallel_env"),
        ("mpe9", "mpe9 is a package; write mpe9.simple_spread_v3:parallel_env, or one of"),
        ("not_there_at_all.simple_v1", "not_there_at_all is not installed"),
        ("harvset", "did you mean 'harvest'"),
        ("quite-else", "choose from|there is"),
    ],
)
def test_names_of_modules_are_recognised(package: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.preset(name)
    assert not list(Path().rglob("*.seen"))  # a file may have named it: nothing is imported


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mpe9.simple_spread_v9:parallel_env",
            "'mpe9.simple_spread_v9'; mpe9 has simple_spread_v3",
        ),
        ("mpe9.zzz:parallel_env", "'mpe9.zzz'; mpe9 has simple_spread_v3, simple_tag_v3"),
        ("mpe9.simple_tag_v3.deep:env", "mpe9.simple_tag_v3 is a module, not a package"),
        ("mpe8.simple_spread_v3:env", "near it: mpe9.*; run from the folder .* pip install mpe8"),
        ("strangers:Forge", "has no 'Forge'; near it: Forage"),
        ("strangers:qqqqq", "has no 'qqqqq'; use an existing name"),
    ],
)
def test_names_that_are_not_there_have_neighbours(package: str, name: str, message: str) -> None:
    with pytest.raises(EnvError, match=message):
        ascore.make(name)


# ---- what takes long, and whose environment it is ----------------------------------------------


@pytest.mark.parametrize(
    ("param", "what"),
    [
        ("make=0.3", "strangers:Late(make=0.3)"),
        ("make=0.3", "the constructor of strangers:Late (2 copies)"),
        ("begin=0.3", "reset() of strangers:Late (2 copies)"),
    ],
)
def test_a_command_says_what_it_waits_for(
    param: str,
    what: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ascore.envs.adapters.foreign.PATIENCE_SECONDS", 0.05)
    command = ["check-env", "strangers:Late", "--steps", "2"]
    if "copies" in what:
        command = ["train", "strangers:Late", "--num-envs", "2", "--episodes", "2"]
        command += ["--evaluate", "0", "--out", str(tmp_path / "run")]
    main([*command, "--env-param", param])
    err = capsys.readouterr().err
    assert f"ascore: waiting for {what}\n" in err


def test_a_slow_import_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ascore.envs.adapters.foreign.PATIENCE_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dawdling.py").write_text("import time; time.sleep(0.3)\nmake = None\n")
    main(["check-env", "dawdling:make"])
    assert capsys.readouterr().err == "ascore: waiting for the import of dawdling\n"


def test_what_is_quick_is_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check-env", "strangers:Late", "--steps", "2", "--env-workers", "0"])
    assert "waiting" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("strangers:Forage", "Forage"),
        ("wrapped:limited", "Forage"),
        ("python_envs:Meadow", "Meadow"),
    ],
)
def test_findings_name_the_users_own_class(
    target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrapped.py").write_text(
        "from gymnasium.wrappers import TimeLimit\nfrom strangers import Forage\n"
        "def limited(): return TimeLimit(Forage(), 3)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = examine(target, steps=4)
    assert result.findings[0].found == f"{name} created; it has reset, step and spaces"
