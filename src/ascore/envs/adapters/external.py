"""B copies of a Python environment with the interface of a compiled batch.

`VecEnv` wraps `PythonCore` like a compiled core, so rollouts, evaluation and checkpoints need no
special cases. B copies, N agents, O entries of the longest observation; V = N.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.buffers import Buffers, overlap
from ascore.envs.adapters.copies import Copies, Part
from ascore.envs.adapters.foreign import FAILURES, crash, shown, waiting_for
from ascore.envs.adapters.locate import load
from ascore.envs.adapters.masks import MASK, given_mask, read_mask
from ascore.envs.adapters.neighbours import read_neighbours
from ascore.envs.adapters.spaces import reader
from ascore.errors import EnvError
from ascore.streams import episode_seed

Obs = npt.NDArray[Any]


class PythonCore(Buffers):
    """B copies of a PettingZoo `ParallelEnv`, stepped one after the other in this process.

    Episode e of environment b starts with `reset(seed=episode_seed(seed, b, e))`.

    An agent that has left the episode, or not entered it yet, observes zeros, gets reward 0, and
    hears and is heard by no agent; its action is ignored, so all of its own are legal. An episode
    ends when the last agent leaves: truncated if one of the last to leave was truncated and not
    terminated, else terminated. An episode that continues after `horizon` steps is truncated there.

    Args:
        name: MODULE:CALLABLE.
        num_envs: B, at least 1.
        seed: 0..2**64-1.
        first_env: number of the first environment.
        params: keyword arguments of the callable.
        horizon: steps after which episodes are truncated; 0 = as the environment says.
        first_copy: number of the first copy in messages.

    Attributes:
        at: i64 [1], number of the copy whose code runs; a worker shares it with its parent.

    Raises:
        EnvError: the environment cannot be trained on.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        seed: int,
        first_env: int,
        params: Mapping[str, Any],
        horizon: int = 0,
        first_copy: int = 0,
    ) -> None:
        super().__init__(name, params, num_envs, seed, first_env, first_copy)
        self._envs = Copies(load(name), name, params, num_envs, horizon, first_copy)
        self.layout = self._envs.layout
        self._take(self.layout.sizes)
        self.place({key: np.zeros(*field) for key, field in self._fields.items()})
        self.at = np.zeros(1, dtype=np.int64)
        self._readers = [reader(space) for space in self.layout.obs_spaces]
        self._index = {agent: i for i, agent in enumerate(self.layout.agents)}

    # ------------------------------------------------------------------ episodes

    def reset(self, seed: int | None = None) -> None:
        """Starts the next episode of every copy; with a seed, episode 0 of that seed."""
        if seed is not None:
            self._seed = seed
            self._next_episode[:] = 0
        self.reward[:] = 0
        self.terminated[:] = 0
        self.truncated[:] = 0
        with waiting_for(f"reset() of {self._name} ({self.num_envs} copies)"):
            self.begin_all()

    def step(self, action: npt.NDArray[np.int32]) -> None:
        """Steps every copy; starts the next episode of copies whose episode ended."""
        self.check(action)
        self.advance(action)

    def advance(self, action: npt.NDArray[np.int32]) -> None:
        """As `step`, with actions that have been checked."""
        for b in range(self.num_envs):
            self._guarded(b, lambda b: self._advance(b, action[b]))

    def begin_all(self) -> None:
        """Starts the next episode of every copy."""
        for b in range(self.num_envs):
            self._guarded(b, self._begin)

    def _guarded(self, b: int, work: Callable[[int], None]) -> None:
        """Turns unexpected exceptions of other people's objects into an EnvError."""
        self.at[0] = self._first_copy + b
        try:
            work(b)
        except EnvError:
            raise
        except FAILURES as error:
            raise self._fault(
                b, "API", f"reading what it returned fails: {crash(error)}", "fix it"
            ) from error

    def _begin(self, b: int) -> None:
        self.episode[b] = self._next_episode[b]
        self._next_episode[b] += np.uint64(1)
        self.time[b] = 0
        seed = episode_seed(self._seed, self._first_env + b, int(self.episode[b]))
        try:
            results = self._envs[b].reset(seed=seed)
        except FAILURES as error:
            raise self._fault(
                b, "API", f"reset(seed={seed}) fails: {crash(error)}", "fix it"
            ) from error
        obs, infos = self._parts(b, "reset", results, ("obs", "infos"))
        self._alive[b] = self._acting(b)
        if not self._alive[b].any():
            raise self._fault(
                b, "agents", "there is no agent after reset()", "fill `agents` in reset()"
            )
        self._observe(b, obs, self._alive[b], self.obs[b])
        self._permit(b, obs, infos)
        self._listen(b, infos)

    def _advance(self, b: int, action: npt.NDArray[np.int32]) -> None:
        acted = self._alive[b].copy()
        indices = np.flatnonzero(acted)
        agents, first = self.layout.agents, self.layout.first_action
        chosen = {agents[i]: int(action[i]) + first[i] for i in indices}
        self.time[b] += 1
        try:
            results = self._envs[b].step(chosen)
        except FAILURES as error:
            raise self._fault(
                b, "API", f"step({shown(chosen)}) fails: {crash(error)}", "fix it"
            ) from error
        parts = ("obs", "rewards", "terminations", "truncations", "infos")
        obs, rewards, terminations, truncations, infos = self._parts(b, "step", results, parts)
        self._earn(b, rewards, indices)
        terminated = self._flags(b, "terminations", terminations, indices)
        truncated = self._flags(b, "truncations", truncations, indices)
        alive = self._acting(b) & ~terminated & ~truncated
        late = bool(alive.any()) and self.time[b] >= self.horizon
        ended = late or not alive.any()
        self.terminated[b] = self.truncated[b] = 0
        if not ended:
            self._alive[b] = alive
            self._observe(b, obs, alive, self.obs[b])
            self._permit(b, obs, infos)
            self._listen(b, infos)
            return
        self.truncated[b] = late or bool((truncated & ~terminated).any())
        self.terminated[b] = not self.truncated[b]
        self._observe(b, obs, acted | alive, self.final_obs[b])
        self._begin(b)

    # ------------------------------------------------------------------ results of a copy

    def _acting(self, b: int) -> npt.NDArray[np.bool_]:
        """Whether each agent is in `agents`, bool [N]."""
        acting = np.zeros(self.num_agents, dtype=np.bool_)
        names = getattr(self._envs[b], "agents", None)
        if names is None:
            raise self._fault(
                b, "agents", "the environment has no list `agents`", "keep the active agents in it"
            )
        for agent in names:
            if agent not in self._index:
                raise self._fault(
                    b,
                    "agents",
                    f"agent {agent!r} is not one of possible_agents {list(self.layout.agents)}",
                    "list all agents that may ever act there",
                )
            acting[self._index[agent]] = True
        return acting

    def _observe(
        self, b: int, observations: Mapping[Any, Any], who: npt.NDArray[np.bool_], out: Obs
    ) -> None:
        """Flattens observations into [N, O]; absent agents and padding are zeros."""
        out[:] = 0
        for i in np.flatnonzero(who):
            agent, row = self.layout.agents[i], out[i, : self.layout.obs_sizes[i]]
            value = self._of(b, "observation", observations, agent)
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # checked below
                    self._readers[i](value, row)
            except FAILURES as error:
                reason = str(error) if isinstance(error, ValueError) else crash(error)
                raise self._fault(
                    b,
                    "observations",
                    f"the observation of agent {agent!r} is not in "
                    f"{shown(self.layout.obs_spaces[i])} ({reason})",
                    "return an element of observation_space",
                ) from error
            if row.dtype != np.uint8 and not np.isfinite(row).all():
                bad = float(row[~np.isfinite(row)][0])
                raise self._fault(
                    b,
                    "observations",
                    f"the observation of agent {agent!r} holds {bad}",
                    "every entry must be a finite number",
                )

    def _earn(self, b: int, rewards: Mapping[Any, Any], indices: npt.NDArray[np.intp]) -> None:
        self.reward[b] = 0
        for i in indices:
            agent = self.layout.agents[i]
            value = self._of(b, "reward", rewards, agent)
            try:
                with np.errstate(over="ignore"):  # checked below
                    self.reward[b, i] = value
            except FAILURES as error:
                raise self._fault(
                    b,
                    "rewards",
                    f"the reward of agent {agent!r} is {shown(value)}",
                    "return a number below 3.4e38",
                ) from error
            if not np.isfinite(self.reward[b, i]):
                raise self._fault(
                    b,
                    "rewards",
                    f"the reward of agent {agent!r} is {shown(value)}",
                    "every reward must be a finite number below 3.4e38",
                )

    def _flags(
        self, b: int, kind: str, values: Mapping[Any, Any], indices: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.bool_]:
        flags = np.zeros(self.num_agents, dtype=np.bool_)
        for i in indices:
            agent = self.layout.agents[i]
            value = self._of(b, kind, values, agent)
            try:
                flags[i] = bool(value)
            except FAILURES as error:
                raise self._fault(
                    b,
                    "API",
                    f"the entry of agent {agent!r} in the {kind} dictionary is {shown(value)}",
                    "return true or false",
                ) from error
        return flags

    def _permit(self, b: int, observations: Mapping[Any, Any], infos: Any) -> None:
        """Sets the legal actions from what present agents are given as their masks."""
        self._legal[b] = self._own
        for i in np.flatnonzero(self._alive[b]):
            agent, count = self.layout.agents[i], self.action_counts[i]
            info = infos.get(agent) if isinstance(infos, Mapping) else None
            try:
                value = given_mask(observations[agent], info, self.layout.masks[i])
                row = self._own[i, :count] if value is None else read_mask(value, count)
            except FAILURES as error:
                reason = str(error) if isinstance(error, ValueError) else f"({crash(error)})"
                raise self._fault(
                    b,
                    "actions",
                    f"agent {agent!r} has an {MASK} {reason}",
                    f"give one entry per action, {count} in all: 1 = legal, 0 = not",
                ) from error
            if not row.any():
                raise self._fault(
                    b,
                    "actions",
                    f"agent {agent!r} has no legal action: its {MASK} is 0 everywhere",
                    "leave it one, say one that does nothing, or take the agent out of `agents`",
                )
            self._legal[b, i, :count] = row

    def _listen(self, b: int, infos: Any) -> None:
        """Sets the neighbours: all present agents, or those in `infos[agent]["neighbours"]`."""
        alive = self._alive[b]
        heard = np.outer(alive, alive)
        for i in np.flatnonzero(alive):
            info = infos.get(self.layout.agents[i]) if isinstance(infos, Mapping) else None
            if not isinstance(info, Mapping) or "neighbours" not in info:
                continue
            try:
                row = read_neighbours(info["neighbours"], self._index)
            except ValueError as error:
                raise self._fault(
                    b,
                    "neighbours",
                    f"agent {self.layout.agents[i]!r} has the neighbour {error}",
                    "give names of possible_agents, or a 0/1 array with one entry per agent",
                ) from error
            heard[i] &= row
        np.fill_diagonal(heard, False)
        self.neighbours[b] = heard

    def _parts(self, b: int, method: str, results: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
        if not isinstance(results, tuple) or len(results) != len(names):
            kind = (
                f"{len(results)} values"
                if isinstance(results, tuple)
                else f"a {type(results).__name__}"
            )
            raise self._fault(
                b,
                "API",
                f"{method}() returned {kind}",
                f"return ({', '.join(names)}), each a dictionary by agent",
            )
        return results

    def _of(self, b: int, kind: str, values: Mapping[Any, Any], agent: Any) -> Any:
        try:
            return values[agent]
        except FAILURES as error:
            raise self._fault(
                b,
                "API",
                f"there is no entry for agent {agent!r} in the {kind} dictionary",
                "return an entry for every agent that acted",
            ) from error

    def _fault(self, b: int, topic: str, problem: str, remedy: str) -> EnvError:
        return EnvError(topic=topic, found=f"{problem} {self._place_of(b)}", remedy=remedy)

    # ------------------------------------------------------------------ the copies as a whole

    def close(self) -> None:
        """Closes every copy; none can be stepped any more."""
        self._envs.close()

    def pickled(self) -> list[tuple[int, bytes]] | str:
        """All in one part: copies may share objects."""
        data, reason = self._envs.pickled()
        return [(self.num_envs, data)] if reason is None else reason

    def replace(self, saved: list[tuple[int, bytes]]) -> str | None:
        """Takes saved copies; those it had are closed."""
        return self.take(overlap(saved, 0, self.num_envs))

    def take(self, parts: list[Part]) -> str | None:
        """As `replace`, from parts that hold these copies alone or among others."""
        return self._envs.replace(parts)
