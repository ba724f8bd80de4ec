"""Audit logs: two agree; a flipped byte, a dropped line and an inserted one are seen and named."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from companies import HOST, Company, names, small

from ascore.cli import main
from ascore.errors import PartyError
from ascore.parties.audit import AuditLog, read, reconcile


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of a short run, which no test changes."""
    folder = tmp_path_factory.mktemp("logs")
    Company(small("predation", 2), folder=folder).run()
    return folder


@pytest.fixture
def copies(logs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(logs, tmp_path / "copies"))


def test_all_pairs_agree(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for first, second in combinations([HOST, *names(3)], 2):
        agreement = reconcile(logs / f"{first}.jsonl", logs / f"{second}.jsonl")
        assert agreement.differences == ()
        # Two agents: a letter each way in each of two rounds of two updates.
        assert agreement.letters == 8 or HOST in (first, second)
        assert agreement.pending <= 1
        status = main(["party", "audit", *(str(logs / f"{n}.jsonl") for n in (first, second))])
        assert status == 0
        assert f"agree on {agreement.letters} letters" in capsys.readouterr().out


def test_lines_have_facts_and_no_content(logs: Path) -> None:
    entries = list(read(logs / "firm-a.jsonl"))
    letters = [e for e in entries if e["event"] in ("sent", "received")]
    assert letters
    for entry in letters:
        assert set(entry) == {
            *("n", "time", "event", "previous", "hash"),
            *("peer", "kind", "round", "sequence", "bytes", "digest", "answers"),
        }
        assert len(entry["digest"]) == 64
    # What was sent to a peer in the second round answers what that sent in the first.
    mine = [e for e in letters if e["peer"] == "firm-b"]
    second = next(e for e in mine if e["event"] == "sent" and e["round"] == 1)
    first = next(e for e in mine if e["event"] == "received" and e["round"] == 0)
    assert second["answers"] == first["sequence"]


def changed(path: Path, number: int, line: bytes | None, *, instead: bool) -> None:
    """Replaces line `number`, or puts one in before it; None = it is taken out."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1 : number - (not instead)] = [] if line is None else [line]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("number", [1, 7, 20])
def test_a_flipped_byte_is_named(number: int, copies: Path) -> None:
    path = copies / "firm-a.jsonl"
    line = path.read_bytes().splitlines(keepends=True)[number - 1]
    for at in range(0, len(line) - 1, 11):
        flipped = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        changed(path, number, flipped, instead=True)
        with pytest.raises(PartyError, match=f"line {number} was changed"):
            reconcile(path, copies / "firm-b.jsonl")


@pytest.mark.parametrize("number", [1, 7, 20])
def test_a_dropped_line_is_named(number: int, copies: Path) -> None:
    path = copies / "firm-a.jsonl"
    changed(path, number, None, instead=True)
    with pytest.raises(PartyError, match=f"line {number} does not follow: 1 before it taken out"):
        reconcile(path, copies / "firm-b.jsonl")


def test_an_inserted_line_is_named(copies: Path) -> None:
    path = copies / "firm-a.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    changed(path, 7, lines[2], instead=False)
    with pytest.raises(PartyError, match=r"line 7 does not follow: it, .* was put in"):
        reconcile(path, copies / "firm-b.jsonl")


def test_a_line_inserted_with_a_right_hash_is_named_too(copies: Path) -> None:
    from ascore.parties.audit import _hash, _line

    path = copies / "firm-a.jsonl"
    entry = list(read(path))[6]
    forged = {**entry, "round": 99}
    forged["hash"] = _hash(forged)
    changed(path, 7, _line(forged), instead=False)
    with pytest.raises(PartyError, match=r"line 8 does not follow: it, or one before it"):
        reconcile(path, copies / "firm-b.jsonl")


def rewritten(path: Path, change: str) -> None:
    """Forges a whole chain: one received letter is changed, forgotten or made up."""
    entries = list(read(path))
    at = next(
        k for k, e in enumerate(entries) if e["event"] == "received" and e["peer"] == "firm-b"
    )
    if change == "changed":
        entries[at]["digest"] = "0" * 64
    elif change == "forgotten":
        del entries[at]
    else:
        entries.insert(at, {**entries[at], "sequence": 77})
    path.unlink()
    log = AuditLog(path, "firm-a")
    for entry in entries[1:]:
        facts = {k: v for k, v in entry.items() if k not in ("n", "time", "hash", "previous")}
        log.write(**facts)
    log.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("changed", "letter 0 from firm-b to firm-a: they tell different digest"),
        ("forgotten", "letter 0 from firm-b to firm-a: firm-b sent it (round 0), firm-a did not"),
        ("made up", "letter 77 from firm-b to firm-a: firm-a received it (round 0), firm-b did"),
    ],
)
def test_a_forged_chain_parts_from_the_peers_log(
    change: str, words: str, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(copies / "firm-a.jsonl", change)
    both = [str(copies / f"{name}.jsonl") for name in ("firm-a", "firm-b")]
    assert main(["party", "audit", *both]) == 1
    assert f"firm-a and firm-b part at {words}" in capsys.readouterr().out
    assert main(["party", "audit", *both, "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["agree"] is False
    assert len(printed["differences"]) == 1


def test_a_cut_end_shows_against_the_peer(copies: Path) -> None:
    """The chain alone cannot know that there was more."""
    path = copies / "firm-a.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(k for k, line in enumerate(lines) if b'"sent"' in line and b"firm-b" in line)
    path.write_bytes(b"".join(lines[:last]))
    agreement = reconcile(path, copies / "firm-b.jsonl")
    assert "firm-b received it" in agreement.differences[0]


def test_a_log_goes_on_after_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path, "firm-a")
    log.write("refused", peer="firm-b", reason="test", bytes=0)
    log.close()
    with open(path, "ab") as file:
        file.write(b'{"n":2,"ha')
    with pytest.raises(PartyError, match="ends in the middle of line 3"):
        list(read(path))
    AuditLog(path, "firm-a").close()
    entries = list(read(path))
    assert [e["event"] for e in entries] == ["start", "refused", "start"]
    assert entries[-1]["torn_bytes"] == 10


def test_logs_of_one_party_are_no_two(logs: Path) -> None:
    with pytest.raises(PartyError, match="are logs of one party"):
        reconcile(logs / "firm-a.jsonl", logs / "firm-a.jsonl")
