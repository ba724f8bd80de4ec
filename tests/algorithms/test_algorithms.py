"""What each algorithm must hold: consensus, privacy, independence, joint actions."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import SMALL, session, train

import ascore
from ascore.algorithms import graph
from ascore.algorithms.contract import LOCAL
from ascore.algorithms.table import ALGORITHMS, keys_read
from ascore.algorithms.terms import Batch
from ascore.algorithms.vs import average
from ascore.config import Config, preset_names
from ascore.envs.joint import decode, joint_env, joint_spec
from ascore.errors import ConfigError
from ascore.learning.learner import Learner
from ascore.runs import checkpoint

SEVERAL = [name for name, each in ALGORITHMS.items() if each.view is LOCAL]


def twin(learner: Learner, **changes: Any) -> Learner:
    """Another learner in the same state."""
    other = Learner(learner.config.replace(**changes), learner.outside)
    other.load_state({key: value.clone() for key, value in learner.state().items()})
    return other


# ---- everything trains, everything resumes ---------------------------------------------------


@pytest.mark.parametrize(
    ("graph_kind", "algorithm"),
    [
        (kind, name)
        for kind in ("complete", "environment")
        for name in ALGORITHMS
        if kind == "complete" or "graph" in keys_read(name)
    ],
)
@pytest.mark.parametrize("env", ascore.ENVIRONMENTS)
def test_every_algorithm_trains_everywhere_and_resumes_bit_for_bit(
    env: str, graph_kind: str, algorithm: str, tmp_path: Path
):
    horizon = ascore.make(env).spec.horizon
    steps = max(1, horizon // 20)
    config = Config.preset(
        env,
        algorithm,
        graph=graph_kind,
        num_envs=2,
        rollout_steps=steps,
        episodes=-(-20 * steps // horizon),  # ten updates of two games
        minibatches=2,
        actor_hidden=(8, 8),
        critic_hidden=(8, 8),
        seed=3,
    )
    whole = ascore.train(config, tmp_path / "whole")
    assert len(whole.metrics) >= 10
    seen: list[int] = []
    ascore.train(
        config,
        tmp_path / "part",
        report=lambda done, *_: seen.append(done),
        stop=lambda: len(seen) >= 4,
    )
    ascore.resume(tmp_path / "part")
    a, b = (checkpoint.load(tmp_path / name).arrays for name in ("whole", "part"))
    assert a.keys() == b.keys()
    for key in a:
        assert np.array_equal(a[key], b[key]), key
    strip = [
        [{k: v for k, v in record.items() if k != "seconds"} for record in run.metrics]
        for run in (whole, ascore.Run.open(tmp_path / "part"))
    ]
    assert strip[0] == strip[1]
    assert ascore.evaluate(whole, episodes=2).team_return.n == 2


@pytest.mark.parametrize("env", [name for name, preset in preset_names() if preset == "paper"])
def test_algorithm_1_to_the_letter_is_one_preset_away(env: str, tmp_path: Path):
    config = Config.preset(env, preset="paper")
    assert (config.update_order, config.ratio_reference) == ("sequential", "iteration")
    assert (config.num_envs, config.iterations, config.minibatches) == (1, 3, 1)
    assert (config.clip_epsilon, config.gamma, config.gae_lambda) == (0.2, 0.99, 0.98)
    assert (config.actor, config.peer_ratio_reference) == ("separate", "anticipated")
    assert (config.value_target, config.rollout_steps) == ("monte_carlo", 0)
    small = config.replace(episodes=2, actor_hidden=(16, 8), critic_hidden=(16, 8))
    assert len(ascore.train(small, tmp_path / "run").metrics) == 2


# ---- consensus -------------------------------------------------------------------------------


def spread(rows: torch.Tensor) -> float:
    return float((rows - rows.mean(dim=0)).norm())


@pytest.mark.parametrize(("algorithm", "adam"), [("vps", "critic_adam"), ("ps", "actor_adam")])
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("chain", {}),
        ("ring", {}),
        ("matrix", {"graph_matrix": "0100,0010,0001,0000"}),  # one way; parameters go both
        ("complete", {}),
    ],
)
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_parameters_reach_consensus_at_the_rate_of_the_second_eigenvalue(
    algorithm, adam, kind, keys, order
):
    learner, collector = session(
        algorithm=algorithm,
        graph=kind,
        actor_lr=0.0,
        critic_lr=0.0,
        value_normalization=False,
        update_order=order,
        **keys,
    )
    links = graph.neighbours(kind, 4, matrix=keys.get("graph_matrix", ""))
    second = np.sort(np.abs(np.linalg.eigvalsh(graph.metropolis(links))))[-2]
    rows = getattr(learner, adam).parameters
    mean, sizes = rows.detach().mean(dim=0), [spread(rows)]
    rollout = collector.collect(learner.actor)
    for k in range(12):
        learner.update(rollout, k)
        sizes.append(spread(rows))
    torch.testing.assert_close(rows.detach().mean(dim=0), mean, rtol=0, atol=1e-6)
    if kind == "complete":
        assert second == pytest.approx(0.0, abs=1e-12)
        assert sizes[1] < 1e-5 * sizes[0]
        return
    for before, after in itertools.pairwise(sizes):
        assert after <= (second + 1e-4) * before
    assert sizes[-1] / sizes[-2] == pytest.approx(second, abs=0.02)
    other = learner.critic_adam if adam == "actor_adam" else learner.actor_adam
    assert spread(other.parameters) > 1.0  # the other kind of network stays at home


def test_normalised_critics_are_averaged_in_units_of_reward():
    learner, collector = session(algorithm="vps", actor_lr=0.0, critic_lr=0.0)
    rollout = collector.collect(learner.actor)
    rollout.reward[:, :, 0] += 40.0  # moments of the agents lie far apart
    obs = rollout.obs[0]
    learner.prepare(rollout, 0)
    learner.update(rollout, 0)
    values = learner.valuation.values(obs)
    torch.testing.assert_close(values, values[:1].expand_as(values), rtol=1e-4, atol=1e-3)
    assert np.ptp(learner.valuation.normalizer.mean) > 20
    # Who agree already have nothing to mix, though their last layers differ.
    learner.valuation.mix(torch.full((4, 4), 0.25))
    torch.testing.assert_close(learner.valuation.values(obs), values, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("algorithm", ["vps", "ps"])
def test_moments_of_the_optimiser_are_not_mixed(algorithm):
    learner, collector = session(algorithm=algorithm)
    alone, _ = session(algorithm=algorithm, graph="none")
    rollout = collector.collect(learner.actor)
    for each in (learner, alone):
        each.update(rollout, 0)
    for name in ("actor_adam", "critic_adam"):
        a, b = (getattr(each, name).state() for each in (learner, alone))
        assert all(torch.equal(a[key], b[key]) for key in a)
    mixed = learner.actor.net if algorithm == "ps" else learner.critic.net
    apart = alone.actor.net if algorithm == "ps" else alone.critic.net
    assert not torch.equal(mixed.flat, apart.flat)


def test_links_that_come_and_go_mix_by_the_share_of_time_they_were_there():
    links = np.zeros((4, 3, 3), dtype=bool)
    links[0, 0, 1] = links[1, 0, 1] = links[1, 1, 0] = True  # half of the rows, once one way
    weights = graph.consensus(links)
    half = np.array([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(weights, half)


@pytest.mark.parametrize("seed", range(20))
def test_metropolis_weights_are_doubly_stochastic(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    links = rng.random((5, n, n)) < rng.random()
    links[:, range(n), range(n)] = False
    for weights in (*graph.metropolis(links), graph.consensus(links)):
        np.testing.assert_allclose(weights.sum(axis=0), 1.0)
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
        np.testing.assert_array_equal(weights, weights.T)
        assert (weights >= 0).all()
        assert (weights.diagonal() > 0).all()


# ---- without links ---------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["vps", "vs"])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_on_an_empty_graph_sharing_values_is_independent_ppo(algorithm, order):
    keys = {"update_order": order, "minibatches": 2, "iterations": 2}
    alone, _ = train(3, algorithm="ippo", **keys)
    empty, _ = train(3, algorithm=algorithm, graph="none", **keys)
    assert torch.equal(alone.actor.net.flat, empty.actor.net.flat)
    assert torch.equal(alone.critic.net.flat, empty.critic.net.flat)
    full, _ = train(3, algorithm=algorithm, **keys)
    moved = "critic" if algorithm == "vps" else "actor"
    a, b = (getattr(learner, moved).net.flat for learner in (alone, full))
    assert not torch.equal(a, b)


def test_on_an_empty_graph_policy_sharing_is_joint_ppo_alone():
    """Against modules of PyTorch, one joint policy per agent, each with its own optimiser."""
    keys = {"algorithm": "ps", "graph": "none", "iterations": 3}
    learner, collector = session(**keys)
    rollout = collector.collect(learner.actor)
    _, _, rows = twin(learner).prepare(rollout, 0)
    n, a = 4, 2
    policies = []
    for agent in range(n):
        parts: list[torch.nn.Module] = []
        for weight, bias in learner.actor.net.layers:
            linear = torch.nn.Linear(weight.shape[1], weight.shape[2])
            linear.weight.data.copy_(weight[agent].T)
            linear.bias.data.copy_(bias[agent])
            parts += [linear, torch.nn.ReLU()]
        policies.append(torch.nn.Sequential(*parts[:-1]))
    index = rows.action.unsqueeze(-1)
    for agent, policy in enumerate(policies):
        optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

        def joint(policy: torch.nn.Module = policy) -> torch.Tensor:
            log_probs = policy(rows.obs).view(-1, n, a).log_softmax(dim=-1)
            return log_probs.gather(-1, index).sum(dim=(1, 2))

        old = joint().detach()
        for _ in range(3):
            ratio = (joint() - old).exp()
            advantage = rows.advantage[agent]
            gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            optimizer.zero_grad()
            (-gain.mean()).backward()
            optimizer.step()
    learner.update(rollout, 0)
    for agent, policy in enumerate(policies):
        for layer, module in enumerate(policy[::2]):
            weight, bias = learner.actor.net.layers[layer]
            torch.testing.assert_close(weight[agent].T, module.weight, rtol=0, atol=1e-5)
            torch.testing.assert_close(bias[agent], module.bias, rtol=0, atol=1e-5)


# ---- privacy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", SEVERAL)
def test_the_gradient_of_a_loss_stays_at_home(algorithm):
    learner, collector = session(algorithm=algorithm)
    rollout = collector.collect(learner.actor)
    _, _, rows = learner.prepare(rollout, 0)
    agents = torch.arange(4)
    log_probs = learner.actor.log_probs(rows.obs)
    old = log_probs.detach().gather(
        -1, rows.action[None, :, : log_probs.shape[2], None].expand(4, -1, -1, 1)
    )
    messages = learner.exchange.messages(log_probs.detach(), old.squeeze(-1), rows.neighbours)
    inbox = messages.inbox(agents) if messages is not None else None
    data = Batch(rows.action, rows.advantage, rows.advantage_scale, old.squeeze(-1), agents)
    terms = learner.algorithm.objective(data, log_probs, inbox, learner.config)
    leaves = [leaf for layer in learner.actor.net.layers for leaf in layer]
    for agent in range(4):
        loss = (terms.policy + terms.penalty)[agent]
        for gradient in torch.autograd.grad(loss, leaves, retain_graph=True):
            others = [other for other in range(4) if other != agent]
            assert not gradient[others].any()


# ---- values ----------------------------------------------------------------------------------


def test_average_of_those_who_are_heard():
    own = np.array([[1.0, 3.0, 8.0]], dtype=np.float32)
    heard = np.array([[[0, 1, 1], [1, 0, 0], [0, 0, 0]]], dtype=bool)
    assert average(own, heard).tolist() == [[4.0, 2.0, 8.0]]


@pytest.mark.parametrize("shares", ["value", "advantage"])
def test_shared_values_give_the_advantages_and_own_ones_the_returns(shares):
    learner, collector = session(algorithm="vs", shares=shares, graph="ring")
    rollout = collector.collect(learner.actor)
    alone, _ = session(algorithm="ippo")
    _, own, _ = alone.prepare(rollout, 0)
    _, shared, _ = learner.prepare(rollout, 0)
    assert np.array_equal(own.returns, shared.returns)
    ring = np.broadcast_to(graph.neighbours("ring", 4), (*own.advantage.shape[:2], 4, 4))
    if shares == "advantage":
        np.testing.assert_allclose(shared.advantage, average(own.advantage, ring), rtol=1e-6)
        return
    # One step of Eq. 17 at the end of an episode, by hand, with the critic as it came.
    fresh, _ = session(algorithm="ippo")
    last = fresh.valuation.values(rollout.final[0][2]).T.numpy()
    before = average(own.value, ring)
    gap = rollout.reward[-1] + 0.99 * average(last, ring[-1]) - before[-1]
    np.testing.assert_allclose(shared.advantage[-1], gap, rtol=1e-3, atol=1e-4)


# ---- gaps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [n for n, each in ALGORITHMS.items() if each.has_links])
def test_in_a_gap_nothing_is_sent_and_everybody_learns_alone(algorithm):
    learner, collector = session(algorithm=algorithm, communicate_every=2)
    records = []
    for k in range(3):
        records.append(learner.update(collector.collect(learner.actor), k))
    sends = ALGORITHMS[algorithm].infers is None  # all see one state, so nothing need be shown
    assert [min(record["bytes_sent"]) > 0 for record in records] == [sends, False, sends]
    assert [max(record["bytes_sent"]) > 0 for record in records] == [sends, False, sends]
    rollout = collector.collect(learner.actor)
    gap, empty = twin(learner), twin(learner, graph="none", communicate_every=1)
    gap.update(rollout, 3)
    empty.update(rollout, 3)
    torch.testing.assert_close(own(gap), own(empty), rtol=0, atol=1e-6)
    torch.testing.assert_close(gap.critic.net.flat, empty.critic.net.flat, rtol=0, atol=1e-6)


def own(learner: Learner) -> torch.Tensor:
    layers = learner.actor.own_layers()
    return torch.cat([part.reshape(4, -1) for layer in layers for part in layer], dim=1)


# ---- graphs ----------------------------------------------------------------------------------


def test_random_neighbours_are_drawn_anew_or_once():
    def links(number: int, **keys: Any) -> np.ndarray:
        learner, collector = session(algorithm="as", graph="random_one", rollout_steps=2, **keys)
        drawn = learner.prepare(collector.collect(learner.actor), number)[0]
        assert drawn is not None
        assert drawn.fixed is not None
        return drawn.fixed

    drawn = [links(k) for k in range(6)]
    assert all((each.sum(axis=1) == 1).all() for each in drawn)
    assert len({each.tobytes() for each in drawn}) > 1
    assert len({links(k, graph_redraw=False).tobytes() for k in range(6)}) == 1


def test_a_matrix_says_who_hears_whom():
    links = graph.neighbours("matrix", 3, matrix="010,001,110")
    assert links.astype(int).tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 0]]
    with pytest.raises(ConfigError, match=r"is for 3 agents, the environment has 4"):
        train(1, graph="matrix", graph_matrix="010,001,110")


# ---- one centre ------------------------------------------------------------------------------


def test_joint_actions_are_digits_of_a_number():
    assert decode(np.array([0, 5, 8]), (3, 3)).tolist() == [[0, 0], [1, 2], [2, 2]]
    assert decode(np.array([0, 5, 7]), (4, 2)).tolist() == [[0, 0], [2, 1], [3, 1]]


def test_a_centre_acts_for_all_on_the_team_reward():
    inner, twin = (ascore.make("exchange", 3, seed=4) for _ in range(2))
    env = joint_env(inner)
    env.reset()
    twin.reset()
    rng = np.random.default_rng(0)
    assert env.spec == joint_spec(twin.spec, 216)
    assert env.spec.action_names[7] == "+".join(twin.spec.action_names[k] for k in (0, 1, 1))
    for _ in range(310):
        joint = rng.integers(0, 216, (3, 1), dtype=np.int32)
        obs, reward, terminated, truncated, _ = env.step(joint)
        theirs = twin.step(decode(joint[:, 0], (6, 6, 6)))
        assert np.array_equal(obs, theirs[0])
        np.testing.assert_allclose(reward[:, 0], theirs[1].sum(axis=1), rtol=1e-6)
        assert np.array_equal(terminated, theirs[2])
        assert np.array_equal(truncated, theirs[3])
    with pytest.raises(ValueError, match=r"action\[1,0\] = 216 is outside 0..215"):
        env.step(np.array([[0], [216], [0]], dtype=np.int32))


def test_a_joint_action_space_above_the_limit_is_refused_with_its_size():
    with pytest.raises(ConfigError, match=r"1,048,576 joint actions \(20 agents, 2 actions each\)"):
        train(1, algorithm="cppo", env_params={"num_agents": 20})
    with pytest.raises(ConfigError, match=r"joint_action_limit = 15; raise it"):
        train(1, algorithm="cppo", joint_action_limit=15)
    train(1, algorithm="cppo", joint_action_limit=16)


def test_a_centre_alone_is_independent_ppo():
    one = {"env_params": {"num_agents": 1}}
    a, _ = train(2, algorithm="cppo", **one)
    b, _ = train(2, algorithm="ippo", **one)
    assert torch.equal(a.actor.net.flat, b.actor.net.flat)
    assert torch.equal(a.critic.net.flat, b.critic.net.flat)


def test_a_saved_centre_acts_as_the_learner_did(tmp_path: Path):
    config = Config(**{**SMALL, "algorithm": "cppo", "episodes": 6})
    run = ascore.train(config, tmp_path / "run")
    policy = run.policy
    assert policy.centralised
    learner, collector = session(algorithm="cppo")
    for k in range(2):
        learner.update(collector.collect(learner.actor), k)
    env = ascore.make("predation", 5, seed=9, num_agents=4)
    obs, _ = env.reset()
    with torch.no_grad():
        expected = learner.actor.log_probs(torch.from_numpy(obs[:, 0].copy()))[0, :, 0]
    log_probs = policy.log_probs(obs)
    np.testing.assert_allclose(log_probs[:, 0], expected.numpy(), atol=1e-5)
    uniform = np.full((5, 4), 0.5, dtype=np.float32)
    action = policy.act(obs, uniform)
    assert action.shape == (5, 4)
    best = log_probs[:, 0].argmax(axis=1)
    assert np.array_equal(policy.act(obs), decode(best, (2, 2, 2, 2)))
    entropy = policy.entropy(log_probs)
    assert entropy.shape == (5, 4)
    assert (entropy <= np.log(2) + 1e-6).all()
