"""`ascore check-env` and training on Python environments from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import ascore
from ascore.cli import main
from ascore.commands import experiments
from ascore.commands.options import SweepOptions
from ascore.interop.check import examine

QUICK = ["--episodes", "8", "--num-envs", "4", "--actor-hidden", "8", "--critic-hidden", "8",
         "--evaluate", "6"]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = main(list(args))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verdicts(target: str, **params: Any) -> dict[str, set[str]]:
    """Findings with verdicts other than good: their texts, by verdict and topic."""
    report = examine(target, params, steps=60)
    texts: dict[str, set[str]] = {}
    for finding in report.findings:
        if finding.topic in ("speed", "memory"):  # of this machine
            continue
        assert bool(finding.remedy) == (finding.verdict != "good"), finding
        if finding.verdict != "good":
            texts.setdefault(f"{finding.verdict}: {finding.topic}", set()).add(finding.found)
    assert report.trainable == (not any(key.startswith("problem") for key in texts))
    return texts


TOPICS = ["loading", "agents", "actions", "horizon", "observations", "memory", "speed", "rewards",
          "observations", "horizon", "determinism", "pickling", "API"]  # fmt: skip


def test_a_sound_environment(capsys: pytest.CaptureFixture[str]) -> None:
    here = ["check-env", "python_envs:Meadow", "--env-workers", "0"]
    status, out, err = run(capsys, *here, "--env-param", "cows=3")
    assert (status, err) == (0, "")
    assert "good     agents        3: cow_0, cow_1, cow_2" in out
    assert "->" not in out
    assert out.endswith("trained on: ascore train python_envs:Meadow --env-param cows=3\n")
    status, out, _ = run(capsys, *here, "--json", "--steps", "20")
    report = json.loads(out)
    assert status == 0
    assert report["trainable"] is True
    assert [finding["topic"] for finding in report["findings"]] == TOPICS
    assert {finding["verdict"] for finding in report["findings"]} == {"good"}


@pytest.mark.parametrize("see", ["dict", "tuple", "discrete"])
def test_every_kind_of_observation_is_sound(see: str) -> None:
    assert verdicts("python_envs:Meadow", see=see, hear=True, first=3) == {}


def test_our_own_environments_are_sound() -> None:
    for name in ascore.ENVIRONMENTS:
        texts = verdicts("ascore:parallel_env", name=name, max_cycles=20)
        texts.pop("advice: rewards", None)  # random play seldom gets any
        assert texts == {}, name


def test_a_game_of_pettingzoo() -> None:
    texts = verdicts("pettingzoo.classic.rps.rps:parallel_env")
    assert set(texts) == {"advice: pickling", "advice: interests"}
    assert "raw_env is an EzPickle" in texts["advice: pickling"].pop()
    assert "have the same sum: one gains what others lose" in texts["advice: interests"].pop()


@pytest.mark.parametrize(
    ("target", "params", "topic", "text"),
    [
        ("Locked", {}, "pickling", "cannot pickle '_thread.lock' object"),
        ("Dizzy", {}, "determinism", "observations differ from step 0 on although the seed"),
        (
            "Endless",
            {"horizon": 9},
            "horizon",
            "an episode continued after 9 steps; training trunc",
        ),
        ("Meadow", {"horizon": 200}, "horizon", "no episode ended within 60 random steps"),
        (
            "Meadow",
            {"see": "lengths"},
            "observations",
            "'cow_0' 2, 'cow_1' 3; shorter ones are padded",
        ),
        ("Meadow", {"cows": 1}, "agents", "a single agent has no one to hear"),
        ("Lingering", {}, "agents", "stayed in `agents` after terminating or being truncated"),
        ("Lingering", {}, "observations", "is not in Box(0.0, 1.0, (2,), float32): it is float64"),
        ("Lingering", {}, "observations", "entries as large as"),
        ("Lingering", {}, "API", "parallel_api_test fails: AssertionError"),
        ("Barren", {}, "rewards", "-0.5 for every agent in all 60 random steps"),
        ("Forgetful", {}, "pickling", "a copy loses state when it is pickled: obs"),
    ],
)
def test_what_can_be_trained_on_with_reservations(
    target: str, params: dict[str, Any], topic: str, text: str
) -> None:
    texts = verdicts(f"python_envs:{target}", **params)
    assert not any(key.startswith("problem") for key in texts)
    assert any(text in finding for finding in texts[f"advice: {topic}"]), texts


def attendance(target: str, **params: Any) -> list[tuple[str, str]]:
    """What is found of agents that are not always there: verdicts and texts."""
    findings = examine(target, params, steps=60).findings
    return [(each.verdict, each.found) for each in findings if each.topic == "agents"][1:]


def test_agents_that_leave_or_come_are_named_with_the_steps_after_which_they_do() -> None:
    assert attendance("python_envs:Meadow", cows=3) == []
    ((verdict, text),) = attendance("python_envs:Meadow", cows=3, leave=True)
    assert verdict == "good"
    assert text.startswith(
        "'cow_0' left before the others after 2 steps, 15 times; 'cow_1' left before the others "
        "after 3 steps, 15 times (15 episodes of random play); "
    )
    stays = [[0, 7, "late"], [2, 4, "out"], [0, 1, ""]]  # 60 steps: eight episodes and a half
    there, missing = attendance("comers:Inn", stays=stays, never=2)
    assert there[0] == "good"
    assert there[1].startswith(
        "'guest_1' came after 2 steps, 9 times and left before the others after 4 steps, 8 times; "
        "'guest_2' left before the others after 1 step, 9 times (9 episodes of random play); "
    )
    assert missing == ("advice", "never there in 60 random steps: 'guest_3', 'guest_4'")


def test_many_agents_that_leave_are_counted() -> None:
    (_, text), (_, missing) = attendance(
        "comers:Inn", guests=9, stays=[[0, 7, "late"], *[[0, 3, ""]] * 8], never=7
    )
    assert text.count("left before the others after 3 steps") == 6
    assert "'guest_6' left before the others after 3 steps, 9 times; 2 more likewise (9 epi" in text
    assert missing.endswith("'guest_13', 'guest_14' and 1 more")


def test_agents_that_come_back_are_counted_each_time() -> None:
    ((_, text),) = attendance(
        "comers:Inn", guests=2, stays=[[0, 7, "late"], [0, 2, ""]], again=True
    )
    assert "'guest_1' came after 4 steps, 8 times and left before the others after 2" in text


@pytest.mark.parametrize(
    ("how", "topic", "text"),
    [
        ("constructor", "loading", "OSError: out of hay"),
        ("nobody", "agents", "possible_agents is []"),
        ("no horizon", "horizon", "neither horizon nor max_cycles"),
        ("empty", "agents", "there is no agent after reset()"),
        ("old reset", "API", "reset() returned a dict"),
        ("crash", "API", "KeyError: 'hay' (python_envs.py:"),
        ("nan", "observations", "holds nan in step 2"),
        ("infinite", "rewards", "is inf in step 2"),
        ("neighbour", "neighbours", "has the neighbour 'fox'"),
    ],
)
def test_what_cannot_be_trained_on(
    capsys: pytest.CaptureFixture[str], how: str, topic: str, text: str
) -> None:
    args = ["check-env", "python_envs:Broken", "--env-param", f"how={how}", "--json"]
    status, out, _ = run(capsys, *args)
    report = json.loads(out)
    assert status == 1
    assert report["trainable"] is False
    problems = [f for f in report["findings"] if f["verdict"] == "problem"]
    assert [f["topic"] for f in problems] == [topic]
    assert text in problems[0]["found"]
    assert problems[0]["remedy"]
    status, out, _ = run(capsys, *args[:-1])
    assert status == 1
    assert out.endswith("cannot be trained on until the problems are fixed\n")


def test_all_problems_are_reported_at_once() -> None:
    texts = verdicts("python_envs:Hopeless")
    assert set(texts) == {"problem: actions", "problem: observations", "problem: horizon"}


@pytest.mark.parametrize(
    ("target", "params", "lines"),
    [
        ("strangers:Forage", {}, ["API gymnasium's interface with a space per agent"]),
        (
            "strangers:Camera",
            {},
            ["observations 192 bytes per agent once flattened; networks see them times 1/255"],
        ),
        (
            "halls:Hall",
            {"see": ["dict", "tuple"], "act": ["binary", "two"]},
            [
                "actions different numbers of actions: 'guest_0' has 8, 'guest_1' has 2; networks",
                "actions MultiBinary(3) is a choice among 8 numbered combinations; the last entry",
            ],
        ),
        (
            "halls:Hall",
            {"see": ["nested", "nested"]},
            ["observations 7 numbers per agent once flattened as gymnasium flattens Dict"],
        ),
    ],
)
def test_it_says_what_is_adapted(target: str, params: dict[str, Any], lines: list[str]) -> None:
    report = examine(target, params, steps=30)
    assert report.trainable
    texts = [f"{f.topic} {f.found}" for f in report.findings]
    for line in lines:
        assert any(text.startswith(line) for text in texts), texts


@pytest.mark.parametrize(
    ("target", "text", "remedy"),
    [
        ("Same", "all agents got the same reward in each of 60 random steps", "sends nothing"),
        ("Rivals", "agents compete: in every step the agents' rewards have the same sum", "ippo"),
    ],
)
def test_it_says_where_sharing_brings_nothing(target: str, text: str, remedy: str) -> None:
    report = examine(f"halls:{target}", steps=60)
    (interests,) = (f for f in report.findings if f.topic == "interests")
    assert interests.verdict == "advice"
    assert text in interests.found
    assert remedy in interests.remedy


def test_it_says_that_interests_conflict() -> None:
    report = examine("python_envs:Meadow", steps=60)
    (interests,) = (f for f in report.findings if f.topic == "interests")
    assert interests.verdict == "good"
    assert "the correlation between agents is" in interests.found
    few = examine("python_envs:Meadow", steps=20)
    assert "interests" not in [f.topic for f in few.findings]
    alone = examine("python_envs:Meadow", {"cows": 1}, steps=60)
    assert "interests" not in [f.topic for f in alone.findings]


def test_it_measures_all_cores_too(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["check-env", "python_envs:Meadow", "--env-workers", "2", "--steps", "40"]
    status, out, _ = run(capsys, *args, "--json")
    costs = json.loads(out)["costs"]
    assert status == 0
    assert costs["steps_per_second"] > 0
    assert costs["steps_per_second_of_workers"] > 0
    fastest = max(costs["steps_per_second"], costs["steps_per_second_of_workers"])
    copies = ascore.Config.preset("python_envs:Meadow").num_envs
    assert costs["seconds_per_update"] == pytest.approx(copies * 5 / fastest)
    status, out, _ = run(capsys, *args)
    assert re.search(r"[\d,]+ steps per second on one core, [\d,]+ on 2 \(--env-workers 2\)", out)


def test_workers_that_fail_are_advice(tmp_path: Path) -> None:
    """There is room for two copies, which is enough for all that is tried in one process."""
    params = {"log": str(tmp_path / "log"), "room": 2}
    report = examine("python_envs:Barn", params, steps=40, env_workers=2)
    assert report.trainable
    failure, _ = (f for f in report.findings if f.topic == "speed")
    assert "8 copies in 2 worker processes fail" in failure.found
    assert "there is room for 2" in failure.found
    assert "--env-workers 0" in failure.remedy


def test_the_check_refuses_what_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "check-env", "python_envs:Meadow", "--steps", "0")
    assert (status, out) == (1, "")
    assert err == "ascore: steps = 0 is not allowed; it must be at least 1\n"


def test_the_environment_of_the_readme(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    (code,) = re.findall(r"A file `orchard.py`:\n\n```python\n(.*?)```", readme, re.DOTALL)
    (here / "orchard.py").write_text(code)
    monkeypatch.syspath_prepend(here)
    assert verdicts("orchard:Orchard") == {}
    status, out, _ = run(
        capsys, "train", "orchard:Orchard", *QUICK, "--env-param", "gardeners=3", "--json"
    )
    assert status == 0
    (result,) = json.loads(out)["runs"]
    assert result["evaluation"]["episode_length"] == 20
    assert 0 <= result["evaluation"]["team_return"]["mean"] <= 90


# ---- training --------------------------------------------------------------------------------


def test_a_sweep_starts_where_training_does() -> None:
    options = SweepOptions(env="python_envs:Meadow", seeds="3", set=("gamma=0.5",))
    (cell,) = experiments._combinations(options)
    assert cell.config == ascore.Config.preset(
        "python_envs:Meadow", seed=3, gamma=0.5, num_threads=1
    )


def test_train_evaluate_resume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(
        capsys, "train", "python_envs:Meadow", *QUICK, "--env-param", "cows=3", "--seed", "4"
    )
    assert status == 0
    assert "team return per episode on python_envs:Meadow (anchors: random " in out
    assert "run written to runs/python_envs-Meadow-as-s4" in out
    config = ascore.Config.load(here / "runs/python_envs-Meadow-as-s4/config.toml")
    assert (config.env, config.env_params) == ("python_envs:Meadow", {"cows": 3})
    defaults = ascore.Config.preset("python_envs:Meadow")
    assert (config.actor_lr, config.iterations) == (defaults.actor_lr, defaults.iterations)

    path = "runs/python_envs-Meadow-as-s4"
    status, out, _ = run(capsys, "evaluate", path, "--episodes", "7", "--trust", "--json")
    assert status == 0
    assert len(json.loads(out)["agent_return"]) == 3
    status, out, _ = run(capsys, "resume", path, "--episodes", "12", "--trust", "--json")
    assert status == 0
    assert json.loads(out)["episodes"] == 12
    status, out, _ = run(capsys, "plot", path, "--out", "curve.png")
    assert status == 0
    assert (here / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_compare_trains_both(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(
        capsys, "train", "python_envs:Meadow", *QUICK, "--num-envs", "2", "--compare", "ippo",
        "--out", "pair", "--json",
    )  # fmt: skip
    assert status == 0
    runs = json.loads(out)["runs"]
    assert [r["algorithm"] for r in runs] == ["as", "ippo"]
    config = ascore.Config.load(here / "pair/ippo/config.toml")
    alone = ascore.train(config, here / "alone")
    assert alone.summary["team_return"] == runs[1]["team_return"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["python_envs:Medow"], "module 'python_envs' has no 'Medow'"),
        (["python_envs:Meadow", "--preset", "paper"], "no preset 'paper' for python_envs:Meadow"),
        (["python_envs:Meadow", "--num-agents", "3"], "Meadow(num_agents=3) fails: TypeError"),
        (["python_envs:Broken", "--env-param", "how=box"], "has the action space Box"),
        (["python_envs:Broken", "--env-param", "how=box", "--compare", "ippo"], "the action space"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    status, out, err = run(capsys, "train", *args, *QUICK)
    assert (status, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(here.iterdir()) == []
