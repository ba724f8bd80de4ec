"""Parties of one run in threads of this process, on any transport."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.parties.agreed import agreed
from ascore.parties.archive import Archive
from ascore.parties.audit import AuditLog
from ascore.parties.host import Host
from ascore.parties.letters import Letters
from ascore.parties.party import Party, part_of
from ascore.parties.transport import Transport, in_process

HOST = "host"
Arrays = dict[str, npt.NDArray[Any]]

SMALL: dict[str, Any] = {
    "num_envs": 2,
    "iterations": 2,
    "minibatches": 2,
    "actor_lr": 3e-3,
    "critic_lr": 3e-3,
    "actor_hidden": (16,),
    "critic_hidden": (16,),
}


def small(env: str, updates: int, num_agents: int = 3, horizon: int = 6, **keys: Any) -> Config:
    """A run of so many updates, each of one short episode in two environments."""
    params = {"num_agents": num_agents, "horizon": horizon, **keys.pop("env_params", {})}
    values = {**SMALL, **keys}
    episodes = updates * values["num_envs"]
    return Config(env=env, env_params=params, episodes=episodes, **values)


def names(num_agents: int) -> list[str]:
    return [f"firm-{chr(97 + i)}" for i in range(num_agents)]


def held(party: Party) -> Arrays:
    """What a party has learned."""
    assert party.learner is not None
    return party._state(party.learner)


def trained(learner: Learner, agent: int) -> Arrays:
    """The same of one agent of the trainer's learner."""
    n = learner.spec.num_agents
    return {key: part_of(key, x, n, agent).numpy() for key, x in learner.state().items()}


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


class Company:
    """A host and its agents.

    Args:
        config: of the run.
        transports: by name; None = in this process.
        seconds: deadline of a round of messages.
        host_seconds: deadline of a step, for which no test waits unless it says so.
        folder: for audit logs; None = none are written.
        rewards: by agent's name, the functions that compute them; the host tells all others.
        seconds_of: other deadlines, by name.
        archives: by agent's name.
        starts: how often a party has started before.
    """

    def __init__(
        self,
        config: Config,
        transports: Mapping[str, Transport] | None = None,
        *,
        seconds: float = 20.0,
        host_seconds: float = 60.0,
        folder: Path | None = None,
        rewards: Mapping[str, Any] | None = None,
        num_agents: int = 3,
        archives: Mapping[str, Archive] | None = None,
        host: Callable[..., Host] = Host,
    ) -> None:
        self.config, self.agents = config, names(num_agents)
        self.lines: list[str] = []
        self.done = threading.Event()
        transports = transports or in_process([HOST, *self.agents])
        key = agreed(config, self.agents)
        self.letters = {}
        for name in (HOST, *self.agents):
            log = AuditLog(folder / f"{name}.jsonl" if folder else None, name)
            starts = archives[name].starts if archives and name in archives else 0
            self.letters[name] = Letters(
                transports[name], "trial", key, log, starts, self.lines.append, self.done.is_set
            )
        rewards = rewards or {}
        stop = self.done.is_set
        self.host = host(
            config, self.letters[HOST], self.agents, host_seconds, rewards=not rewards, stop=stop
        )
        self.parties = {
            name: Party(
                config,
                self.letters[name],
                self.agents,
                HOST,
                seconds,
                archives[name] if archives else Archive(),
                reward=rewards.get(name),
                patience=3 * host_seconds,
                stop=stop,
            )
            for name in self.agents
        }
        self.errors: list[BaseException] = []

    def run(self, without: Sequence[str] = (), seconds: float = 120.0) -> Company:
        """Runs all to the end; raises what one of them raises."""
        works = {HOST: self.host.run, **{n: p.run for n, p in self.parties.items()}}
        threads = [
            threading.Thread(target=self._work, args=(work,), daemon=True)
            for name, work in works.items()
            if name not in without
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
        alive = any(thread.is_alive() for thread in threads)
        self.done.set()
        for thread in threads:
            thread.join(10)
        closers = [threading.Thread(target=each.close) for each in self.letters.values()]
        for thread in closers:
            thread.start()
        for thread in closers:
            thread.join(20)
        if self.errors:
            raise self.errors[0]
        assert not alive, "somebody waits for ever"
        return self

    def _work(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)
            self.done.set()


def free_addresses(parties: Sequence[str]) -> dict[str, str]:
    """A free port of this machine for each."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in parties]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(parties, addresses, strict=True))
