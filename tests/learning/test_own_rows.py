"""A rank that has the rows of its own agents alone: what it knows of the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ascore
from ascore.algorithms import graph
from ascore.algorithms.heads import NOBODY, Heads
from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.learning.own_rows import KnownHeads, OwnRows
from ascore.learning.rollout import Collector
from ascore.learning.stepping import collector_of
from ascore.runtime.ranks import Ranks

N, SIZE = 24, 3


class Apart(Ranks):
    """One of several ranks; what the others would send is given."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.sent: list[np.ndarray] = []

    def concatenated(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.from_numpy(part) for part in self.sent])


@pytest.mark.parametrize("kind", ["ring", "random_one", "none"])
def test_heads_of_whom_a_rank_knows_are_those_of_all(kind: str):
    heads = Heads.of(graph.pairs(kind, N, seed=4))
    for first in range(0, N, 8):
        known = KnownHeads.by(heads, slice(first, first + 8))
        members = known.members
        assert members[:8].tolist() == list(range(first, first + 8))
        assert len(set(members.tolist())) == len(members)
        for place, agent in enumerate(members.tolist()):
            assert known.own_place[place] == heads.own_place[agent]
            for h in range(len(heads)):
                subject, at = heads.subjects[agent, h], known.subjects[place, h]
                if at == NOBODY:
                    assert place >= 8 or subject == NOBODY
                    continue
                assert members[at] == subject
                assert known.back[place, h] == heads.back[agent, h]


@pytest.mark.parametrize("num_actions", [2, 5, 256])
def test_actions_of_all_ranks_are_put_together(num_actions: int):
    rng = np.random.default_rng(num_actions)
    everybody = rng.integers(0, num_actions, (5, N)).astype(np.int32)
    parts = np.split(everybody, SIZE, axis=1)
    flat = [part.reshape(-1).astype(np.uint8) for part in parts]
    sent = [np.packbits(part) for part in flat] if num_actions == 2 else flat
    for rank, part in enumerate(parts):
        ranks = Apart(rank, SIZE)
        ranks.sent = sent
        split = OwnRows(ranks, N)
        np.testing.assert_array_equal(split.actions(part, num_actions), everybody)
        assert split.bytes_acted == (SIZE - 1) * sent[rank].nbytes


def test_what_a_rank_collects_is_its_part_of_what_one_process_does():
    params = {"num_agents": N, "obs_mode": "nearest", "horizon": 5}
    config = Config(
        env_params=params, num_envs=3, graph="ring", actor_hidden=(8,), critic_hidden=(8,)
    )
    batches = [ascore.make("predation", 3, config.seed, **params) for _ in range(SIZE + 1)]
    for env in batches:
        env.reset()
    alone = Learner(config, batches[0].spec)
    whole = Collector(batches[0], 7, neighbours=False).collect(alone.actor)
    for rank, env in enumerate(batches[1:]):
        ranks = Apart(rank, SIZE)
        learner = Learner(config, env.spec, ranks)
        own = slice(rank * 8, (rank + 1) * 8)
        assert torch.equal(learner.actor.net.flat, alone.actor.net.flat[own])
        assert torch.equal(learner.critic.net.flat, alone.critic.net.flat[own])
        assert isinstance(learner.split, OwnRows)
        given = iter(whole.action)
        split = learner.split
        chosen: list[np.ndarray] = []

        def actions(mine: np.ndarray, _: int, given=given, chosen=chosen) -> np.ndarray:
            chosen.append(mine.copy())
            return next(given)

        split.actions = actions  # type: ignore[method-assign]
        part = collector_of(learner, env, 7).collect(learner.actor)
        np.testing.assert_array_equal(np.stack(chosen), whole.action[:, :, own])
        np.testing.assert_array_equal(part.action, whole.action)
        np.testing.assert_array_equal(part.obs, whole.obs[:, :, own])
        np.testing.assert_array_equal(part.last_obs, whole.last_obs[:, own])
        np.testing.assert_array_equal(part.reward, whole.reward[:, :, own])
        np.testing.assert_array_equal(part.truncated, whole.truncated)
        for mine, all_of_them in zip(part.final, whole.final, strict=True):
            assert mine[0] == all_of_them[0]
            np.testing.assert_array_equal(mine[1], all_of_them[1])
            np.testing.assert_array_equal(mine[2], all_of_them[2][:, own])
        returns = zip(part.episode_returns, whole.episode_returns, strict=True)
        for mine_earned, all_earned in returns:
            np.testing.assert_array_equal(mine_earned, all_earned[:, own])


@pytest.mark.parametrize(
    ("keys", "own"),
    [
        ({}, True),
        ({"algorithm": "ippo"}, True),
        ({"graph": "complete"}, False),  # everybody hears everybody
        ({"algorithm": "vs"}, False),  # agents learn from others' values
        ({"algorithm": "svo"}, False),  # and from others' rewards
        ({"env_params": {"num_agents": N}}, False),  # all see one state
        ({"env_params": {"num_agents": 8, "obs_mode": "nearest"}}, False),  # too few
    ],
)
def test_which_ranks_have_rows_of_their_own(keys: dict, own: bool):
    base = {"env_params": {"num_agents": N, "obs_mode": "nearest"}, "graph": "ring", "num_envs": 4}
    config = Config(**{**base, "actor_hidden": (8,), "critic_hidden": (8,), **keys})
    spec = ascore.make("predation", **config.env_params).spec
    assert isinstance(Learner(config, spec, Apart(0, 2)).split, OwnRows) == own


def test_errors_name_agents_by_their_numbers_among_all():
    from ascore.errors import NonFiniteError

    params = {"num_agents": N, "obs_mode": "nearest"}
    config = Config(
        env_params=params, num_envs=2, graph="ring", actor_hidden=(8,), critic_hidden=(8,)
    )
    learner = Learner(config, ascore.make("predation", **params).spec, Apart(1, SIZE))
    learner.critic.net.flat.detach()[3] = float("nan")
    with pytest.raises(NonFiniteError, match="value parameter of agent 11 is"):
        learner.guards.parameters({"value": learner.critic_adam.parameters})
