"""Late, silent and gone: nobody waits beyond the deadline, nobody ends, nothing is spoilt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from companies import HOST, Arrays, Company, held, names, same, small, trained

import ascore
from ascore.errors import AscoreWarning
from ascore.learning.learner import Learner
from ascore.parties import party as party_module
from ascore.parties import wire
from ascore.parties.archive import Archive, FolderArchive
from ascore.parties.host import Host
from ascore.parties.transport import InProcess, Transport, in_process
from ascore.runs import checkpoint

AGENTS = names(3)
Fault = Callable[["Faulty", str, bytes], None]


class Faulty(Transport):
    """Does to distributions what a fault does; all else goes through."""

    def __init__(self, inner: InProcess, fault: Fault) -> None:
        self.inner, self.fault = inner, fault
        self.name, self.peers = inner.name, inner.peers
        self.rng, self.kept = np.random.default_rng(0), dict[str, bytes]()

    def send(self, peer: str, content: bytes) -> None:
        if wire.parse(content).HasField(wire.DISTRIBUTIONS):
            self.fault(self, peer, content)
        else:
            self.inner.send(peer, content)

    def receive(self, peer: str, deadline: float) -> bytes | None:
        return self.inner.receive(peer, deadline)

    def close(self) -> None:
        self.inner.close()


def drop(link: Faulty, peer: str, content: bytes) -> None:
    if link.rng.random() < 0.4:
        link.inner.send(peer, content)


def duplicate(link: Faulty, peer: str, content: bytes) -> None:
    link.inner.send(peer, content)
    link.inner.send(peer, content)


def reorder(link: Faulty, peer: str, content: bytes) -> None:
    """Every letter waits for the next one and comes after it."""
    before = link.kept.pop(peer, None)
    if before is None:
        link.kept[peer] = content
        return
    link.inner.send(peer, content)
    link.inner.send(peer, before)


def corrupt(link: Faulty, peer: str, content: bytes) -> None:
    data = bytearray(content)
    data[int(link.rng.integers(len(data)))] ^= 1 << int(link.rng.integers(8))
    link.inner.send(peer, bytes(data))


def truncate(link: Faulty, peer: str, content: bytes) -> None:
    link.inner.send(peer, content[: int(link.rng.integers(len(content)))])


def not_numbers(link: Faulty, peer: str, content: bytes) -> None:
    letter = wire.parse(content)
    size = len(letter.distributions.own)
    letter.distributions.own = np.full(size // 4, np.nan, dtype=np.float32).tobytes()
    link.inner.send(peer, letter.SerializeToString(deterministic=True))


def oversize(link: Faulty, peer: str, content: bytes) -> None:
    letter = wire.parse(content)
    letter.distributions.own += b"\0" * 2**20
    link.inner.send(peer, letter.SerializeToString(deterministic=True))


def slow(link: Faulty, peer: str, content: bytes) -> None:
    threading.Timer(0.3, link.inner.send, (peer, content)).start()


def flood(link: Faulty, peer: str, content: bytes) -> None:
    for _ in range(50):
        link.inner.send(peer, content[:40])
    link.inner.send(peer, content)


FAULTS = [drop, duplicate, reorder, corrupt, truncate, not_numbers, oversize, slow, flood]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_training_goes_on_whatever_a_peer_sends(fault: Fault) -> None:
    config = small("predation", 4)
    ends: dict[str, Any] = dict(in_process([HOST, *AGENTS]))
    ends["firm-c"] = Faulty(ends["firm-c"], fault)
    company = Company(config, ends, seconds=0.1).run()
    for name in AGENTS:
        assert company.parties[name].done == 4
        assert all(np.isfinite(x).all() for x in held(company.parties[name]).values())


def untouched(config: ascore.Config) -> Learner:
    return Learner(config, ascore.make(config.env, **config.env_params).spec)


def own(learner: Learner, agent: int) -> Arrays:
    """Policy and critic of one agent, without what it anticipates of others."""
    rows = {"policy": learner.actor.own_flat(), "critic": learner.critic.net.flat}
    return {key: x[agent].detach().numpy() for key, x in rows.items()}


def own_of(company: Company, name: str) -> Arrays:
    learner = company.parties[name].learner
    assert learner is not None
    return own(learner, AGENTS.index(name))


def trained_on(config: ascore.Config, folder: Path) -> Learner:
    """What the trainer learns."""
    ascore.train(config, folder)
    learner, saved = untouched(config), checkpoint.load(folder)
    learner.load_state({k: torch.from_numpy(x.copy()) for k, x in saved.arrays.items()})
    return learner


def test_alone_an_agent_is_independent_ppo(tmp_path: Path) -> None:
    """Every message is lost: to the bit what independent PPO learns."""
    config = small("predation", 5)
    lost = {name: Faulty(end, lambda *_: None) for name, end in in_process([HOST, *AGENTS]).items()}
    company = Company(config, lost, seconds=0.05).run()
    learner = trained_on(config.replace(algorithm="ippo"), tmp_path / "run")
    start = untouched(config)
    for agent, name in enumerate(AGENTS):
        mine = own_of(company, name)
        assert not same(mine, own(start, agent))
        assert same(mine, own(learner, agent))


def test_of_a_silent_peer_nothing_is_learned_and_of_the_others_everything(tmp_path: Path) -> None:
    """Whoever is not heard is out of the neighbourhood: as on a graph without those links."""
    config = small("predation", 5)
    ends: dict[str, Any] = dict(in_process([HOST, *AGENTS]))
    ends["firm-c"] = Faulty(ends["firm-c"], lambda *_: None)
    company = Company(config, ends, seconds=0.05).run()
    without = config.replace(graph="matrix", graph_matrix="010,100,110")
    with pytest.warns(AscoreWarning, match="lets nobody hear agent 2"):
        learner = trained_on(without, tmp_path / "run")
    for agent, name in enumerate(AGENTS[:2]):
        assert same(own_of(company, name), own(learner, agent))


def test_weights_of_its_own_begin_a_party_that_has_a_seed_of_its_own() -> None:
    config = small("predation", 1, graph="chain", actor_lr=0.0)
    company = Company(config)
    company.parties["firm-b"].own_seed = 7
    company.run()
    shared, mine = untouched(config), untouched(config.replace(seed=7))
    policies = [own(learner, 1)["policy"] for learner in (shared, mine)]
    assert np.array_equal(own_of(company, "firm-b")["policy"], policies[1])
    assert not np.array_equal(*policies)
    assert np.array_equal(own_of(company, "firm-a")["policy"], own(shared, 0)["policy"])


def test_gaps_in_communication_send_nothing() -> None:
    config = small("predation", 4, communicate_every=2)
    company = Company(config).run()
    sent = company.letters["firm-a"]._next["firm-b"]
    assert sent == 2 * config.iterations


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parties say soon again that they are ready."""
    monkeypatch.setattr(party_module, "AGAIN", 0.2)


def test_without_one_agent_the_others_train(eager: None) -> None:
    config = small("predation", 4)
    host = partial(Host, start=0.5)
    company = Company(config, host_seconds=1.0, host=host).run(without=["firm-c"])
    for name in AGENTS[:2]:
        assert company.parties[name].done == 4
    before = untouched(config)
    mask = before.actor.anticipation_mask().view(3, -1)[0].numpy()
    mine = held(company.parties["firm-a"])["actor"]
    start = trained(before, 0)["actor"]
    assert (mine != start)[mask].any()  # what it anticipates of firm-b
    assert (mine == start)[mask].any()  # and of firm-c, of whom it has heard nothing


class Mortal(Archive):
    """Ends its party without a word in the middle of update `at`."""

    def __init__(self, inner: Archive, at: int) -> None:
        self.inner, self.at = inner, at
        self.done, self.starts = inner.done, inner.starts

    def restored(self, like: Any) -> Any:
        return self.inner.restored(like)

    def write(self, done: int, *args: Any, **keys: Any) -> None:
        self.inner.write(done, *args, **keys)
        if done == self.at:
            raise Killed

    def finish(self, *args: Any) -> None:
        self.inner.finish(*args)


class Killed(BaseException):
    """As if by a signal."""


def test_who_was_gone_comes_back_by_its_own_checkpoint(eager: None, tmp_path: Path) -> None:
    config = small("predation", 150, horizon=2, checkpoint_every=3)
    kept = {name: FolderArchive(tmp_path / name, name, config) for name in AGENTS}
    archives = {**kept, "firm-c": Mortal(kept["firm-c"], 3)}
    company = Company(config, seconds=0.5, host_seconds=0.5, folder=tmp_path, archives=archives)
    first = company.parties["firm-c"]
    second: list[party_module.Party] = []

    def live_and_die_and_live() -> int:
        with pytest.raises(Killed):
            party_module.Party.run(first)
        kept["firm-c"].close()
        while company.parties["firm-a"].done < 8:
            time.sleep(0.01)
        archive = FolderArchive(tmp_path / "firm-c", "firm-c", config)
        assert (archive.done, archive.starts) == (3, 1)
        letters = company.letters["firm-c"]
        for peer in letters.transport.peers:
            letters._next[peer] = archive.starts << 40
        again = party_module.Party(
            config, letters, AGENTS, HOST, 0.5, archive, stop=company.done.is_set
        )
        second.append(again)
        kept["firm-c"] = archive
        return again.run()

    company.parties["firm-c"].run = live_and_die_and_live  # type: ignore[method-assign]
    company.run()
    for archive in kept.values():
        archive.close()
    assert company.parties["firm-a"].done == company.parties["firm-b"].done == 150
    rows = ascore.runs.logs.read_records(tmp_path / "firm-a" / "metrics.jsonl", of_run=False)
    assert {row["others"] for row in rows} >= {1, 2}  # on a busy machine now and then nobody
    assert rows[-1]["others"] == 2  # it was back
    assert second[0].done == 150
    assert all(np.isfinite(x).all() for x in held(second[0]).values())


def test_two_starts_from_one_checkpoint_are_one(tmp_path: Path) -> None:
    """What is saved is all that a party needs."""
    config = small("predation", 3, checkpoint_every=3)
    kept = {name: FolderArchive(tmp_path / name, name, config) for name in AGENTS}
    company = Company(config, archives=kept).run()
    for name, archive in kept.items():
        archive.close()
        again = FolderArchive(tmp_path / name, name, config)
        state = held(company.parties[name])
        restored = again.restored(state)
        assert restored is not None
        assert same(restored, state)
        again.close()
