"""A harness of hostility: kills, full disks, damaged and mutated files, writers, leaks, parties.

    python -m tests.hostile --kills 200 --damaged 500 --mutated 100000 --disks 50 --writers 20

Prints how many attacks of each kind were tried, survived, refused in one line, and lost, and ends
with status 1 if anything was lost. The same seed makes the same attacks, but for the moments of
kills. Needs Linux, and for parties the extra of that name.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

import hostile_parties
import hostility

ATTACKS = {
    "kills": (hostility.kills, 30),
    "damaged": (hostility.damaged_folders, 60),
    "mutated": (hostility.mutated_policies, 4_000),
    "disks": (hostility.full_disks, 10),
    "writers": (hostility.two_writers, 5),
    "leaks": (hostility.leaks, 40),
    "parties": (hostile_parties.parties, 20),
}
"""By option: the attack, and how many of it there are when nobody says."""


def main() -> int:
    """Runs the attacks one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    for name, (attack, count) in ATTACKS.items():
        about = (attack.__doc__ or "").splitlines()[0]
        parser.add_argument(f"--{name}", type=int, default=count, help=f"{about} ({count})")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    lost = 0
    for name, (attack, _) in ATTACKS.items():
        if options[name]:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                tally = attack(options[name], Path(folder), options["seed"])
                print(f"{tally} ({time.monotonic() - start:.0f} s)", flush=True)
                lost += len(tally.lost)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
