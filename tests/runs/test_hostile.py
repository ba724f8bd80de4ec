"""Damaged and hostile run folders: refused by name, at once, with what was there left as it was."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_policies
import numpy as np
import pytest
from forged_state import STATES, forged

import ascore
from ascore import reading
from ascore.cli import main
from ascore.config import Config
from ascore.errors import AscoreError, CheckpointError, ConfigError
from ascore.experiments import cells, sweeps
from ascore.parties.settings import PartySettings
from ascore.runs import checkpoint, manifest, policy
from ascore.runs.folder import CONFIG
from ascore.runs.logs import METRICS, read_records

KEPT = ("update", "spec", "extra", "config")
QUICK = Config(
    env="predation-v1", env_params={"num_agents": 2}, episodes=12, num_envs=2,
    actor_hidden=(4,), critic_hidden=(4,), minibatches=1, iterations=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ascore.train(QUICK, tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run with one checkpoint."""
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    for old in checkpoint.folders(out)[:-1]:
        shutil.rmtree(old)
    return out


def file(run: Path) -> Path:
    return checkpoint.folders(run)[-1] / checkpoint.MANIFEST


def rewrite(run: Path, values: dict[str, Any]) -> None:
    """A manifest with other values and the checksum that belongs to them."""
    tensors = (file(run).parent / checkpoint.TENSORS).read_bytes()
    file(run).write_bytes(manifest.compose(tensors, values))


def refused_in_little_memory(run: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="does not hold a policy"):
            ascore.evaluate(run)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def refused(run: Path, words: str) -> None:
    """Evaluating, resuming and exporting say the same; the files are as they were."""
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    for call in (ascore.evaluate, ascore.resume, ascore.load_policy):
        with pytest.raises(CheckpointError, match=words) as caught:
            call(run)
        assert str(file(run).parent) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


# ---------------------------------------------------------------------- manifests


def test_every_bit_of_a_manifest_counts(run: Path) -> None:
    whole = file(run).read_bytes()
    manifest.read(file(run))
    rng = np.random.default_rng(0)
    places = {int(at) for at in rng.integers(0, 8 * len(whole), 1500)}
    checksum = whole.index(b'"checksum"')
    places |= set(range(8 * checksum, 8 * (checksum + 90)))  # the key, its value, what follows
    for place in places:
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        file(run).write_bytes(data)
        with pytest.raises((ValueError, CheckpointError)):
            manifest.read(file(run))
    file(run).write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"delimiter|checksum"):
        manifest.read(file(run))


def test_every_bit_of_the_tensors_counts(run: Path) -> None:
    path = file(run).parent / checkpoint.TENSORS
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 100):
        data = bytearray(whole)
        data[place // 8] ^= 1 << int(place) % 8
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="wrong checksum"):
            checkpoint.load(run)


def test_a_checkpoint_of_version_0_1_0_has_no_checksum_over_its_manifest(run: Path) -> None:
    values = manifest.read(file(run))
    file(run).write_text(json.dumps(values, indent=1))
    assert "checksum" not in values
    assert ascore.evaluate(run, episodes=2).team_return.n == 2
    file(run).write_text(json.dumps({**values, "checksul": "0" * 64}))
    refused(run, "unknown key 'checksul'")


def paths_of(values: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for key, value in values.items() if isinstance(values, dict) else ():
        paths += [(*above, key), *paths_of(value, (*above, key))]
    return paths


def changed(values: dict[str, Any], path: tuple[str, ...], change: Callable[..., None]) -> Any:
    copy = json.loads(json.dumps(values))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return copy


READ = [
    ("spec",), ("extra",), ("config",), ("update",),
    ("spec", "num_agents"), ("spec", "num_actions"),
    ("extra", "actor"), ("extra", "actor", "sizes"), ("extra", "actor", "layout"),
    ("extra", "actor", "heads"), ("extra", "logs"), ("extra", "logs", "metrics.jsonl"),
    ("extra", "logs", "metrics.csv"), ("extra", "episodes"), ("extra", "seconds"),
    ("extra", "sent"), ("config", "env"), ("config", "env_params"), ("config", "seed"),
    ("config", "algorithm"), ("config", "num_envs"),
]  # fmt: skip


@pytest.mark.parametrize("path", READ, ids="-".join)
def test_a_manifest_without_a_key_is_refused_by_name(path: tuple[str, ...], run: Path) -> None:
    values = {key: manifest.read(file(run))[key] for key in KEPT}
    rewrite(run, changed(values, path, lambda table, key: table.pop(key)))
    refused(run, f"has no '{re.escape(path[-1])}'")


@pytest.mark.parametrize("path", READ, ids="-".join)
def test_a_manifest_with_a_value_of_another_kind_is_refused_by_name(
    path: tuple[str, ...], run: Path
) -> None:
    values = {key: manifest.read(file(run))[key] for key in KEPT}
    for value in (None, -1.5, [[]], *([{"": [{}]}] if path[-1] != "env_params" else [])):
        rewrite(run, changed(values, path, lambda table, key: table.update({key: value})))  # noqa: B023
        refused(run, re.escape(path[-1]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("extra", "actor", "sizes"), [2, 10**12, 2]),
        (("extra", "actor", "sizes"), [2] * 100_000),
        (("extra", "actor", "sizes"), [2, 2**63 - 1]),
        (("extra", "actor", "heads"), 10**9),
        (("extra", "actor", "agents"), 1),
        (("spec", "num_agents"), manifest.MOST),
        (("spec", "num_actions"), manifest.MOST),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(
    path: tuple[str, ...], value: Any, run: Path
) -> None:
    values = {key: manifest.read(file(run))[key] for key in KEPT}
    rewrite(run, changed(values, path, lambda table, key: table.update({key: value})))
    refused_in_little_memory(run)


def test_a_centre_for_many_agents_is_refused_at_once(run: Path) -> None:
    values = {key: manifest.read(file(run))[key] for key in KEPT}
    values["spec"] |= {"num_agents": manifest.MOST, "num_actions": 5}
    values["extra"]["actor"] |= {"agents": 1}
    rewrite(run, values)
    refused_in_little_memory(run)


@pytest.mark.parametrize("key", ["num_agents", "num_actions"])
@pytest.mark.parametrize("value", [manifest.MOST + 1, 10**8, 10**18])
def test_more_agents_than_there_can_be_are_refused_before_anything_is_loaded(
    key: str, value: int, run: Path
) -> None:
    values = {key: manifest.read(file(run))[key] for key in KEPT}
    rewrite(run, changed(values, ("spec", key), lambda table, key: table.update({key: value})))
    (file(run).parent / checkpoint.TENSORS).unlink()
    refused(run, rf"manifest.json: spec has {key} = {value}\)")
    script = (
        "import sys\nfrom ascore.cli import main\n"
        f"status = main(['resume', {str(run)!r}])\n"
        "print(status, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "1 False\n", done.stderr
    assert f"spec has {key} = {value})" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 500_000, "nested too deeply"),
        (b"[]", "has no format"),
        (b'{"format": "1"}', "has no format"),
        (b'{"format": 1, "format": 1}', "the key 'format' twice"),
        (b'{"format": 1, "update": NaN}', "NaN, which is no number"),
        (b'{"format": 1, "update": ' + b"9" * 10_000 + b"}", "digits"),
        (b'{"format": 1, "update": \xff}', "utf-8"),
        (b"\0" * 4096, "damaged"),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, words: str, run: Path) -> None:
    file(run).write_bytes(data)
    refused(run, words)


# ---------------------------------------------------------------------- tensors


def with_arrays(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A checkpoint with other arrays and the checksums that belong to them."""
    from safetensors.numpy import save

    values = {key: manifest.read(file(run))[key] for key in KEPT}
    arrays = {name: array.copy() for name, array in checkpoint.load(run).arrays.items()}
    change(arrays)
    (file(run).parent / checkpoint.TENSORS).write_bytes(save(arrays))
    rewrite(run, values)


@pytest.mark.parametrize("name", ["actor", "critic", "env", "running_return"])
@pytest.mark.parametrize("how", ["gone", "shorter", "empty", "another type", "another shape"])
def test_tensors_that_do_not_fit_are_refused(name: str, how: str, run: Path) -> None:
    def change(arrays: dict[str, Any]) -> None:
        array = arrays.pop(name)
        if how == "shorter":
            arrays[name] = array[..., :-1].copy()
        elif how == "empty":
            arrays[name] = array.ravel()[:0].copy()
        elif how == "another type":
            arrays[name] = array.astype(np.int64)
        elif how == "another shape":
            arrays[name] = array.reshape(1, 1, -1)

    with_arrays(run, change)
    with pytest.raises(CheckpointError) as caught:
        ascore.resume(run, episodes=20)
    assert str(file(run).parent) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(value: float, run: Path) -> None:
    with_arrays(run, lambda arrays: arrays["actor"].fill(value))
    with pytest.raises(CheckpointError, match=r"layers\.0 holds a number that is not finite"):
        ascore.evaluate(run)


def test_an_impossible_state_of_an_environment_is_refused(run: Path) -> None:
    def forge(arrays: dict[str, Any]) -> None:
        shape = arrays["env"].shape
        arrays["env"] = forged(arrays["env"].reshape(-1), STATES, b"\xff" * 8).reshape(shape)

    with_arrays(run, forge)
    with pytest.raises(CheckpointError, match="state of environment 0 is impossible") as caught:
        ascore.resume(run, episodes=20)
    assert str(file(run).parent) in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- exported policies


@pytest.mark.parametrize(
    ("data", "words"),
    [pytest.param(data, words, id=name) for name, data, words in hostile_policies.refused()],
)
def test_a_hostile_policy_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=words) as caught:
        ascore.load_policy(path)
    assert str(caught.value).startswith(f"{path} does not hold a policy (")


def test_unusual_policies_are_loaded(tmp_path: Path) -> None:
    for number, (_, data) in enumerate(hostile_policies.accepted()):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(data)
        assert ascore.load_policy(path).env == "exchange-v1"


def test_what_is_exported_can_be_loaded(trained: Path, tmp_path: Path) -> None:
    ours = ascore.load_policy(trained)
    weight, bias = ours.layers[0]
    broken = policy.Policy(**{**vars(ours), "layers": [(weight * np.nan, bias), *ours.layers[1:]]})
    with pytest.raises(ValueError, match="not finite"):
        ascore.export_policy(broken, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_a_policy_for_another_environment_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = ascore.load_policy(trained)
    for env, params in (("predation-v1", {"num_agents": 3}), ("exchange-v1", {})):
        other = policy.Policy(**{**vars(ours), "env": env, "env_params": params})
        path = ascore.export_policy(other, tmp_path / "x.safetensors")
        assert main(["evaluate", str(path)]) == 1
        printed = capsys.readouterr().err
        assert "the policy is for 2 agents, 2 observation entries and 2 actions (it was" in printed
        assert f"trained in {env}); {env} has " in printed


# ---------------------------------------------------------------------- files that are none


@pytest.mark.parametrize("name", [checkpoint.MANIFEST, checkpoint.TENSORS])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder", "nowhere"])
def test_only_regular_files_of_a_checkpoint_are_read(name: str, kind: str, run: Path) -> None:
    path = file(run).parent / name
    elsewhere = run.parent / name
    shutil.move(path, elsewhere)
    replace(path, kind, elsewhere)
    with pytest.raises(CheckpointError, match=f"{name} is a|No such file"):
        ascore.evaluate(run)
    with pytest.raises(CheckpointError, match=f"{name} is a|No such file"):
        ascore.resume(run)


@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder"])
def test_only_a_regular_file_of_a_run_is_read_as_its_configuration(kind: str, run: Path) -> None:
    path = run / CONFIG
    elsewhere = run.parent / "elsewhere.toml"
    shutil.move(path, elsewhere)
    replace(path, kind, elsewhere)
    assert Config.load(elsewhere) == QUICK  # as good as before
    again = functools.partial(ascore.train, QUICK, run, restarted=True)
    for call in (ascore.Run.open, ascore.resume):
        with pytest.raises(ConfigError, match=rf"config\.toml cannot be read: .*{CONFIG} is a"):
            call(run)
    with pytest.raises(ConfigError, match=rf"config\.toml cannot be read: .*{CONFIG} is a"):
        again()
    assert path.is_symlink() == (kind in ("link", "device"))


def test_what_is_set_aside_holds_nothing_from_elsewhere(trained: Path, tmp_path: Path) -> None:
    run, secret = tmp_path / "run", tmp_path / "secret"
    shutil.copytree(trained, run)
    secret.write_text("of nobody's business")
    for name in ("summary.json", "metrics.csv"):
        (run / name).unlink()
        (run / name).symlink_to(secret)
    aside = checkpoint.set_aside(run, int(checkpoint.folders(run)[0].name))
    assert aside is not None
    assert {p.name for p in aside.iterdir()} == {checkpoint.FOLDER, CONFIG, "metrics.jsonl"}
    assert secret.read_text() == "of nobody's business"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nowhere"])
def test_only_a_regular_file_is_read_as_a_policy(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    replace(path, kind, tmp_path)
    with pytest.raises(AscoreError):
        ascore.load_policy(path)


def test_a_link_that_the_user_names_is_followed(trained: Path, tmp_path: Path) -> None:
    ascore.export_policy(trained, tmp_path / "x.safetensors")
    (tmp_path / "best").symlink_to("x.safetensors")
    (tmp_path / "run").symlink_to(trained)
    for name in ("best", "run"):
        assert ascore.evaluate(tmp_path / name, episodes=2).team_return.n == 2


def replace(path: Path, kind: str, target: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(target)
    elif kind == "device":
        path.symlink_to("/dev/zero")


# ---------------------------------------------------------------------- long, and nothing in it


def described(shape: list[int]) -> bytes:
    """The beginning of a safetensors file whose header describes one tensor of bytes."""
    size = int(np.prod(shape, dtype=object))
    entry = {"dtype": "U8", "shape": shape, "data_offsets": [0, size]}
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("begins", "words"),
    [
        (b"", "its header is damaged"),
        (b"\xff" * 8, "its header asks for 18446744073709551615 bytes, of which at most 16777216"),
        (described([7]), "it has 1099511627776 bytes, its header describes"),
        (described([2**40]), "it has 1099511627776 bytes, its header describes"),
    ],
    ids=["nothing", "header", "one", "more"],
)
def test_a_long_file_is_read_only_if_its_header_says_so(
    run: Path, tmp_path: Path, begins: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "policy.safetensors"
    for path in (exported, file(run).parent / checkpoint.TENSORS):
        path.write_bytes(begins)
        with open(path, "r+b") as sparse:
            sparse.truncate(2**40)
    monkeypatch.setattr("ascore.runs.tensorfile.read_all", None)
    for path in (run, exported):
        with pytest.raises(CheckpointError, match=words) as caught:
            ascore.load_policy(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=words):
        ascore.resume(run)


def test_what_does_not_fit_in_memory_is_named(tmp_path: Path) -> None:
    begins = described([2**60])
    path = tmp_path / "policy.safetensors"
    path.write_bytes(begins)
    with open(path, "r+b") as sparse:
        try:
            sparse.truncate(len(begins) + 2**60)
        except OSError:
            pytest.skip("this file system has no files of 2**60 bytes")
    with pytest.raises(CheckpointError, match="bytes, which do not fit in memory"):
        ascore.load_policy(path)
    with pytest.raises(OSError, match="bytes, which do not fit in memory"):
        reading.read_regular(path)


@pytest.fixture
def withheld(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the system refuse to open files of a name, as it does where permissions are missing."""
    opened = os.open

    def withhold(name: str) -> None:
        def refuse(path: str | Path, *args: Any, **more: Any) -> int:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return opened(path, *args, **more)

        monkeypatch.setattr(os, "open", refuse)

    return withhold


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (checkpoint.MANIFEST, checkpoint.load),
        (checkpoint.TENSORS, checkpoint.load),
        (CONFIG, lambda run: Config.load(run / CONFIG)),
        (CONFIG, lambda run: PartySettings.load(run / CONFIG)),
        (METRICS, lambda run: read_records(run / METRICS)),
        ("summary.json", lambda run: ascore.Run.open(run).summary),
        ("evaluation.json", cells.result),
        ("cells.json", cells.read_list),
        ("sweep.json", lambda run: sweeps.read_command(run / "sweep.json")),
    ],
)
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    name: str,
    read: Callable[[Path], object],
    run: Path,
    withheld: Callable[[str], None],
) -> None:
    """Nobody is told to remove what is whole, or to go on from something older."""
    ascore.Run.open(run)
    withheld(name)
    with pytest.raises(AscoreError) as caught:
        read(run)
    assert str(caught.value).endswith(
        f"{name} cannot be read: Permission denied; change its permissions"
    )


def test_permissions_are_the_remedy_of_whatever_a_command_may_not_read(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main(["evaluate", str(run)]) == 1
    line = f"ascore: {run / 'checkpoints'}: Permission denied; change its permissions\n"
    assert capsys.readouterr().err == line
