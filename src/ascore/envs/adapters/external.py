"""B copies of a Python environment with the interface of a compiled batch.

`VecEnv` wraps `PythonCore` like a compiled core, so rollouts, evaluation and checkpoints need no
special cases. B copies, N agents, O entries of the longest observation; V = N.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.buffers import Buffers, overlap
from ascore.envs.adapters.copies import Copies, Part
from ascore.envs.adapters.foreign import FAILURES, crash, shown, waiting_for
from ascore.envs.adapters.locate import load
from ascore.envs.adapters.masks import MASK, given_mask, read_mask
from ascore.envs.adapters.neighbours import read_neighbours
from ascore.envs.adapters.spaces import plain_shape, reader
from ascore.envs.presence import TERMINATED, TRUNCATED
from ascore.errors import EnvError
from ascore.streams import episode_seed

Obs = npt.NDArray[Any]

_RESET = ("obs", "infos")
_STEP = ("obs", "rewards", "terminations", "truncations", "infos")
ABOUT_ACTIONS = re.compile(
    r"action|legal|valid|allowed|\bmove", re.IGNORECASE
)  # of what a step raises
_LARGEST = float(np.finfo(np.float32).max)


class PythonCore(Buffers):
    """B copies of a PettingZoo `ParallelEnv`, stepped one after the other in this process.

    Episode e of environment b starts with `reset(seed=episode_seed(seed, b, e))`.

    An agent that has left the episode, or not entered it yet, observes zeros, gets reward 0, and
    hears and is heard by no agent; its action is ignored. `left` says how agents have left: one
    that is neither terminated nor truncated and stands in `agents` no more counts as terminated. An
    episode ends when the last agent leaves: truncated if one of the last to leave was truncated and
    not terminated, else terminated. An episode that continues after `horizon` steps is truncated
    there.

    What is given as usual takes short ways; all else takes the long ones, which name what is wrong.

    Args:
        name: MODULE:CALLABLE.
        num_envs: B, at least 1.
        seed: 0..2**64-1.
        first_env: number of the first environment.
        params: keyword arguments of the callable.
        horizon: steps after which episodes are truncated; 0 = as the environment says.
        first_copy: number of the first copy in messages.
        action_bins: values that each entry of a continuous action can have; 0 = none.

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
        action_bins: int = 0,
    ) -> None:
        super().__init__(name, params, num_envs, seed, first_env, first_copy)
        self._masked = False  # whether any agent was ever given a mask
        create = load(name)
        self._envs = Copies(create, name, params, num_envs, horizon, first_copy, action_bins)
        self.layout = self._envs.layout
        self._take(self.layout.sizes)
        fields = self._fields | self._derived
        self.place({key: np.zeros(*field) for key, field in fields.items()})
        self.at = np.zeros(1, dtype=np.int64)
        self._readers = [reader(space) for space in self.layout.obs_spaces]
        self._index = {agent: i for i, agent in enumerate(self.layout.agents)}
        self._names = list(self.layout.agents)
        self._everyone = range(self.num_agents)
        self._apart = 1 - np.eye(self.num_agents, dtype=np.uint8)  # all hear all others
        plain = [plain_shape(space, self.obs.dtype) for space in self.layout.obs_spaces]
        self._plain = list(zip(self.layout.agents, plain, self.layout.obs_sizes, strict=True))

    # ------------------------------------------------------------------ episodes

    def reset(self, seed: int | None = None) -> None:
        """Starts the next episode of every copy; with a seed, episode 0 of that seed."""
        if seed is not None:
            self._seed = seed
            self._next_episode[:] = 0
        self.reward[:] = 0
        self.terminated[:] = 0
        self.truncated[:] = 0
        self.left[:] = 0
        with waiting_for(f"reset() of {self._name} ({self.num_envs} copies)"):
            self.begin_all()

    def step(self, action: npt.NDArray[np.int32]) -> None:
        """Steps every copy; starts the next episode of copies whose episode ended."""
        self.check(action)
        self.advance(action)

    def advance(self, action: npt.NDArray[np.int32]) -> None:
        """As `step`, with actions that have been checked."""
        for b, chosen in enumerate(action.tolist()):
            self._guarded(b, self._advance, chosen)

    def begin_all(self) -> None:
        """Starts the next episode of every copy."""
        for b in range(self.num_envs):
            self._guarded(b, self._begin)

    def _guarded(self, b: int, work: Callable[..., None], *given: Any) -> None:
        """Turns unexpected exceptions of other people's objects into an EnvError."""
        self.at[0] = self._first_copy + b
        try:
            work(b, *given)
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
        obs, infos = self._parts(b, "reset", results, _RESET)
        present = self._listed(b)
        if not present:
            raise self._fault(
                b, "agents", "there is no agent after reset()", "fill `agents` in reset()"
            )
        self._take_in(b, obs, infos, present)

    def _advance(self, b: int, action: list[int]) -> None:
        acted = [i for i, alive in enumerate(self._alive[b].tolist()) if alive]
        agents, first = self.layout.agents, self.layout.first_action
        chosen = {agents[i]: action[i] + first[i] for i in acted}
        time = int(self.time[b]) + 1
        self.time[b] = time
        try:
            results = self._envs[b].step(chosen)
        except FAILURES as error:
            failure = crash(error)
            problem = f"step({shown(chosen)}) fails: {failure}"
            raise self._fault(b, "API", problem, self._remedy(failure)) from error
        obs, rewards, terminations, truncations, infos = self._parts(b, "step", results, _STEP)
        self._earn(b, rewards, acted)
        terminated = self._flagged(b, "terminations", terminations, acted)
        truncated = self._flagged(b, "truncations", truncations, acted)
        present = self._listed(b)
        if terminated or truncated:
            present = [i for i in present if i not in terminated and i not in truncated]
        if len(acted) < self.num_agents:  # one that ended long ago may still be listed
            flags = [each for each in (terminations, truncations) if isinstance(each, Mapping)]
            ended = {i for i in present if any(each.get(agents[i]) for each in flags)}
            present = [i for i in present if i in acted or i not in ended]
        going_on = bool(present) and time < self.horizon
        gone = [i for i in acted if i not in present] if going_on else acted
        cut = [i for i in gone if i in present or i in truncated - terminated]
        self.left[b] = 0
        if gone:
            self.left[b, gone] = TERMINATED
            self.left[b, cut] = TRUNCATED
        self.terminated[b] = self.truncated[b] = 0
        if going_on:
            if cut:  # the others' rows stay those of the latest episode
                last = np.empty_like(self.final_obs[b])
                self._observe(b, obs, cut, last)
                self.final_obs[b, cut] = last[cut]
            self._take_in(b, obs, infos, present)
            return
        late = bool(present) or not truncated <= terminated
        self.truncated[b], self.terminated[b] = late, not late
        self._observe(b, obs, sorted({*acted, *present}), self.final_obs[b])
        self._begin(b)

    def _take_in(self, b: int, obs: Any, infos: Any, present: Sequence[int]) -> None:
        """Keeps what the agents of a state that goes on are given."""
        whole = len(present) == self.num_agents
        self._alive[b] = whole
        if not whole:
            self._alive[b, present] = True
        self._observe(b, obs, present, self.obs[b])
        notes = self._notes(infos, present)
        self._permit(b, obs, notes, present)
        self._listen(b, notes, whole)

    # ------------------------------------------------------------------ results of a copy

    def _listed(self, b: int) -> Sequence[int]:
        """The agents in `agents`, in the order of `possible_agents`."""
        names = getattr(self._envs[b], "agents", None)
        if type(names) is list and names == self._names:
            return self._everyone
        if names is None:
            raise self._fault(
                b, "agents", "the environment has no list `agents`", "keep the active agents in it"
            )
        listed = set()
        for agent in names:
            if agent not in self._index:
                raise self._fault(
                    b,
                    "agents",
                    f"agent {agent!r} is not one of possible_agents {list(self.layout.agents)}",
                    "list all agents that may ever act there",
                )
            listed.add(self._index[agent])
        return sorted(listed)

    def _observe(
        self, b: int, observations: Mapping[Any, Any], who: Sequence[int], out: Obs
    ) -> None:
        """Flattens observations into [N, O]; absent agents and padding are zeros."""
        out[:] = 0
        for i in who:
            agent, shape, size = self._plain[i]
            value = self._of(b, "observation", observations, agent)
            if type(value) is np.ndarray and value.dtype == out.dtype and value.shape == shape:
                out[i, :size] = value.reshape(-1)
            else:
                self._read(b, i, value, out[i, :size])
        if out.dtype != np.uint8 and np.count_nonzero(np.isfinite(out)) < out.size:
            i, k = np.argwhere(~np.isfinite(out))[0]
            raise self._fault(
                b,
                "observations",
                f"the observation of agent {self.layout.agents[i]!r} holds {float(out[i, k])}",
                "every entry must be a finite number",
            )

    def _read(self, b: int, i: int, value: Any, row: Obs) -> None:
        """Flattens an observation of any space."""
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
                self._readers[i](value, row)
        except FAILURES as error:
            reason = str(error) if isinstance(error, ValueError) else crash(error)
            raise self._fault(
                b,
                "observations",
                f"the observation of agent {self.layout.agents[i]!r} is not in "
                f"{shown(self.layout.obs_spaces[i])} ({reason})",
                "return an element of observation_space",
            ) from error

    def _earn(self, b: int, rewards: Mapping[Any, Any], who: Sequence[int]) -> None:
        row, agents = self.reward[b], self.layout.agents
        if len(who) < self.num_agents:
            row[:] = 0
        for i in who:
            value = self._of(b, "reward", rewards, agents[i])
            number = value.item() if isinstance(value, np.generic) else value
            if isinstance(number, (float, int)) and -_LARGEST <= number <= _LARGEST:
                row[i] = number
                continue
            try:
                with np.errstate(over="ignore"):  # checked below
                    row[i] = value
            except FAILURES as error:
                raise self._fault(
                    b,
                    "rewards",
                    f"the reward of agent {agents[i]!r} is {shown(value)}",
                    "return a number below 3.4e38; of several objectives, their weighted sum",
                ) from error
            if not np.isfinite(row[i]):
                raise self._fault(
                    b,
                    "rewards",
                    f"the reward of agent {agents[i]!r} is {shown(value)}",
                    "every reward must be a finite number below 3.4e38",
                )

    def _flagged(
        self, b: int, kind: str, values: Mapping[Any, Any], who: Sequence[int]
    ) -> set[int]:
        """Those whose flag is set."""
        flagged = set()
        for i in who:
            agent = self.layout.agents[i]
            value = self._of(b, kind, values, agent)
            try:
                if value:
                    flagged.add(i)
            except FAILURES as error:
                raise self._fault(
                    b,
                    "API",
                    f"the entry of agent {agent!r} in the {kind} dictionary is {shown(value)}",
                    "return true or false",
                ) from error
        return flagged

    def _notes(self, infos: Any, who: Sequence[int]) -> dict[int, Mapping[Any, Any]]:
        """The infos of agents that hold anything."""
        if not isinstance(infos, (dict, Mapping)):  # a dict is recognised much sooner
            return {}
        notes = {}
        for i in who:
            info = infos.get(self.layout.agents[i])
            if isinstance(info, (dict, Mapping)) and info:
                notes[i] = info
        return notes

    def _permit(
        self,
        b: int,
        observations: Mapping[Any, Any],
        notes: Mapping[int, Mapping[Any, Any]],
        who: Sequence[int],
    ) -> None:
        """Sets the legal actions from what present agents are given as their masks."""
        self._legal[b] = self._own
        self._forbids[b] = False
        for i in who if any(self.layout.masks) else notes:
            agent, count = self.layout.agents[i], self.action_counts[i]
            try:
                value = given_mask(observations[agent], notes.get(i), self.layout.masks[i])
                if value is None:
                    continue
                self._masked = True
                row = read_mask(value, count)
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
            self._forbids[b] |= not row.all()

    def _listen(self, b: int, notes: Mapping[int, Mapping[Any, Any]], whole: bool) -> None:
        """Sets the neighbours: all present agents, or those in `infos[agent]["neighbours"]`."""
        heard = self.neighbours[b]
        heard[:] = self._apart
        if not whole:
            heard &= np.outer(self._alive[b], self._alive[b])
        for i, info in notes.items():
            if "neighbours" not in info:
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

    def _remedy(self, failure: str) -> str:
        """What to do about a failing step: copies that give no masks may refuse actions."""
        if self._masked or not ABOUT_ACTIONS.search(failure):
            return "fix it"
        return f"fix it; if this action is not legal in this state, give the legal ones as {MASK}"

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
