"""The commands, in processes of their own: one is killed in the middle and comes back."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import doors  # noqa: F401 (first: without its packages, tests are skipped)
import pytest
from companies import small
from offices import PARTIES, Office

from ascore.cli import main
from ascore.parties.audit import read


def test_a_party_is_killed_and_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(tmp_path, 100_000)
    running = {name: office.start(name) for name in PARTIES}
    office.reaches("firm-b", 8)
    running["firm-b"].send_signal(signal.SIGKILL)
    assert running.pop("firm-b").communicate()[0] is not None
    alone = office.update_of("firm-a") + 5
    office.reaches("firm-a", alone)  # the other goes on
    running["firm-b"] = office.start("firm-b")
    office.reaches("firm-b", alone)
    office.reaches("firm-a", office.update_of("firm-b") + 1)
    output = office.end(running)
    assert "firm-b did not act at" in output["host"] or "firm-b was not ready" in output["host"]
    assert "no connection to firm-b" in output["firm-a"]
    rows = [json.loads(x) for x in (tmp_path / "firm-a/metrics.jsonl").read_text().splitlines()]
    others = [row["others"] for row in rows]
    assert others[:8] == [1] * 8
    assert 1 in others[others.index(0) :]  # it was back
    capsys.readouterr()
    assert main(["party", "status", str(tmp_path / "firm-a"), str(tmp_path / "firm-b")]) == 0
    shown = capsys.readouterr().out
    assert f"firm-a: update {len(rows)} of 100000, with firm-b" in shown
    for name in ("firm-a", "firm-b"):  # told to end, they have saved
        newest = sorted((tmp_path / name / "checkpoints").iterdir())[-1]
        assert int(newest.name) == office.update_of(name)
    # Both logs are whole. What was on its way when one was killed, both can name.
    assert main(["party", "audit", str(tmp_path / "firm-a"), str(tmp_path / "firm-b")]) in (0, 1)
    starts = [e for e in read(tmp_path / "firm-b/audit.jsonl") if e["event"] == "start"]
    assert len(starts) == 2


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"certificates": "nowhere"}, "without it nothing starts: make one with `ascore certs new`"),
    ({"deadline": 0.0}, "deadline and start are seconds"),
    ({"name": "firm-z"}, "name = 'firm-z' is nobody; choose from: firm-a, firm-b, host"),
    ({"rewards": "all"}, "rewards = 'all' is not possible; choose from: host, parties"),
    ({"reward": "somewhere"}, "reward = 'somewhere' is not MODULE:CALLABLE"),
    ({"folders": "x"}, "unknown key 'folders'"),
    ({"deadline": "soon"}, "deadline = 'soon' must be a number of seconds"),
    ({"listen": "7001"}, "address '7001' is not HOST:PORT"),
    ({"own_seed": -1}, "own_seed = -1 is outside"),
]


@pytest.mark.parametrize(("change", "words"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_file_that_is_not_whole_starts_nothing(
    change: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3, **change)
    assert main(["party", "run", "--config", str(tmp_path / "firm-a.toml")]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert len([x for x in printed.splitlines() if x.startswith("ascore: ")]) <= 2
    assert not (tmp_path / "firm-a" / "checkpoints").exists()


def test_without_certificates_nothing_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3)
    file = tmp_path / "firm-a.toml"
    lines = [x for x in file.read_text().splitlines() if not x.startswith("certificates")]
    file.write_text("\n".join(lines))
    assert main(["party", "run", "--config", str(file)]) == 1
    assert "names no certificates, and without them nothing starts" in capsys.readouterr().err


def test_plaintext_to_another_machine_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3, listen="0.0.0.0:7001")
    assert main(["party", "run", "--insecure", "--config", str(tmp_path / "firm-a.toml")]) == 1
    assert "--insecure sends plaintext; use certificates" in capsys.readouterr().err


def test_what_a_file_names_is_not_imported_without_leave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3, reward="os:system")
    assert main(["party", "run", "--config", str(tmp_path / "firm-a.toml")]) == 1
    assert "reward = os:system, which would import the module os" in capsys.readouterr().err


def test_run_is_for_agents_and_host_for_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Office(tmp_path, 3)
    assert main(["party", "host", "--config", str(tmp_path / "firm-a.toml")]) == 1
    assert main(["party", "run", "--config", str(tmp_path / "host.toml")]) == 1
    printed = capsys.readouterr().err
    assert "run it with `ascore party run`" in printed
    assert "run it with `ascore party host`" in printed


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"algorithm": "cppo"}, "cppo has one centre that acts for all"),
        ({"algorithm": "team"}, "team learns from the rewards of others"),
        ({"algorithm": "vs"}, "critics of vs know what others see or expect"),
        ({"algorithm": "ps"}, "ps averages parameters"),
        ({"anticipation": "correction"}, "needs two messages per round; set it to free"),
        ({"message_refresh": "minibatch"}, "sends within a round"),
        ({"message_form": "top-2"}, "letters hold whole distributions"),
        ({"update_order": "sequential"}, "has one learn after the other"),
    ],
)
def test_what_parties_cannot_train_is_refused(keys: dict[str, Any], words: str) -> None:
    from ascore.errors import ConfigError
    from ascore.parties.agreed import require_separable

    with pytest.raises(ConfigError, match=words):
        require_separable(small("predation", 3, **keys))


def test_the_allow_list_is_the_graph() -> None:
    from ascore.parties.allowed import linked

    def peers(**keys: Any) -> list[list[int]]:
        return [linked(small("predation", 3, **keys), 3, agent) for agent in range(3)]

    assert peers() == [[1, 2], [0, 2], [0, 1]]
    assert peers(graph="chain") == [[1], [0, 2], [1]]
    assert peers(graph="matrix", graph_matrix="010,000,000") == [[1], [0], []]
    assert peers(graph="none") == [[], [], []]
    assert peers(algorithm="ippo") == [[], [], []]
    assert peers(graph="environment") == peers(graph="random_one") == peers()


@pytest.mark.parametrize("names", [["a", "a"], ["A"], ["x.y"], ["authority"], ["-a"], ["a" * 64]])
def test_certificates_are_for_names_that_mean_one_party(
    names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["certs", "new", str(tmp_path / "certs"), "--", *names]
    assert main(line) == 1
    assert "name" in capsys.readouterr().err
    assert not list((tmp_path / "certs").glob("*.key"))


def test_no_certificate_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "new", str(tmp_path / "certs"), "a", "--days", "5"]) == 0
    assert (tmp_path / "certs/a.key").stat().st_mode & 0o077 == 0
    assert main(["certs", "new", str(tmp_path / "certs"), "b"]) == 1
    assert "no certificate is overwritten" in capsys.readouterr().err
