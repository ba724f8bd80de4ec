"""Attacks on parties; `python -m tests.hostile --parties N` does more, and kills and restarts them.

What a killed party does when it comes back is in `test_processes.py`.
"""

from __future__ import annotations

from pathlib import Path

import doors  # noqa: F401 (first: without its packages, tests are skipped)
import pytest
from hostile_parties import ATTACKS, Attacked, parties


def deadly(office: Attacked) -> str:
    """Ends a party: a harness that cannot fail proves nothing."""
    office.running["firm-a"].kill()
    office.running["firm-a"].wait()
    return "a deadly one"


def test_whatever_comes_parties_go_on_and_what_ends_one_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless = [attack for attack in ATTACKS if attack is not Attacked.kill]
    assert len(harmless) == 4
    monkeypatch.setattr("hostile_parties.ATTACKS", (*harmless, deadly))
    tally = parties(5, tmp_path, seed=1)
    assert tally.survived == 4
    assert tally.lost[0] == "a deadly one: firm-a ended with -9"
    assert all(loss.startswith("firm-a") for loss in tally.lost[1:]), tally.lost  # and no other
