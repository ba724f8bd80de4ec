"""What an earlier version wrote still loads, resumes and evaluates to the same numbers.

`tests/fixtures/d09de0d` holds run folders, exported policies and the folder of a sweep as ascore
wrote them at commit d09de0d: all environments, algorithms and backends, finished, stopped and
killed. `make.py` there trained them and recorded in `expected.json` what that version made of them:
configurations, evaluations, probabilities of actions, and what comes of going on with the training.
`resumed.npz` holds the parameters at the end of that.

The numbers are found anew by this file run as a program, in a process of its own:

    python tests/test_continuity.py FIXTURES OUT

since the instructions that numbers are computed with are chosen when NumPy and PyTorch are loaded.
`expected.json` says with which environment variables it was recorded, and it runs with the same.

What has to agree how well:

- Returns of evaluations and counts: exactly. They follow from actions and rewards alone.
- Probabilities: to 1e-6. They are computed in double precision and rounded once, to float32.
- What comes of resuming with `backend = fused`: to the bit, on x86-64 with the release of PyTorch
  that recorded it. The portable instructions are neither contracted nor reordered, and MKL_CBWR
  makes MKL add up in the same order everywhere, so there is one result. Runs that normalise their
  advantages are excepted: that version left a square root to PyTorch, whose last bit depends on the
  processor.
- What comes of resuming with other backends, and with all on other machines: parameters to 2e-5,
  metrics to 1e-4. PyTorch's products and Numba's kernel add up in an order that depends on the
  processor, and Adam divides such differences by small numbers. Between instruction sets of one
  processor 4e-7 was the largest difference found.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ascore

FIXTURES = Path(__file__).resolve().parent / "fixtures" / "d09de0d"
EPISODES = 20

# How far metrics may be from those recorded: (relative, absolute). NumPy's exponentials depend on
# the processor in their last bits, so even metrics of equal parameters do.
EXACT_METRICS, METRICS = (1e-5, 1e-8), (1e-4, 1e-4)

# How far parameters may be where bits are not promised; updates moved them by 1e-2 and more.
PARAMETERS = 2e-5

RENAMED = "backend = fused is now called engine"
"""What is said of the one value that has another name since."""

# ---------------------------------------------------------------------- what fixtures give


def command(*args: str) -> dict[str, Any]:
    """What a command of ascore prints with --json."""
    from ascore.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main([*args, "--json"])
    assert status == 0, f"ascore {' '.join(args)} ended with {status}"
    values: dict[str, Any] = json.loads(out.getvalue())
    return values


def fixed_observations(policy: ascore.Policy) -> np.ndarray:
    """Two observations of the environment's shape and type that no generator has a part in."""
    spec = ascore.make(policy.env, 1, 0, **policy.env_params).spec
    shape = (2, spec.views, int(np.prod(spec.obs_shape)))
    count = np.arange(math.prod(shape)).reshape(shape) * 7 % 11
    if spec.obs_dtype == "uint8":
        return (count * (23 if spec.obs_scale < 1 else 1) % 256).astype(np.uint8)
    return (count / 8 - 0.5).astype(spec.obs_dtype)


def acts(policy: ascore.Policy) -> dict[str, Any]:
    obs = fixed_observations(policy)
    uniform = (np.arange(2 * policy.num_agents) * 3 % 7 / 7).astype(np.float32)
    return {
        "probabilities": np.exp(policy.log_probs(obs)).tolist(),
        "drawn": policy.act(obs, uniform.reshape(2, -1)).tolist(),
        "most_probable": policy.act(obs).tolist(),
    }


def own_parameters(policy: ascore.Policy) -> str:
    parts = [part for layer in policy.layers for part in layer]
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


def evaluated(path: Path, *, trust: bool) -> dict[str, Any]:
    leave = ["--trust"] if trust else []
    printed = command("evaluate", str(path), "--episodes", str(EPISODES), *leave)
    evaluation = ascore.evaluate(path, episodes=EPISODES, trust=trust)
    greedy = ascore.evaluate(path, episodes=EPISODES, seed=77, greedy=True, trust=trust)
    assert json.loads(json.dumps(evaluation.to_dict())) == printed
    return {
        **printed,
        "team_returns": evaluation.team_returns.tolist(),
        "greedy_team_returns": greedy.team_returns.tolist(),
    }


def run_gives(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a run folder gives; goes on with its training."""
    from safetensors.numpy import load_file

    run = ascore.Run.open(path)
    config = ascore.Config.load(path / "config.toml")
    trust = (
        ":" in config.env
    )  # a Python environment, which files may not have imported by themselves
    policy = ascore.load_policy(path)
    gives: dict[str, Any] = {
        "config": config.to_dict(),
        "records": len(run.metrics),
        "finished": run.finished,
        "parameters": own_parameters(policy),
        "evaluation": evaluated(path, trust=trust),
        "acts": acts(policy),
    }
    *older, _ = sorted(p.name for p in (path / "checkpoints").iterdir())
    gives["older"] = {
        name: ascore.evaluate(
            path, episodes=EPISODES, checkpoint=name, trust=trust
        ).team_returns.tolist()
        for name in older
    }
    command("export", str(path), "--out", str(path / "export"))
    exported = ascore.load_policy(path / "export")
    assert own_parameters(exported) == gives["parameters"]
    assert acts(exported) == gives["acts"]
    if run.finished:
        assert run.summary["updates"] == len(run.metrics)
        ascore.resume(path, episodes=2 * config.episodes, trust=trust)
    else:
        command("resume", str(path), *(["--trust"] if trust else []))
    end = ascore.Run.open(path)
    newest = max((path / "checkpoints").iterdir())
    arrays = load_file(newest / "state.safetensors")
    assert [entry["update"] for entry in end.metrics] == list(range(1, len(end.metrics) + 1))
    assert len((path / "metrics.csv").read_text().splitlines()) == len(end.metrics) + 1
    gives["resumed"] = {
        "episodes": ascore.Config.load(path / "config.toml").episodes,
        "team_return": [entry["team_return"] for entry in end.metrics],
        "metrics": {k: v for k, v in end.metrics[-1].items() if k != "seconds"},
        "summary": {k: v for k, v in end.summary.items() if k != "seconds"},
    }
    gives["bits"] = {}
    if config.backend in ("engine", "auto"):  # auto takes engine for networks as small as these
        gives["bits"] = {
            key: hashlib.sha256(value.tobytes()).hexdigest() for key, value in arrays.items()
        }
    return gives, {name: arrays[name] for name in ("actor", "critic")}


def policy_gives(path: Path) -> dict[str, Any]:
    policy = ascore.load_policy(path)
    evaluation = ascore.evaluate(policy, episodes=EPISODES, seed=5)
    return {
        "env": policy.env,
        "env_params": policy.env_params,
        "obs_scale": policy.obs_scale,
        "num_agents": policy.num_agents,
        "num_actions": policy.num_actions,
        "parameters": own_parameters(policy),
        "acts": acts(policy),
        "team_returns": evaluation.team_returns.tolist(),
    }


def sweep_gives(fixtures: Path, out: Path) -> dict[str, Any]:
    """What the command of a sweep gives when it goes on; the finished cell is not done again."""
    path = out / "sweep"
    shutil.copytree(fixtures / "sweep", path)
    made_by = json.loads((path / "sweep.json").read_text())["command"]
    words = [word for word in shlex.split(made_by)[1:] if word != "--slurm"]
    words[words.index("--out") + 1] = str(path)
    listed = (path / "cells.json").read_bytes()
    finished = {p: p.read_bytes() for p in path.rglob("evaluation.json")}
    program = [sys.executable, "-m", "ascore", *words, "--json"]
    process = subprocess.run(program, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout)
    assert not printed["failures"]
    assert len(finished) == 1
    assert all(p.read_bytes() == before for p, before in finished.items())
    cells = json.loads((path / "cells.json").read_text())
    (path / "cells.json").write_bytes(listed)  # and by the list alone, as it was written
    assert command("sweep", "--out", str(path), "--workers", "1")["cells"] == printed["cells"]
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in printed["cells"]]
    return {"cells": cells, "rows": {f"{row['setting']}/s{row['seed']}": row for row in rows}}


def pictures(fixtures: Path, out: Path) -> dict[str, Any]:
    """Whether the folders are drawn, and the return of the episode that a picture shows."""
    from ascore.cli import main

    runs = [str(fixtures / "runs" / name) for name in ("side-by-side", "two-ranks")]
    with contextlib.redirect_stdout(io.StringIO()):
        status = main(["plot", *runs, "--out", str(out / "curves.png")])
    shown = command("render", str(fixtures / "runs" / "harvest-as"), "--out", str(out / "end.png"))
    drawn = [(out / name).read_bytes()[1:4] == b"PNG" for name in ("curves.png", "end.png")]
    return {"status": status, "drawn": drawn, "team_return": shown["team_return"]}


def run_names(fixtures: Path) -> list[str]:
    folder = fixtures / "runs"
    return sorted(p.parent.relative_to(folder).as_posix() for p in folder.rglob("config.toml"))


def observe(fixtures: Path, out: Path) -> None:
    """Writes `out/found.json` and `out/resumed.npz`; the fixtures are left as they are."""
    import torch

    torch_release = torch.__version__.partition("+")[0]
    given: dict[str, Any] = {
        "made_with": {"machine": platform.machine(), "torch": torch_release},
        "runs": {},
        "policies": {},
    }
    resumed: dict[str, np.ndarray] = {}
    for name in run_names(fixtures):
        path = out / "runs" / name
        shutil.copytree(fixtures / "runs" / name, path)
        try:
            given["runs"][name], arrays = run_gives(path)
            resumed |= {f"{name}/{key}": value for key, value in arrays.items()}
        except Exception:
            given["runs"][name] = {"error": traceback.format_exc()}
    for path in sorted((fixtures / "policies").iterdir()):
        try:
            given["policies"][path.stem] = policy_gives(path)
        except Exception:
            given["policies"][path.stem] = {"error": traceback.format_exc()}
    for name, give in (("sweep", sweep_gives), ("pictures", pictures)):
        try:
            given[name] = give(fixtures, out)
        except Exception:
            given[name] = {"error": traceback.format_exc()}
    (out / "found.json").write_text(json.dumps(given))
    np.savez_compressed(out / "resumed.npz", **resumed)


# ---------------------------------------------------------------------- what they gave

RECORDED = (FIXTURES / "expected.json").read_text()
EXPECTED: dict[str, Any] = json.loads(RECORDED.replace('"backend": "fused"', '"backend": "engine"'))
RUNS, POLICIES = sorted(EXPECTED["runs"]), sorted(EXPECTED["policies"])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that this file has written as a program."""
    from shared import shared  # not where this file runs as a program

    return shared(tmp_path_factory, "continuity", run_as_program)


def run_as_program(folder: Path) -> None:
    warnings = ["-W", "error", "-W", f"ignore:{RENAMED}"]
    process = subprocess.run(
        [sys.executable, *warnings, __file__, str(FIXTURES), str(folder)],
        env={**os.environ, **EXPECTED["environment"], "PYTHONPATH": str(FIXTURES)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope="module")
def given(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "found.json").read_text())
    return values


def of(entries: dict[str, Any], name: str) -> dict[str, Any]:
    assert name in entries, f"{name} is missing from {FIXTURES}"
    entry: dict[str, Any] = entries[name]
    assert "error" not in entry, entry["error"]
    return entry


def agree(
    given: Any, wanted: Any, relative: float = 0.0, absolute: float = 0.0, where: str = ""
) -> None:
    """Everything wanted is there, numbers within either tolerance; there may be further keys."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in given, f"{where} has no {key}"
            agree(given[key], value, relative, absolute, f"{where}/{key}")
    elif isinstance(wanted, list):
        assert len(given) == len(wanted), f"{where} has {len(given)} entries, not {len(wanted)}"
        for index, value in enumerate(wanted):
            agree(given[index], value, relative, absolute, f"{where}/{index}")
    elif isinstance(wanted, float) and isinstance(given, (int, float)):
        close = math.isclose(given, wanted, rel_tol=relative, abs_tol=absolute)
        assert close, f"{where} is {given}, was {wanted}"
    else:
        assert given == wanted, f"{where} is {given}, was {wanted}"


def test_every_fixture_is_recorded_and_there():
    assert run_names(FIXTURES) == RUNS
    assert sorted(p.stem for p in (FIXTURES / "policies").iterdir()) == POLICIES


@pytest.mark.parametrize("name", RUNS)
def test_configuration(given: dict[str, Any], name: str):
    entry, wanted = of(given["runs"], name), EXPECTED["runs"][name]
    for key in ("config", "records", "finished"):
        agree(entry[key], wanted[key], where=key)


@pytest.mark.parametrize("name", RUNS)
def test_evaluation(given: dict[str, Any], name: str):
    entry, wanted = of(given["runs"], name), EXPECTED["runs"][name]
    for key in ("team_returns", "agent_return", "greedy_team_returns"):
        assert entry["evaluation"][key] == wanted["evaluation"][key], key
    agree(entry["evaluation"], wanted["evaluation"], 1e-6)
    assert entry["older"] == wanted["older"]


@pytest.mark.parametrize("name", RUNS)
def test_policy(given: dict[str, Any], name: str):
    entry, wanted = of(given["runs"], name), EXPECTED["runs"][name]
    assert entry["parameters"] == wanted["parameters"]
    agree(entry["acts"], wanted["acts"], 1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_resumed(given: dict[str, Any], out: Path, name: str):
    entry, wanted = of(given["runs"], name), EXPECTED["runs"][name]
    exact = bool(wanted["bits"]) and given["made_with"] == EXPECTED["made_with"]
    exact = exact and not wanted["config"]["advantage_normalization"]
    agree(entry["resumed"], wanted["resumed"], *(EXACT_METRICS if exact else METRICS))
    with np.load(out / "resumed.npz") as now, np.load(FIXTURES / "resumed.npz") as then:
        for key in (f"{name}/actor", f"{name}/critic"):
            np.testing.assert_allclose(now[key], then[key], rtol=0, atol=PARAMETERS, err_msg=key)
    if exact:
        agree(entry["bits"], wanted["bits"])


@pytest.mark.parametrize("name", POLICIES)
def test_exported_policy(given: dict[str, Any], name: str):
    entry, wanted = of(given["policies"], name), EXPECTED["policies"][name]
    agree(entry, wanted, 1e-6)
    assert entry["team_returns"] == wanted["team_returns"]
    assert entry["parameters"] == EXPECTED["runs"][name]["parameters"]


def test_sweep_goes_on(given: dict[str, Any]):
    entry, wanted = of(given, "sweep"), EXPECTED["sweep"]
    agree(entry["cells"], wanted["cells"])
    assert list(entry["rows"]) == list(wanted["rows"])
    finished = next(iter(wanted["rows"]))
    agree(entry["rows"][finished], wanted["rows"][finished])
    exact = given["made_with"] == EXPECTED["made_with"]
    agree(entry["rows"], wanted["rows"], *(EXACT_METRICS if exact else METRICS))


def test_pictures_are_drawn(given: dict[str, Any]):
    entry = of(given, "pictures")
    agree(entry, EXPECTED["pictures"], 1e-9)
    assert entry["status"] == 0
    assert all(entry["drawn"])


if __name__ == "__main__":
    observe(Path(sys.argv[1]), Path(sys.argv[2]))
