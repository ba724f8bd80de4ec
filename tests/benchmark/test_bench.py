"""`ascore bench`: its cases, its timing and its output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ascore import _core
from ascore.benchmark import (
    FULL,
    LONGEST,
    QUICK,
    BenchResults,
    Case,
    Differs,
    Effort,
    Missing,
    Result,
    Timing,
    Work,
    environments,
    estimates,
    interleave,
    run,
    suite,
)
from ascore.benchmark.machine import describe_machine
from ascore.benchmark.report import as_markdown, as_text
from ascore.benchmark.suite import Skipped
from ascore.benchmark.timing import calibrate
from ascore.benchmark.workloads import (
    WORKLOADS,
    YARDSTICK_NS,
    Peer,
    Workload,
    actions_for,
    require_equal,
)
from ascore.cli import main
from ascore.envs.table import ENVIRONMENTS

SMALL = Effort(repeats=5, seconds=0.001, twin_envs=4, quick=True)


class Time:
    """A clock that only simulated work advances."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes these times in turn, and the last one from then on."""
        ahead = list(seconds)

        def call() -> None:
            self.log.append(name)
            self.now += ahead.pop(0) if len(ahead) > 1 else ahead[0]

        return call


# ---- timing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("each", [1e-6, 1e-3, 0.02, 0.03, 5.0])
def test_a_sample_is_long_enough_and_not_much_longer(each: float) -> None:
    clock = Time()
    rounds = calibrate(clock.work("a", each), 0.03, clock)
    assert rounds * each >= 0.03 * (1 - 1e-9)
    assert rounds == 1 or rounds * each <= 0.03 * 1.1 + each


def test_slow_first_calls_do_not_make_short_samples() -> None:
    clock = Time()
    rounds = calibrate(clock.work("a", 0.02, 0.001), 0.03, clock)
    assert rounds * 0.001 >= 0.03


def test_a_clock_that_has_not_ticked_is_read_again() -> None:
    clock = Time()
    assert calibrate(clock.work("a", 0, 0, 0, 0.004), 0.03, clock) >= 8


def test_both_are_timed_in_turns_after_a_turn_that_does_not_count() -> None:
    clock = Time()
    # One call calibrates and one warms up; both are slow and must not count.
    candidate = Work(clock.work("A", 9.0, 9.0, 1.0), units=2.0)
    baseline = Work(clock.work("B", 9.0, 9.0, 4.0, 6.0, 5.0))
    timing = interleave(candidate, baseline, Effort(3, 0.03, 1), clock)
    assert clock.log == ["A", "B", *"ABABABAB"]
    assert timing == Timing(pytest.approx((0.5,) * 3), pytest.approx((4.0, 6.0, 5.0)))
    result = Result.of(timing, group="g", name="n", baseline="b", unit="u")
    assert result.ratio == pytest.approx(10.0)
    assert result.spread == pytest.approx((8.0, 12.0))
    assert (result.candidate_ns, result.baseline_ns) == pytest.approx((0.5e9, 5e9))


# ---- bars ------------------------------------------------------------------------------------


def result(ratio: float, bar: float | None = None, **about: Any) -> Result:
    timing = Timing((1e-9,) * 3, (ratio * 1e-9,) * 3)
    return Result.of(timing, group="g", name="n", baseline="b", unit="step", bar=bar, **about)


@pytest.mark.parametrize(
    ("ratio", "bar", "met"), [(2, None, None), (2, 1.9, True), (2, 2, True), (2, 2.1, False)]
)
def test_a_bar_is_met_from_its_value_on(ratio: float, bar: float | None, met: bool | None) -> None:
    line = result(ratio, bar)
    assert line.met is met
    assert ("bar" in line.to_dict()) is (bar is not None)
    assert line.to_dict().get("met") is met


def test_bars_against_the_yardstick_and_engines_known_in_its_units() -> None:
    peer = Peer("engine", 25, 4)
    workload = Workload(
        "game-v1", {"num_agents": 5}, limit_ns=150, unit="agent-step", peers=(peer,)
    )
    # 650 ns per step of 5 agents, 65 per step of one agent of the yardstick.
    timing = Timing((650e-9,) * 3, (65e-9,) * 3)
    yardstick, derived = environments.yardstick_results(workload, 1, 5, timing)
    assert yardstick.candidate_ns == pytest.approx(130)
    assert yardstick.ratio == pytest.approx(65 / 130)
    assert yardstick.bar == pytest.approx(YARDSTICK_NS / 150)
    assert yardstick.met is True
    assert derived.ratio == pytest.approx(25 * 65 / 130)
    assert derived.baseline_ns == pytest.approx(25 * 65)
    assert (derived.bar, derived.met) == (4, True)
    assert "derived" in derived.baseline
    assert "25 x the yardstick (docs/performance.md" in derived.note

    # The same time, but with a limit of 150 ns per step of all agents.
    whole = Workload("game-v1", {"num_agents": 5}, limit_ns=150, peers=(peer,))
    yardstick, derived = environments.yardstick_results(whole, 1, 5, timing)
    assert yardstick.ratio == pytest.approx(65 / 650)
    assert yardstick.met is False
    assert derived.ratio == pytest.approx(25 * 65 / 130)
    (two,) = environments.yardstick_results(workload, 2, 5, timing)
    assert two.bar is None


@pytest.mark.parametrize(("alone", "ratio", "met"), [(1.1e-6, 1.5, True), (3.1e-6, 0.5, False)])
def test_the_allowance_of_a_call_is_beyond_the_dynamics(
    alone: float, ratio: float, met: bool
) -> None:
    line = environments.call_result(WORKLOADS[0], Timing((alone,) * 3, (0.1e-6,) * 3))
    assert line.ratio == pytest.approx(ratio)
    assert line.candidate_ns == pytest.approx((alone - 0.1e-6) * 1e9)
    assert line.met is met


def test_every_environment_is_measured() -> None:
    assert {workload.env for workload in WORKLOADS} >= set(ENVIRONMENTS)


# ---- equality --------------------------------------------------------------------------------


def test_a_result_that_differs_is_found() -> None:
    ours, theirs = WORKLOADS[0].compiled(3), WORKLOADS[0].compiled(3)
    actions = actions_for(ours, 4)
    require_equal(ours, theirs, actions, "same")
    theirs.reset(seed=1)
    with pytest.raises(Differs, match="other seed: obs differs after 1 steps"):
        require_equal(ours, theirs, actions, "other seed")


@pytest.mark.parametrize("baseline", estimates.BASELINES)
def test_every_estimate_has_the_same_bits(baseline: str) -> None:
    task = estimates.Inputs.random((40, 6, 3))
    ends = np.flatnonzero(np.arange(240) % 7 == 0)
    task.terminated.flat[ends[::2]] = 1
    task.truncated.flat[ends[::3]] = 1
    expected = estimates.bits(estimates.compiled(task))
    assert estimates.bits(estimates.BASELINES[baseline][1](task)) == expected


def test_the_yardstick_does_the_work() -> None:
    one, same, other = (_core.HarvestYardstick(8, seed) for seed in (1, 1, 2))
    sums = [one.run(50) for _ in range(4)]
    assert [same.run(50) for _ in range(4)] == sums
    assert len(set(sums)) == 4
    assert other.run(50) != sums[0]
    # A random walk in a full orchard eats some of the apples, but not all.
    assert 0 < one.eaten < 8 * 200 * one.num_agents
    assert (one.num_envs, one.num_agents) == (8, 5)
    with pytest.raises(ValueError, match="num_envs = 0 is below 1"):
        _core.HarvestYardstick(0, 0)


# ---- running ---------------------------------------------------------------------------------


def refuse(error: Exception) -> Callable[[Effort], list[Result]]:
    def measure(effort: Effort) -> list[Result]:
        raise error

    return measure


def test_skipped_cases_are_reported_and_the_rest_is_measured() -> None:
    seen = []
    outcome = run(
        [
            Case("g", "absent", refuse(Missing("numba is not installed"))),
            Case("g", "wrong", refuse(Differs("g: obs differs after 3 steps"))),
            Case("g", "fine", lambda effort: [result(2, 3), result(2, 1)]),
        ],
        SMALL,
        lambda done, total, case: seen.append((done, total, case.name)),
    )
    assert seen == [(1, 3, "absent"), (2, 3, "wrong"), (3, 3, "fine")]
    assert [r.met for r in outcome.results] == [False, True]
    assert outcome.missed == outcome.results[:1]
    report = json.loads(json.dumps(outcome.to_dict()))
    assert report["skipped"] == [
        {"group": "g", "name": "absent", "reason": "numba is not installed"}
    ]
    assert report["differing"][0]["reason"] == "g: obs differs after 3 steps"
    outcome.machine["load"] = 0.1
    for text in (as_text(outcome), as_markdown(outcome)):
        assert "numba is not installed" in text
        assert "obs differs after 3 steps" in text
        assert "NO" in text
    assert as_text(outcome).endswith("1 of 2 bars met")


def test_a_bar_missed_on_a_busy_machine_is_marked_as_unreliable() -> None:
    outcome = BenchResults(describe_machine() | {"load": 9.9, "cores": 2}, True)
    outcome.results += [result(2, 3), result(2, 1)]
    for text in (as_text(outcome), as_markdown(outcome)):
        assert "NO" not in text
        assert "?" in text
    warning = "The load was 9.9 on 2 cores at the start: bars marked ? were missed"
    assert warning in " ".join(as_text(outcome).split())
    outcome.machine["load"] = 0.9
    assert "NO" in as_text(outcome)


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_the_table_fits(columns: int) -> None:
    long = replace(
        result(2, 3),
        name="heads in torch, 8 agents, 4,096 rows, (128, 64), 1 thread",
        baseline="SocialJax clean_up (derived)",
        unit="environment step",
        note="derived, not measured here: it takes 1,100 x the yardstick, see the documentation",
    )
    call = replace(long, baseline="1.5 µs allowed", unit="call beyond the dynamics", ratio=13_088.0)
    outcome = BenchResults(describe_machine(), True, results=[long, call, result(2, 1)])
    outcome.skipped.append(Skipped("threads", long.name, "it needs two cores, and there is one"))
    text = as_text(outcome, columns)
    assert max(map(len, text.splitlines())) <= max(columns, 76)
    assert sum(line.endswith("(128, 64), 1 thread") for line in text.splitlines()) == 1
    words = text.split()
    assert all(word in words for word in [*long.name.split(), "(derived)"])


def test_slow_work_is_timed_in_fewer_turns() -> None:
    calls: list[float] = []

    def slow() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.02)

    effort = Effort(repeats=9, seconds=0.001, twin_envs=4, most_seconds=0.01)
    timing = interleave(Work(slow), Work(slow), effort, time.perf_counter)
    assert len(timing.candidate) == len(timing.baseline) == 1
    assert len(calls) == 4  # each is calibrated once and timed once


def test_a_missing_package_or_environment_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(Missing, match="numba is not installed"):
        estimates.against("Numba loop", SMALL)
    with pytest.raises(Missing, match=r"chess-v1 is not among the environments: .*exchange-v1"):
        environments.against_twin(Workload("chess-v1"), 1, SMALL)
    monkeypatch.setattr(environments, "usable_processors", lambda: 1)
    with pytest.raises(Missing, match="two threads need two cores"):
        environments.two_threads(WORKLOADS[0], 64, SMALL)


@pytest.mark.parametrize(
    "workload", [w for w in WORKLOADS if w.env in ENVIRONMENTS], ids=lambda w: w.name
)
def test_an_environment_against_its_twin_and_as_one_call(workload: Workload) -> None:
    (line,) = environments.against_twin(workload, 1, SMALL)
    assert line.ratio > 1
    assert line.spread[0] <= line.ratio <= line.spread[1]
    assert line.bar is None  # a small batch
    (line,) = environments.one_call(workload, SMALL)
    assert line.bar == 1
    (line,) = environments.few_environments(workload, 2, SMALL)
    assert "chose 1 thread" in line.note


def test_the_bar_of_a_twin_holds_for_large_batches() -> None:
    workload = Workload("navigation-v1", {"num_agents": 1}, twin_bar=2)
    (line,) = environments.against_twin(workload, 1, replace(SMALL, twin_envs=1024))
    assert (line.bar, line.met) == (2, True)


def test_the_machine_is_described_without_its_name() -> None:
    machine = describe_machine()
    assert set(machine) == {
        "cpu", "cores", "cpu_flags", "load", "system", "python", "ascore", "packages"
    }  # fmt: skip
    assert machine["cpu"]
    assert machine["cores"] >= 1


def test_the_command_prints_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ascore.benchmark.QUICK", SMALL)
    status = main(["bench", "--json", "--quick", "--group", "bound", "call"])
    captured = capsys.readouterr()
    assert status == 0
    report = json.loads(captured.out)
    assert set(report) == {"machine", "quick", "results", "skipped", "differing"}
    assert report["quick"] is True
    assert report["differing"] == []
    assert {line["group"] for line in report["results"]} == {"bound", "call"}
    for line in report["results"]:
        assert {"group", "name", "baseline", "ratio", "spread", "unit"} <= set(line)
        low, high = line["spread"]
        assert 0 < low <= line["ratio"] <= high
        assert ("bar" in line) == ("met" in line)
    names = " ".join(line["name"] for line in report["results"] + report["skipped"])
    assert all(workload.env in names for workload in WORKLOADS)
    total = len(suite.cases(["bound", "call"]))
    assert captured.err.splitlines()[0] == f"1/{total} bound: {WORKLOADS[0].name}"


@pytest.mark.parametrize(
    ("outcome", "options", "status"),
    [
        ({"results": [result(2, 1)]}, ["--strict"], 0),
        ({"results": [result(2, 3)]}, [], 0),
        ({"results": [result(2, 3)]}, ["--strict"], 1),
        ({"differing": [suite.Skipped("g", "n", "obs differs")]}, [], 1),
        ({"skipped": [suite.Skipped("g", "n", "no torch")]}, ["--strict"], 0),
    ],
)
def test_exit_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: dict[str, Any],
    options: list[str],
    status: int,
) -> None:
    results = BenchResults(describe_machine(), True, **outcome)
    monkeypatch.setattr("ascore.benchmark.run", lambda *_: results)
    for form in ([], ["--json"], ["--markdown"]):
        assert main(["bench", *options, *form]) == status
        assert capsys.readouterr().out.strip()


def test_an_unknown_group_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--group", "speed"]) == 2
    assert "'speed'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no benchmark group 'speed'; choose from: twin, bound"):
        suite.cases(["speed"])


def test_the_quick_look_is_a_smaller_measurement() -> None:
    assert 5 <= QUICK.repeats < FULL.repeats
    assert 0.03 <= QUICK.seconds < FULL.seconds
    assert QUICK.twin_envs < FULL.twin_envs
    assert QUICK.quick
    assert not FULL.quick


def test_the_quick_look_leaves_the_longest_cases_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[set[str]] = []

    def note(chosen: list[Case], *_: object) -> BenchResults:
        measured.append({case.name for case in chosen})
        return BenchResults(describe_machine(), True)

    monkeypatch.setattr("ascore.benchmark.run", note)
    for options in ([], ["--quick"], ["--quick", "--group", "networks"]):
        assert main(["bench", "--json", *options]) == 0
    every, quick, networks = measured
    assert every - quick == set(LONGEST)
    assert set(LONGEST) & networks == {"networks, 4096 rows", "products"}
    capsys.readouterr()


def test_timing_an_update_many_times_moves_no_weight() -> None:
    """Otherwise ratios to the policy that sampled the batch overflow, and the update fails."""
    pytest.importorskip("torch")
    from ascore.benchmark.updates import iterations, prepared, stand_still

    learner, rows = prepared("exchange", "multihead", 1)
    stand_still(learner)
    before = learner.actor.net.flat.detach().clone()
    for _ in range(3):
        iterations(learner, rows)()
    assert (learner.actor.net.flat.detach() == before).all()
