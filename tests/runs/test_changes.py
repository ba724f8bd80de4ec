"""What changes when a run goes on: what was asked for, for good, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_folders import CONFIG, arrays, names, records, same, stopping_after

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.runs import changes, checkpoint, manifest


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped after 13 of 28 updates; the next checkpoint would be at 15."""
    out = tmp_path_factory.mktemp("half") / "run"
    return ascore.train(CONFIG, out, stop=stopping_after(13)).path


@pytest.fixture
def run(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "run"))


def edit(run: Path, **keys: Any) -> str:
    """Writes other values into config.toml, as an editor would."""
    text = Config.load(run / "config.toml").replace(**keys).dump()
    (run / "config.toml").write_text(text)
    return text


def killed(done: int, total: int, record: dict[str, Any]) -> None:
    raise KeyboardInterrupt


def resume_and_kill(run: Path, **keys: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        ascore.resume(run, report=killed, **keys)


def test_rates_change_when_asked(run: Path):
    before = arrays(run)
    after = ascore.resume(run, set={"actor_lr": 0.0})
    assert (arrays(run)["actor"] == before["actor"]).all()
    assert (arrays(run)["critic"] != before["critic"]).any()
    assert after.config.actor_lr == checkpoint.load(run).config["actor_lr"] == 0.0
    assert Config.load(run / "config.toml").actor_lr == 0.0


def test_a_config_edited_by_hand_is_named_and_not_overwritten(run: Path):
    text = edit(run, actor_lr=0.5, checkpoint_every=7)
    message = (
        r"config\.toml was edited: actor_lr = 0.5 \(the checkpoint has 5e-05\), checkpoint_every = "
        r"7 \(the checkpoint has 3\); .*--set actor_lr=0.5 or --set actor_lr=5e-05"
    )
    with pytest.raises(ConfigError, match=message):
        ascore.resume(run)
    with pytest.raises(ConfigError, match="was edited: checkpoint_every = 7"):
        ascore.resume(run, set={"actor_lr": 0.5})
    assert (run / "config.toml").read_text() == text
    assert names(run) == ["00000012", "00000013"]
    done = ascore.resume(run, set={"actor_lr": 0.5, "checkpoint_every": 3})
    assert done.config == CONFIG.replace(actor_lr=0.5)


def test_a_key_that_must_not_change_is_refused(run: Path):
    for keys in ({"gamma": 0.5}, {"seed": 6}, {"actor_hidden": (8,)}, {"num_envs": 8}):
        with pytest.raises(ConfigError, match=f"^{next(iter(keys))} cannot change in the course"):
            ascore.resume(run, set=keys)
    with pytest.raises(ConfigError, match=r"unknown key 'actor_rl'.*did you mean 'actor_lr'"):
        ascore.resume(run, set={"actor_rl": 1.0})
    for keys in ({"dp": "episode", "epsilon": -1.0}, {"epsilon": 1.0}, {"graph": "matrix"}):
        with pytest.raises(ConfigError, match=f"^{', '.join(keys)} cannot change in the course"):
            ascore.resume(run, set=keys)
    with pytest.raises(ConfigError, match=r"^actor_lr = -1.0 is not allowed"):
        ascore.resume(run, set={"actor_lr": -1.0})
    edit(run, gamma=0.5)
    with pytest.raises(ConfigError, match=r"gamma = 0.5 \(the checkpoint has 0.99\).*edit back"):
        ascore.resume(run)
    with pytest.raises(ConfigError, match="gamma cannot change"):
        ascore.resume(run, set={"gamma": 0.5})
    ascore.resume(run, set={"gamma": 0.99})  # says which of both holds
    assert Config.load(run / "config.toml") == CONFIG


def test_what_was_asked_for_is_kept_by_a_run_killed_before_its_first_save(
    run: Path, tmp_path: Path
):
    longer = ascore.train(CONFIG.replace(episodes=60), tmp_path / "longer").path
    resume_and_kill(run, episodes=60)
    assert names(run) == ["00000012", "00000013"]
    assert checkpoint.load(run).config["episodes"] == 40
    resume_and_kill(run, set={"keep_checkpoints": 5})
    assert ascore.resume(run).summary["updates"] == 41
    same(longer, run)
    assert len(names(run)) == 5


def test_what_was_asked_for_is_changed_again_by_hand_or_by_a_later_call(run: Path):
    resume_and_kill(run, episodes=60)
    edit(run, episodes=80)  # without the list of what resuming has changed
    with pytest.raises(ConfigError, match=r"episodes = 80 \(the checkpoint has 40\)"):
        ascore.resume(run)
    resume_and_kill(run, episodes=80)
    resume_and_kill(run, episodes=60)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("episodes = 60", "episodes = 70"))
    with pytest.raises(ConfigError, match="episodes = 70"):  # the list says 60
        ascore.resume(run)
    assert ascore.resume(run, episodes=40).config == CONFIG


def test_a_config_that_does_not_change_is_left_as_it_is(run: Path):
    text = "# my comment\n" + (run / "config.toml").read_text()
    (run / "config.toml").write_text(text)
    ascore.resume(run)
    assert (run / "config.toml").read_text() == text


def test_a_missing_config_is_restored_and_a_damaged_one_named(run: Path):
    (run / "config.toml").write_bytes(b"\0\0")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        ascore.resume(run)
    (run / "config.toml").unlink()
    ascore.resume(run)
    assert Config.load(run / "config.toml") == CONFIG


def test_a_run_that_begins_again_takes_its_config_as_it_is(tmp_path: Path):
    (tmp_path / "config.toml").write_text(CONFIG.replace(episodes=3).dump())
    assert ascore.resume(tmp_path, set={"actor_lr": 0.25}).config.actor_lr == 0.25
    assert Config.load(tmp_path / "config.toml") == CONFIG.replace(episodes=3, actor_lr=0.25)


def test_a_run_from_a_gpu_goes_on_without_one(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for path in checkpoint.folders(run):
        saved = checkpoint.load(run, path.name)
        values = {
            "update": saved.update,
            "spec": saved.spec,
            "extra": saved.extra,
            "config": {**saved.config, "device": "cuda"},
        }
        data = (path / checkpoint.TENSORS).read_bytes()
        (path / checkpoint.MANIFEST).write_bytes(manifest.compose(data, values))
    text = edit(run, device="cuda")
    assert main(["resume", str(run)]) == 1
    assert "use device = cpu (--device cpu)" in capsys.readouterr().err
    assert (run / "config.toml").read_text() == text
    assert main(["resume", str(run), "--device", "cpu", "--set", "actor_lr=0.01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["updates"] == len(records(run)) == 28
    config = Config.load(run / "config.toml")
    assert (config.device, config.actor_lr) == ("cpu", 0.01)


def test_what_may_change_are_keys():
    assert set(changes.CHANGEABLE) < Config.names()
