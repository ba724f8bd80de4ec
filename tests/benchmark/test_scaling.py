"""Sharing processors: the measurement, the picture and the advice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascore.benchmark import Effort, scaling
from ascore.benchmark.crews import Crew
from ascore.cli import main
from ascore.errors import AscoreError

TINY = {
    "env": "predation-v1",
    "env_params": {"num_agents": 2},
    "num_envs": 4,
    "actor_hidden": [4],
    "critic_hidden": [4],
    "minibatches": 1,
    "iterations": 1,
}


def test_powers_of_two_up_to_the_processors():
    assert [scaling.counts(n) for n in (1, 2, 3, 16)] == [[1], [1, 2], [1, 2], [1, 2, 4, 8, 16]]


def test_a_crew_takes_updates_and_says_how_many_steps():
    with Crew(TINY, 2, together=True) as ranks, Crew(TINY, 2, together=False) as runs:
        assert (ranks.steps, runs.steps) == (4 * 30, 2 * 4 * 30)
        assert ranks.take(2) > 0
        assert runs.take(1) > 0


def test_a_crew_that_cannot_begin_says_so(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(AscoreError, match="exited with status 1"):
        Crew({**TINY, "num_envs": 3}, 2, together=True)
    assert "num_envs = 3 cannot be shared equally by 2 ranks" in capfd.readouterr().err


class Idle:
    """A crew without processes: the tests above start some."""

    def __init__(self, keys: dict[str, Any], count: int, *, together: bool) -> None:
        assert count == 1 or keys["num_threads"] == keys["torch_threads"] == 1
        self.steps = 120 * (1 if together else count)

    def __enter__(self) -> Idle:
        return self

    def __exit__(self, *_: object) -> None: ...

    def take(self, updates: int) -> float:
        return 0.001 * updates


def test_the_command_measures_draws_and_advises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scaling, "Crew", Idle)
    monkeypatch.setattr(scaling, "NETWORKS", {"large networks": TINY})
    monkeypatch.setattr(scaling, "SAMPLE", {True: 0.01})
    monkeypatch.setattr(scaling, "usable_processors", lambda: 2)
    monkeypatch.setattr("ascore.benchmark.QUICK", Effort(2, 0.005, 4, quick=True))
    picture = tmp_path / "s.png"
    assert main(["bench", "--scaling", "--quick", "--json", "--picture", str(picture)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert set(report["speed"]) == {"environment", "large networks"}
    assert report["speed"]["large networks"] == {
        "threads": {"1": 1.0, "2": 1.0}, "ranks": {"1": 1.0, "2": 1.0},
        "processes": {"1": 1.0, "2": 2.0},
    }  # fmt: skip
    names = [result["name"] for result in report["results"]]
    assert any("harvest" in name for name in names)
    assert [r["bar"] for r in report["results"] if "bar" in r] == [1.85, 0.9]
    assert len(report["advice"]) == 2


@pytest.mark.parametrize(
    ("threads", "ranks", "advice"),
    [
        (1.9, 1.5, "one process, --num-threads 2 --torch-threads 2 (1.90 times"),
        (1.2, 1.8, "torchrun --nproc-per-node 2 with one thread each (1.80 times"),
        (1.0, 0.7, "more are not faster"),
    ],
)
def test_advice_follows_the_fastest(threads: float, ranks: float, advice: str):
    kinds = {
        "threads": {1: 1.0, 2: threads},
        "ranks": {1: 1.0, 2: ranks},
        "processes": {1: 1.0, 2: 1.97},
    }
    many, one = scaling.advise({"environment": {"threads": {1: 1.0, 2: 2.0}}, "nets": kinds})
    assert many == "many runs, nets: 2 at a time with one thread each (1.97 times one)"
    assert one.startswith("one run, nets: ")
    assert advice in one


def test_nothing_is_advised_on_one_processor():
    alone = {kind: {1: 1.0} for kind in scaling.KINDS}
    assert scaling.advise({"environment": {"threads": {1: 1.0}}, "nets": alone}) == []
