"""A batch of environments, accessed through NumPy views.

B environments, N agents, V views (1 when all agents see one state), O observation entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ascore import _core
from ascore.envs.actions import as_int32

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True, repr=False)
class Spec:
    """Sizes and names of an environment.

    Attributes:
        name: name with version, such as "exchange-v1".
        num_agents: N.
        num_actions: A, the largest of `action_counts`.
        obs_shape: (O,), shape of one view.
        obs_dtype: dtype of the observations.
        obs_scale: factor on observations for networks: 1, or 1/255 for colours.
        action_counts: A_i of every agent, whose actions are 0..A_i-1; all A unless given.
        horizon: steps after which an episode is truncated.
        views: V, observations per environment: 1 when all agents see the same state, else N.
        action_names: one name per action.
    """

    name: str
    num_agents: int
    num_actions: int
    obs_shape: tuple[int, ...]
    obs_dtype: str
    horizon: int
    views: int
    action_names: tuple[str, ...]
    obs_scale: float = 1.0
    action_counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        counts = self.action_counts
        if len(set(counts)) < 2:  # also where `replace` changed a size: equal counts follow
            counts = (self.num_actions,) * self.num_agents
        if len(counts) != self.num_agents or min(counts) < 1 or max(counts) != self.num_actions:
            message = (
                f"action_counts = {counts} does not fit {self.num_agents} agents of which one has "
                f"all {self.num_actions} actions"
            )
            raise ValueError(message)
        object.__setattr__(self, "action_counts", tuple(counts))

    @property
    def padded(self) -> bool:
        """Whether some agent has fewer actions than another."""
        return min(self.action_counts) < self.num_actions

    def __repr__(self) -> str:
        return f"Spec({self.in_words()})"

    def in_words(self) -> str:
        """Name and sizes on one line."""
        counts = self.action_counts
        few = f"{min(counts)} to {max(counts)}" if self.padded else str(self.num_actions)
        return (
            f"{self.name!r}, {self.num_agents} agents, {few} actions, obs {self.obs_dtype} "
            f"{[self.views, *self.obs_shape]}, horizon {self.horizon}"
        )


class VecEnv:
    """B environments stepped together; arrays are read-only views that the next step overwrites.

    When an episode ends, the next one starts in the same step: `final_obs` keeps its last
    observation, `reward` and the flags are of the last step, `obs` is of the new episode.

    As a context manager, it closes the copies of a Python environment at the end.

    Create it after a fork, or with one thread: a child process does not inherit threads.

    Attributes:
        spec: sizes and names.
        params: all parameters with their values.
        obs: [B, V, O].
        final_obs: [B, V, O], last observation of the latest finished episode.
        reward: f32 [B, N], private rewards of the last step.
        terminated: bool [B], whether the episode ended by its rules.
        truncated: bool [B], whether the episode ended by its time limit.
        episode: u64 [B], number of the running episode.
        time: i32 [B], steps taken in it.
        learned_horizon: the horizon, where random play told it because nothing says it; else 0.
        action_bins: values among which each entry of a continuous action is chosen; 0 = none is.
    """

    learned_horizon: int = 0
    action_bins: int = 0

    def __init__(self, core: _core.CoreVecEnv, name: str) -> None:
        self._core = core
        self.num_envs: int = core.num_envs
        self.num_threads: int = core.num_threads
        self.params: dict[str, Any] = core.params
        self.obs: npt.NDArray[Any] = core.obs
        self.final_obs: npt.NDArray[Any] = core.final_obs
        self.reward: F32 = core.reward
        self._neighbours: U8 | None = core.neighbours
        self.terminated: Flags = core.terminated.view(np.bool_)
        self.truncated: Flags = core.truncated.view(np.bool_)
        self.episode: npt.NDArray[np.uint64] = core.episode
        self.time: npt.NDArray[np.int32] = core.time
        self.spec = Spec(
            name=name,
            num_agents=core.num_agents,
            num_actions=core.num_actions,
            obs_shape=(core.obs_size,),
            obs_dtype=str(self.obs.dtype),
            horizon=core.horizon,
            views=core.views,
            action_names=core.action_names,
            obs_scale=core.obs_scale,
            action_counts=getattr(core, "action_counts", ()),
        )
        self._info: dict[str, Any] = {"final_obs": self.final_obs}
        if self._neighbours is not None:
            self._info["neighbours"] = self._neighbours
        # Prepared once, because looking up the method and packing the result would slow a step.
        self._advance = core.step
        # Methods that only Python cores have.
        self._renumber: Callable[[int], None] | None = getattr(core, "renumber", None)
        self._close: Callable[[], None] | None = getattr(core, "close", None)
        self._outcome = (self.obs, self.reward, self.terminated, self.truncated, self._info)

    @property
    def neighbours(self) -> U8:
        """Who hears whom in the current state, u8 [B, N, N]: [b, i, j] is 1 if i hears j.

        Raises:
            ValueError: there are many agents, and nobody has called `keep_neighbours`.
        """
        if self._neighbours is None:
            message = (
                f"{self.spec.name} does not keep who hears whom among {self.spec.num_agents:,} "
                "agents; call keep_neighbours() before the first reset"
            )
            raise ValueError(message)
        return self._neighbours

    def keep_neighbours(self) -> None:
        """Keeps `neighbours` of many agents, too, in N * N bytes per environment.

        Raises:
            ValueError: there was a reset already, which would have had to write them.
        """
        if self._neighbours is None:
            self._core.keep_neighbours()
            self._neighbours = self._core.neighbours
            self._info["neighbours"] = self._neighbours

    def reset(self, seed: int | None = None) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Starts the next episode of every environment; with a seed, episode 0 of that seed.

        Returns:
            obs [B, V, O] and info with `final_obs` and, where they are kept, `neighbours`; views.
        """
        if seed is not None:
            _check_count("seed", seed, 0, LARGEST_SEED)
        self._core.reset(seed)
        return self.obs, self._info

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], F32, Flags, Flags, dict[str, Any]]:
        """Advances every environment by one step.

        Args:
            action: [B, N], each 0..A_i-1 and legal; not copied if it is i32 and C-contiguous.

        Returns:
            obs, reward, terminated, truncated, info; views.

        Raises:
            TypeError: `action` is not an array of whole numbers.
            ValueError: the shape differs, or an action is out of range or not legal; the state is
                unchanged.
        """
        try:
            self._advance(action)
        except TypeError:  # costs nothing if the array is i32
            other = as_int32(action)
            if other is None:
                raise
            self._advance(other)
        return self._outcome

    def renumber(self, first_env: int) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Starts episode 0 of the environments from `first_env` on, reusing the copies.

        Returns:
            As `reset`.

        Raises:
            ValueError: the batch is compiled, so its numbers are fixed.
        """
        _check_count("first_env", first_env, 0, LARGEST_SEED)
        if self._renumber is None:
            message = (
                f"a batch of {self.spec.name} cannot be renumbered; create another with first_env"
            )
            raise ValueError(message)
        self._renumber(first_env)
        return self.obs, self._info

    def __repr__(self) -> str:
        return f"VecEnv({self.num_envs} x {self.spec.in_words()})"

    def close(self) -> None:
        """Closes the copies of a Python environment; does nothing for compiled ones."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> VecEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def legal(self) -> U8 | None:
        """The actions that are legal in the current state, u8 [B, N, A]; None = all are.

        An agent's own actions are meant: what it lacks (`spec.action_counts`) is never legal. One
        that is not there has one legal action, its first; whatever is chosen for it is ignored.
        Compiled environments have no illegal actions.
        """
        legal: U8 | None = getattr(self._core, "legal", None)
        return legal

    @property
    def present(self) -> U8 | None:
        """Who is there in the current state, u8 [B, N]; None = all are.

        An agent of a Python environment may leave before the others, or enter after them.
        """
        present: U8 | None = getattr(self._core, "present", None)
        return present

    @property
    def left(self) -> U8 | None:
        """How agents left in the last step, u8 [B, N]: 1 = terminated, 2 = truncated, 0 = not.

        The last observation of one that was truncated is its row of `final_obs`. None = agents
        never leave but with the end of their episode.
        """
        left: U8 | None = getattr(self._core, "left", None)
        return left

    @property
    def members(self) -> U8 | None:
        """As `present`, but of the agents outside where one centre acts for all of them."""
        members: U8 | None = getattr(self._core, "members", self.present)
        return members

    @property
    def compiled(self) -> bool:
        """Whether `rollout` is available, that is, not for Python environments."""
        return hasattr(self._core, "rollout")

    def rollout(
        self,
        policy: _core.ActingNetworks,
        obs: npt.NDArray[Any],
        neighbours: U8 | None,
        action: npt.NDArray[np.int32],
        reward: F32,
        terminated: U8,
        truncated: U8,
        running: npt.NDArray[np.float64],
        log_probs: F32 | None = None,
    ) -> tuple[
        npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.float64]
    ]:
        """Takes T steps with a policy's actions in compiled code.

        Args:
            policy: compiled networks, one per agent.
            obs: out, [T, B, V, O], states in which actions were chosen.
            neighbours: out, u8 [T, B, N, N], neighbours in these states; None = nobody asks.
            action: out, i32 [T, B, N].
            reward: out, f32 [T, B, N].
            terminated: out, u8 [T, B].
            truncated: out, u8 [T, B].
            running: f64 [B, N], sums of rewards of the unfinished episodes; updated in place.
            log_probs: out, f32 [T, B, N, A], of all actions in these states; None = nobody asks.

        Returns:
            The finished episodes, by step and environment: step i64 [k], environment i64 [k],
            last observation [k, V, O], returns f64 [k, N].

        Raises:
            ValueError: sizes of arrays or policy differ, or there was no reset.
            TypeError: an array has another dtype.
        """
        return self._core.rollout(
            policy, obs, neighbours, action, reward, terminated, truncated, running, log_probs
        )

    def choose(
        self,
        policy: _core.ActingNetworks,
        first: int,
        obs: npt.NDArray[Any],
        action: npt.NDArray[np.int32],
    ) -> None:
        """What n agents see and do in the current state, as in `rollout`; nothing moves.

        Only where each agent has a view of its own.

        Args:
            policy: compiled networks of these agents, one each.
            first: number of the first of them.
            obs: out, [B, n, O].
            action: out, i32 [B, n].

        Raises:
            ValueError: as `rollout`, or agents share a view.
            TypeError: an array has another dtype.
        """
        self._core.choose(policy, first, obs, action)

    def uniforms(self, out: F32) -> None:
        """Fills f32 [B, N] with numbers in [0, 1) for drawing actions in the current state.

        They depend only on (seed, environment, episode, time, agent).
        """
        self._core.uniforms(out)

    def inspect(
        self, index: int = 0, action: npt.NDArray[Any] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Copies of the current state of one environment, by name.

        `agents` always exists. The other entries, with type, shape and meaning, are listed in the
        environment's record under `shows` and by `ascore envs`.

        Args:
            index: index of the environment in the batch, 0..B-1.
            action: [B, N]; if given, the state after a step with it. This shows the end of an
                episode, after which `step` resets the environment.

        Raises:
            IndexError: there is no such environment.
            TypeError, ValueError: as in `step`, or there was no reset.
        """
        self._require_index(index)
        other = as_int32(action)
        return self._core.inspect(index, action if other is None else other)

    @property
    def tells(self) -> bool:
        """Whether `deeds` is available."""
        return hasattr(self._core, "deeds")

    def deeds(self, index: int, action: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.int32]]:
        """How often each agent of one environment will do what in a step with these actions.

        Nothing moves. The entries and their meaning are listed in the environment's record under
        `deeds`.

        Args:
            index: index of the environment in the batch, 0..B-1.
            action: [B, N].

        Returns:
            i32 [N] by name.

        Raises:
            IndexError: there is no such environment.
            TypeError, ValueError: as in `step`, or there was no reset.
            ValueError: the environment does not tell what its agents do.
        """
        self._require_index(index)
        if not self.tells:
            message = f"{self.spec.name} does not tell what its agents do; see VecEnv.tells"
            raise ValueError(message)
        other = as_int32(action)
        core = cast("_core.TellingVecEnv", self._core)
        return core.deeds(index, action if other is None else other)

    def _require_index(self, index: int) -> None:
        _check_whole("index", index)
        if not 0 <= index < self.num_envs:
            message = f"index = {index} is outside 0..{self.num_envs - 1}"
            raise IndexError(message)

    def save_state(self, first: int = 0, count: int | None = None) -> U8:
        """Saves the whole state, including all buffers, as u8 [K].

        Args:
            first: first environment to save.
            count: number of environments; None = the rest. The result equals that of a batch of
                only these, with `first_env` to match.

        Raises:
            IndexError: there are no such environments.
            EnvError: only a part of a batch of Python environments is requested.
        """
        return self._core.save_state(first, count)

    def load_state(self, state: U8, first: int = 0, count: int | None = None) -> None:
        """Restores a saved state.

        Args:
            state: a state from `save_state`.
            first: first environment to restore.
            count: number of environments to restore; None = the rest.

        Raises:
            ValueError: the state is damaged, or of another environment, parameters, batch size or
                number.
            IndexError: there are no such environments.
            EnvError: only a part of a batch of Python environments is requested.
        """
        self._core.load_state(state, first, count)


def check_place(num_envs: int, seed: int, first_env: int, num_threads: int) -> None:
    """Checks that sizes, seed and numbers of a batch are whole numbers in range."""
    _check_count("num_envs", num_envs, 1, 2**31 - 1)
    _check_count("seed", seed, 0, LARGEST_SEED)
    _check_count("first_env", first_env, 0, LARGEST_SEED)
    _check_count("num_threads", num_threads, 0, 1024)


def check_workers(env_workers: int, env_timeout: float) -> None:
    """Checks the number of workers and the seconds that they may take."""
    _check_count("env_workers", env_workers, -1024, 1024)
    if not 0 <= env_timeout < 1e9:
        message = f"env_timeout = {env_timeout} is outside 0..1e9 seconds"
        raise ValueError(message)


def check_bins(action_bins: int) -> None:
    """Checks the number of values that an entry of a continuous action can have."""
    _check_count("action_bins", action_bins, 0, 256)
    if action_bins == 1:
        message = "action_bins = 1 leaves nothing to choose; set 0 (none) or at least 2"
        raise ValueError(message)


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        message = f"{name} = {value!r} is a {type(value).__name__}; it must be a whole number"
        raise TypeError(message)


def _check_count(name: str, value: int, low: int, high: int) -> None:
    _check_whole(name, value)
    if not low <= value <= high:
        message = f"{name} = {value} is outside {low}..{high}"
        raise ValueError(message)
