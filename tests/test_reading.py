"""Strict JSON: what is no number in it is named."""

from __future__ import annotations

import pytest

from ascore.reading import strict_json


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    with pytest.raises(ValueError, match=f"^it holds {number}, which is no "):
        strict_json(f'{{"a": [1.5, {number}]}}'.encode())


def test_finite_numbers_are_read_as_they_are() -> None:
    assert strict_json(b"[1.5, -1.7e308, 5e-324, 1e-999, 3]") == [1.5, -1.7e308, 5e-324, 0.0, 3]
