"""Is it really this objective that trains? pytest test_total_variation.py"""

from dataclasses import replace

import pytest
import total_variation

import ascore
from ascore.algorithms.table import get_algorithm
from ascore.errors import AscoreWarning

SMALL = {"env": "predation", "episodes": 64, "actor_hidden": (16,), "critic_hidden": (16,)}


def train(out, algorithm, **keys):
    run = ascore.train(ascore.Config(algorithm=algorithm, **SMALL, **keys), out=out)
    return run.policy.layers[0][0]


def test_the_objective_is_what_trains(tmp_path):
    calls = []

    def counted(*args):
        calls.append(args)
        return total_variation.objective(*args)

    ascore.register_algorithm(replace(total_variation.TV, name="tv", objective=counted))
    taxed = train(tmp_path / "tv", "tv")
    assert len(calls) == 2 * 3 * 4  # updates, iterations, minibatches
    assert (taxed != train(tmp_path / "as", "as")).any()
    assert (taxed != train(tmp_path / "free", "tv", algorithm_params={"tax": 0.0})).any()


def test_it_is_found_by_its_place_too(tmp_path):
    assert get_algorithm("total_variation:TV") is total_variation.TV
    train(tmp_path / "run", "total_variation:TV")


def test_a_key_of_the_replaced_penalty_changes_nothing(tmp_path):
    with pytest.warns(AscoreWarning, match=r"penalty_weight = 7\.0 changes nothing"):
        train(tmp_path / "run", "total_variation:TV", penalty_weight=7.0)
