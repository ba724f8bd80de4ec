"""Copies of Python environments: whatever is opened is closed, and never too many are open."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from printed import printed_by
from python_envs import Barn

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.joint import joint_env
from ascore.errors import AscoreWarning, EnvError
from ascore.interop.check import examine
from ascore.runs import trust

BARN = "python_envs:Barn"
QUICK: dict[str, Any] = {
    "episodes": 12,
    "num_envs": 4,
    "minibatches": 1,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
}
SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    Barn.open.clear()
    return tmp_path / "log"


def balance(log: Path) -> tuple[int, int]:
    """How many were opened, and how many are still open."""
    lines = log.read_text().split()
    return lines.count("+"), lines.count("+") - lines.count("-")


def test_a_run_and_its_evaluation_close_all(log: Path, tmp_path: Path) -> None:
    config = Config(env=BARN, env_params={"log": str(log), "room": 4}, **QUICK)
    run = ascore.train(config, tmp_path / "run")
    assert balance(log) == (4, 0)
    assert ascore.evaluate(run, episodes=11).team_return.n == 11
    assert balance(log) == (8, 0)
    ascore.resume(run.path, episodes=20)
    opened, left = balance(log)
    assert (left, Barn.open) == (0, set())
    assert opened == 8 + 4 + 4  # made, and taken from the checkpoint in their place


def test_stopped_and_failed_runs_close_all(log: Path, tmp_path: Path) -> None:
    config = Config(env=BARN, env_params={"log": str(log)}, **QUICK)
    ascore.train(config, tmp_path / "stopped", stop=lambda: True)
    assert balance(log) == (4, 0)
    config = Config(env=BARN, env_params={"log": str(log), "fail": "step"}, **QUICK)
    with pytest.raises(EnvError, match="the roof has come down"):
        ascore.train(config, tmp_path / "failed")
    assert balance(log) == (8, 0)


def test_rounds_play_the_same_episodes(tmp_path: Path) -> None:
    """Which copies play an episode makes no difference, nor does the size of the last round."""
    played = []
    for num_envs in (1, 3, 4, 50):
        config = Config(env="python_envs:Meadow", env_params={"leave": True}, **QUICK)
        policy = ascore.train(config, tmp_path / f"{num_envs}").policy
        policy.config["num_envs"] = num_envs
        played.append(ascore.evaluate(policy, episodes=10))
    assert len({round(value, 6) for value in played[0].team_returns}) > 5
    for other in played[1:]:
        np.testing.assert_array_equal(played[0].team_returns, other.team_returns)
        assert played[0].agent_return == other.agent_return
        assert played[0].entropy == pytest.approx(other.entropy, rel=1e-6)
        assert played[0].episode_length == other.episode_length


def test_an_exported_policy_is_evaluated_with_one_copy(log: Path, tmp_path: Path) -> None:
    config = Config(env=BARN, env_params={"log": str(log), "room": 4}, **QUICK)
    run = ascore.train(config, tmp_path / "run")
    path = ascore.export_policy(run.path, tmp_path / "policy.safetensors")
    result = ascore.evaluate(path, episodes=6, seed=0, trust=True)
    assert balance(log) == (4 + 1, 0)
    np.testing.assert_array_equal(
        result.team_returns, ascore.evaluate(run, episodes=6, seed=0).team_returns
    )


def test_copies_made_before_one_that_fails_are_closed(log: Path) -> None:
    with pytest.raises(EnvError, match="one too many"):
        ascore.make(BARN, 4, log=str(log), fail="third")
    assert balance(log) == (2, 0)


def test_a_batch_is_a_context(log: Path) -> None:
    with ascore.make(BARN, 2, log=str(log)) as env:
        env.reset()
        joint = joint_env(env)
        assert balance(log) == (2, 2)
    assert balance(log) == (2, 0)
    env.close()  # no second time
    joint.close()
    assert balance(log) == (2, 0)
    with pytest.raises(EnvError, match=f"the copies of {BARN} are closed; make new ones"):
        env.reset()
    with ascore.make("exchange") as env:
        env.reset()
    env.reset()  # nothing to close


def test_a_batch_that_is_forgotten_is_closed(log: Path) -> None:
    env = ascore.make(BARN, 3, log=str(log))
    env.reset()
    del env
    gc.collect()
    assert balance(log) == (3, 0)


def test_the_end_of_the_process_closes(log: Path) -> None:
    program = f"import ascore; env = ascore.make({BARN!r}, 3, log={str(log)!r}); env.reset()"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=SUPPORT)
    assert balance(log) == (3, 0)


def test_a_forked_child_closes_nothing_of_its_parent(log: Path) -> None:
    program = (
        "import os, sys, ascore\n"
        f"env = ascore.make({BARN!r}, 3, log={str(log)!r})\n"
        "child = os.fork()\n"
        "if child == 0:\n    sys.exit()\n"
        "os.waitpid(child, 0)\n"
        f"print(open({str(log)!r}).read().count('-'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=True, cwd=SUPPORT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "0\n"
    assert balance(log) == (3, 0)


def test_a_close_that_fails_is_a_warning(log: Path) -> None:
    env = ascore.make(BARN, 1, log=str(log), fail="close")
    with pytest.warns(AscoreWarning, match=r"close\(\) of Barn fails: RuntimeError: the door is"):
        env.close()


@pytest.mark.parametrize("fail", ["", "step"])
def test_the_check_closes_what_it_tries(log: Path, fail: str) -> None:
    examine(BARN, {"log": str(log), "fail": fail}, steps=20)
    opened, left = balance(log)
    assert opened >= 2
    assert left == 0


def test_what_is_no_environment_is_closed_too(log: Path) -> None:
    with pytest.raises(EnvError, match="without the methods step"):
        ascore.make("python_envs:barn_without_steps", log=str(log))
    assert balance(log) == (1, 0)


@pytest.mark.parametrize("signals", [1, 2])
def test_signals_close_all(log: Path, tmp_path: Path, signals: int) -> None:
    """The first saves and returns; a second, which does not wait for the update, closes as well."""
    command = [
        sys.executable, "-m", "ascore", "train", BARN, "--env-param", f"log={log}",
        "--env-param", "fail=slow", "--num-envs", "4", "--out", str(tmp_path / "run"),
        *([] if signals == 1 else ["--rollout-steps", "100000"]),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=SUPPORT, stderr=subprocess.PIPE, text=True)
    while not log.exists() or balance(log) != (5, 4):  # one was tried before
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    _, output = process.communicate()
    assert process.returncode == (130 if signals == 1 else 128 + signal.SIGTERM), output
    assert balance(log) == (5, 0)


def test_a_signal_to_an_evaluation_closes_all(log: Path, tmp_path: Path) -> None:
    params = {"log": str(log), "horizon": 1000}
    run = ascore.train(Config(env=BARN, env_params=params, **QUICK), tmp_path / "run")
    command = [sys.executable, "-m", "ascore", "evaluate", str(run.path), "--trust",
               "--episodes", "100000"]  # fmt: skip
    process = subprocess.Popen(command, cwd=SUPPORT)
    while balance(log) != (8, 4):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert balance(log) == (8, 0)


def test_compiled_batches_are_numbered_when_they_are_made() -> None:
    env = ascore.make("exchange")
    with pytest.raises(ValueError, match="exchange-v1 cannot be renumbered; create another"):
        env.renumber(3)
    with pytest.raises(ValueError, match="first_env = -1 is outside"):
        ascore.make("python_envs:Meadow").renumber(-1)


# ---- one JSON object -------------------------------------------------------------------------


BRIEF = ["--episodes", "4", "--num-envs", "2", "--actor-hidden", "8", "--evaluate", "3"]


@pytest.fixture(scope="module")
def gossiping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module that prints when it is imported, and a finished run of it."""
    folder = tmp_path_factory.mktemp("talkative")
    (folder / "gossip.py").write_text("print('gossip: hello')\nfrom python_envs import Chatty\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        out = ["--env-workers", "0", "--out", str(folder / "run")]
        assert main(["train", "gossip:Chatty", *BRIEF, *out]) == 0
        del sys.modules["gossip"]
    return folder


@pytest.fixture
def talkative(gossiping: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same where a command is called, in a process that knows nothing of it."""
    monkeypatch.chdir(gossiping)
    monkeypatch.syspath_prepend(gossiping)
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    monkeypatch.setattr(trust, "_ours", set())
    yield gossiping
    sys.modules.pop("gossip", None)


COMMANDS = {
    "train": ["train", "gossip:Chatty", *BRIEF, "--out", "another"],
    "evaluate": ["evaluate", "run", "--episodes", "3", "--trust"],
    "resume": ["resume", "run", "--episodes", "6", "--trust"],
    "check-env": ["check-env", "gossip:Chatty", "--steps", "10"],
    "sweep": ["sweep", "gossip:Chatty", "--set", "num_envs=2", "--set", "episodes=4",
              "--evaluate", "3", "--out", "sweep"],
    "compare": ["train", "gossip:Chatty", "--episodes", "4", "--num-envs", "2", "--compare",
                "ippo", "--evaluate", "3", "--out", "both"],
}  # fmt: skip


@pytest.mark.usefixtures("talkative")
@pytest.mark.parametrize("name", COMMANDS)
def test_standard_output_is_one_object(name: str) -> None:
    status, out, err = printed_by(*COMMANDS[name], "--json")
    assert status == 0, err
    require_one_object(out, err)


def require_one_object(out: str, err: str) -> None:
    assert isinstance(json.loads(out), dict)
    assert out.count("\n") == 1
    for line in ("gossip: hello", "python made", "descriptor made", "libc made", "child closed"):
        assert line in err  # nothing is lost


def test_standard_output_of_a_process_is_one_object(talkative: Path) -> None:
    command = [sys.executable, "-m", "ascore", *COMMANDS["evaluate"], "--json"]
    done = subprocess.run(command, cwd=talkative, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    require_one_object(done.stdout, done.stderr)


@pytest.mark.usefixtures("talkative")
def test_a_failure_prints_nothing() -> None:
    train = ["train", "gossip:Chatty", "--json", "--env-param", "x=1"]
    status, out, err = printed_by(*train)
    assert (status, out) == (1, "")
    assert "ascore: gossip:Chatty(x=1) fails" in err


def test_a_closed_reader_is_no_failure(talkative: Path) -> None:
    command = [sys.executable, "-m", "ascore", *COMMANDS["evaluate"], "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, cwd=talkative, stdout=write, stderr=-1, text=True)
    os.close(write)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
