"""What a file names is imported only by leave of its user; what the user types, at once."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lines import without_waiting

import ascore
from ascore.cli import main
from ascore.config import Config
from ascore.errors import AscoreError, TrustError
from ascore.experiments import cells
from ascore.experiments.cells import Cell
from ascore.runs import checkpoint, manifest, policy, trust

SUPPORT = Path(__file__).resolve().parent.parent / "support"
QUICK = Config(
    env="predation-v1", env_params={"num_agents": 2}, algorithm="ippo", episodes=4, num_envs=2,
    actor_hidden=(4,), critic_hidden=(4,), minibatches=1, iterations=1,
)  # fmt: skip
PLANTED = """
from pathlib import Path
Path(__file__).with_name("imported").touch()
def make(**params): raise RuntimeError("called")
"""


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that is there once the module `planted` has been imported."""
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(trust, "_ours", set())
    yield tmp_path / "imported"
    sys.modules.pop("planted", None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ascore.train(QUICK, tmp_path_factory.mktemp("trained") / "run").path


def edited(trained: Path, out: Path, **keys: str) -> Path:
    """A run whose files say something else than what was trained."""
    shutil.copytree(trained, out)
    (out / "config.toml").write_text(Config.load(out / "config.toml").replace(**keys).dump())
    for folder in checkpoint.folders(out):
        file = folder / checkpoint.MANIFEST
        values = manifest.read(file)
        values["config"].update(keys)
        kept = {key: values[key] for key in ("update", "spec", "extra", "config")}
        tensors = (folder / checkpoint.TENSORS).read_bytes()
        file.write_bytes(manifest.compose(tensors, kept))
    return out


def refused(capsys: pytest.CaptureFixture[str], file: Path, key: str, *args: str) -> None:
    """The command is refused in one line that names what would be imported, the file, the way."""
    assert main(list(args)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"ascore: {file} says {key}, which would import the module planted and run its code; "
        "if you trust the origin of the file, add --trust (trust=True in Python)\n"
    )


def test_an_exported_policy_imports_nothing_by_itself(
    tmp_path: Path, imported: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = policy.export_policy(trained, tmp_path / "good.safetensors")
    assert ascore.evaluate(exported, episodes=2).team_return.n == 2  # seed 0, for it has none
    file = tmp_path / "x.safetensors"
    ours = ascore.load_policy(trained)
    policy.export_policy(policy.Policy(**{**vars(ours), "env": "planted:make"}), file)
    refused(capsys, file, "env = planted:make", "evaluate", str(file))
    loaded = ascore.load_policy(file)
    with pytest.raises(TrustError, match=r"x\.safetensors says env = planted:make"):
        ascore.evaluate(loaded)
    assert not imported.exists()
    for evaluate in (
        lambda: ascore.evaluate(ascore.load_policy(file, trust=True)),
        lambda: ascore.evaluate(loaded, trust=True),
    ):
        with pytest.raises(AscoreError, match="called"):
            evaluate()
        imported.unlink(missing_ok=True)
    assert main(["evaluate", str(file), "--trust"]) == 1
    assert "called" in capsys.readouterr().err


def test_os_system_is_not_run(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm = {"env": "os:system", "env_params": {"command": f"touch {tmp_path / 'harm'}"}}
    file = tmp_path / "x.safetensors"
    policy.export_policy(policy.Policy(**{**vars(ascore.load_policy(trained)), **harm}), file)
    assert main(["evaluate", str(file)]) == 1
    assert "would import the module os" in capsys.readouterr().err
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("key", ["env", "algorithm"])
def test_a_run_imports_nothing_by_itself(
    key: str, tmp_path: Path, imported: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = edited(trained, tmp_path / "run", **{key: "planted:make"})
    file = checkpoint.folders(run)[-1] / checkpoint.MANIFEST
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    refused(capsys, file, f"{key} = planted:make", "resume", str(run), "--episodes", "8")
    with pytest.raises(TrustError):
        ascore.resume(run)
    if key == "env":
        refused(capsys, file, "env = planted:make", "evaluate", str(run))
        with pytest.raises(TrustError):
            ascore.evaluate(ascore.Run.open(run))
    main(["plot", str(run), "--out", str(tmp_path / "curve.png")])
    main(["export", str(run), "--out", str(tmp_path / "exported.safetensors")])
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert not imported.exists()
    with pytest.raises(AscoreError):
        ascore.resume(run, trust=True)
    assert imported.exists()


@pytest.mark.parametrize("key", ["env", "algorithm"])
@pytest.mark.parametrize("cell", [(), ("--cell", "0")])
def test_a_list_of_cells_imports_nothing_by_itself(
    key: str, cell: tuple[str, ...], tmp_path: Path, imported: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "sweep"
    cells.write_list(out, [Cell("x/s0", QUICK.replace(**{key: "planted:make"}), 2)])
    refused(capsys, out / cells.LIST, f"{key} = planted:make", "sweep", "--out", str(out), *cell)
    assert not imported.exists()
    assert [p.name for p in out.iterdir()] == [cells.LIST]
    assert main(["sweep", "--out", str(out), *cell, "--trust"]) == 1
    assert imported.exists()


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command as a process of its own would run it: it remembers nothing that others wrote."""

    def command(*args: str) -> int:
        monkeypatch.setattr(trust, "_ours", set())
        return main(list(args))

    return command


def test_what_is_typed_needs_no_leave_and_the_job_array_has_it(
    stranger: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    sweep = ["sweep", "python_envs:Meadow", "--seeds", "0", "--evaluate", "2", "--out", "s"]
    for pair in ("episodes=2", "num_envs=1", "actor_hidden=[4]", "critic_hidden=[4]"):
        sweep += ["--set", pair]
    assert stranger(*sweep, "--slurm") == 0
    assert '"$SLURM_ARRAY_TASK_ID" --trust\n' in (tmp_path / "s/array.sbatch").read_text()
    assert stranger(*sweep) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert stranger("sweep", "--out", "s") == 1
    printed = capsys.readouterr().err
    assert len(without_waiting(printed)) == 1
    assert "s/cells.json says env = python_envs:Meadow" in printed
    assert stranger("sweep", "--out", "s", "--trust") == 0


@pytest.fixture(scope="module")
def meadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on an environment that a process must import by its name."""
    path = tmp_path_factory.mktemp("meadow")
    ascore.train(QUICK.replace(env="python_envs:Meadow", env_params={}), path / "run")
    return path


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("yes", 0), ("", 1), ("n", 1)])
def test_someone_at_a_terminal_is_asked(answer: str, status: int, meadow: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ascore", "evaluate", "run", "--episodes", "2"],
        cwd=meadow, env=env, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate()
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "says env = python_envs:Meadow, which would import the module python_envs" in shown
    assert "Do you trust where it comes from? [y/N]" in shown
    assert process.returncode == status
    assert (b"team return" in out) == (status == 0)


def test_a_pickled_episode_from_elsewhere_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of an environment that this process trains itself does not open others' runs."""
    monkeypatch.syspath_prepend(SUPPORT)
    config = QUICK.replace(env="python_envs:Meadow", env_params={})
    run = ascore.train(config, tmp_path / "run")
    shutil.copytree(run.path, tmp_path / "theirs")
    assert ascore.evaluate(run.path, episodes=2).team_return.n == 2
    assert ascore.resume(run.path, episodes=6).finished
    for call in (ascore.resume, ascore.evaluate):
        with pytest.raises(TrustError, match="theirs"):
            call(tmp_path / "theirs")
    assert ascore.resume(tmp_path / "theirs", episodes=6, trust=True).finished
