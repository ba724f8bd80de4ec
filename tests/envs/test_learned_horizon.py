"""Environments that do not say how long their episodes are: the horizon is learned, or refused."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from halls import QUICK, Straying

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.adapters.probe import learn_horizon
from ascore.envs.factory import batch
from ascore.errors import AscoreWarning, EnvError
from ascore.interop.check import examine
from ascore.streams import episode_seed

STRAYING = "halls:Straying"
SAYS_SO = r"does not say how long its episodes are: 10 episodes of random play ended .* --horizon N"


def lengths() -> list[int]:
    """Of the probe's episodes; what agents do changes nothing about them."""
    env, counts = Straying(), []
    for episode in range(10):
        env.reset(seed=episode_seed(0, 0, episode))
        count = 0
        while env.agents:
            env.step(dict.fromkeys(env.agents, 1))
            count += 1
        counts.append(count)
    return counts


LONGEST = max(lengths())
HORIZON = 2 * LONGEST  # below a hundred, where nothing is rounded


def test_it_is_twice_the_longest_episode_of_random_play() -> None:
    assert 10 < HORIZON < 100
    learned = learn_horizon(STRAYING, {})
    assert (learned.shortest, learned.longest) == (min(lengths()), LONGEST)
    with pytest.warns(AscoreWarning, match=SAYS_SO):
        env = ascore.make(STRAYING, 2, seed=3)
    assert env.spec.horizon == env.learned_horizon == HORIZON
    with pytest.warns(AscoreWarning, match=f"so horizon = {HORIZON};"):
        env = batch(STRAYING, {}, 2, seed=4, env_workers=2)
    assert env.spec.horizon == HORIZON
    env.close()


def test_episodes_that_all_last_equally_long_need_no_slack() -> None:
    for steps in (1, 37, 2000):
        assert learn_horizon(STRAYING, {"fixed": steps}).horizon == steps


@pytest.mark.parametrize(("longest", "horizon"), [(3, 6), (49, 98), (51, 110), (137, 280)])
def test_it_is_rounded_up_to_two_digits(longest: int, horizon: int) -> None:
    from ascore.envs.adapters.probe import _slack

    unit = 10 ** (math.floor(math.log10(2 * longest)) - 1) if longest > 4 else 1
    assert _slack(longest) == horizon == math.ceil(2 * longest / unit) * unit


def test_what_says_so_is_not_probed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert batch("python_envs:Meadow", {}).learned_horizon == 0
        assert batch(STRAYING, {}, horizon=5).learned_horizon == 0
        assert batch("exchange", {}).learned_horizon == 0


@pytest.mark.filterwarnings("ignore:episodes end after")
def test_a_run_keeps_it(tmp_path: Path) -> None:
    """The seed does not matter, and nothing after `train` has to learn it again."""
    for seed in (0, 1):
        with pytest.warns(AscoreWarning, match=SAYS_SO):
            run = ascore.train(Config(env=STRAYING, seed=seed, **QUICK), tmp_path / f"{seed}")
        assert run.config.horizon == Config.load(run.path / "config.toml").horizon == HORIZON
        assert run.summary["env_steps"] == run.summary["updates"] * HORIZON * 2
    with pytest.warns(AscoreWarning, match=SAYS_SO):
        part = ascore.train(Config(env=STRAYING, **QUICK), tmp_path / "part", stop=lambda: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "episodes end after")
        assert ascore.resume(part.path).config.horizon == HORIZON
        assert ascore.evaluate(run, episodes=3).episode_length <= HORIZON
        file = ascore.export_policy(run.path, tmp_path / "policy.safetensors")
        assert ascore.load_policy(file).horizon == HORIZON
        ascore.evaluate(file, episodes=3, trust=True)
    whole, again = (ascore.Run.open(tmp_path / name) for name in ("0", "part"))
    assert whole.summary["team_return"] == again.summary["team_return"]


@pytest.mark.filterwarnings("always::ascore.errors.AscoreWarning")
def test_the_commands_say_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "4", "--evaluate", "2"]
    assert main(["train", STRAYING, *quick, "--compare", "ippo", "--out", "pair"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "how long" in line]
    assert len(lines) == 1
    assert f"so horizon = {HORIZON}; set another with --horizon N" in lines[0]
    for name in ("as", "ippo"):
        assert Config.load(tmp_path / "pair" / name / "config.toml").horizon == HORIZON
    sweep = ["sweep", STRAYING, "--set", "episodes=4", "--set", "num_envs=2", "--seeds", "0,1",
             "--set", "actor_hidden=[4]", "--evaluate", "2", "--out", "s", "--json"]  # fmt: skip
    for _ in range(2):  # the second time there is nothing to train
        assert main(sweep) == 0
        printed = capsys.readouterr()
        assert len(json.loads(printed.out)["cells"]) == 2
        assert printed.err.count("does not say how long") == 1
    cells = json.loads((tmp_path / "s/cells.json").read_text())
    assert [cell["config"]["horizon"] for cell in cells] == [HORIZON] * 2


def test_check_env_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-env", STRAYING, "--env-workers", "0", "--steps", "40"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"advice   horizon       {HORIZON} steps, learned: nothing says how long" in printed.out
    assert f"ended by themselves after {min(lengths())} to {LONGEST} steps" in printed.out
    assert printed.out.endswith(f"can be trained on: ascore train {STRAYING} --horizon {HORIZON}\n")


def test_an_episode_that_does_not_end_is_refused_and_the_remedy_works() -> None:
    message = (
        r"neither horizon nor max_cycles.*, and an episode of random play went on after 2,000 "
        r"steps; give it an attribute `horizon`.* --horizon N"
    )
    with pytest.raises(EnvError, match=message):
        batch(STRAYING, {"fixed": -1})
    result = examine(STRAYING, {"fixed": -1}, steps=20)
    (problem,) = (finding for finding in result.findings if finding.verdict == "problem")
    assert problem.topic == "horizon"
    assert "went on after 2,000 steps" in problem.found
    assert batch(STRAYING, {"fixed": -1}, horizon=7).spec.horizon == 7
    assert examine(STRAYING, {"fixed": -1}, steps=20, horizon=7).trainable


def test_a_failure_in_the_probe_is_told_as_any_other() -> None:
    with pytest.raises(
        EnvError, match=r"step\(.*out of hay.* in step 3 of episode \d+ \(copy 0 of"
    ):
        ascore.make(STRAYING, fail=True)
    result = examine(STRAYING, {"fail": True}, steps=20)
    (problem,) = (finding for finding in result.findings if finding.verdict == "problem")
    assert "out of hay" in problem.found


def test_the_probe_leaves_the_copies_alone() -> None:
    """Episodes are those of a batch whose horizon was given."""
    with pytest.warns(AscoreWarning, match=SAYS_SO):
        learned = ascore.make(STRAYING, 2, seed=6)
    given = batch(STRAYING, {}, 2, seed=6, horizon=HORIZON)
    for env in (learned, given):
        env.reset()
    for _ in range(2 * HORIZON):
        for env in (learned, given):
            env.step(np.ones((2, 2), np.int32))
        np.testing.assert_array_equal(learned.obs, given.obs)
        np.testing.assert_array_equal(learned.terminated, given.terminated)
