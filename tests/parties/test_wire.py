"""Every byte between parties, recorded: distributions, states, actions, and nothing else.

Three agents compute their own rewards; proxies between all of them and the environment see all that
is sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import doors  # noqa: F401 (first: without its packages, tests are skipped)
import numpy as np
import pytest
import torch
from companies import HOST, Company, free_addresses, held, names, same, small
from recorders import CONTROL, DATA, HEADERS, SETTINGS, Recorder, frames, messages

import ascore
from ascore.learning.learner import Learner
from ascore.parties import party as party_module
from ascore.parties import wire
from ascore.parties.agreed import agreed
from ascore.parties.audit import AuditLog
from ascore.parties.network import Network
from ascore.parties.reward import OwnReward, RewardFn, Transition

PARTIES = [HOST, *names(3)]
CONFIG = small("exchange", 2, horizon=3, actor_lr=0.0)
"""Policies stay as they are, so whatever the rewards, what is sent is the same."""

Recording = dict[tuple[str, str], Recorder]


def rewards_of(name: str, factor: float, shift: float) -> RewardFn:
    """Some reward of a step that only its party knows."""
    number = PARTIES.index(name)

    def reward(step: Transition) -> np.ndarray[Any, np.dtype[np.float32]]:
        value = step.action[:, number - 1] + step.obs.reshape(len(step.obs), -1).sum(axis=1)
        return (factor * value + shift * step.ended).astype(np.float32)

    return reward


def recorded(addresses: dict[str, str], factor: float, shift: float) -> tuple[Recording, Company]:
    """A run in which firm-b's rewards are stretched and shifted."""
    between = {(a, b): Recorder(addresses[b]) for a in PARTIES for b in PARTIES if a != b}
    ends = {
        name: Network(
            name,
            addresses[name],
            {peer: between[name, peer].address for peer in PARTIES if peer != name},
            None,
            AuditLog(None, name),
            lambda _: None,
        )
        for name in PARTIES
    }
    rewards = {name: rewards_of(name, 1.0, 0.0) for name in PARTIES[1:]}
    rewards["firm-b"] = rewards_of("firm-b", factor, shift)
    company = Company(CONFIG, ends, rewards=rewards).run()
    for each in between.values():
        each.close()
    return between, company


@pytest.fixture(scope="module")
def two_runs() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(party_module, "AGAIN", 300.0)  # nobody says twice that it is ready
    addresses = free_addresses(PARTIES)
    runs = [recorded(addresses, 1.0, 0.0), recorded(addresses, -7.5, 1000.0)]
    patch.undo()
    return runs


def letters(recording: Recording, a: str, b: str) -> list[Any]:
    """What a wrote to b."""
    return [
        wire.parse(content)
        for connection in recording[a, b].there
        for content in messages(bytes(connection))
    ]


# All that is on the wire, field by field.
IDENTITY = {"run", "config", "sender"}
ROUND = {"round", "sequence", "step", "update", "clock", "members"}
SIZES = {"rows", "own_actions", "listener_actions", "sizes"}
CONTENT = {
    wire.DISTRIBUTIONS: {"own", "anticipation"},
    wire.READY: set(),
    wire.STATE: {"obs", "action", "ended", "final_obs"},
    wire.ACTION: {"action"},
}


def test_letters_have_these_fields_and_no_reward(two_runs: Any) -> None:
    recording, _ = two_runs[0]
    kinds = set()
    for a, b in recording:
        for letter in letters(recording, a, b):
            kind = wire.kind_of(letter)
            kinds.add((HOST in (a, b), kind))
            head = {field.name for field, _ in letter.ListFields()} - {kind}
            body = {field.name for field, _ in getattr(letter, kind).ListFields()}
            assert head == IDENTITY | {"round", "sequence"}
            assert body <= ROUND | SIZES | CONTENT[kind]
    assert kinds == {
        (False, wire.DISTRIBUTIONS),
        (True, wire.READY),
        (True, wire.STATE),
        (True, wire.ACTION),
    }


def test_the_recording_is_rebuilt_from_policies_states_and_actions_alone(two_runs: Any) -> None:
    """The environment's states are played again, the policies made again from the seed."""
    recording, _ = two_runs[0]
    env = ascore.make(CONFIG.env, CONFIG.num_envs, CONFIG.seed, **CONFIG.env_params)
    learner = Learner(CONFIG, env.spec)
    key = agreed(CONFIG, PARTIES[1:])
    env.reset()
    seen = []
    for update in range(2):
        from_host = [x for x in letters(recording, HOST, "firm-a") if x.round == update]
        for letter in from_host:
            state = letter.state
            assert state.obs == env.obs.tobytes()
            assert state.members == b"\1\1\1"
            if state.step == 0:
                assert json.loads(state.sizes)["num_agents"] == 3
            if state.step < 3:
                seen.append(env.obs.copy())
                following = next(x.state for x in from_host if x.state.step == state.step + 1)
                action = np.frombuffer(following.action, dtype="<i4").reshape(2, 3)
                for k, name in enumerate(PARTIES[1:]):
                    (sent,) = (
                        x.action.action
                        for x in letters(recording, name, HOST)
                        if x.HasField(wire.ACTION)
                        and (x.round, x.action.step) == (update, state.step)
                    )
                    assert sent == action[:, k].astype("<i4").tobytes()
                env.step(action.astype(np.int32))
        obs = torch.from_numpy(np.concatenate(seen[-3:]).reshape(6, -1)).float()
        with torch.no_grad():
            log_probs = learner.actor.log_probs(obs).numpy()
        for i, a in enumerate(PARTIES[1:]):
            for j, b in enumerate(PARTIES[1:]):
                if a == b:
                    continue
                rounds = [x for x in letters(recording, a, b) if x.round // 2 == update]
                assert len(rounds) == CONFIG.iterations
                for letter in rounds:
                    assert (letter.run, letter.config, letter.sender) == ("trial", key, a)
                    part = letter.distributions
                    for content, subject in ((part.own, i), (part.anticipation, j)):
                        values = np.frombuffer(content, dtype="<f4").reshape(6, -1)
                        np.testing.assert_allclose(values, log_probs[i, :, subject], atol=1e-5)


def test_nothing_but_letters_is_between_parties(two_runs: Any) -> None:
    """Beside them, frames that steer, of fixed sizes, and headers with names and addresses."""
    for recording, _ in two_runs:
        for recorder in recording.values():
            for sent in (*recorder.there, *recorder.back):
                for kind, _, payload in frames(bytes(sent)):
                    assert kind in (DATA, HEADERS, SETTINGS, *CONTROL, 7), kind
                    assert len(payload) == CONTROL.get(kind, len(payload))
            for sent in recorder.back:  # the other direction says that it was received: nothing
                assert all(content == b"" for content in messages(bytes(sent)))


def test_bytes_are_those_of_the_ledger_and_a_stated_framing(two_runs: Any, tmp_path: Path) -> None:
    """Every letter has at most 100 bytes more than its numbers, and the names in it."""
    recording, _ = two_runs[0]
    run = ascore.train(CONFIG, tmp_path / "run")
    for i, a in enumerate(PARTIES[1:]):
        contents = [
            content
            for b in PARTIES[1:]
            if b != a
            for connection in recording[a, b].there
            for content in messages(bytes(connection))
        ]
        parts = [wire.parse(content).distributions for content in contents]
        numbers = sum(len(part.own) + len(part.anticipation) for part in parts)
        assert numbers == sum(row["bytes_distribution"][i] for row in run.metrics)
        names = len("trial") + len(a)
        around = (len(contents[0]) * len(contents) - numbers) / len(contents)
        assert len({len(content) for content in contents}) == 1  # a fixed size for its shape
        assert 0 < around <= 100 + names


def record_of(recording: Recording) -> dict[Any, Any]:
    """Letters and headers of every direction, as they were sent."""
    return {
        pair: [
            [(k, s, p) for k, s, p in frames(bytes(sent)) if k in (DATA, HEADERS)]
            for sent in recorder.there
        ]
        for pair, recorder in recording.items()
    }


def data_of(record: dict[Any, Any]) -> dict[Any, bytes]:
    return {
        pair: b"".join(p for sent in connections for k, _, p in sent if k == DATA)
        for pair, connections in record.items()
    }


def test_other_rewards_leave_the_record_as_it_is_byte_for_byte(two_runs: Any) -> None:
    (first, company), (second, other) = two_runs
    learned = [held(each.parties["firm-b"]) for each in (company, other)]
    assert not same(*learned)  # its critic has learned something else
    assert np.array_equal(learned[0]["actor"], learned[1]["actor"])
    before, after = data_of(record_of(first)), data_of(record_of(second))
    assert sum(map(len, before.values())) > 10_000
    assert before == after


def test_a_party_holds_no_reward_of_another(two_runs: Any) -> None:
    for _, company in two_runs:
        for agent, name in enumerate(PARTIES[1:]):
            reward = company.parties[name]._rollout.reward
            assert (reward[:, :, agent] != 0).any()
            assert (np.delete(reward, agent, axis=2) == 0).all()


def test_a_party_is_sent_its_own_view_alone() -> None:
    keys = {"obs_mode": "nearest", "nearest": 1}
    config = small("predation", 1, env_params=keys)
    company = Company(config)
    host = company.letters[HOST].transport
    sent: dict[str, bytes] = {}
    send = host.send

    def watched(peer: str, content: bytes) -> None:
        sent.setdefault(peer, wire.parse(content).state.obs)  # of the first state
        send(peer, content)

    host.send = watched  # type: ignore[method-assign]
    company.run()
    env = ascore.make(config.env, config.num_envs, config.seed, **config.env_params)
    obs, _ = env.reset()
    assert sent == {name: obs[:, agent].tobytes() for agent, name in enumerate(PARTIES[1:])}
    assert len(set(sent.values())) == 3


def test_a_reward_refuses_to_be_written() -> None:
    import copy
    import pickle

    reward = OwnReward([1.25, 2.5], 2)
    ways: list[Any] = [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        bytes,
        memoryview,
        json.dumps,
        np.asarray,
        list,
        torch.tensor,
        "{:s}".format,
        lambda x: wire.compose("r", b"", "a", 0, 0, wire.ACTION, step=0, action=x),
    ]
    for way in ways:
        with pytest.raises((TypeError, ascore.AscoreError, RuntimeError)):
            way(reward)
    assert "1.25" not in repr(reward) + str(reward)
    buffer = np.zeros(2, dtype=np.float32)
    reward.learn_from(buffer)
    assert buffer.tolist() == [1.25, 2.5]


def test_where_the_environment_knows_rewards_each_agent_gets_its_own_alone(
    tmp_path: Path,
) -> None:
    """The three of Exchange differ, so each would be seen in another's letters."""
    config = CONFIG.replace(seed=3)
    played: dict[str, list[Any]] = {name: [] for name in PARTIES[1:]}
    truth: list[Any] = []

    from ascore.parties import host as host_module

    send = host_module.send_state

    def watched(letters: Any, peer: str, agent: int, env: Any, *args: Any, **keys: Any) -> None:
        before = letters.transport.send

        def keep(to: str, content: bytes) -> None:
            played[to].append(wire.parse(content).state)
            truth.append(env.reward.copy())
            before(to, content)

        letters.transport.send = keep
        try:
            send(letters, peer, agent, env, *args, **keys)
        finally:
            letters.transport.send = before

    patch = pytest.MonkeyPatch()
    patch.setattr(host_module, "send_state", watched)
    company = Company(config, folder=tmp_path).run()
    patch.undo()
    assert not company.errors
    rewards = truth[::3]
    for agent, name in enumerate(PARTIES[1:]):
        for state, reward in zip(played[name], rewards, strict=True):
            assert state.HasField("own_reward") == (state.step > 0)
            if state.step > 0:
                own = np.frombuffer(state.own_reward, dtype="<f4")
                np.testing.assert_array_equal(own, reward[:, agent])
    # And the log's digest of such a letter is that of the letter without the reward.
    state = played["firm-a"][1]
    letter = wire.compose("r", b"", "a", 0, 0, wire.STATE, **{
        field.name: value for field, value in state.ListFields()
    })  # fmt: skip
    changed = wire.parse(letter)
    changed.state.own_reward = b"\0" * 8
    content = changed.SerializeToString(deterministic=True)
    assert content != letter
    assert wire.public_part(content) == wire.public_part(letter)
