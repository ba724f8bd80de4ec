"""Writes dp_accounting.csv: what dp-accounting 0.6.0 computes for 200 settings.

It asks for older packages than the other tests need, so it is installed apart:

    pip install --target apart dp-accounting==0.6.0
    PYTHONPATH=apart python tests/dp/make_table.py
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

TABLE = Path(__file__).with_name("dp_accounting.csv")
SETTINGS = 200


def settings() -> list[tuple[float, int, float]]:
    """Noise in units of the sensitivity, releases and delta; epsilon from 0.02 to 40 or so."""
    rng = np.random.default_rng(0)
    releases = rng.integers(1, 200, SETTINGS)
    mu = np.exp(rng.uniform(math.log(0.03), math.log(6.0), SETTINGS))
    delta = 10.0 ** rng.uniform(-9, -3, SETTINGS)
    chosen = zip(releases, mu, delta, strict=True)
    return [(float(f"{math.sqrt(k) / m:.6g}"), int(k), float(f"{d:.4g}")) for k, m, d in chosen]


def main() -> None:
    """Writes the table."""
    import dp_accounting
    from dp_accounting import pld, rdp

    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["noise", "releases", "delta", "gaussian", "pld", "rdp"])
        for noise, releases, delta in settings():
            event = dp_accounting.SelfComposedDpEvent(
                dp_accounting.GaussianDpEvent(noise), releases
            )
            one = dp_accounting.get_epsilon_gaussian(noise / math.sqrt(releases), delta)
            others = [
                accountant.compose(event).get_epsilon(delta)
                for accountant in (pld.PLDAccountant(), rdp.RdpAccountant())
            ]
            writer.writerow([noise, releases, delta, *(f"{x:.10g}" for x in (one, *others))])


if __name__ == "__main__":
    main()
