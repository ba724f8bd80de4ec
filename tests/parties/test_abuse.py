"""Folders, logs, files and functions of a party that are not as they must be: one sentence each."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doors  # noqa: F401 (first: without its packages, tests are skipped)
import numpy as np
import pytest
from companies import Company, names, small
from offices import Office

import ascore
from ascore.cli import main
from ascore.errors import AscoreWarning, CheckpointError, EnvError, PartyError
from ascore.parties import wire
from ascore.parties.archive import FolderArchive, counted_start, status_of
from ascore.parties.audit import AUDIT, FIRST, AuditLog, _hash, _line, read, reconcile
from ascore.parties.letters import GRACE, Letters
from ascore.parties.states import read_sizes, sizes_text
from ascore.parties.transport import Transport, in_process
from ascore.parties.wire import Refused
from ascore.runs.lock import alone

TEXTS: list[tuple[str, str, str]] = [
    ('firm-a = "', 'firm-a = 3\nfirm-c = "', "firm-a = 3 in [agents] must be text"),
    ('name = "host"\n', "name = 3\n", "name = 3 in [host] must be text"),
    ('folder = "firm-a"', 'folder = ""', "folder = '' must be a path"),
    ('run = "trial"', 'run = ""', "run = '' must be text"),
    ('folder = "firm-a"', 'folder = "\\u0000"', r"folder = '\x00' must be a path"),
    ("127.0.0.1:", f"127.0.0.1:{'7' * 5000}", "is not HOST:PORT, as in"),
    ("127.0.0.1:", "127.0.0.1:\u0661", "is not HOST:PORT, as in"),
    ('folder = "firm-a"', 'folder = "training.toml"', "a file lies in its way"),
    ('folder = "firm-a"', 'folder = "/proc/firm-a"', "cannot write /proc/firm-a"),
    ("deadline = 2.0", "deadline = nan", "deadline and start are seconds"),
    ("deadline = 2.0", "deadline = 1e999", "deadline and start are seconds"),
]


@pytest.mark.parametrize(("old", "new", "words"), TEXTS, ids=lambda text: text[:24])
def test_a_value_of_another_kind_is_one_sentence(
    old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3)
    file = tmp_path / "firm-a.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    capsys.readouterr()
    assert main(["party", "run", "--config", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert words in lines[-1]
    assert all(line.startswith("ascore: loading") for line in lines[:-1])


@pytest.mark.parametrize(
    "line",
    [
        ["party", "run", "--config", ""],
        ["party", "status", ""],
        ["party", "audit", "", "b"],
        ["certs", "new", "", "firm-a"],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_none(
    line: list[str], tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    assert "has an empty name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pipes_and_devices_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        path = str(tmp_path / name)
        for line in (["run", "--config", path], ["audit", path, path]):
            assert main(["party", *line]) == 1
            assert "not a regular file" in capsys.readouterr().err
        for own in ("starts", "status.json", AUDIT):
            folder = tmp_path / f"{name}-{own}"
            folder.mkdir()
            (folder / own).symlink_to(path)
            if own == "starts":
                with pytest.raises(PartyError, match="is a symbolic link"):
                    counted_start(folder)
            elif own == AUDIT:
                with pytest.raises(OSError, match="a link lies in its place"):
                    AuditLog(folder / own, "firm-a")
            else:
                with pytest.raises(PartyError, match="is a symbolic link"):
                    status_of(folder)


# ---- folders ---------------------------------------------------------------------------------


def trained(folder: Path, **keys: Any) -> ascore.Config:
    """Folders of three parties after four updates."""
    config = small("predation", 4, checkpoint_every=2, **keys)
    kept = {name: FolderArchive(folder / name, name, config, "trial") for name in names(3)}
    Company(config, archives=kept).run()
    for archive in kept.values():
        archive.close()
    return config


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", AUDIT, "checkpoints"):
        folder = tmp_path / name / "mine"
        (folder / "checkpoints").mkdir(parents=True)
        (folder / name).touch() if name != "checkpoints" else None
        before = sorted(folder.rglob("*"))
        with pytest.raises(PartyError, match=r"is not empty: it holds .*; use another folder"):
            FolderArchive(folder, "firm-a", small("predation", 3))
        assert sorted(folder.rglob("*")) == before


def test_a_folder_of_another_party_is_refused(tmp_path: Path) -> None:
    counted_start(tmp_path)
    AuditLog(tmp_path / AUDIT, "firm-a").close()
    before = (tmp_path / AUDIT).read_bytes()
    with pytest.raises(PartyError, match="belongs to firm-a, not to firm-b"):
        FolderArchive(tmp_path, "firm-b", small("predation", 3))
    assert (tmp_path / AUDIT).read_bytes() == before
    assert (tmp_path / "starts").read_text() == "1\n"


def test_two_processes_do_not_write_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3)
    for name, what in (("firm-a", "run"), ("host", "host")):
        (tmp_path / name).mkdir()
        with alone(tmp_path / name):
            assert main(["party", what, "--config", str(tmp_path / f"{name}.toml")]) == 1
        assert f"is being written by process {os.getpid()}" in capsys.readouterr().err
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == [".lock"]


def test_another_configuration_or_run_is_refused_and_what_may_change_is_said(
    tmp_path: Path,
) -> None:
    config = trained(tmp_path)

    def again(run: str = "trial", **keys: Any) -> None:
        FolderArchive(tmp_path / "firm-a", "firm-a", config.replace(**keys), run).close()

    with pytest.raises(CheckpointError, match=r"gamma = 0\.99, and the training file has 0\.5"):
        again(gamma=0.5)
    with pytest.raises(CheckpointError, match="belongs to the run trial, not to second"):
        again("second")
    with pytest.warns(AscoreWarning, match=r"actor_lr is 0\.5 from here on; it was 0\.003"):
        again(actor_lr=0.5)
    again(num_threads=2)  # of its own machine


def test_a_finished_party_waits_for_nobody(tmp_path: Path) -> None:
    config = trained(tmp_path)
    archive = FolderArchive(tmp_path / "firm-a", "firm-a", config, "trial")
    assert archive.finished
    archive.close()
    longer = config.replace(episodes=2 * config.episodes)
    with pytest.warns(AscoreWarning, match="episodes is 16 from here on; it was 8"):
        longer_archive = FolderArchive(tmp_path / "firm-b", "firm-b", longer, "trial")
    assert not longer_archive.finished
    longer_archive.close()


def test_the_folder_of_a_party_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path)
    folder = str(tmp_path / "firm-a")
    before = sorted((tmp_path / "firm-a").rglob("*"))
    for line in (["evaluate", folder], ["resume", folder], ["export", folder, "--out", "x"]):
        assert main(line) == 1
        err = capsys.readouterr().err.splitlines()[-1]
        assert "00000004 is of the party firm-a, one agent of a run; go on with `ascore" in err
    assert sorted(p for p in (tmp_path / "firm-a").rglob("*") if p.name != ".lock") == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.csv"])
def test_damaged_metrics_are_named_and_there_is_a_way_on(name: str, tmp_path: Path) -> None:
    config, path = trained(tmp_path), tmp_path / "firm-a" / name

    def again() -> None:
        FolderArchive(tmp_path / "firm-a", "firm-a", config, "trial").close()

    whole = path.read_bytes()
    for damaged in (whole[:-3], bytes(len(whole)), b"", whole[: len(whole) // 2] * 2):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=rf"{name}.*restore it, or remove it"):
            again()
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    again()
    assert path.read_bytes() == whole
    path.unlink()
    again()
    assert path.read_bytes() == b""


def test_of_a_damaged_checkpoint_the_way_on_is_named(tmp_path: Path) -> None:
    config = trained(tmp_path)
    newest = tmp_path / "firm-a/checkpoints/00000004"
    (newest / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="remove or rename it to go on from the one before"):
        FolderArchive(tmp_path / "firm-a", "firm-a", config, "trial")
    newest.rename(newest.with_name("damaged"))
    archive = FolderArchive(tmp_path / "firm-a", "firm-a", config, "trial")
    assert archive.done == 2
    archive.close()


@pytest.mark.parametrize("text", ["x", "-1", "9" * 60, "9" * 5000, "\udcff", str(2**23)])
def test_a_damaged_count_of_starts_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "starts").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(PartyError, match="starts"):
        counted_start(tmp_path)


GOOD = {
    "party": "firm-a", "update": 1, "total": 2, "members": ["firm-a"], "late": {},
    "bytes_sent": 3, "written": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"late": 3}, {"members": [3]}, {"written": None}, {"total": "x"}, {"party": []}, None],
    ids=str,
)
def test_a_damaged_status_is_one_sentence(
    change: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps(GOOD))
    assert main(["party", "status", str(tmp_path)]) == 0
    path.write_text("[" * 10**5 if change is None else json.dumps({**GOOD, **change}))
    capsys.readouterr()
    assert main(["party", "status", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "cannot be read" in err
    assert err.count("\n") == 1


# ---- the audit log ---------------------------------------------------------------------------


def chain(path: Path, *entries: dict[str, Any]) -> None:
    """A log with right hashes, whatever it says."""
    before, lines = FIRST, b""
    for number, facts in enumerate(entries):
        entry = {"n": number, "time": "", **facts, "previous": before}
        before = entry["hash"] = _hash(entry)
        lines += _line(entry)
    path.write_bytes(lines)


START = {"event": "start", "party": "firm-b", "torn_bytes": 0}
SENT = {
    "event": "sent", "peer": "firm-a", "kind": "ready", "round": 0, "sequence": 0, "bytes": 1,
    "digest": "0", "answers": -1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"party": "firm-b"}], "line 1 was changed"),
        ([{"event": "start"}], "line 1 says what no party writes"),
        ([{"event": []}], "line 1 was changed"),
        ([START, {"event": "sent"}], "line 2 says what no party writes"),
        ([START, {**SENT, "sequence": []}], "line 2 says what no party writes"),
        ([START, {**SENT, "sequence": "0"}], "line 2 says what no party writes"),
        ([SENT], "its beginning was cut off"),
        ([], "its beginning was cut off"),
        ([{**START, "party": "x" * 2**16}], "more than 65536 bytes"),
    ],
    ids=str,
)
def test_a_log_from_elsewhere_is_refused_in_one_sentence(
    entries: list[dict[str, Any]],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    log = AuditLog(mine, "firm-a")
    log.close()
    chain(theirs, START, SENT)
    assert reconcile(mine, theirs).pending == 1
    chain(theirs, *entries)
    assert main(["party", "audit", str(mine), str(theirs)]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_log_behind_a_link_is_neither_cut_nor_continued(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("no line")
    (tmp_path / AUDIT).symlink_to(precious)
    with pytest.raises(OSError, match="a link lies in its place"):
        AuditLog(tmp_path / AUDIT, "firm-a")
    assert precious.read_text() == "no line"


def test_who_cannot_write_its_log_writes_no_half_lines_and_sends_no_more(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / AUDIT, "firm-a")
    whole = (tmp_path / AUDIT).read_bytes()
    append, file = log._append, log._file

    class Full:
        """A disk with room for ten bytes."""

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

        def write(self, data: bytes) -> int:
            if len(data) < 50:
                raise OSError(28, "No space left on device")
            return file.write(data[:-40]) or 0

    log._file = Full()  # type: ignore[assignment]
    link = in_process(["firm-a", "firm-b"])
    letters = Letters(link["firm-a"], "trial", bytes(32), log, 0, lambda text: None)
    log.note("refused", peer="firm-b", reason="a thread's", bytes=0)
    assert (tmp_path / AUDIT).read_bytes() == whole
    log._file = file  # there is room again, but a line is missing
    with pytest.raises(OSError, match=r"audit\.jsonl: No space left.*free some space"):
        letters.send("firm-b", "ready", 0, update=0)
    assert link["firm-b"].receive("firm-a", 0.0) is None
    assert (tmp_path / AUDIT).read_bytes() == whole
    assert append is not None
    log.close()


def test_a_full_disk_ends_a_party_in_one_sentence_and_it_comes_back(tmp_path: Path) -> None:
    office = Office(tmp_path, 100_000, prefixes={"firm-a": ["prlimit", "--fsize=30001"]})
    running = {name: office.start(name) for name in ("host", "firm-a", "firm-b")}
    output = running["firm-a"].communicate()[0]
    assert running.pop("firm-a").returncode == 1, output
    assert "Traceback" not in output
    assert "firm-a/audit.jsonl: File too large; free some space" in output.splitlines()[-1]
    done = len(list(read(tmp_path / "firm-a" / AUDIT)))
    office.prefixes.clear()
    running["firm-a"] = office.start("firm-a")
    office.reaches("firm-a", office.update_of("firm-a") + 2)
    office.end(running)
    assert len(list(read(tmp_path / "firm-a" / AUDIT))) > done


# ---- signals while waiting -------------------------------------------------------------------


def test_who_waits_for_a_silent_party_ends_when_told(tmp_path: Path) -> None:
    """However long the deadline is."""
    office = Office(tmp_path, 100_000, deadline=86_400.0)
    running = {name: office.start(name) for name in ("host", "firm-a", "firm-b")}
    office.reaches("firm-a", 2)
    running["firm-b"].send_signal(signal.SIGSTOP)
    silent = running.pop("firm-b")
    try:
        output = office.end(running)
    finally:
        silent.kill()
        silent.communicate()
    assert "Traceback" not in "".join(output.values())
    newest = sorted((tmp_path / "firm-a/checkpoints").iterdir())[-1]
    assert int(newest.name) == office.update_of("firm-a")


def test_who_is_told_to_end_waits_for_letters_on_their_way_alone() -> None:
    link = in_process(["firm-a", "firm-b"])
    log = AuditLog(None, "firm-a")
    ending: list[bool] = []
    letters = Letters(link["firm-a"], "t", bytes(32), log, 0, print, lambda: bool(ending))
    other = Letters(link["firm-b"], "t", bytes(32), AuditLog(None, "firm-b"), 0, print)
    ending.append(True)
    other.send("firm-a", "ready", 0, update=0)
    assert letters.receive("firm-b", float("inf")) is not None
    assert letters.receive("firm-b", float("inf")) is None  # after GRACE seconds
    assert GRACE < 10  # what supervisors wait before they kill


class Boasting(Transport):
    """The transport of an agent that says, as often as it says anything, how far it has come."""

    def __init__(self, inner: Transport) -> None:
        self.inner, self.name, self.peers = inner, inner.name, inner.peers

    def send(self, peer: str, content: bytes) -> None:
        letter = wire.parse(content)
        if letter.HasField(wire.READY):
            letter.ready.update = 2**63
            content = letter.SerializeToString(deterministic=True)
        self.inner.send(peer, content)

    def receive(self, peer: str, deadline: float) -> bytes | None:
        return self.inner.receive(peer, deadline)

    def close(self) -> None:
        self.inner.close()


def test_an_agent_cannot_end_the_run_by_claiming_its_end() -> None:
    ends: dict[str, Transport] = dict(in_process(["host", *names(3)]))
    ends["firm-c"] = Boasting(ends["firm-c"])
    company = Company(small("predation", 4), ends, seconds=0.2, host_seconds=1.0)
    company.host.start = 0.2
    company.parties["firm-c"].stop = lambda: (  # it waits for a state that never comes
        company.parties["firm-a"].done == company.parties["firm-b"].done == 4
    )
    company.run()
    assert [company.parties[name].done for name in names(3)] == [4, 4, 0]
    assert "refused something of firm-c: it claims more updates than there were" in company.lines


# ---- functions and sizes from others ---------------------------------------------------------


def raising(step: Any) -> Any:
    raise KeyError(step.action.shape)


def leaving(step: Any) -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("reward", "error", "words"),
    [
        (raising, EnvError, r"the reward function fails: KeyError: \(2, 3\) \(test_abuse.py:\d+\)"),
        (leaving, EnvError, "the reward function fails: SystemExit: 3"),
        (lambda step: None, PartyError, "the reward (is|has)"),
        (lambda step: "high", PartyError, "the reward is a str that holds no numbers"),
        (lambda step: [1.0], PartyError, r"the reward has shape \(1,\)"),
        (lambda step: [1.0, np.nan], PartyError, "the reward is not finite"),
        (lambda step: [1e300, 0.0], PartyError, "the reward is not finite"),
        (lambda step: [10**400, 0], PartyError, "the reward is a list that holds no numbers"),
        (lambda step: [[1], [1, 2]], PartyError, "the reward is a list that holds no numbers"),
    ],
)
def test_a_reward_function_that_fails_is_named(
    reward: Callable[[Any], Any], error: type[Exception], words: str
) -> None:
    rewards: dict[str, Any] = dict.fromkeys(names(3), lambda step: np.zeros(2))
    with pytest.raises(error, match=words):
        Company(
            small("predation", 2), rewards={**rewards, "firm-b": reward}, host_seconds=1.0
        ).run()


class FirstState:
    """The part of a letter that holds the sizes of an environment."""

    def __init__(self, sizes: bytes) -> None:
        self.state = self
        self.sizes = sizes


@pytest.mark.parametrize(
    "change",
    [
        {"num_agents": 10**12},
        {"num_agents": True},
        {"num_agents": "3"},
        {"num_actions": -1},
        {"num_actions": 10**12},
        {"obs_shape": [-1]},
        {"obs_shape": [2, 3]},
        {"obs_shape": [[3]]},
        {"obs_dtype": "object"},
        {"obs_dtype": 3},
        {"horizon": 0},
        {"horizon": 1.5},
        {"views": 2},
        {"obs_scale": float("nan")},
        {"action_counts": [1, 2]},
        {"action_names": 3},
        {"more": 1},
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_allocated(
    change: dict[str, Any],
) -> None:
    spec = ascore.make("predation", num_agents=3).spec
    values = json.loads(sizes_text(spec))
    assert read_sizes(FirstState(sizes_text(spec))) == spec
    with pytest.raises(Refused, match="the sizes of the environment in it are impossible"):
        read_sizes(FirstState(json.dumps({**values, **change}).encode()))
    for text in (b"", b"\xff", b"[]", b"{}", b"3", b"[" * 10**5):
        with pytest.raises(Refused):
            read_sizes(FirstState(text))
