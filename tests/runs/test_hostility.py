"""A little of every attack of the harness; `python -m tests.hostile` does more of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("forks, and reads /proc", allow_module_level=True)

import hostility

ATTACKS = [
    (hostility.kills, 8),
    (hostility.damaged_folders, 14),
    (hostility.mutated_policies, 500),
    (hostility.full_disks, 3),
    (hostility.two_writers, 2),
    (hostility.leaks, 6),
]


@pytest.mark.parametrize(("attack", "count"), ATTACKS, ids=lambda x: getattr(x, "__name__", x))
def test_nothing_is_lost(attack: Any, count: int, tmp_path: Path) -> None:
    tally = attack(count, tmp_path, seed=1)
    assert tally.lost == []
    assert tally.tried >= count
    assert tally.survived == tally.tried


def test_what_is_lost_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack that nothing withstands is reported: a harness that cannot fail proves nothing."""
    monkeypatch.setattr(hostility, "DAMAGES", (lambda rng, path: "nothing",))
    assert hostility.damaged_folders(1, tmp_path / "a", seed=1).lost == []
    monkeypatch.setattr(hostility.ascore, "resume", lambda run: 1 / 0)
    (loss,) = hostility.damaged_folders(1, tmp_path / "b", seed=1).lost
    assert loss.endswith("ended [0, 0, 5]")
