"""Python environments in worker processes: the same results, and nothing is lost or left behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from printed import printed_by
from python_envs import Barn

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.envs.adapters import channel, process
from ascore.envs.adapters.workers import WorkersCore
from ascore.envs.vec_env import VecEnv
from ascore.errors import AscoreWarning, ConfigError, EnvError
from ascore.runs import checkpoint
from ascore.streams import episode_seed

MEADOW, BARN, HAUNTED = "python_envs:Meadow", "python_envs:Barn", "worker_envs:Haunted"
SUPPORT = Path(__file__).parents[1] / "support"
ARRAYS = ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated", "episode", "time")
VARIANTS: list[dict[str, Any]] = [
    {},
    {"cows": 3, "horizon": 4, "see": "dict", "hear": True},
    {"cows": 3, "see": "discrete", "leave": True, "horizon": 9},
    {"cows": 4, "see": "lengths", "leave": True, "horizon": 4, "hear": True},
]
QUICK: dict[str, Any] = {
    "episodes": 40,
    "num_envs": 5,
    "minibatches": 1,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "checkpoint_every": 2,
}


def of(workers: int, name: str = MEADOW, num_envs: int = 5, **params: Any) -> VecEnv:
    """A batch; one worker is a process too where time is limited."""
    timeout = 1000.0 if workers == 1 else 0.0
    return ascore.make(name, num_envs, 3, env_workers=workers, env_timeout=timeout, **params)


def number_of_workers(env: VecEnv) -> int:
    return env._core.num_workers if isinstance(env._core, WorkersCore) else 0


def looks(env: VecEnv) -> list[bytes]:
    uniform = np.empty((env.num_envs, env.spec.num_agents), np.float32)
    env.uniforms(uniform)
    return [getattr(env, key).tobytes() for key in ARRAYS] + [uniform.tobytes()]


def played(env: VecEnv, steps: int, seed: int = 0) -> list[list[bytes]]:
    rng = np.random.default_rng(seed)
    shape = (env.num_envs, env.spec.num_agents)
    trace = []
    for _ in range(steps):
        env.step(rng.integers(env.spec.num_actions, size=shape, dtype=np.int32))
        trace.append(looks(env))
    return trace


def workers_of(env: VecEnv) -> list[process.WorkerProcess]:
    assert isinstance(env._core, WorkersCore)
    return list(env._core._workers)


def gone(pid: int) -> bool:
    """Whether a process has ended, if it has not been waited for too."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def wait_for(condition: Any) -> None:
    while not condition():
        time.sleep(0.02)


def balance(log: Path) -> tuple[int, int]:
    """How many were opened, and how many are still open."""
    lines = log.read_text().split()
    return lines.count("+"), lines.count("+") - lines.count("-")


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    Barn.open.clear()
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test leaves a worker, a descriptor or mapped memory behind."""

    def held() -> tuple[int, int]:
        gc.collect()
        numbers = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        files = [os.readlink(number) for number in numbers if os.path.lexists(number)]
        kept = [file for file in files if "socket" in file or "memfd" in file]
        return len(kept), Path("/proc/self/maps").read_text().count("memfd:ascore")

    def children() -> set[str]:
        own = Path("/proc/self/task").glob("*/children")
        return {child for file in own for child in file.read_text().split()}

    before, started = held(), children()
    yield
    assert all(now <= then for now, then in zip(held(), before, strict=True))
    assert children() <= started


# ---- the same results ------------------------------------------------------------------------


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_results_do_not_depend_on_the_number_of_workers(params: dict[str, Any]) -> None:
    def all_of(workers: int) -> tuple[int, list[list[bytes]]]:
        with of(workers, **params) as env:
            env.reset()
            trace = [looks(env), *played(env, 25)]
            env.renumber(100)
            trace += [looks(env), *played(env, 6)]
            env.reset()
            trace.append(looks(env))
            env.reset(seed=8)
            trace += [looks(env), *played(env, 6)]
            return number_of_workers(env), trace

    zero, expected = all_of(0)
    assert zero == 0
    assert len({str(entry) for entry in expected}) > 30
    for workers in (3,) if params else (1, 2, 5):
        assert all_of(workers) == (workers, expected)


def test_legal_actions_do_not_depend_on_it() -> None:
    def masks(workers: int) -> list[bytes]:
        with of(workers, "shops:Shop", luck=True, where="info", counts=(4, 3)) as env:
            env.reset()
            seen = []
            for _ in range(12):
                legal = env.legal
                assert legal is not None
                seen.append(legal.tobytes())
                env.step(legal.argmax(axis=-1).astype(np.int32))
            return seen

    expected = masks(0)
    assert len(set(expected)) > 6
    assert masks(2) == expected


def test_there_are_no_more_workers_than_copies() -> None:
    with of(9, num_envs=3) as env:
        assert number_of_workers(env) == 3


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 3), (3, 0)])
def test_a_saved_state_goes_on_with_any_number(before: int, after: int) -> None:
    with of(before, leave=True, cows=3) as env:
        env.reset()
        played(env, 8)
        state = env.save_state()
        expected = [looks(env), *played(env, 20, seed=1)]
    with of(after, leave=True, cows=3) as env:
        env.reset(seed=99)
        env.load_state(state)
        assert [looks(env), *played(env, 20, seed=1)] == expected


def test_copies_in_a_state_are_closed_where_they_are_not_used(log: Path) -> None:
    with of(2, BARN, log=str(log)) as env:
        env.reset()
        state = env.save_state()
    with of(3, BARN, log=str(log)) as env:
        env.load_state(state)
        assert balance(log)[1] == 5
    assert balance(log)[1] == 0


@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 0)])
def test_copies_that_cannot_be_saved_begin_anew(before: int, after: int) -> None:
    with of(before, "python_envs:Locked") as env:
        env.reset()
        played(env, 3)
        state = env.save_state()
    with of(after, "python_envs:Locked") as env:
        with pytest.warns(RuntimeWarning, match=r"cannot be restored \(.*pickle.*lock.*\); new"):
            env.load_state(state)
        assert env.episode.tolist() == [1] * 5
        expected = [looks(env), *played(env, 10)]
    with of(0, "python_envs:Locked") as env:
        env.reset()
        env.reset()
        assert [looks(env)[0], *(x[0] for x in played(env, 10))] == [x[0] for x in expected]


def test_a_damaged_list_of_parts_is_refused() -> None:
    with of(2) as env:
        env.reset()
        state = env.save_state().tobytes()
        assert state.count(b'"parts": [[2') == 1
        bad = np.frombuffer(state.replace(b'"parts": [[2', b'"parts": [[7'), np.uint8)
        with pytest.raises(ValueError, match="damaged"):
            env.load_state(bad)


def parameters_of(path: Path) -> bytes:
    saved = checkpoint.load(path, None)
    names = sorted(key for key in saved.arrays if not key.startswith("env"))
    return b"".join(saved.arrays[key].tobytes() for key in names)


def test_training_and_evaluation_do_not_depend_on_it(tmp_path: Path) -> None:
    config = Config(env=MEADOW, env_params={"leave": True, "cows": 3}, **QUICK)
    results = []
    for workers in (0, 3, -1):
        run = ascore.train(config.replace(env_workers=workers), tmp_path / str(workers))
        outcome = ascore.evaluate(run, episodes=12)
        results.append((parameters_of(run.path), outcome.team_returns.tolist()))
    assert all(result == results[0] for result in results)


def test_a_run_goes_on_with_another_number(tmp_path: Path) -> None:
    config = Config(env=MEADOW, env_params={"leave": True}, **QUICK)
    whole = ascore.train(config.replace(env_workers=0), tmp_path / "whole")
    calls: list[int] = []

    def third() -> bool:
        calls.append(1)
        return len(calls) == 3

    for name, first, second in (("more", 0, 3), ("fewer", 3, 0), ("other", 2, 3)):
        calls.clear()
        part = ascore.train(config.replace(env_workers=first), tmp_path / name, stop=third)
        assert not part.finished
        run = ascore.resume(part.path, set={"env_workers": second, "env_timeout": 500.0})
        assert run.config.env_workers == second
        assert parameters_of(run.path) == parameters_of(whole.path)


def test_a_step_sends_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    with of(2) as env:
        env.reset()
        sent: list[bytes] = []
        whole = channel.Channel.send

        def send(self: channel.Channel, kind: bytes, content: Any = None) -> None:
            assert content is None
            sent.append(kind)
            whole(self, kind)

        monkeypatch.setattr(channel.Channel, "send", send)
        monkeypatch.setattr(channel.pickle, "loads", None)  # nor are any received
        played(env, 7)
        monkeypatch.undo()
        assert sent == [channel.STEP] * 14


def test_workers_see_what_the_program_was_called_with() -> None:
    with of(0, "worker_envs:Quoting") as env:
        expected = env.reset()[0].tolist()
    with of(2, "worker_envs:Quoting") as env:
        assert env.reset()[0].tolist() == expected


def test_pytorch_has_as_many_threads_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thinking.py").write_text(
        "import numpy as np\nimport torch\nfrom python_envs import Meadow\n"
        "class Thinking(Meadow):\n"
        "    def look(self, i):\n"
        "        return np.full(2, torch.get_num_threads() / 100, np.float32)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with of(1, "thinking:Thinking") as env:
            np.testing.assert_array_equal(env.reset()[0], np.float32(0.03))
    finally:
        torch.set_num_threads(before)


# ---- failures --------------------------------------------------------------------------------

WHERE = r"in step 3 of episode 1 \(copy 3 of worker_envs:Haunted\)"
FAILURES = {
    "raise": rf"step\(.*\) fails: RuntimeError: a ghost walks \(worker_envs.py:\d+\) {WHERE}; fix",
    "nan": rf"the reward of agent 'cow_0' is nan {WHERE}; every reward must be a finite number",
    "exit": rf"a worker process exited with status 3 {WHERE}; see what it printed",
    "interrupt": rf"a worker process (exited with status \d+|was killed by SIGINT) {WHERE}; ",
    "kill": rf"a worker process was killed by SIGKILL {WHERE}; it ran out of memory, or someone",
    "reset": r"reset\(seed=\d+\) fails: RuntimeError: a ghost .* at the beginning of episode 1 "
    r"\(copy 3 of worker_envs:Haunted\)",
}  # fmt: skip


def haunted(how: str, workers: int, timeout: float = 0.0, **params: Any) -> VecEnv:
    """Five copies; in episode 1 of copy 3 it happens."""
    return ascore.make(
        params.pop("name", HAUNTED), 5, 3, env_workers=workers, env_timeout=timeout,
        how=how, cursed=episode_seed(3, 3, 1), **params
    )  # fmt: skip


@pytest.mark.parametrize("how", FAILURES)
def test_failures_name_environment_episode_and_step(how: str, pids: Path) -> None:
    with haunted(how, 2, pids=str(pids)) as env:
        env.reset()
        with pytest.raises(EnvError, match=FAILURES[how]) as caught:
            played(env, 20)
        assert "\n" not in str(caught.value)
        if how == "raise":
            assert 'worker_envs.py", line' in str(caught.value.__cause__)
            assert "in haunt" in str(caught.value.__cause__)
    assert len(set(pids.read_text().split())) == 2
    assert all(gone(int(pid)) for pid in pids.read_text().split())


@pytest.mark.parametrize("how", ["raise", "nan", "reset"])
def test_failures_are_those_of_one_process(how: str) -> None:
    messages = []
    for workers in (0, 3):
        with haunted(how, workers) as env:
            env.reset()
            with pytest.raises(EnvError) as caught:
                played(env, 20)
            messages.append((caught.value.topic, str(caught.value)))
    assert messages[0] == messages[1]


def test_after_an_exception_the_others_still_obey() -> None:
    with haunted("raise", 2) as env:
        env.reset()
        with pytest.raises(EnvError):
            played(env, 20)
        env.reset(seed=8)
        trace = played(env, 9)
    with haunted("", 0) as env:
        env.reset(seed=8)
        # After the first episodes, so that nothing is left of those before.
        assert played(env, 9)[5:] == trace[5:]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("constructor", r"Haunted\(.*\) fails: RuntimeError: a ghost is in the door"),
        ("constructor exit", r"exited with status 4 \(copies 0 to 1 of worker_envs:Haunted\)"),
    ],
)
def test_a_constructor_that_fails(how: str, message: str, pids: Path) -> None:
    with pytest.raises(EnvError, match=message):
        haunted(how, 2, pids=str(pids))
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_copies_that_differ_between_workers(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match=r"copy 1 of worker_envs:Uneven differs from copy 0: agents"):
        ascore.make("worker_envs:Uneven", 2, env_workers=2, file=str(tmp_path / "long"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_that_hangs(workers: int, pids: Path) -> None:
    message = r"has not come back for 2 s in step 3 of episode 1 \(copy 3 .*env_timeout"
    with haunted("hang", workers, 2.0, pids=str(pids)) as env:
        env.reset()
        with pytest.raises(EnvError, match=message):
            played(env, 20)
        with pytest.raises(EnvError, match="are closed; make new ones"):
            env.reset()
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_many_copies_may_take_longer_together(log: Path) -> None:
    """The limit is for each copy's step."""
    name = "python_envs:Barn"
    with ascore.make(name, 120, env_workers=2, env_timeout=1.0, log=str(log), fail="slow") as env:
        env.reset()
        played(env, 1)  # 60 copies of 20 ms


@pytest.mark.parametrize("name", [HAUNTED, "worker_envs:Inheriting"])
def test_a_worker_that_is_killed_between_steps(name: str) -> None:
    """Also where a forked child holds on to the socket."""
    with ascore.make(name, 5, 3, env_workers=2) as env:
        env.reset()
        victim = workers_of(env)[1].process
        victim.kill()
        message = rf"was killed by SIGKILL \(copies 2 to 4 of {name}\)"
        with pytest.raises(EnvError, match=message):
            played(env, 1)


@pytest.mark.parametrize("how", ["raise", "nan", "kill", "exit", "hang"])
def test_a_run_goes_on_after_a_failure(how: str, tmp_path: Path) -> None:
    params = {"how": how, "cursed": episode_seed(0, 3, 5), "once": str(tmp_path / "once")}
    config = Config(env=HAUNTED, env_params=params, env_workers=2, env_timeout=5.0, **QUICK)
    with pytest.raises(EnvError, match=r"in step 3 of episode 5 \(copy 3 of"):
        ascore.train(config, tmp_path / "run")
    assert len(ascore.Run.open(tmp_path / "run").metrics) == 5
    run = ascore.resume(tmp_path / "run")
    (tmp_path / "whole").mkdir()
    whole = ascore.train(config, tmp_path / "whole")  # the file is there now
    assert parameters_of(run.path) == parameters_of(whole.path)


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [
        "train", HAUNTED, "--env-workers", "2", "--num-envs", "5", "--env-param", "how=kill",
        "--env-param", f"cursed={episode_seed(0, 3, 1)}", "--out", str(tmp_path / "run"), "--json",
    ]  # fmt: skip
    status, out, err = printed_by(*command)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("ascore: a worker process was killed by SIGKILL")
    assert "Traceback" not in err
    command[command.index("how=kill")] = "how=raise"
    command[command.index("--out") + 1] = str(tmp_path / "other")
    monkeypatch.setenv("ASCORE_DEBUG", "1")
    assert main(command) == 1
    printed = capsys.readouterr().err
    assert "in haunt" in printed
    assert printed.splitlines()[-1].startswith("ascore: step(")


# ---- the end ---------------------------------------------------------------------------------


def test_closing_closes_the_copies_where_they_are(log: Path) -> None:
    env = of(2, BARN, log=str(log))
    env.reset()
    assert balance(log) == (5, 5)
    env.close()
    assert balance(log) == (5, 0)
    env.close()
    assert Barn.open == set()
    for call in (env.reset, env.save_state, lambda: played(env, 1)):
        with pytest.raises(EnvError, match=f"the copies of {BARN} are closed; make new ones"):
            call()


def test_what_is_forgotten_is_closed(log: Path) -> None:
    env = of(2, BARN, log=str(log))
    env.reset()
    del env
    gc.collect()
    assert balance(log) == (5, 0)


def test_results_may_be_kept_longer_than_the_workers() -> None:
    with of(2) as env:
        obs = env.reset()[0]
        before = obs.copy()
    np.testing.assert_array_equal(obs, before)


def test_a_close_that_fails_is_a_warning(log: Path) -> None:
    env = of(2, BARN, num_envs=2, log=str(log), fail="close")
    with pytest.warns(AscoreWarning, match=r"close\(\) of Barn fails: RuntimeError: the door is"):
        env.close()


def test_a_worker_that_does_not_end_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.5)
    env = of(2, "worker_envs:Clinging", log=str(log))
    running = workers_of(env)
    with pytest.warns(AscoreWarning, match=r"has not ended after 0.5 s and is killed; it may"):
        env.close()
    assert all(gone(worker.process.pid) for worker in running)


def program_of(log: Path, rest: str, name: str = BARN) -> list[str]:
    return [
        sys.executable, "-W", "ignore", "-c",
        f"import os, signal, sys, time, ascore\n"
        f"env = ascore.make({name!r}, 5, env_workers=2, log={str(log)!r})\nenv.reset()\n{rest}",
    ]  # fmt: skip


def test_the_end_of_the_process_closes(log: Path) -> None:
    subprocess.run(program_of(log, ""), check=True, cwd=SUPPORT)
    assert balance(log) == (5, 0)


def test_a_forked_child_ends_nothing_of_its_parent(log: Path) -> None:
    rest = (
        "child = os.fork()\n"
        "if child == 0:\n    env.close()\n    sys.exit()\n"
        "os.waitpid(child, 0)\n"
        f"print(open({str(log)!r}).read().count('-'))\n"
        "env.reset()\n"
    )
    done = subprocess.run(
        program_of(log, rest), check=True, cwd=SUPPORT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert balance(log) == (5, 0)


@pytest.mark.parametrize("forks", [False, True])
def test_workers_end_with_a_parent_that_is_killed(log: Path, forks: bool) -> None:
    """While they wait, even if a forked child of the parent keeps the sockets open."""
    rest = "if os.fork() == 0:\n    time.sleep(5)\n    os._exit(0)\n" if forks else ""
    subprocess.run(program_of(log, rest + "os.kill(os.getpid(), signal.SIGKILL)"), cwd=SUPPORT)
    wait_for(lambda: balance(log) == (5, 0))


def test_workers_at_work_end_with_a_parent_that_is_killed(log: Path) -> None:
    rest = "import numpy as np\nwhile True: env.step(np.zeros((5, 2), np.int32))"
    parent = subprocess.Popen(program_of(log, rest, "worker_envs:Asleep"), cwd=SUPPORT)
    wait_for(Path(f"{log}.asleep").exists)
    parent.kill()
    parent.wait()
    wait_for(lambda: balance(log) == (5, 0))


@pytest.mark.parametrize(("number", "times"), [("SIGINT", 1), ("SIGTERM", 2)])
def test_signals_to_all_processes_close_all(
    log: Path, tmp_path: Path, number: str, times: int
) -> None:
    """As Ctrl-C and schedulers send them: the first saves, a second interrupts, all are closed."""
    command = [
        sys.executable, "-m", "ascore", "train", BARN, "--env-param", f"log={log}",
        "--env-param", "fail=slow", "--num-envs", "4", "--env-workers", "2",
        "--out", str(tmp_path / "run"), *([] if times == 1 else ["--rollout-steps", "100000"]),
    ]  # fmt: skip
    parent = subprocess.Popen(
        command, cwd=SUPPORT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: parent.poll() is not None or (log.exists() and balance(log) == (5, 4)))
    assert parent.poll() is None
    time.sleep(0.5)
    for _ in range(times):
        os.killpg(parent.pid, signal.Signals[number])
        time.sleep(0.3)
    _, output = parent.communicate()
    assert parent.returncode == (130 if times == 1 else 128 + signal.SIGTERM), output
    assert balance(log) == (5, 0)
    if times == 1:
        assert len(checkpoint.folders(tmp_path / "run")) == 1


def test_an_interrupted_step_ends_a_worker_that_hangs(log: Path) -> None:
    rest = (
        "import numpy as np\n"
        "signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))\n"
        f"asleep = {str(log)!r} + '.asleep'\n"
        "import threading\n"
        "def watch():\n"
        "    while not os.path.exists(asleep): time.sleep(0.02)\n"
        "    os.kill(os.getpid(), signal.SIGALRM)\n"
        "threading.Thread(target=watch).start()\n"
        "while True: env.step(np.zeros((5, 2), np.int32))"
    )
    done = subprocess.run(program_of(log, rest, "worker_envs:Asleep"), cwd=SUPPORT)
    assert done.returncode == 7
    wait_for(lambda: balance(log) == (5, 0))  # they may outlive their parent by a moment


# ---- what environments do --------------------------------------------------------------------


def test_environments_may_start_processes() -> None:
    traces = []
    for workers in (0, 2):
        with of(workers, "worker_envs:Nest", num_envs=2) as env:
            env.reset()
            traces.append(played(env, 4))
            assert env.reward.max() == 8
    assert traces[0] == traces[1]


def test_standard_output_is_one_object(tmp_path: Path) -> None:
    status, out, err = printed_by(
        "train", "python_envs:Chatty", "--episodes", "4", "--num-envs", "2", "--env-workers", "2",
        "--evaluate", "3", "--out", str(tmp_path / "run"), "--json",
    )  # fmt: skip
    assert status == 0, err
    assert isinstance(json.loads(out), dict)
    assert out.count("\n") == 1
    for line in ("python made", "python reset", "descriptor made", "libc made", "child closed"):
        assert err.count(line) >= 5  # one trial, two in training, two in evaluation


# ---- refusals --------------------------------------------------------------------------------


def test_compiled_environments_have_no_workers() -> None:
    with pytest.raises(
        EnvError, match=r"env_workers = 2, but exchange-v1 is compiled.*num_threads"
    ):
        ascore.make("exchange", env_workers=2)
    with pytest.raises(EnvError, match=r"env_timeout = 2\.5, but exchange-v1 is compiled"):
        ascore.make("exchange", env_timeout=2.5)
    for workers in (-1, 0, 1):
        ascore.make("exchange", env_workers=workers).reset()


@pytest.mark.parametrize(
    ("key", "value"), [("env_workers", -2), ("env_workers", 2000), ("env_timeout", -1.0)]
)
def test_limits(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{key} = {value} is not allowed"):
        Config(**{key: value})
    assert Config().env_workers == 0


def test_arguments_must_pass_to_another_process() -> None:
    with pytest.raises(EnvError, match=r"argument hear of .*Meadow cannot be sent to a worker"):
        ascore.make(MEADOW, 2, env_workers=2, hear=lambda: True)


def test_what_workers_cannot_import(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nsys.path.append(" + repr(str(SUPPORT)) + ")\n"
        "import ascore\nfrom python_envs import Meadow\n"
        "with ascore.make('__main__:Meadow', 3, env_workers=-1) as env:\n    env.reset()\n"
        "ascore.make('__main__:Meadow', 3, env_workers=2)\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert done.returncode == 1
    if len(os.sched_getaffinity(0)) > 1:
        assert "__main__:Meadow is stepped in this process alone: it is defined in" in done.stderr
    assert "env_workers = 2 needs __main__:Meadow in worker processes, but it is" in done.stderr


def test_a_module_made_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    from python_envs import Meadow

    module = types.ModuleType("made_up")
    module.Meadow = Meadow  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up", module)
    with pytest.raises(EnvError, match="module made_up was made by the program itself"):
        ascore.make("made_up:Meadow", 3, env_workers=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AscoreWarning)
        with ascore.make("made_up:Meadow", 3, env_workers=-1) as env:
            assert number_of_workers(env) == 0
