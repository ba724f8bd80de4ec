"""The environment's process: it steps, tells every agent the state, and waits for their actions.

T steps, B environments, N agents.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.errors import EnvError
from ascore.parties import wire
from ascore.parties.agreed import require_separable
from ascore.parties.letters import Letters
from ascore.parties.states import read_actions, send_state
from ascore.parties.wire import Refused
from ascore.streams import STREAM_ABSENT, generator

SLICE = 0.05
"""Seconds that the host waits for one agent before it looks at the next."""

Progress = Callable[[int, int, Sequence[str]], None]
"""(updates done, of how many, names of the members) -> None."""


class Host:
    """Plays the updates of a run with those agents that are there.

    An agent that does not act by the deadline is out until the next update; its actions are drawn
    uniformly meanwhile. The next update begins when all who were members are ready, or a deadline
    after the first of them is.

    Args:
        config: of the run.
        letters: of the host.
        agents: names, in the order of the environment's agents.
        seconds: deadline of a step, and of being ready after the first is.
        start: seconds to wait for all at the beginning, from the first that is ready on.
        rewards: whether agents get their rewards from here, each its own; False = they compute
            them.
        stop: tells whether to end early.
        progress: called after every update.
    """

    def __init__(
        self,
        config: Config,
        letters: Letters,
        agents: Sequence[str],
        seconds: float,
        *,
        rewards: bool = True,
        start: float = math.inf,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = lambda done, total, members: None,
    ) -> None:
        require_separable(config)
        self.config, self.letters, self.agents = config, letters, tuple(agents)
        self.seconds, self.rewards = seconds, rewards
        self.start, self.stop, self.progress = start, stop, progress
        self.near = config.graph in ("environment", "contacts")
        self._ready: dict[str, int] = {}
        self._furthest = 0  # no agent can be ready for a later update than this
        self._expected = set(agents)

    def run(self) -> int:
        """Plays to the end of the run, or until told to stop; returns the updates done."""
        config = self.config
        with closing(
            batch(
                config.env,
                config.env_params,
                config.num_envs,
                config.seed,
                config.num_threads,
                horizon=config.horizon,
                env_workers=config.env_workers,
                env_timeout=config.env_timeout,
                action_bins=config.action_bins,
            )
        ) as env:
            self.env = env
            self._require_agents()
            if self.near:
                env.keep_neighbours()
            steps = config.rollout_steps or env.spec.horizon
            total = config.updates(env.spec.horizon)
            env.reset()
            update, self._furthest = 0, total - 1
            while update < total:
                members = self._gather(update, self.seconds if update else self.start)
                if not members:
                    break  # told to stop
                update = max([update, *(self._ready[name] for name in members)])
                self._furthest = update + 1
                self._ready.clear()
                if not self._play(update, steps, members):
                    break  # told to stop
                update += 1
                self.progress(update, total, sorted(members))
            return update

    def _require_agents(self) -> None:
        n = self.env.spec.num_agents
        if len(self.agents) != n:
            raise EnvError(
                topic="agents",
                found=f"{self.config.env} has {n} agents, and [agents] names {len(self.agents)}",
                remedy="name as many, in the order of the environment's agents",
            )

    def _gather(self, update: int, seconds: float) -> set[str]:
        """Who takes part in the next update; empty when told to stop."""
        limit = math.inf
        while not self.stop():
            waiting = [name for name in self.agents if name not in self._ready]
            for name in waiting:
                self._look(name, update)
            if self._ready:
                limit = min(limit, time.monotonic() + seconds)
                away = self._expected - self._ready.keys()
                if not away or time.monotonic() > limit:
                    for name in sorted(away):
                        self.letters.tell(f"{name} was not ready for update {update}")
                    return set(self._ready)
        return set()

    def _look(self, name: str, update: int) -> None:
        """Reads what an agent has written, until it says that it is ready for this update."""
        waited_for = name in self._expected or not self._expected
        deadline = time.monotonic() + (SLICE if waited_for else 0)
        while (letter := self.letters.receive(name, deadline)) is not None:
            if not letter.HasField(wire.READY):
                self.letters.refuse(name, f"a {wire.kind_of(letter)} between two updates")
            elif letter.ready.update > self._furthest:
                self.letters.refuse(name, "it claims more updates than there were")
            elif name not in self._expected or letter.ready.update >= update:
                self._ready[name] = letter.ready.update
                return
            # else it was said again, before the update that is over

    def _play(self, update: int, steps: int, members: set[str]) -> bool:
        """One update's steps; who does not act in time is taken out of `members`.

        Returns:
            False if told to stop before the last.
        """
        env, n = self.env, self.env.spec.num_agents
        action = np.zeros((env.num_envs, n), dtype=np.int32)
        acting = np.array([name in members for name in self.agents], dtype=np.uint8)
        self._expected = members
        for step in range(steps + 1):
            if env.present is not None:
                raise EnvError(
                    topic="agents",
                    found=f"an agent of {env.spec.name} is not there at step {step}",
                    remedy="parties need environments whose agents stay to the end of an episode",
                )
            for agent, name in enumerate(self.agents):
                if name in members:
                    send_state(
                        self.letters,
                        name,
                        agent,
                        env,
                        update,
                        step,
                        action,
                        acting,
                        near=self.near,
                        rewards=self.rewards,
                    )
            if step < steps:
                self._act(update, step, members, action)
                if self.stop():
                    return False
                env.step(action)
        return True

    def _act(
        self, update: int, step: int, members: set[str], action: npt.NDArray[np.int32]
    ) -> None:
        deadline = time.monotonic() + self.seconds
        for agent, name in enumerate(self.agents):
            chosen = self._await(name, agent, update, step, deadline) if name in members else None
            if chosen is None:
                if name in members:
                    if not self.stop():
                        self.letters.tell(f"{name} did not act at step {step} of update {update}")
                    members.discard(name)
                chosen = self._drawn(agent, update, step)
            action[:, agent] = chosen

    def _await(
        self, name: str, agent: int, update: int, step: int, deadline: float
    ) -> npt.NDArray[np.int32] | None:
        """An agent's actions; None if they have not come by the deadline."""
        while (letter := self.letters.receive(name, deadline)) is not None:
            if letter.HasField(wire.READY):
                if letter.round == update:
                    continue  # said again before the first state came
                if letter.ready.update > self._furthest:
                    self.letters.refuse(name, "it claims more updates than there were")
                    continue
                self._ready[name] = letter.ready.update
                return None  # it has begun anew, and takes part from the next update on
            try:
                return self._possible(letter, agent, update, step)
            except Refused as reason:
                self.letters.refuse(name, str(reason))
        return None

    def _possible(self, letter: Any, agent: int, update: int, step: int) -> npt.NDArray[np.int32]:
        env = self.env
        if letter.round != update:
            reason = f"an action of update {letter.round} in update {update}"
            raise Refused(reason)
        chosen = read_actions(letter, step, env.num_envs, env.spec.action_counts[agent])
        legal = env.legal
        if legal is not None and not legal[np.arange(env.num_envs), agent, chosen].all():
            reason = "an action is not legal"
            raise Refused(reason)
        return chosen

    def _drawn(self, agent: int, update: int, step: int) -> npt.NDArray[np.int32]:
        """Uniform actions of an agent that is not there, i32 [B]."""
        env, rng = self.env, generator(self.config.seed, STREAM_ABSENT, update, step, agent)
        odds = rng.random((env.num_envs, env.spec.action_counts[agent]))
        if env.legal is not None:
            odds[env.legal[:, agent, : odds.shape[1]] == 0] = -1
        drawn: npt.NDArray[np.int32] = odds.argmax(axis=1).astype(np.int32)
        return drawn
