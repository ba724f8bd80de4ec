"""Agents that leave before the others or enter after them, from collection to the parameters."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from comers import Inn
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import BACKENDS, TRAINED, session

import ascore
from ascore.algorithms.targets import ValueNormalizer, gae
from ascore.envs.presence import TERMINATED, TRUNCATED
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.learner import Learner
from ascore.learning.presence import Presence
from ascore.learning.rollout import Collector, Rollout
from ascore.learning.rows import _packed, _unpacked, whole
from ascore.reference import leaving
from ascore.reference.gae import gae_float64
from ascore.runtime.ranks import Ranks
from ascore.streams import STREAM_MINIBATCH, episode_seed, generator

torch.set_num_threads(1)

INN: dict[str, Any] = {
    "env": "comers:Inn",
    "num_envs": 4,
    "minibatches": 2,
    "iterations": 2,
    "entropy_bonus": 0.02,
    "actor_lr": 1e-2,
    "critic_lr": 1e-2,
    "adam_epsilon": 1e-3,  # steps are then nearly as smooth as gradients, and so is rounding
}


def inn(**changes: Any) -> tuple[Learner, Collector]:
    params = changes.pop("params", {})
    return session(**{**INN, **changes, "env_params": params})


@torch.no_grad()
def shake(learner: Learner, seed: int = 0) -> None:
    """Gives networks a policy of their own: at the start all are nearly uniform."""
    draw = torch.Generator().manual_seed(seed)
    for net in (learner.actor.net, learner.critic.net):
        net.flat += 0.3 * torch.randn(net.flat.shape, generator=draw)


# ---- what is collected -----------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"again": True}, {"guests": 4, "menu": True}])
def test_a_rollout_says_who_was_there_and_how_agents_left(params: dict[str, Any]) -> None:
    """Against a plain loop over PettingZoo's dictionaries."""
    learner, collector = inn(graph="environment", params=params)
    rollouts = [copy.deepcopy(collector.collect(learner.actor)) for _ in range(3)]
    ends: set[int] = set()
    for b in range(4):
        env, episode = Inn(**params), 0
        obs, _ = env.reset(seed=episode_seed(5, b, 0))
        names, earned = env.possible_agents, np.zeros(len(env.possible_agents))
        for rollout in rollouts:
            assert rollout.present is not None
            assert rollout.left is not None
            ends_of = zip(rollout.final, rollout.episode_returns, strict=True)
            returns = {t: one for (t, at, _), all_of in ends_of for one in all_of[at == b]}
            states = {t: o for t, at, o in (*rollout.final, *rollout.cut) for o in o[at == b]}
            for t in range(7):
                there = [name in env.agents for name in names]
                assert rollout.present[t, b].tolist() == there
                for i, name in enumerate(names):
                    row = rollout.obs[t, b, i]
                    assert np.array_equal(row, obs[name] if there[i] else 0 * row)
                heard = np.outer(there, there) & ~np.eye(len(names), dtype=bool)
                assert np.array_equal(rollout.neighbours[t, b], heard)
                assert (rollout.action[t, b][~np.array(there)] == 0).all()
                acted = list(env.agents)
                obs, reward, out, late, _ = env.step(
                    {a: int(rollout.action[t, b, names.index(a)]) for a in acted}
                )
                for i, name in enumerate(names):
                    how = 0
                    if name in acted and name not in env.agents:
                        how = TRUNCATED if late[name] and not out[name] else TERMINATED
                    assert rollout.left[t, b, i] == how
                    ends.add(how)
                    assert rollout.reward[t, b, i] == np.float32(reward.get(name, 0.0))
                    if how == TRUNCATED:
                        assert np.array_equal(states[t][i], obs[name])
                earned += [reward.get(name, 0.0) for name in names]
                assert bool(rollout.terminated[t, b] | rollout.truncated[t, b]) == (not env.agents)
                if not env.agents:
                    np.testing.assert_allclose(returns[t], earned, rtol=1e-5, atol=1e-6)
                    earned[:] = 0
                    episode += 1
                    obs, _ = env.reset(seed=episode_seed(5, b, episode))
            assert np.array_equal(rollout.present[7, b], [name in env.agents for name in names])
    assert ends == {0, TERMINATED, TRUNCATED}


def test_where_all_stay_to_the_end_nothing_is_written_down() -> None:
    learner, collector = inn(algorithm="as", params={"calm": True})
    rollout = collector.collect(learner.actor)
    assert rollout.may_leave
    assert rollout.present is rollout.left is rollout.members is None
    assert Presence.of(rollout, Ranks()) is None
    assert not session()[1].rollout.may_leave  # a compiled environment


def test_an_agent_that_enters_observes_and_one_that_is_not_there_has_one_legal_action() -> None:
    stays = [(0, 6, "out"), (2, 4, "late"), (1, 3, "")]
    env = ascore.make("comers:Inn", 1, 3, stays=stays)
    env.reset()
    seen, left = [], []
    for _ in range(6):
        present = env.present
        there = np.ones(3) if present is None else present[0]
        seen.append(there.tolist())
        legal = env.legal
        one = np.array([1, 0, 0])
        for i in range(3):
            expected = [1, 1, 1] if there[i] else one
            assert legal is None or np.array_equal(legal[0, i], expected)
            assert (env.obs[0, i, 1:] != 0).all() == bool(there[i])
        env.step(np.full((1, 3), 2, dtype=np.int32))  # whatever is chosen for the absent
        assert env.left is not None
        left.append(env.left[0].tolist())
    assert seen == [[1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]]
    assert left == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_the_dead_do_not_return_for_standing_in_agents() -> None:
    """The environment asserts that they are asked no action."""
    stays = [(0, 6, "out"), (0, 2, "out"), (0, 4, "out")]
    env = ascore.make("comers:Haunted", 1, 3, stays=stays)
    env.reset()
    zero = np.zeros((1, 3), dtype=np.int32)
    there = []
    for _ in range(6):
        there.append(3 if env.present is None else int(env.present.sum()))
        env.step(zero)
    assert there == [3, 3, 2, 2, 1, 1]
    assert env.episode[0] == 1


def test_a_saved_batch_goes_on_with_those_who_are_there() -> None:
    one, other = (ascore.make("comers:Inn", 3, 3) for _ in range(2))
    one.reset()
    zero = np.zeros((3, 3), dtype=np.int32)
    mixed = 0
    for _ in range(12):
        one.step(zero)
        other.load_state(one.save_state())
        assert one.left is not None
        assert other.left is not None
        assert np.array_equal(one.left, other.left)
        assert (one.present is None) == (other.present is None)
        if one.present is not None:
            mixed += 1
            assert np.array_equal(one.present, other.present)
    assert mixed > 3


# ---- against the reference -------------------------------------------------------------------


def game_of(rollout: Rollout) -> leaving.Game:
    steps, envs, n = rollout.action.shape
    last = np.zeros(rollout.obs.shape)
    for t, where, obs in (*rollout.final, *rollout.cut):
        last[t, where] = obs
    assert rollout.present is not None
    assert rollout.left is not None
    return leaving.Game(
        obs=np.concatenate([rollout.obs, rollout.last_obs[None]]).astype(np.float64),
        last=last,
        action=rollout.action.astype(np.int64),
        reward=rollout.reward.astype(np.float64),
        present=rollout.present[:-1] != 0,
        left=rollout.left.astype(np.int64),
        heard=np.ones((steps + 1, envs, n, n), dtype=bool),
        present_after=rollout.present[-1] != 0,
    )


def stack_of(net: Any) -> leaving.Stack:
    return leaving.Stack([[(w[i], b[i]) for w, b in net.layers] for i in range(len(net.flat))])


@pytest.mark.parametrize("params", [{}, {"again": True, "guests": 4}], ids=["once", "again"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("algorithm", ["as", "ippo", "vs", "vps", "ps"])
def test_an_update_equals_the_reference(
    algorithm: str, backend: str, params: dict[str, Any]
) -> None:
    minibatches = 9 if "again" in params else 2  # in some of nine, an agent has no row
    learner, collector = inn(
        algorithm=algorithm, backend=backend, params=params, minibatches=minibatches
    )
    assert isinstance(learner.backend, EngineBackend) == (backend == "engine")
    shake(learner)
    rollout = collector.collect(learner.actor)
    actors, critics = stack_of(learner.actor.net), stack_of(learner.critic.net)
    config, rows = learner.config, 7 * 4
    parts = [
        [p.tolist() for p in np.array_split(
            generator(config.seed, STREAM_MINIBATCH, 0, k).permutation(rows), minibatches)]
        for k in range(config.iterations)
    ]  # fmt: skip
    keys = ("gamma", "gae_lambda", "clip_epsilon", "penalty_weight", "entropy_bonus")
    keys += ("actor_lr", "critic_lr", "adam_epsilon")
    constants = leaving.Settings(algorithm, **{key: getattr(config, key) for key in keys})
    taken = leaving.update(game_of(rollout), actors, critics, parts, constants)
    start = learner.actor.net.flat.clone()
    learner.update(rollout, 0)
    assert learner.actor_adam.steps.tolist() == learner.critic_adam.steps.tolist() == taken
    assert min(taken) > 0
    assert (minibatches == 9) == (min(taken) < 2 * minibatches)
    assert (learner.actor.net.flat - start).abs().max() > 5e-3
    for net, stack in ((learner.actor.net, actors), (learner.critic.net, critics)):
        for k, parts_of_layer in enumerate(net.layers):
            for part, ours in enumerate(parts_of_layer):
                theirs = torch.stack([own[k][part].detach() for own in stack.layers])
                torch.testing.assert_close(ours.detach().double(), theirs, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from(["vs", "ippo"]))
@settings(max_examples=15, deadline=None)
def test_advantages_end_with_the_stay(seed: int, algorithm: str) -> None:
    learner, collector = inn(algorithm=algorithm, seed=seed, params={"guests": 4, "again": True})
    shake(learner, seed)
    rollout = collector.collect(learner.actor)
    if rollout.present is None:
        return
    critics = stack_of(learner.critic.net)
    advantage, returns = leaving.targets(game_of(rollout), critics, leaving.Settings(algorithm))
    _, targets, _ = learner.prepare(rollout, 0)
    mine = rollout.present[:-1] != 0
    np.testing.assert_allclose(targets.advantage[mine], advantage[mine], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(targets.returns[mine], returns[mine], rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_advantages_with_an_end_per_agent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, b, n = rng.integers(1, 8, 3)
    reward, final_value = (rng.normal(size=(steps, b, n)).astype(np.float32) for _ in range(2))
    value = rng.normal(size=(steps + 1, b, n)).astype(np.float32)
    out, late = (rng.random((steps, b, n)) < 0.3 for _ in range(2))
    both = gae(reward, value, out, late, final_value=final_value)
    for i in range(n):
        alone = slice(i, i + 1)
        expected = gae_float64(
            reward[..., alone], value[..., alone], out[..., i], late[..., i],
            final_value[..., alone], 0.99, 0.98,
        )  # fmt: skip
        for ours, theirs in zip(both, expected, strict=True):
            np.testing.assert_allclose(ours[..., alone], theirs, rtol=1e-4, atol=1e-4)


# ---- rows that are not there -----------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_what_stands_in_the_rows_of_the_absent_changes_no_bit(backend: str, data: Any) -> None:
    algorithms = sorted(name for name, by in TRAINED if by == backend and name != "cppo")
    algorithm = data.draw(st.sampled_from(algorithms))
    keys = data.draw(
        st.sampled_from(
            [
                {},
                {"minibatches": 1, "ratio_reference": "iteration", "advantage_normalization": True},
                {"update_order": "sequential", "advantage_scale": "max", "actor": "separate"},
                {"discrepancy": "kl", "anticipation": "correction", "minibatches": 9},
                {"graph": "contacts", "value_target": "monte_carlo", "max_grad_norm": 0.1},
                {"value_normalization": False, "time_limit": "terminal", "graph": "ring"},
            ]
        )
    )
    seed = data.draw(st.integers(0, 100))
    params = {"guests": 4, "again": True, "menu": True}
    changes = {"algorithm": algorithm, "backend": backend, "seed": seed, "params": params, **keys}
    learners = [inn(**changes) for _ in range(2)]
    (one, collector), (other, _) = learners
    rng = np.random.default_rng(seed)
    for learner, _ in learners:
        shake(learner, seed)
    for k in range(2):
        rollout = collector.collect(one.actor)
        if rollout.present is None:
            return
        changed = copy.deepcopy(rollout)
        absent = rollout.present[:-1] == 0
        changed.obs[absent] = rng.normal(size=changed.obs[absent].shape)
        changed.last_obs[rollout.present[-1] == 0] = 3.0
        if algorithm != "ia":  # which remembers what was earned before
            changed.reward[absent] = 7.0
        records = [one.update(rollout, k), other.update(changed, k)]
        np.testing.assert_equal(*records)
        for key, value in one.state().items():
            assert torch.equal(value, other.state()[key]), key


@torch.no_grad()
def padded_parts(learner: Learner, guests: int) -> list[torch.Tensor]:
    """Views of what the game without the guests that never come has too."""
    actor = learner.actor
    n, a = learner.outside.num_agents, learner.outside.num_actions
    nets = [[part.detach() for layer in net.layers for part in layer]
            for net in (actor.net, learner.critic.net)]  # fmt: skip
    if learner.algorithm.name == "cppo":
        for net in nets:
            net[0] = net[0][:, : 4 * guests]  # the centre sees all of them, one after the other
        every = a ** (n - guests)  # the first action of who never comes
        nets[0][-2:] = [part[..., ::every] for part in nets[0][-2:]]
    else:
        nets = [[part[:guests] for part in net] for net in nets]
        if actor.heads > 1:
            weight, bias = nets[0][-2:]
            nets[0][-2] = weight.view(*weight.shape[:2], n, a)[:, :, :guests]
            nets[0][-1] = bias.view(-1, n, a)[:, :guests]
    return [part for net in nets for part in net]


@pytest.mark.parametrize(("algorithm", "backend"), TRAINED)
@pytest.mark.parametrize("calm", [True, False])
def test_agents_that_never_enter_change_nothing(algorithm: str, backend: str, calm: bool) -> None:
    changes = {"algorithm": algorithm, "backend": backend}
    guests = {"guests": 3, "calm": calm}
    small, collect = inn(**changes, params=guests)
    big, collect_big = inn(**changes, params={**guests, "never": 1})
    shake(small)
    with torch.no_grad():
        for part, other in zip(padded_parts(big, 3), padded_parts(small, 3), strict=True):
            part.copy_(other)
    start = big.actor.net.flat.clone()
    for k in range(4):
        rollout, rollout_big = collect.collect(small.actor), collect_big.collect(big.actor)
        assert np.array_equal(rollout_big.reward.sum(axis=2), rollout.reward.sum(axis=2))
        record, record_big = small.update(rollout, k), big.update(rollout_big, k)
        for key in ("policy_loss", "entropy", "value_loss", "kl", "explained_variance", "return"):
            n = len(record[key])
            np.testing.assert_allclose(record_big[key][:n], record[key], rtol=2e-3, atol=1e-4)
            if algorithm != "cppo":
                assert np.isnan(record_big[key][n:]).all() or record_big[key][n:] == [0.0]
        assert record_big["bytes_sent"][3] == 0
        if algorithm not in ("ps", "as"):  # whose messages grow with the joint policy
            assert record_big["bytes_sent"][:3] == record["bytes_sent"]
    for part, other in zip(padded_parts(big, 3), padded_parts(small, 3), strict=True):
        torch.testing.assert_close(part, other, rtol=1e-3, atol=1e-5)
    assert (big.actor.net.flat != start).float().mean() > 0.2
    if algorithm != "cppo":
        assert torch.equal(big.actor.net.flat[3], start[3])
        assert big.actor_adam.steps[3] == 0


@pytest.mark.parametrize("algorithm", ["as", "ps", "ippo", "vps"])
@pytest.mark.parametrize(
    "keys",
    [
        {"discrepancy": "kl", "anticipation": "correction", "peer_ratio_reference": "anticipated"},
        {"actor": "separate", "penalty_gate": "always", "update_order": "sequential"},
        {"message_refresh": "iteration", "ratio_reference": "iteration", "communicate_every": 2},
        {"minibatches": 9, "max_grad_norm": 0.1, "advantage_normalization": True},
    ],
    ids=["kl", "separate", "iteration", "small parts"],
)
def test_backends_agree(algorithm: str, keys: dict[str, Any]) -> None:
    learners = []
    for backend in BACKENDS:
        changes = {"algorithm": algorithm, "backend": backend, **keys}
        learner, collector = inn(**changes, params={"guests": 4, "again": True})
        shake(learner)
        records = [learner.update(collector.collect(learner.actor), k) for k in range(3)]
        assert isinstance(learner.backend, EngineBackend) == (backend == "engine")
        learners.append((learner, records[-1]))
    (slow, expected), *others = learners
    for learner, record in others:
        for key, value in slow.state().items():
            torch.testing.assert_close(learner.state()[key], value, rtol=1e-3, atol=2e-5)
        assert record.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(record[key], value, rtol=1e-2, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("backend", ["kernel", "engine"])
def test_results_do_not_depend_on_threads(backend: str) -> None:
    states = []
    for threads in (1, 3):
        learner, collector = inn(
            backend=backend, torch_threads=threads, num_envs=64, params={"guests": 4}
        )
        for k in range(2):
            learner.update(collector.collect(learner.actor), k)
        states.append(learner.state())
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_messages_for_every_minibatch_keep_to_own_rows() -> None:
    """With one minibatch, messages for it are those for the iteration."""
    learners = []
    for refresh in ("iteration", "minibatch"):
        changes = {"algorithm": "as", "backend": "torch", "minibatches": 1, "iterations": 2}
        learner, collector = inn(**changes, message_refresh=refresh)
        shake(learner)
        learner.update(collector.collect(learner.actor), 0)
        learners.append(learner)
    torch.testing.assert_close(learners[1].actor.net.flat, learners[0].actor.net.flat)


# ---- what is sent, and what is said ----------------------------------------------------------


def test_the_ledger_counts_nothing_of_or_for_the_absent() -> None:
    stays = [(0, 7, "late"), (2, 5, "late"), (1, 3, "out")]
    there = np.array([[0 <= t < 7, 2 <= t < 5, 1 <= t < 3] for t in range(7)]).astype(int)
    heard = np.einsum("tj,ti->ji", there, there) * (1 - np.eye(3, dtype=int))  # i from j
    params, envs, rounds = {"stays": stays}, 4, 2

    def sent(algorithm: str, **keys: Any) -> dict[str, Any]:
        learner, collector = inn(algorithm=algorithm, params=params, **keys)
        record: dict[str, Any] = learner.update(collector.collect(learner.actor), 0)
        return record

    expected = (heard.sum(axis=1) * envs * rounds * (3 + 3)).tolist()
    assert sent("as")["floats_distribution"] == expected
    assert sent("team")["floats_reward"] == (heard.sum(axis=1) * envs).tolist()
    # Truncated in step 4, agent 1 hears once more what agent 0 says of the state that follows.
    values = heard.sum(axis=1) + np.array([1, 0, 0])
    assert sent("vs")["floats_value"] == (values * envs).tolist()
    assert sent("vs", time_limit="terminal")["floats_value"] == (heard.sum(axis=1) * envs).tolist()
    record = sent("cppo")
    assert record["floats_reward"] == (there.sum(axis=0) * envs).tolist()
    states = there.sum(axis=0) + np.array([1, 0, 0])  # the one that closes the episode
    assert record["floats_observation"] == (states * envs * 4).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_metrics_are_means_over_own_rows(backend: str) -> None:
    """Guest 1 is there in two of seven steps, guest 3 never."""
    stays = [(0, 7, "late"), (2, 4, "out"), (0, 5, "late")]
    learner, collector = inn(
        algorithm="ippo", backend=backend, params={"stays": stays, "never": 1}, minibatches=7
    )
    shake(learner)
    rollout = collector.collect(learner.actor)
    seen = torch.from_numpy(rollout.obs).view(28, 4, 4).transpose(0, 1)
    probs = learner.actor.log_probs(seen).detach().exp()
    _, targets, rows = learner.prepare(rollout, 0)
    learner.valuation.normalizer = ValueNormalizer(4)
    record = learner.update(rollout, 0)
    for i, steps in enumerate([range(7), range(2, 4), range(5)]):
        mine = np.ravel([[4 * t + b for b in range(4)] for t in steps])
        own = probs[i, mine, 0]
        np.testing.assert_allclose(record["action_probs"][i], own.mean(dim=0), rtol=1e-4)
        advantage = targets.advantage.reshape(28, 4)[mine, i]
        np.testing.assert_allclose(record["advantage_scale"][i], abs(advantage).mean(), rtol=1e-5)
        goal, value = (x.reshape(28, 4)[mine, i] for x in (targets.returns, targets.value))
        explained = 1 - (goal - value).var() / goal.var()
        np.testing.assert_allclose(record["explained_variance"][i], explained, rtol=1e-3)
        np.testing.assert_allclose(learner.valuation.normalizer.mean[i], goal.mean(), rtol=1e-5)
        entropy = -(own.log() * own).sum(dim=1).mean()  # some steps later
        assert record["entropy"][i] == pytest.approx(float(entropy), abs=0.15)
    assert rows.presence is not None
    for key in ("entropy", "kl", "policy_loss", "value_loss", "explained_variance"):
        assert np.isnan(record[key][3])
    assert record["return"][3] == record["advantage_scale"][3] == 0.0
    assert record["team_return"] == pytest.approx(sum(record["return"]))
    assert (learner.valuation.normalizer.mean[3], learner.valuation.normalizer.std[3]) == (0, 1)
    assert np.isfinite(record["kl"][:3]).all()


def test_moments_of_one_that_enters_late_count_its_first_batch_in_full() -> None:
    normalizer = ValueNormalizer(2)
    one = np.array([[3.0, 99.0], [13.0, 99.0]])
    normalizer.update(one, np.array([True, False]))
    assert (normalizer.mean.tolist(), normalizer.std.tolist()) == ([3.0, 0.0], [2.0, 1.0])
    normalizer.update(np.array([[99.0, 5.0], [99.0, 34.0]]), np.array([False, True]))
    np.testing.assert_allclose(normalizer.mean, [3.0, 5.0])
    np.testing.assert_allclose(normalizer.std, [2.0, 3.0])
    state = normalizer.state()
    assert state["weight"].shape == (1,)
    assert "weights" not in state  # both have had one batch
    normalizer.update(one, np.array([True, False]))
    other = ValueNormalizer(2)
    other.load_state(normalizer.state())
    assert np.array_equal(other.mean, normalizer.mean)
    assert np.array_equal(other.weight, normalizer.weight)


# ---- ranks -----------------------------------------------------------------------------------


class Pair:
    """Two ranks of which this is one, in one process."""

    def __init__(self, contents: list[np.ndarray]) -> None:
        self.contents = contents

    def everywhere(self, content: np.ndarray) -> list[np.ndarray]:
        return self.contents


@pytest.mark.parametrize("calm", [(False, False), (True, False), (True, True)])
def test_who_was_there_travels_between_ranks(calm: tuple[bool, bool]) -> None:
    rollouts = []
    for seed, each in enumerate(calm):
        learner, collector = inn(algorithm="ippo", seed=seed, params={"calm": each})
        rollouts.append(collector.collect(learner.actor))
        again, ends = _unpacked(_packed(rollouts[-1]), rollouts[-1])
        assert (again.present is None) == each
        assert len(ends[4]) == sum(len(where) for _, where, _ in rollouts[-1].cut)
    merged: Rollout = whole(Pair([_packed(r) for r in rollouts]), rollouts[0])  # type: ignore[arg-type]
    assert merged.may_leave
    if all(calm):
        assert merged.present is merged.left is None
        return
    assert merged.present is not None
    assert merged.left is not None
    for k, rollout in enumerate(rollouts):
        mine = slice(4 * k, 4 * k + 4)
        if rollout.present is not None:
            assert np.array_equal(merged.present[:, mine], rollout.present)
            assert np.array_equal(merged.left[:, mine], rollout.left)
        else:
            assert merged.present[:, mine].all()
            assert (merged.left[-1, mine] == TRUNCATED).all()  # Inn's calm guests, all at once
        for t, where, obs in rollout.cut:
            (entry,) = [e for e in merged.cut if e[0] == t]
            for b, last in zip(where, obs, strict=True):
                assert np.array_equal(entry[2][entry[1] == 4 * k + b][0], last)
    assert [t for t, _, _ in merged.cut] == sorted({t for r in rollouts for t, _, _ in r.cut})
