"""The command line, as used by people and by scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ascore
from ascore import cli
from ascore.cli import main
from ascore.envs.table import ENVIRONMENTS
from ascore.errors import ConfigError, RankError, Terminated
from ascore.runtime.progress import Patience

QUICK = ["--num-agents", "2", "--episodes", "8", "--num-envs", "4", "--actor-hidden", "8",
         "--critic-hidden", "8", "--evaluate", "6"]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = main(list(args))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_evaluate_resume_plot(here: Path, capsys: pytest.CaptureFixture[str]):
    status, out, err = run(capsys, "train", "predation", *QUICK, "--seed", "4")
    assert status == 0
    assert "anchors: random -120, selfish -180, cooperative -60" in out
    assert "run written to runs/predation-as-s4" in out
    assert "as: update 2 of 2, team return" in err
    config = ascore.Config.load(here / "runs/predation-as-s4/config.toml")
    assert (config.seed, config.actor_hidden, config.env_params) == (4, (8,), {"num_agents": 2})

    status, out, _ = run(capsys, "evaluate", "runs/predation-as-s4", "--episodes", "7", "--json")
    result = json.loads(out)
    assert status == 0
    assert result["team_return"]["n"] == 7
    assert result["team_return"]["ci95"][0] <= result["team_return"]["mean"]
    assert len(result["agent_return"]) == 2
    assert 0 < result["entropy"] < result["entropy_uniform"]

    status, out, _ = run(capsys, "evaluate", "runs/predation-as-s4", "--episodes", "7")
    assert status == 0
    assert f"team return {result['team_return']['mean']:.2f}" in out

    status, out, _ = run(capsys, "resume", "runs/predation-as-s4", "--episodes", "12", "--json")
    assert status == 0
    assert json.loads(out)["episodes"] == 12

    status, out, _ = run(capsys, "plot", "runs/predation-as-s4", "--out", "curve.png")
    assert status == 0
    assert (here / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_render_plays_the_episode_that_evaluate_plays(
    here: Path, capsys: pytest.CaptureFixture[str]
):
    status, _, _ = run(capsys, "train", "predation", *QUICK, "--out", "run")
    assert status == 0
    result = json.loads(run(capsys, "render", "run", "--episode", "3", "--json")[1])
    assert result["path"] == "replay.gif"
    assert (result["frames"], result["steps"]) == (31, 30)
    returns = ascore.evaluate(here / "run", episodes=5).team_returns
    assert result["team_return"] == pytest.approx(returns[3], rel=1e-12)
    with Image.open(here / "replay.gif") as gif:
        assert gif.n_frames == 31

    status, out, _ = run(capsys, "render", "run", "--greedy", "--steps", "4", "--out", "end.png")
    assert status == 0
    assert out.startswith("4 steps, team return ")
    assert out.endswith("picture written to end.png\n")
    trained = (here / "end.png").read_bytes()
    options = ["--policy", "random", "--steps", "4", "--out", "end.png"]
    assert run(capsys, "render", "run", *options)[0] == 0
    assert (here / "end.png").read_bytes() != trained

    status, _, err = run(capsys, "render", "run", "--num-agents", "3")
    assert (status, err) == (
        1,
        "ascore: run is a run and has its own parameters; leave out ['num_agents']\n",
    )
    tensors = max(here.glob("run/checkpoints/*/state.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-9])
    before = sorted(path.name for path in here.iterdir())
    status, out, err = run(capsys, "render", "run", "--out", "broken.gif")
    assert (status, out) == (1, "")
    assert "is damaged" in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in here.iterdir()) == before


def test_render_draws_an_environment_without_a_run(here: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--policy", "random", "--num-agents", "4", "--env-param", "size=7", "--steps", "3"]
    status, out, err = run(capsys, "render", "navigation", *options, "--out", "steps")
    assert (status, err) == (0, "")
    assert out.endswith("picture written to steps\n")
    pictures = sorted(here.glob("steps/*.png"))
    assert len(pictures) == 4
    assert len({path.read_bytes() for path in pictures}) == 4


def test_long_jobs_report_their_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    clock = iter([100.0, 101.0, 102.9, 103.1])  # after a second, then every two
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    patience = Patience("frames drawn")
    for done in (1, 2, 3, 4):
        patience.update(done, 9)
    assert capsys.readouterr().err == "2 of 9 frames drawn\n4 of 9 frames drawn\n"


def test_progress_counts_what_several_runs_take_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    clock = iter([100.0, 101.0, 103.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    patience = Patience("evaluation episodes")
    first, second = (patience.part(k, 2) for k in range(2))
    first(1, 5)
    first(4, 5)
    second(3, 5)
    lines = "4 of 10 evaluation episodes\n8 of 10 evaluation episodes\n"
    assert capsys.readouterr().err == lines


def test_compare_trains_both_and_shows_them_side_by_side(
    here: Path, capsys: pytest.CaptureFixture[str]
):
    status, out, _ = run(
        capsys, "train", "predation", *QUICK, "--compare", "ippo", "--out", "pair", "--json"
    )
    assert status == 0
    runs = json.loads(out)["runs"]
    assert [r["algorithm"] for r in runs] == ["as", "ippo"]
    assert [r["path"] for r in runs] == ["pair/as", "pair/ippo"]
    assert [r["evaluation"]["team_return"]["n"] for r in runs] == [6, 6]
    configs = [ascore.Config.load(here / r["path"] / "config.toml") for r in runs]
    assert configs[0].replace(algorithm="ippo") == configs[1]
    alone = ascore.train(configs[1], here / "alone")
    assert alone.summary["team_return"] == runs[1]["team_return"]


def test_environment_parameters_reach_the_environment(
    here: Path, capsys: pytest.CaptureFixture[str]
):
    status, _, _ = run(
        capsys, "train", "predation", *QUICK, "--env-param", "mixed=pairwise", "--env-param",
        "length=20.5", "--env-param", "horizon=10", "--out", "run",
    )  # fmt: skip
    assert status == 0
    params = ascore.load_policy(here / "run").env_params
    assert params == {"mixed": "pairwise", "length": 20.5, "horizon": 10, "num_agents": 2}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "predatoin"], "unknown environment 'predatoin'; did you mean 'predation'?"),
        (
            ["train", "predation", "--algorithm", "ppo"],
            "unknown algorithm 'ppo'; did you mean 'ippo'?",
        ),
        (["train", "predation", "--compare", "ppo"], "unknown algorithm 'ppo'"),
        (["train", "predation", "--preset", "best"], "no preset 'best' for predation-v1"),
        (["train", "predation", "--gamma", "2"], "gamma = 2.0 is not allowed"),
        (["train", "predation", "--num-agents", "0"], "num_agents = 0"),
        (["train", "predation", "--env-param", "speed=3"], 'no parameter "speed"'),
        (["train", "predation", "--env-param", "mixed=neither"], '"neither" is not one of'),
        (["evaluate", "nowhere"], "nowhere is not a run folder"),
        (["evaluate", "nowhere", "--episodes", "0"], "episodes = 0"),
        (["resume", "nowhere"], "nowhere is not a run folder"),
        (["plot", "nowhere"], "nowhere holds no run"),
        (["render", "nowhere"], "nowhere is neither a folder written by `ascore train` nor"),
        (["render", "."], ". is neither a folder written by `ascore train` nor"),
        (["render", "exchange", "--out", "x.mp4"], "use .gif"),
        (["render", "exchange", "--out", "no/x.gif"], "there is no folder no; create it first"),
        (["render", "exchange", "--policy", "trained"], "has no trained policy; give a run"),
        (["render", "exchange", "--env-param", "speed=3"], 'no parameter "speed"'),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
):
    status, out, err = run(capsys, *args)
    assert status == 1
    assert out == ""
    assert message in err
    assert err.startswith("ascore: ")
    assert len(err.strip().splitlines()) == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "args", [["train", "predation", "--gama", "1"], ["train", "predation", "--seed", "x"]]
)
def test_unknown_options_and_wrong_types_end_with_status_2(here: Path, args: list[str]):
    assert main(args) == 2


def test_unknown_command_and_help(capsys: pytest.CaptureFixture[str]):
    status, out, err = run(capsys, "trian")
    assert (status, out) == (2, "")
    assert "unknown command 'trian'; did you mean 'train'? choose from: train, resume" in err
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert "ascore COMMAND --help" in out
    assert run(capsys)[0] == 2
    assert run(capsys, "--version")[1] == f"ascore {ascore.__version__}\n"


def test_envs_lists_every_environment(capsys: pytest.CaptureFixture[str]):
    status, out, _ = run(capsys, "envs", "--json")
    table: dict[str, Any] = json.loads(out)
    assert status == 0
    assert list(table) == list(ENVIRONMENTS)
    for name, entry in table.items():
        assert entry["spec"]["name"] == name
        assert {a["label"] for a in entry["anchors"]} >= {"random", "selfish", "cooperative"}
        assert all(p["meaning"] and p["source"] for p in entry["parameters"])
    text = run(capsys, "envs")[1]
    assert all(name in text for name in ENVIRONMENTS)
    assert "cooperative" in text
    text = run(capsys, "envs", "exchange")[1]
    assert "cooperative 6" in text
    assert all(p["name"] in text for p in table["exchange-v1"]["parameters"])


def test_envs_plays_the_anchors(capsys: pytest.CaptureFixture[str]):
    status, out, err = run(capsys, "envs", "--anchors", "exchange", "--episodes", "100", "--json")
    rows = {row["label"]: row for row in json.loads(out)["anchors"]}
    assert status == 0
    assert list(rows) == ["random", "selfish", "cooperative"]
    for row in rows.values():
        assert row["agrees"]
        low, high = row["team_return"]["ci95"]
        assert low <= row["team_return"]["mean"] <= high
        assert row["team_return"]["n"] == 100
    assert rows["selfish"]["team_return"]["mean"] == pytest.approx(-9, abs=1e-5)
    assert "6/6 exchange-v1 cooperative" in err
    status, out, _ = run(capsys, "envs", "--anchors", "predation-v1", "--episodes", "100")
    assert status == 0
    assert "one approaches" in out
    assert "DIFFERS" not in out


def test_envs_says_which_anchor_is_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    row = ENVIRONMENTS["exchange-v1"]
    wrong = tuple(replace(a, base=a.base + (a.label == "selfish")) for a in row.anchors)
    monkeypatch.setitem(ENVIRONMENTS, "exchange-v1", replace(row, anchors=wrong))
    status, out, err = run(capsys, "envs", "--anchors", "exchange", "--episodes", "100")
    assert status == 1
    assert [line.split()[0] for line in out.splitlines() if "DIFFERS" in line] == ["selfish"] * 2
    assert "2 of 6 anchors differ from the table" in err


def test_envs_refuses_too_few_episodes_and_unknown_names(capsys: pytest.CaptureFixture[str]):
    status, _, err = run(capsys, "envs", "--anchors", "--episodes", "99")
    assert (status, err) == (
        1,
        "ascore: episodes = 99 is too few for a comparison; use at least 100\n",
    )
    status, _, err = run(capsys, "envs", "--anchors", "harvst")
    assert status == 1
    assert "did you mean 'harvest'" in err
    assert main(["envs", "--nothing"]) == 2


def test_doctor_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    status, out, _ = run(capsys, "doctor", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["ascore"] == ascore.__version__
    assert report["packages"]["torch"] is not None
    monkeypatch.setenv("OMP_NUM_THREADS", "999")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    text = run(capsys, "doctor")[1]
    assert "problem: OMP_NUM_THREADS is 999" in text
    assert "problem: OMP_WAIT_POLICY is 'active'" in text


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OMP_NUM_THREADS": "64", "LOCAL_WORLD_SIZE": "32"},
         "OMP_NUM_THREADS is 64 in each of the 32 processes that torchrun starts here"),
        ({"LOCAL_WORLD_SIZE": "999"}, "one thread in each of the 999 processes that torchrun"),
        ({"SLURM_NTASKS_PER_NODE": "999"}, "one thread in each of the 999 processes that Slurm"),
        ({"GOMP_SPINCOUNT": "1000000"}, "GOMP_SPINCOUNT is '1000000'; unset it"),
        ({"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "1"}, None),
    ],
)  # fmt: skip
def test_doctor_counts_threads_of_all_processes(
    variables: dict[str, str], problem: str | None, monkeypatch: pytest.MonkeyPatch
):
    from ascore.runtime import doctor

    every = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", *doctor.PROCESSES.values())
    for name in every:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    findings = doctor.examine()
    problems = [line for line in findings["problems"] if "thread" in line]
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]


def test_doctor_sees_a_cuda_build_and_an_old_processor(monkeypatch: pytest.MonkeyPatch):
    from ascore.runtime import doctor

    monkeypatch.setattr(doctor, "_cpu_flags", lambda: {"avx2": False})
    monkeypatch.setattr(doctor, "_version", lambda name: "2.13.0+cu130")
    monkeypatch.setattr(doctor.os.path, "exists", lambda path: False)
    problems = "\n".join(doctor.examine()["problems"])
    assert "the processor has no AVX2" in problems
    assert "torch 2.13.0+cu130 is a CUDA build, but there is no NVIDIA device" in problems


def test_a_notebooks_backend_does_not_reach_a_command(tmp_path: Path):
    """A kernel names one in MPLBACKEND, which the Python of the command may lack."""
    runs = [tmp_path / "run"]
    ascore.train(ascore.Config(env="predation-v1", num_envs=2, episodes=4), runs[0])
    out = tmp_path / "x.png"
    process = subprocess.run(
        [sys.executable, "-m", "ascore", "plot", *map(str, runs), "--out", str(out)],
        env={**os.environ, "MPLBACKEND": "module://not_installed.here"}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert (process.returncode, out.is_file()) == (0, True), process.stderr


def test_without_the_training_packages_the_remedy_is_printed():
    program = "import sys; sys.modules['torch'] = None\nfrom ascore.cli import main\n"
    train = program + "sys.exit(main(['train', 'predation']))"
    process = subprocess.run([sys.executable, "-c", train], capture_output=True, text=True)
    assert process.returncode == 1
    assert process.stderr == "ascore: torch is not installed; pip install 'ascore[train]'\n"
    envs = program + "sys.exit(main(['envs']))"
    process = subprocess.run([sys.executable, "-c", envs], capture_output=True, text=True)
    assert process.returncode == 0
    assert "exchange-v1" in process.stdout


@pytest.mark.parametrize(
    "line",
    [
        "predation --seed 3",
        "--seed 3 predation",
        "--seed=3 --no-tensorboard --actor-hidden 8 8 predation",
        "--actor_hidden 8 8 --json --algorithm ippo predation --compare as",
    ],
)
def test_the_environment_may_stand_anywhere(line: str) -> None:
    from ascore.commands.options import TrainOptions
    from ascore.commands.parser import given

    assert given(TrainOptions, line.split())["env"] == "predation"
    assert "env" not in given(TrainOptions, line.replace("predation", "").split())


# ---- how commands end --------------------------------------------------------------------------


FAILURES: list[tuple[BaseException, int, str]] = [
    (ConfigError("seed = -1 is not allowed"), 1, "ascore: seed = -1 is not allowed\n"),
    (RankError("rank 1 is gone"), 1, "ascore: rank 1 is gone\n"),
    (ValueError("no such value"), 1, "ascore: no such value\n"),
    (OSError("no such file"), 1, "ascore: no such file\n"),
    (MemoryError(), 1, "ascore: out of memory\n"),
    (
        ModuleNotFoundError("no torch", name="torch"),
        1,
        "ascore: torch is not installed; pip install 'ascore[train]'\n",
    ),
    (KeyboardInterrupt(), 130, ""),
    (Terminated(15), 143, ""),
]


def fail_in(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Lets a command raise an error."""

    def command(argv: list[str]) -> int:
        raise error

    monkeypatch.setitem(cli.COMMANDS, name, replace(cli.COMMANDS[name], run=command))


@pytest.mark.parametrize("debug", ["", "0", "1"])
@pytest.mark.parametrize(
    ("error", "status", "line"), FAILURES, ids=[type(e).__name__ for e, *_ in FAILURES]
)
def test_every_kind_of_failure_has_its_status_and_one_line(
    error: BaseException,
    status: int,
    line: str,
    debug: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASCORE_DEBUG", debug)
    fail_in(monkeypatch, "doctor", error)
    assert main(["doctor"]) == status
    err = capsys.readouterr().err
    if debug == "1":
        assert err.startswith("Traceback (most recent call last):\n")
        assert "raise error" in err
        assert err.endswith(line)
    else:
        assert err == line


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_shows_its_traceback_when_asked(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCORE_DEBUG", "1")
    fail_in(monkeypatch, name, ValueError("no"))
    for more in ([], ["--json"]):
        assert main([name, *more]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("Traceback (most recent call last):\n")
        assert err.endswith("ValueError: no\nascore: no\n")


@pytest.mark.parametrize("argv", [["evaluate", "nowhere"], ["plot", "nowhere"], ["resume", "none"]])
def test_a_traceback_leads_to_where_it_failed(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(argv) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    monkeypatch.setenv("ASCORE_DEBUG", "1")
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert 'File "' in err
    assert err.endswith(line)


def test_a_fault_of_the_package_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_in(monkeypatch, "doctor", KeyError("x"))
    with pytest.raises(KeyError):
        main(["doctor"])
    fail_in(monkeypatch, "doctor", ModuleNotFoundError("no x", name="x"))
    with pytest.raises(ModuleNotFoundError):
        main(["doctor"])


def test_statuses_are_those_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "reliability.md").read_text()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.strip("`").isdigit()] == ["`0`", "`1`", "`2`", "`130`",
                                                                  "`143`"]  # fmt: skip
    for argv in ([], ["nothing"], ["evaluate", "x", "--out="]):
        assert main(argv) == 2
    assert main(["evaluate", "x", "--episodes", "many"]) == 2
    assert main(["--version"]) == main(["--help"]) == 0
    capsys.readouterr()
