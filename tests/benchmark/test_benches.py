"""Scripts in benches/ that CI does not run: their checks, counts and pictures."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ascore.benchmark import Differs

pytest.importorskip("torch")

BENCHES = Path(__file__).resolve().parents[2] / "benches"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- the peer --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    return script("peer_torchrl")


def test_without_the_peer_it_says_what_to_install(
    peer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchrl", None)
    assert peer.main(["--json"]) == peer.EXIT_MISSING
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "torchrl is not installed; pip install 'ascore[peer]'" in captured.err
    assert "pip install -c constraints.txt '.[peer]'" in captured.err


def test_too_few_turns_are_refused(peer: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peer.main(["--repeats", "4"])
    assert "--repeats 4 is too few" in capsys.readouterr().err


class Side:
    """A side whose return grows by `gain` in every update."""

    def __init__(self, parameters: int, gain: float) -> None:
        self.parameters, self.gain, self.earned = parameters, gain, -788.0

    def collect(self) -> float:
        return self.earned

    def team_return(self, batch: float) -> float:
        return batch

    def learn(self, batch: float) -> None:
        self.earned += self.gain


def test_both_sides_must_learn_with_the_same_sizes(peer: ModuleType) -> None:
    config = peer.Config.preset("navigation", "ippo")
    curves = peer.both_learn(Side(9, 20.0), Side(9, 30.0), 30, config)
    assert curves["ascore"][:2] == [-788.0, -768.0]
    assert curves["TorchRL"][-1] == -788.0 + 29 * 30.0
    with pytest.raises(Differs, match="9 parameters here, 8 in the peer"):
        peer.both_learn(Side(9, 20.0), Side(8, 20.0), 30, config)
    with pytest.raises(Differs, match=r"TorchRL does not learn: team return -788 after 30 updates"):
        peer.both_learn(Side(9, 20.0), Side(9, 0.0), 30, config)


def test_our_side_is_the_training_path(peer: ModuleType) -> None:
    ours = peer.Ours(peer.Config.preset("navigation", "ippo", num_envs=2, minibatches=1))
    batch = ours.collect()
    assert batch.reward.shape == (ours.steps, 2, 3)
    assert ours.team_return(batch) == pytest.approx(sum(r.sum() for r in batch.episode_returns) / 2)
    before = ours.learner.actor.net.flat.detach().clone()
    ours.learn(batch)
    moved = ours.learner.actor.net.flat.detach().clone()
    assert (moved != before).any()
    ours.stand_still()
    ours.learn(batch)
    assert (ours.learner.actor.net.flat.detach() == moved).all()


# ---- the peer in C++ -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rltools() -> ModuleType:
    sys.path.insert(0, str(BENCHES))
    try:
        return script("peer_rltools")
    finally:
        sys.path.remove(str(BENCHES))


def test_without_a_checkout_it_says_what_is_not_there(
    rltools: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rltools.main(["--rltools", str(tmp_path), "--json"]) == rltools.EXIT_MISSING
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"no RLtools in {tmp_path}" in captured.err


def test_what_does_not_compile_is_shown(
    rltools: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    header = tmp_path / "include" / "rl_tools" / "rl_tools.h"
    header.parent.mkdir(parents=True)
    header.touch()
    assert rltools.main(["--rltools", str(tmp_path)]) == rltools.EXIT_MISSING
    captured = capsys.readouterr()
    assert "RLtools does not compile: " in captured.err or "no compiler " in captured.err


def test_the_best_return_is_what_straight_walks_earn(rltools: ModuleType) -> None:
    assert rltools.best_from(0, 0) == 0
    assert rltools.best_from(0, 3) == -3  # two cells, one, none
    assert rltools.best_from(1, 1) == -1
    assert rltools.best_from(2, 1) == pytest.approx(-(2**0.5) - 1)
    # On two cells by two, half of all starts are one step away, and a quarter are two.
    assert rltools.best_return(2) == pytest.approx(-0.25)


def test_returns_must_end_near_the_best(rltools: ModuleType) -> None:
    best = rltools.best_return()
    rltools.require_learning("one", [-250.0] * 9 + [best - 0.9] * rltools.LAST)
    with pytest.raises(Differs, match=r"one does not learn: return -4\.99 after 20 updates"):
        rltools.require_learning("one", [best - 1.09] * rltools.LAST)


def test_the_process_of_the_peer_is_asked_and_timed(rltools: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "peer"
    program.write_text("#!/bin/sh\nread n; echo 0.25 -$n; read n; echo 0.5 -$n; read n; exit 3\n")
    program.chmod(0o755)
    peer = rltools.Peer(program)
    assert (peer.update(7), peer.update()) == (-7.0, -1.0)
    assert peer.seconds == 0.75
    with pytest.raises(Differs, match="RLtools ended with code 3"):
        peer.update()
    peer.close()


# ---- time and memory against the number of agents --------------------------------------------


@pytest.fixture(scope="module")
def agents() -> ModuleType:
    return script("plot_agents")


@pytest.mark.parametrize("kind", ["modules", "separate", "multihead", "fused"])
def test_what_is_stored_is_four_numbers_per_parameter(agents: ModuleType, kind: str) -> None:
    call, stored, rows = agents.case(kind, 3, 1)
    call()
    assert rows == agents.HORIZON
    obs, networks = 3, {"modules": 9, "separate": 9}.get(kind, 3)
    outputs = 2 if networks == 9 else 6
    trunk = (obs + 1) * 128 + 129 * 64
    numbers = networks * (trunk + 65 * outputs) + 3 * (trunk + 65)
    steps = stored() / 4 - 4 * numbers  # Adam also stores its step counts
    assert 0 < steps < 100


def test_a_picture_from_the_table(agents: ModuleType, tmp_path: Path) -> None:
    table: list[dict[str, Any]] = [
        {
            "agents": n, "kind": kind, "rows": 64, "rounds": 1, "update_ms": n * k,
            "update_ms_least": n * k / 2, "update_ms_greatest": n * k * 2, "peak_mb": n * k,
            "stored_mb": n / 10,
        }
        for n in (2, 4)
        for k, kind in enumerate(agents.KINDS, 1)
    ]  # fmt: skip
    path = tmp_path / "table.csv"
    agents.write(table, path)
    assert agents.read(path) == table
    assert agents.main(["--redraw", "--out", str(path)]) == 0
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        agents.main(["--out", str(tmp_path / "absent" / "table.csv")])


# ---- where an update's time goes -------------------------------------------------------------


def test_a_part_is_timed_less_what_is_timed_within_it() -> None:
    clock = script("profile_update").Clock()

    def outer() -> None:
        clock.call("inner", time.sleep, 0.02)
        time.sleep(0.01)
        clock.call("inner", time.sleep, 0.02)

    start = time.perf_counter()
    clock.call("outer", outer)
    took = time.perf_counter() - start
    assert clock.seconds["inner"] >= 0.04
    assert 0.01 <= clock.seconds["outer"] < took - 0.04 + 1e-3
    assert sum(clock.seconds.values()) == pytest.approx(took, abs=1e-3)


@pytest.mark.parametrize(
    ("side", "parts"),
    [
        ("before", ["environment", "policy", "messages", "forward", "loss", "backward"]),
        ("after", ["environment", "policy", "values", "messages", "forward, loss and backward"]),
    ],
)
def test_parts_of_an_update_are_timed_separately(side: str, parts: list[str]) -> None:
    # In a separate process, because wrapped calls stay wrapped.
    command = [sys.executable, BENCHES / "profile_update.py", "exchange", "--side", side]
    output = subprocess.run(
        [*command, "--updates", "1"], capture_output=True, text=True, check=True
    ).stdout
    milliseconds = {line[:28].strip(): line[28:].split() for line in output.splitlines()[1:]}
    assert {*parts, "advantages", "optimiser", "the rest, in Python"} < milliseconds.keys()
    assert milliseconds["whole update"][2] == "100.0%"


# ---- pytest-benchmark ------------------------------------------------------------------------


def benched(folder: Path, bench: Path, *options: str) -> Any:
    """What `pytest BENCH --benchmark-json` writes after a few short rounds."""
    short = ("--benchmark-max-time=0.01", "--benchmark-min-rounds=2", "--benchmark-warmup=off")
    command = [sys.executable, "-m", "pytest", str(bench), "-p", "no:cacheprovider", "-q"]
    written = folder / "times.json"
    outside = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(  # a worker of pytest-xdist would time nothing
        [*command, "--benchmark-only", *short, f"--benchmark-json={written}", *options],
        cwd=folder,
        env=outside,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(written.read_text())


def test_a_file_of_times_has_machine_and_ratios(tmp_path: Path) -> None:
    times = benched(tmp_path, BENCHES / "bench_loss.py", "-k", "6")
    assert times["machine_info"]["ascore"]["cores"] >= 1
    compiled, plain = times["benchmarks"]
    assert (compiled["name"][-9:-1], plain["name"][-6:-1]) == ("compiled", "torch")
    ratio = plain["stats"]["median"] / compiled["stats"]["median"]
    assert compiled["extra_info"]["times_as_fast_as"] == {plain["name"]: pytest.approx(ratio)}
    assert plain["extra_info"]["times_as_fast_as"] == {compiled["name"]: pytest.approx(1 / ratio)}


def test_the_bench_of_an_own_environment_is_as_the_page_has_it(tmp_path: Path) -> None:
    pytest.importorskip("mpe2")
    page = (BENCHES.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    block = page.partition("file `bench_mine.py`:")[2].partition("```python\n")[2]
    bench = tmp_path / "bench_mine.py"
    bench.write_text(block.partition("```")[0], encoding="utf-8")
    mine, ours = benched(tmp_path, bench)["benchmarks"]
    assert mine["group"] == ours["group"] == "step"
    assert ours["stats"]["median"] < mine["stats"]["median"]


def test_the_page_names_every_group() -> None:
    page = (BENCHES.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    table = page.partition("## With pytest-benchmark")[2].partition("## ")[0]
    groups = {
        re.sub(r"\{.*", "", name).rstrip("-")
        for path in BENCHES.glob("bench_*.py")
        for name in re.findall(r'group ?= ?f?"([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(groups) >= 9
    assert [name for name in sorted(groups) if f"`{name}" not in table] == []
