"""What attackers compute from states and actions is what the environments pay and hide."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from cases import case
from numpy.typing import NDArray

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.envs.parameters import read_value
from ascore.envs.table import ENVIRONMENTS
from ascore.errors import ConfigError
from ascore.privacy.preferences import Prior, record_of, with_weights

NAMES = [name for name, record in ENVIRONMENTS.items() if record.secret]
# Small worlds in which much happens; the attacks read boxes that are opened from their own cell.
PARAMS = {
    name: {k: v for k, v in case(name).crowded.items() if k != "open_range"} for name in NAMES
}
WEIGHTS = np.array([0.5, 1.5, 0.25])


def played(name: str, weights: str) -> list[tuple[NDArray[Any], ...]]:
    """Steps of random play within episodes: states before and after, actions, rewards."""
    env = batch(name, PARAMS[name] | {"weights": weights}, 128, seed=3)
    env.reset()
    uniforms = np.empty((128, 3), np.float32)
    steps = []
    for _ in range(25):
        env.uniforms(uniforms)
        before, action = env.obs.copy(), (uniforms * env.spec.num_actions).astype(np.int32)
        env.step(action)
        steps.append((before, env.obs.copy(), action, env.reward.copy()))
    return steps


@pytest.mark.parametrize("name", NAMES)
def test_weights_change_rewards_and_nothing_else(name: str) -> None:
    """Observations are the same to the bit; rewards differ by what the event pays, weighed."""
    game = ENVIRONMENTS[name].load_secret()(batch(name, PARAMS[name]))
    hidden, public = played(name, " ".join(map(str, WEIGHTS))), played(name, "equal")
    units = []
    for (before, after, action, reward), (*same, plain) in zip(hidden, public, strict=True):
        for one, other in zip((before, after, action), same, strict=True):
            np.testing.assert_array_equal(one, other)
        unit = game.unit(before, after, action)
        np.testing.assert_allclose(reward, plain + (WEIGHTS - 1) * unit, atol=1e-5)
        units.append(unit)
    assert (np.abs(units).sum(axis=(0, 1)) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_acts_and_situations_have_their_shapes(name: str) -> None:
    game = ENVIRONMENTS[name].load_secret()(batch(name, PARAMS[name]))
    obs = played(name, "equal")[5][0]
    for agent in range(3):
        acts, situations = game.acts(obs, agent), game.situations(obs, agent)
        assert acts.shape[::2] == (128, batch(name, PARAMS[name]).spec.num_actions)
        assert set(np.unique(acts)) <= {-1.0, 0.0, 1.0}
        assert (acts != 0).any()
        assert (situations[:, 0] == 1).all()
        assert len(situations) == 128


def test_exchange_knows_the_way_to_a_box() -> None:
    env = batch("exchange", {"num_agents": 2, "size": 3})
    game = ENVIRONMENTS["exchange-v1"].load_secret()(env)
    # Agent 0 at column 0, row 2; agent 1 on its own box at column 2, row 1; box 0 is eaten.
    obs = np.array([[[0, 1, 1, 0.5, -1, -1, 1, 0.5]]], dtype=np.float32)
    opens, goes = game.acts(obs, 0)[0]
    assert opens.tolist() == [0] * 6
    assert goes.tolist() == [0, -1, 1, -1, 1, 0]  # right and up, not left and down
    assert not game.acts(obs, 1)[0].any()  # the other's food is eaten
    obs[0, 0, :2] = (1, 0.5)
    assert game.acts(obs, 0)[0, 0].tolist() == [0, 0, 0, 0, 0, 1]
    assert game.situations(obs, 1)[0].tolist() == [1, 1, 1, 0]


def refusal(name: str, env: Any) -> str:
    """Why the attacks do not read a game; "" = they do."""
    try:
        ENVIRONMENTS[name].load_secret()(env)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_what_the_attacks_cannot_read_is_refused(name: str) -> None:
    """Every variant is read or refused in a sentence that names key, value and remedy."""
    refused = set()
    for params in case(name).variants:
        env = batch(name, params)
        why = refusal(name, env)
        if not why:
            env.reset()
            acts = ENVIRONMENTS[name].load_secret()(env).acts(env.obs, 0)
            assert acts.shape[2] == env.spec.num_actions
            continue
        match = re.search(r"read (\w+) = .*, not (.*); leave out (\w+)$", why)
        assert match is not None, why
        assert match[1] == match[3]
        assert params[match[1]] == read_value(match[2]), params
        refused.add(match[1])
    assert len(refused) >= 2


def test_weights_are_drawn_by_agent_and_kept_in_the_configuration() -> None:
    prior = Prior(0.5, 1.5)
    few, many = prior.draw(7, 2), prior.draw(7, 6)
    assert few.tolist() == many[:2].tolist()
    draws = np.concatenate([prior.draw(seed, 4) for seed in range(200)])
    assert 0.5 < draws.min() < 0.52
    assert 1.48 < draws.max() < 1.5
    assert abs(draws.mean() - prior.mean) < 0.04
    assert draws.var() == pytest.approx(prior.variance, rel=0.1)
    config = with_weights(Config.preset("predation", env_params={"num_agents": 2}), few)
    assert [float(w) for w in config.env_params["weights"].split()] == few.tolist()
    assert Config.from_dict(config.to_dict()) == config


def test_impossible_priors_and_games_without_secrets_are_refused() -> None:
    for low, high in ((1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, np.inf), (0.0, 2e6)):
        with pytest.raises(ConfigError, match="no limits of weights"):
            Prior(low, high)
    for low, high in ((np.nan, 1.0), (1e-300, 2e-300), (1e5, 1e5 + 1e-4)):  # cannot be told apart
        with pytest.raises(ConfigError, match="no limits of weights"):
            Prior(low, high)
    assert 0 < Prior(1e6 - 2, 1e6).variance < Prior(0.0, 1e6).variance < np.inf
    with pytest.raises(ConfigError, match=r"navigation-v1 has no private weights; .*exchange-v1"):
        record_of(Config.preset("navigation"))
