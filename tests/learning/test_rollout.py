"""Collection and targets, compared step by step with a plain replay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import ascore
from ascore.algorithms.targets import ValueNormalizer, moments
from ascore.algorithms.terms import own_policy
from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.learning.rollout import Collector, Rollout
from ascore.learning.stepping import collector_of, reads_log_probs

HORIZON, STEPS, NUM_ENVS, N = 5, 7, 3, 2
PARAMS: dict[str, Any] = {"num_agents": N, "horizon": HORIZON}


def session(**keys: Any) -> tuple[Learner, Collector, Config]:
    config = Config(
        env="predation-v1",
        env_params=PARAMS,
        num_envs=NUM_ENVS,
        rollout_steps=STEPS,
        actor_hidden=(8,),
        critic_hidden=(8,),
        seed=2,
        **keys,
    )
    env = ascore.make(config.env, NUM_ENVS, config.seed, **PARAMS)
    env.reset()
    return Learner(config, env.spec), Collector(env, STEPS), config


def test_a_rollout_replays_step_by_step() -> None:
    learner, collector, config = session()
    env = ascore.make(config.env, NUM_ENVS, config.seed, **PARAMS)
    obs, info = env.reset()
    uniform = np.empty((NUM_ENVS, N), dtype=np.float32)
    running = np.zeros((NUM_ENVS, N))
    finished: list[np.ndarray] = []
    for _ in range(3):  # rollouts start and end in the middle of an episode
        rollout = collector.collect(learner.actor)
        finals = [list(final) for final in rollout.final]
        for t in range(STEPS):
            np.testing.assert_array_equal(rollout.obs[t], obs)
            np.testing.assert_array_equal(rollout.neighbours[t], info["neighbours"])
            env.uniforms(uniform)
            with torch.no_grad():
                log_probs = learner.actor.log_probs(torch.from_numpy(obs[:, 0].copy()))
                first = own_policy(log_probs, torch.arange(N)).exp()[:, :, 0].T.numpy()
            # Two actions: the first is taken if the number is below its probability.
            clear = np.abs(uniform - first) > 1e-6
            np.testing.assert_array_equal(rollout.action[t][clear], (uniform >= first)[clear])
            obs, reward, terminated, truncated, info = env.step(rollout.action[t])
            np.testing.assert_array_equal(rollout.reward[t], reward)
            np.testing.assert_array_equal(rollout.terminated[t], terminated)
            np.testing.assert_array_equal(rollout.truncated[t], truncated)
            running += reward
            if truncated.any():
                when, which, last = finals.pop(0)
                assert when == t
                np.testing.assert_array_equal(which, np.flatnonzero(truncated))
                np.testing.assert_array_equal(last, info["final_obs"][truncated])
                finished.append(running[truncated].copy())
                running[truncated] = 0.0
        assert not finals
        np.testing.assert_array_equal(rollout.last_obs, obs)
        np.testing.assert_array_equal(
            np.concatenate(rollout.episode_returns), np.concatenate(finished)
        )
        finished.clear()


@pytest.mark.parametrize("time_limit", ["bootstrap", "terminal"])
@pytest.mark.parametrize("value_target", ["lambda_return", "monte_carlo"])
def test_targets_by_a_loop_over_episodes(time_limit: str, value_target: str) -> None:
    learner, collector, config = session(time_limit=time_limit, value_target=value_target)
    rollout = collector.collect(learner.actor)

    def value(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            rows = torch.from_numpy(obs[:, 0].copy())
            return learner.critic(rows).T.double().numpy()

    values = [value(rollout.obs[t]) for t in range(STEPS)] + [value(rollout.last_obs)]
    finals = {(t, b): value(obs[k : k + 1])[0] for t, envs, obs in rollout.final
              for k, b in enumerate(envs)}  # fmt: skip
    assert len(finals) == NUM_ENVS  # horizon 5 within 7 steps: one end each
    targets = learner.prepare(rollout, 0)[1]
    gamma = config.gamma
    for b in range(NUM_ENVS):
        for start in range(STEPS):
            advantage, returns = np.zeros(N), np.zeros(N)
            for t in range(start, STEPS):
                ended = (t, b) in finals
                next_value = values[t + 1][b]
                if ended:
                    next_value = finals[t, b] if time_limit == "bootstrap" else np.zeros(N)
                delta = rollout.reward[t, b] + gamma * next_value - values[t][b]
                advantage += (gamma * config.gae_lambda) ** (t - start) * delta
                returns += gamma ** (t - start) * rollout.reward[t, b]
                if ended or t + 1 == STEPS:
                    returns += gamma ** (t + 1 - start) * next_value
                    break
            if value_target == "lambda_return":
                returns = advantage + values[start][b]
            np.testing.assert_allclose(targets.advantage[start, b], advantage, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(targets.returns[start, b], returns, rtol=1e-5, atol=1e-5)


def test_normalizer_starts_at_the_first_batch_and_follows() -> None:
    rng = np.random.default_rng(0)
    normalizer = ValueNormalizer(2)
    batch = rng.normal([3.0, -50.0], [2.0, 10.0], size=(400, 5, 2)).astype(np.float32)
    normalizer.update(moments(batch))
    flat = batch.reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(normalizer.mean, flat.mean(axis=0))
    np.testing.assert_allclose(normalizer.std, flat.std(axis=0))
    for _ in range(400):
        normalizer.update(moments(batch + 7.0))
    np.testing.assert_allclose(normalizer.mean, flat.mean(axis=0) + 7.0, rtol=1e-3)
    copy = ValueNormalizer(2)
    copy.load_state(normalizer.state())
    np.testing.assert_array_equal(copy.mean, normalizer.mean)
    np.testing.assert_array_equal(copy.std, normalizer.std)
    constant = ValueNormalizer(1)
    constant.update(moments(np.full((3, 2, 1), 4.0, dtype=np.float32)))
    assert constant.std[0] == ValueNormalizer.SMALLEST_STD


# ---- compiled --------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ascore.ENVIRONMENTS)
@pytest.mark.parametrize("algorithm", ["ippo", "as"])
@pytest.mark.parametrize("layout", ["multihead", "separate"])
def test_compiled_rollouts_are_those_of_pytorch(env: str, algorithm: str, layout: str) -> None:
    """Compiled and PyTorch rollouts take the same actions and give the same arrays.

    There are two rollouts; the second includes ends of episodes.
    """
    horizon = ascore.make(env).spec.horizon
    steps = horizon * 2 // 3
    config = Config(env=env, algorithm=algorithm, actor=layout, num_envs=5, seed=11)
    results = []
    for compiled in (False, True):
        vec = ascore.make(env, 5, 11)
        vec.reset()
        learner = Learner(config, vec.spec)
        with torch.no_grad():
            rng = np.random.default_rng(0)
            noise = rng.normal(0, 0.2, learner.actor.net.flat.shape).astype(np.float32)
            learner.actor.net.flat += torch.from_numpy(noise)
        collector = Collector(vec, steps, compiled=compiled)
        assert collector.compiled == compiled
        for _ in range(2):
            rollout = collector.collect(learner.actor)
        results.append((copy.deepcopy(rollout), collector.running_return, vec.save_state()))
    (slow, running, state), (fast, running_too, state_too) = results
    for name in ("obs", "last_obs", "action", "reward", "neighbours", "last_neighbours",
                 "terminated", "truncated"):  # fmt: skip
        assert np.array_equal(getattr(slow, name), getattr(fast, name)), name
    assert fast.final  # some episode has ended
    for a, b in zip(slow.final, fast.final, strict=True):
        assert a[0] == b[0]
        assert np.array_equal(a[1], b[1])
        assert np.array_equal(a[2], b[2])
    for a, b in zip(slow.episode_returns, fast.episode_returns, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(running, running_too)
    assert np.array_equal(state, state_too)


@pytest.mark.parametrize(
    ("name", "agents"),
    # A single environment is computed with the networks of up to four agents in parallel.
    [*((name, None) for name in ascore.ENVIRONMENTS), *(("predation", n) for n in range(2, 10))],
)
def test_compiled_rollouts_do_not_depend_on_threads_or_batch(name: str, agents: int | None) -> None:
    params = {"num_agents": agents} if agents is not None else {}

    def roll(num_envs: int, threads: int) -> Rollout:
        env = ascore.make(name, num_envs, 3, num_threads=threads, **params)
        env.reset()
        config = Config(env=env.spec.name, num_envs=num_envs, seed=3, actor_hidden=(40, 100))
        learner = Learner(config, env.spec)
        with torch.no_grad():  # far from uniform
            noise = np.random.default_rng(0).normal(0, 0.2, learner.actor.net.flat.shape)
            learner.actor.net.flat += torch.from_numpy(noise.astype(np.float32))
        return Collector(env, 150).collect(learner.actor)

    whole = roll(13, 1)
    for num_envs, threads in ((13, 2), (13, 3), (1, 1), (6, 2)):
        part = roll(num_envs, threads)
        for array in ("obs", "action", "reward", "truncated"):
            assert np.array_equal(getattr(part, array), getattr(whole, array)[:, :num_envs]), array


@pytest.mark.parametrize("simd", ["portable", ""])
@pytest.mark.parametrize("num_envs", [1, 2, 13])
@pytest.mark.parametrize("name", ascore.ENVIRONMENTS)
def test_policies_of_a_rollout_are_those_that_an_update_would_compute(
    name: str, num_envs: int, simd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCORE_SIMD", simd)
    env = ascore.make(name, num_envs, 3)
    env.reset()
    config = Config(
        env=env.spec.name, num_envs=num_envs, seed=3, algorithm="ippo", actor_hidden=(40, 100),
        rollout_steps=9, minibatches=2,
    )  # fmt: skip
    learner = Learner(config, env.spec)
    with torch.no_grad():  # far from uniform
        noise = np.random.default_rng(0).normal(0, 0.2, learner.actor.net.flat.shape)
        learner.actor.net.flat += torch.from_numpy(noise.astype(np.float32))
    rows = learner.prepare(collector_of(learner, env, 9).collect(learner.actor), 0)[2]
    learner.backend.begin(rows)
    assert rows.log_probs is not None
    assert torch.equal(rows.log_probs, learner.backend.log_probs())


def test_an_update_with_the_policies_of_its_rollout_ends_at_the_same_bits() -> None:
    ends = []
    for kept in (True, False):
        learner, collector, _ = session(algorithm="ippo", minibatches=2)
        assert reads_log_probs(learner)
        collector = Collector(collector.env, STEPS, log_probs=kept)
        for number in range(2):
            rollout = collector.collect(learner.actor)
            assert (rollout.log_probs is not None) == kept
            learner.update(rollout, number)
        ends.append(learner.state())
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))


@pytest.mark.parametrize(
    "keys", [{"algorithm": "as"}, {"minibatches": 1}, {"backend": "torch"}, {"backend": "kernel"}]
)
def test_policies_are_not_kept_where_an_update_computes_them(keys: dict[str, Any]) -> None:
    learner, collector, _ = session(**{"algorithm": "ippo", "minibatches": 2, **keys})
    assert not reads_log_probs(learner)
    assert collector_of(learner, collector.env, STEPS).collect(learner.actor).log_probs is None


def test_networks_up_to_a_size_act_in_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, _, _ = session()
    size = learner.actor.net.flat.shape[1]
    for largest, compiled in ((size, True), (size - 1, False)):
        monkeypatch.setattr("ascore.learning.rollout.LARGEST", largest)
        _, collector, _ = session()
        collector.collect(learner.actor)
        assert (collector._policy is not None) == compiled


def test_a_policy_of_other_sizes_is_refused() -> None:
    env = ascore.make("predation", 2, num_agents=3)
    env.reset()
    rollout = Rollout.empty(env, 4)
    arrays = (rollout.obs, rollout.neighbours, rollout.action, rollout.reward, rollout.terminated,
              rollout.truncated, np.zeros((2, 3)))  # fmt: skip
    policy = ascore._core.ActingNetworks([3, 4, 2], 3)
    with pytest.raises(ValueError, match=r"the policy has no parameters; call load\(\) first"):
        env.rollout(policy, *arrays)
    policy.load(np.zeros((3, 3 * 4 + 4 + 4 * 2 + 2), dtype=np.float32))
    env.rollout(policy, *arrays)
    with pytest.raises(ValueError, match=r"reward has shape \(4, 2, 2\), want \(4, 2, 3\)"):
        env.rollout(policy, *arrays[:3], rollout.reward[..., :2].copy(), *arrays[4:])
    with pytest.raises(ValueError, match=r"for 2 agents, 3 observation entries and 2 actions"):
        env.rollout(ascore._core.ActingNetworks([3, 4, 2], 2), *arrays)
    with pytest.raises(ValueError, match=r"flat has shape"):
        policy.load(np.zeros((3, 5), dtype=np.float32))
    fresh = ascore.make("predation", 2, num_agents=3)
    with pytest.raises(ValueError, match="before the first reset"):
        fresh.rollout(policy, *arrays)
