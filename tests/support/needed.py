"""Packages of the extras parties and test; tests that import them from here are skipped without."""

from __future__ import annotations

import pytest

grpc = pytest.importorskip("grpc", reason="needs ascore[parties]")
cryptography = pytest.importorskip("cryptography", reason="needs ascore[parties]")
trustme = pytest.importorskip("trustme", reason="needs ascore[test]")
