"""Noise is normal, as large as it says, and never drawn twice."""

from __future__ import annotations

import numpy as np
import pytest

from ascore.dp import noise


def test_noise_is_normal() -> None:
    with noise.repeatable(3):
        drawn = noise.normal(200, 1001)
    assert drawn.shape == (200, 1001)
    flat = np.sort(drawn.ravel())
    assert abs(flat.mean()) < 0.01
    assert abs(flat.std() - 1) < 0.01
    # Quantiles of the normal distribution, at 5 standard errors.
    for z, share in ((-3.0, 0.00135), (-1.0, 0.15866), (0.0, 0.5), (2.0, 0.97725)):
        assert abs(np.searchsorted(flat, z) / flat.size - share) < 5 * (share / flat.size) ** 0.5
    halves = drawn[:100].ravel(), drawn[100:].ravel()
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.02


def test_numbers_are_finite_at_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for byte in (b"\x00", b"\xff"):
        monkeypatch.setattr(noise, "_entropy", lambda count, byte=byte: byte * count)
        assert np.isfinite(noise.normal(4)).all()
        assert np.abs(noise.normal(4)).max() < 8.6


def test_noise_is_drawn_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    assert noise._entropy is os.urandom
    assert not np.array_equal(noise.normal(8), noise.normal(8))
    with noise.repeatable(1):
        first = noise.normal(8)
        assert not np.array_equal(first, noise.normal(8))
    with noise.repeatable(1):
        assert np.array_equal(first, noise.normal(8))
    assert noise._entropy is os.urandom
