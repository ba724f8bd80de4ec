"""Run folders: resuming is exact, kill -9 loses nothing written, damage is reported in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ending
import fresh
import numpy as np
import pytest
from safetensors.numpy import load as safetensors_load

import ascore
from ascore.config import Config
from ascore.errors import AscoreWarning, CheckpointError, RunError
from ascore.runs import checkpoint, tensorfile
from ascore.runs.logs import MetricsLog
from ascore.runs.session import Run
from ascore.runtime.ranks import Ranks

KEYS: dict[str, Any] = {
    "env": "predation-v1",
    "env_params": {"num_agents": 2},
    "episodes": 40,
    "num_envs": 4,
    "rollout_steps": 11,  # updates end in the middle of an episode
    "minibatches": 2,
    "actor_hidden": (8,),
    "critic_hidden": (8,),
    "checkpoint_every": 3,
    "seed": 5,
}


def arrays(run: Run | Path) -> dict[str, Any]:
    return checkpoint.load(run if isinstance(run, Path) else run.path).arrays


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def records(path: Path) -> list[dict[str, Any]]:
    """The metrics of a run without the wall-clock time."""
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    return ascore.train(Config(**KEYS), tmp_path_factory.mktemp("whole") / "run").path


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"algorithm": "ippo"},
        {"communicate_every": 2},
        {"graph": "random_one"},
        {"lr_decay": "linear"},
    ],
)
def test_stopped_and_resumed_equals_undisturbed(tmp_path: Path, keys: dict[str, Any]):
    config = Config(**{**KEYS, **keys})
    undisturbed = ascore.train(config, tmp_path / "whole")
    count = iter(range(100))
    first = ascore.train(config, tmp_path / "parts", stop=lambda: next(count) == 4)
    assert len(first.metrics) == 5
    assert not (first.path / "summary.json").exists()
    second = ascore.resume(first.path)
    same(arrays(undisturbed), arrays(second))
    assert records(undisturbed.path) == records(second.path)
    assert second.summary["episodes"] == undisturbed.summary["episodes"]


def test_kill_9_in_mid_run_and_resume(tmp_path: Path, whole: Path):
    """The process is killed between checkpoints, with records on disk that resume must drop."""
    out = tmp_path / "run"
    status, _ = fresh.run(ending.killed, Config(**KEYS), out, 8, log=tmp_path / "log")
    assert status == -signal.SIGKILL
    assert len(records(out)) == 8
    assert [p.name for p in checkpoint.folders(out)] == ["00000003", "00000006"]
    resumed = ascore.resume(out)
    same(arrays(whole), arrays(resumed))
    assert records(whole) == records(out)
    assert (whole / "metrics.csv").read_text().count("\n") == (
        out / "metrics.csv"
    ).read_text().count("\n")


def test_kill_9_while_a_checkpoint_is_written(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
):
    """The remains of a killed writer are ignored, and the next writer removes them."""
    out = tmp_path / "run"
    real = os.replace

    def die(source: Any, target: Any) -> None:
        if str(target).endswith("00000006"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        ascore.train(Config(**KEYS), out)
    monkeypatch.undo()
    assert (out / "checkpoints" / ".00000006.part").is_dir()
    assert [p.name for p in checkpoint.folders(out)] == ["00000003"]
    same(arrays(whole), arrays(ascore.resume(out)))
    assert not (out / "checkpoints" / ".00000006.part").exists()


def test_results_do_not_depend_on_environment_threads(tmp_path: Path, whole: Path):
    run = ascore.train(Config(**{**KEYS, "num_threads": 3}), tmp_path / "run")
    same(arrays(whole), arrays(run))


def test_more_episodes_on_resume_equal_a_longer_run(tmp_path: Path, whole: Path):
    longer = ascore.train(Config(**{**KEYS, "episodes": 60}), tmp_path / "longer")
    shutil.copytree(whole, tmp_path / "copy")
    extended = ascore.resume(tmp_path / "copy", episodes=60)
    same(arrays(longer), arrays(extended))
    assert Config.load(extended.path / "config.toml").episodes == 60


def test_a_run_folder_reads_back(whole: Path):
    run = Run.open(whole)
    assert run.config == Config(**KEYS)
    assert len(run.metrics) == run.summary["updates"]
    assert run.summary["env_steps"] == run.summary["updates"] * 11 * 4
    header, *rows = (whole / "metrics.csv").read_text().splitlines()
    columns = header.split(",")
    assert len(rows) == len(run.metrics)
    assert {"update", "team_return", "return_0", "return_1", "kl_0", "active_own_1"} <= set(columns)
    assert {"action_probs_0_0", "bytes_sent_1", "clip_fraction_0", "advantage_scale_1"} <= set(
        columns
    )
    last = dict(zip(columns, rows[-1].split(","), strict=True))
    assert float(last["entropy_0"]) == run.metrics[-1]["entropy"][0]


def test_our_reader_agrees_with_safetensors(whole: Path):
    data = (checkpoint.folders(whole)[-1] / checkpoint.TENSORS).read_bytes()
    same(dict(tensorfile.parse(data)), safetensors_load(data))


def test_policy_acts_like_the_networks_that_were_trained(whole: Path):
    import torch

    from ascore.algorithms.terms import own_policy
    from ascore.learning.learner import Learner

    config = Config(**KEYS)
    env = ascore.make(config.env, 5, 1, **config.env_params)
    obs, _ = env.reset()
    learner = Learner(config, env.spec)
    learner.load_state({k: torch.from_numpy(v.copy()) for k, v in arrays(whole).items()
                        if k not in ("env", "running_return")})  # fmt: skip
    with torch.no_grad():
        ours = own_policy(
            learner.actor.log_probs(torch.from_numpy(obs[:, 0].copy())), torch.arange(2)
        )
    policy = ascore.load_policy(whole)
    np.testing.assert_allclose(policy.log_probs(obs), ours.permute(1, 0, 2).numpy(), atol=1e-6)
    assert policy.act(obs).tolist() == ours.argmax(dim=-1).T.tolist()


def test_a_policy_acts_where_torch_is_missing(whole: Path):
    program = (
        "import sys\n"
        "for name in ('torch', 'safetensors', 'rich', 'tomli_w'):\n"
        "    sys.modules[name] = None\n"
        "import ascore\n"
        f"print(ascore.evaluate({str(whole)!r}, episodes=3).team_return.n)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "3"


def test_evaluation_repeats_and_avoids_training_episodes(whole: Path):
    a, b = (ascore.evaluate(whole, episodes=20) for _ in range(2))
    assert a.team_returns.tolist() == b.team_returns.tolist()
    other = ascore.evaluate(whole, episodes=20, seed=6)
    assert a.team_returns.tolist() != other.team_returns.tolist()
    assert a.team_return.ci95[0] < a.team_return.mean < a.team_return.ci95[1]
    assert a.team_return.mean == pytest.approx(sum(a.agent_return))
    assert a.episode_length == 30
    assert 0 < a.entropy <= a.entropy_uniform + 1e-6
    few = ascore.evaluate(whole, episodes=5)
    assert few.team_returns.tolist() == a.team_returns[:5].tolist()


# ---------------------------------------------------------------------- damage


def damaged(whole: Path, tmp_path: Path) -> tuple[Path, Path]:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    return out, checkpoint.folders(out)[-1]


@pytest.mark.parametrize("part", [checkpoint.TENSORS, checkpoint.MANIFEST])
@pytest.mark.parametrize("how", ["truncated", "corrupted", "missing", "empty"])
def test_a_damaged_checkpoint_names_itself_and_an_older_one(
    whole: Path, tmp_path: Path, part: str, how: str
):
    out, newest = damaged(whole, tmp_path)
    file = newest / part
    data = bytearray(file.read_bytes())
    if how == "missing":
        file.unlink()
    else:
        if how == "truncated":
            data = data[: len(data) // 2]
        elif how == "empty":
            data = bytearray()
        else:
            data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
        file.write_bytes(data)
    older = checkpoint.folders(out)[0].name
    with pytest.raises(CheckpointError, match=f"{newest.name}.*damaged.*--checkpoint {older}"):
        ascore.resume(out)
    with pytest.warns(AscoreWarning, match=rf"later than {older} are now in .*abandoned-after-"):
        run = ascore.resume(out, checkpoint_name=older)
    same(arrays(whole), arrays(run))


def test_a_checkpoint_of_a_newer_format_is_refused(whole: Path, tmp_path: Path):
    out, newest = damaged(whole, tmp_path)
    manifest = json.loads((newest / checkpoint.MANIFEST).read_text())
    (newest / checkpoint.MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="has format 99, this version reads 1"):
        ascore.resume(out)


def test_metrics_shorter_than_the_checkpoint_are_refused(whole: Path, tmp_path: Path):
    out, _ = damaged(whole, tmp_path)
    (out / "metrics.jsonl").write_text("")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl has 0 bytes"):
        ascore.resume(out)


def test_a_folder_without_checkpoints(tmp_path: Path):
    with pytest.raises(CheckpointError, match="holds no run; give a folder"):
        ascore.evaluate(tmp_path)
    with pytest.raises(CheckpointError, match="is not a run folder"):
        ascore.resume(tmp_path / "nowhere")


def test_a_taken_folder_is_refused(whole: Path):
    before = records(whole)
    with pytest.raises(RunError, match="already holds a run; continue it with `ascore resume"):
        ascore.train(Config(**KEYS), whole)
    assert records(whole) == before


def test_an_unwritable_folder(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*choose another place"):
        ascore.train(Config(**KEYS), tmp_path / "file" / "run")


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_disk_that_fills_up_loses_nothing_written(tmp_path: Path, whole: Path, share: float):
    """At half the size a checkpoint cannot be written, at full size the log cannot grow."""
    out = tmp_path / "run"
    config = Config(**{**KEYS, "episodes": 400, "keep_checkpoints": 100})
    status, printed = fresh.run(ending.on_a_full_disk, config, out, 4, share, log=tmp_path / "log")
    assert status == 0
    assert "cannot write" in printed
    assert "free some space or choose another place" in printed
    assert len(printed.strip().splitlines()) == 1
    assert len(records(out)) >= 4  # every line parses: no half record
    assert not list(out.rglob("*.part"))
    ascore.resume(out, episodes=40)
    same(arrays(whole), arrays(out))


def test_a_full_device(tmp_path: Path):
    """/dev/full fails every write with 'no space left'."""
    log = MetricsLog(tmp_path)
    path, file = log.files["metrics.jsonl"]
    file.close()
    with open("/dev/full", "r+b", buffering=0) as full:
        log.files["metrics.jsonl"] = (path, full)
        with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: No space left.*free"):
            log.write({"update": 1})
        log.close()


def test_tensorboard_events_are_written_when_asked(tmp_path: Path):
    run = ascore.train(Config(**{**KEYS, "episodes": 8, "tensorboard": True}), tmp_path / "run")
    assert sum(p.stat().st_size for p in (run.path / "tensorboard").glob("events*")) > 1000


def test_short_episodes_get_a_word_on_how_episodes_are_counted(tmp_path: Path):
    """Ten steps of at most a hundred: ten times as many episodes as asked for."""
    config = Config(env="python_envs:Brief", episodes=8, num_envs=2, actor_hidden=(4,),
                    critic_hidden=(4,), minibatches=1, iterations=1)  # fmt: skip
    message = "end after 10 of at most 100 steps; episodes = 8 counts .* about 80 will be played"
    with pytest.warns(AscoreWarning, match=message):
        run = ascore.train(config, tmp_path / "run")
    assert run.summary["episodes"] == 80
    assert run.summary["env_steps"] == 8 * 100


def test_default_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = Config(**{**KEYS, "episodes": 4})
    paths = [str(ascore.train(config).path) for _ in range(2)]
    assert paths == ["runs/predation-as-s5", "runs/predation-as-s5-2"]


def test_a_run_can_be_stopped_by_a_signal(tmp_path: Path, whole: Path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "ascore", "train", "predation", "--num-agents", "2", "--seed", "5",
        "--episodes", "100000", "--num-envs", "4", "--checkpoint-every", "1000000",
        "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (out / "metrics.csv").exists() or not (out / "metrics.csv").stat().st_size:
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, output = process.communicate()
    assert process.returncode == 130
    assert f"continue with: ascore resume {out}" in output
    done = len(records(out))
    assert checkpoint.load(out).update == done


@pytest.mark.parametrize("obs_mode", ["planes", "rgb", "local"])
def test_a_policy_sees_bytes_at_the_scale_it_was_trained_on(obs_mode: str, tmp_path: Path):
    """Planes are 0 and 1; colours are 0 to 255 and divided by 255."""
    import torch

    from ascore.algorithms.terms import own_policy
    from ascore.learning.learner import Learner
    from ascore.learning.rollout import per_agent_view

    params = {"num_agents": 3, "map": "PPP\nAAA", "obs_mode": obs_mode, "horizon": 4}
    keys = KEYS | {"env": "harvest-v1", "env_params": params, "episodes": 4, "rollout_steps": 0}
    run = ascore.train(Config(**keys), out=tmp_path / "run")
    env = ascore.make("harvest", 5, 1, **params)
    obs, _ = env.reset()
    assert env.spec.obs_scale == (1.0 if obs_mode == "planes" else 1 / 255)
    learner = Learner(Config(**keys), env.spec)
    saved = arrays(run.path)
    learner.load_state({k: torch.from_numpy(v.copy()) for k, v in saved.items()
                        if k not in ("env", "running_return")})  # fmt: skip
    with torch.no_grad():
        seen = per_agent_view(torch.from_numpy(obs.copy()), env.spec.obs_scale)
        assert 0.0 <= seen.min() < seen.max() == 1.0
        ours = own_policy(learner.actor.log_probs(seen), torch.arange(3))
    policy = ascore.load_policy(run.path)
    np.testing.assert_allclose(policy.log_probs(obs), ours.permute(1, 0, 2).numpy(), atol=1e-6)


def test_the_old_name_of_ranks_is_accepted_with_a_warning(tmp_path: Path) -> None:
    config = Config(episodes=32, actor_hidden=(4,), critic_hidden=(4,))
    with pytest.warns(FutureWarning, match="world is now called ranks"):
        run = ascore.train(config, tmp_path / "run", world=Ranks())  # type: ignore[call-arg]
    assert run.finished


def test_the_old_name_of_the_engine_is_accepted_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning, match="backend = fused is now called engine"):
        config = Config(backend="fused")  # type: ignore[arg-type]
    assert config.backend == "engine"
    (tmp_path / "config.toml").write_text('backend = "fused"\n')
    with pytest.warns(FutureWarning, match="backend = fused is now called engine"):
        assert Config.load(tmp_path / "config.toml") == config


def test_a_crowd_is_evaluated_exported_and_loaded_too(tmp_path: Path) -> None:
    params = {"num_agents": 1025, "obs_mode": "nearest", "horizon": 1}
    config = ascore.Config(
        env="predation", env_params=params, algorithm="ippo", episodes=1, num_envs=1, iterations=1,
        minibatches=1, actor_hidden=(1,), critic_hidden=(1,),
    )  # fmt: skip
    run = ascore.train(config, tmp_path / "run")
    assert len(ascore.evaluate(run, episodes=2).agent_return) == 1025
    ascore.export_policy(run.path, tmp_path / "crowd.safetensors")
    assert ascore.load_policy(tmp_path / "crowd.safetensors").num_agents == 1025
