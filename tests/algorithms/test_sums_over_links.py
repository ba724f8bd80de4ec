"""Sums over lists of links, as taken for many agents, equal products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ascore.algorithms import links as module
from ascore.algorithms.graph import Pairs, pairs
from ascore.algorithms.links import Links
from ascore.algorithms.table import get_algorithm
from ascore.config import Config
from ascore.errors import ConfigError

STEPS, ENVS = 5, 3


def states(seed: int, n: int) -> np.ndarray:
    """Masks that change from state to state; some agents hear nobody."""
    rng = np.random.default_rng(seed)
    met = rng.random((STEPS + 1, ENVS, n, n)) < rng.choice([0.1, 0.5])
    met[..., range(n), range(n)] = False
    met[:, :, rng.random(n) < 0.3] = False
    return met.astype(np.uint8)


def both(monkeypatch: pytest.MonkeyPatch, make: Any) -> tuple[Links, Links]:
    """The same links as for few agents and as for many."""
    few = make()
    monkeypatch.setattr(module, "FEW", 0)
    many = make()
    return few, many


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["environment", "contacts", "ring", "random_one", "none"])
def test_lists_give_what_matrices_give(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(100 + seed)
    n = int(rng.integers(2, 9))
    met = states(seed, n)
    ended = (rng.random((STEPS, ENVS)) < 0.3).astype(np.uint8)
    present = (rng.random((STEPS + 1, ENVS, n)) < 0.8).astype(np.uint8)
    left = rng.integers(0, 3, (STEPS, ENVS, n)).astype(np.uint8)
    config = Config(graph=kind, seed=seed)
    own = rng.normal(0, 2, (STEPS + 1, ENVS, n)).astype(np.float32)

    def make() -> Links:
        links = Links.of(met[:-1], met[-1], ended, config, 3)
        return links.among(present, left) if seed % 2 else links

    few, many = both(monkeypatch, make)
    assert len(many.pairs) <= len(few.pairs)
    assert np.array_equal(few.states, many.states)
    assert np.array_equal(few.closing, many.closing)

    def means(links: Links) -> list[np.ndarray]:
        return [
            links.mean_at_states(own), links.mean_at_rows(own[1:]), links.mean_at_closing(own[1:])
        ]  # fmt: skip

    listed = [*means(many), many.weights().to_dense().numpy()]
    monkeypatch.undo()
    for x, y in zip([*means(few), few.weights().numpy()], listed, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6)
    rows = many.weights()
    np.testing.assert_allclose(rows.to_dense().sum(dim=1), 1.0, rtol=1e-5)

    def as_matrix(links: Links, count: np.ndarray) -> np.ndarray:
        matrix = np.zeros((n, n), dtype=np.int64)
        matrix[links.pairs.listener, links.pairs.sender] = count
        return matrix

    closing, running = rng.random((STEPS, ENVS)) < 0.4, rng.random(ENVS) < 0.5
    whose = rng.random((STEPS, ENVS, n)) < 0.4
    for links in (few, many):
        assert (as_matrix(links, links.on_rows) == links.rows.sum(axis=(0, 1))).all()
        for which, last, expected in (
            (closing, False, few.closing[closing].sum(axis=0)),
            (running, True, few.states[-1][running].sum(axis=0)),
            (whose, False, (few.closing & whose[..., None]).sum(axis=(0, 1))),
        ):
            assert (as_matrix(links, links.on_states(which, last=last)) == expected).all()


def test_consensus_keeps_the_mean_and_leaves_the_lonely_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FEW", 0)
    links = Links(Pairs.of(4, np.array([0, 2]), np.array([1, 1])), STEPS, ENVS)
    weights = links.weights()
    assert weights.is_sparse
    x = torch.tensor([[1.0], [2.0], [6.0], [5.0]])
    mixed = weights @ x
    assert float(mixed.sum()) == pytest.approx(14.0)
    assert float(mixed[3]) == 5.0
    assert torch.equal(weights.to_dense(), weights.to_dense().T)


def test_inequity_is_averse_over_lists_too(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    reward = rng.normal(0, 1, (STEPS, ENVS, 6)).astype(np.float32)
    ended = np.zeros((STEPS, ENVS), np.uint8)
    config = Config(algorithm="ia", graph="ring")
    algorithm = get_algorithm("ia")
    few, many = both(monkeypatch, lambda: Links.of(None, None, ended, config, 0, 6))
    expected = algorithm.rewards(reward, ended, few, config)
    np.testing.assert_allclose(algorithm.rewards(reward, ended, many, config), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("degree", "heard"),
    [(1, [1]), (2, [1, 5]), (3, [1, 2, 5]), (4, [1, 2, 4, 5]), (5, [1, 2, 3, 4, 5])],
)
def test_nearest_by_number_around_a_ring(degree: int, heard: list[int]):
    links = pairs("nearest", 6, degree=degree)
    assert links.sender[links.listener == 0].tolist() == heard
    assert np.bincount(links.listener).tolist() == [degree] * 6
    assert np.bincount(links.sender).tolist() == [degree] * 6
    if degree == 2:
        assert np.array_equal(links.mask, pairs("ring", 6).mask)


def test_a_degree_is_below_the_number_of_agents():
    with pytest.raises(ConfigError, match=r"graph_degree = 6 .* set graph_degree to at most 5"):
        pairs("nearest", 6, degree=6)


def test_a_matrix_of_thousands_of_rows_is_refused_in_a_sentence():
    text = ",".join(["0" * 4096] * 4096)
    with pytest.raises(ConfigError) as raised:
        Config(graph="matrix", graph_matrix=text)
    assert str(raised.value) == (
        "graph_matrix has 4,096 rows, more than 1,024; for so many agents choose a graph by its "
        "name, such as ring, nearest or random_one"
    )
