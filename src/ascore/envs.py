"""The compiled environments behind NumPy views, and the table of what there is.

B environments, N agents, V views (1 when all agents see one state), O observation entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore import _core

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Spec:
    """Sizes and names of an environment.

    Attributes:
        name: such as "exchange-v1".
        num_agents: N.
        num_actions: A, actions are 0..A-1.
        obs_shape: (O,), of one view.
        obs_dtype: of the observations.
        obs_scale: networks see observations times this: 1, or 1/255 for colours.
        horizon: steps after which an episode is truncated.
        views: V, observations per environment: 1 when all agents see the same state, else N.
        action_names: one per action.
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


@dataclass(frozen=True)
class Anchor:
    """A team return per episode that tells what a policy is worth.

    `ascore.scripted` has the policy, `ascore envs --anchors` plays it.

    Attributes:
        label: random, selfish or cooperative play, or the name of another policy.
        base: part of the return that does not grow with the agents.
        per_agent: part of the return per agent.
        given: parameters the figure holds for; a range stands for any value in it.
        source: how it is known.
        error: half width of the 95% interval if it was measured, of rounding if it was rounded;
            0 = exact as it stands.
    """

    label: str
    base: float
    per_agent: float
    given: Mapping[str, Any]
    source: str
    error: float = 0.0

    def unmet(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What these parameters would have to be for the figure to hold and are not."""
        return {
            key: value
            for key, value in self.given.items()
            if not (params[key] in value if isinstance(value, range) else params[key] == value)
        }

    def team_return(self, num_agents: int) -> float:
        """The figure for N agents."""
        return self.base + self.per_agent * num_agents


@dataclass(frozen=True)
class Environment:
    """One row of the table of environments."""

    name: str
    summary: str
    core: type[_core.CoreVecEnv]
    anchors: tuple[Anchor, ...]


_EXCHANGE = {
    "num_agents": 3,
    "size": 5,
    "horizon": 300,
    "opener": "any",
    "open_range": 0,
    "food": "immediate",
    "cost": 5.0,
    "gain": 10.0,
    "time_cost": 0.01,
    "useless_open_cost": 0.0,
    "early_end": False,
    "time_cost_after": True,
    "agents_on_boxes": False,
    "collisions": "none",
}
_PREDATION = {
    "horizon": 30,
    "approach": "sign",
    "mixed": "literal",
    "length": 30.0,
    "step_length": 1.0,
}
_NAVIGATION = {
    "num_agents": 3,
    "size": 5,
    "horizon": 100,
    "metric": "l2",
    "dist_scale": 1.0,
    "collision": 1.0,
    "block": False,
    "landmarks": "per_episode",
}
_HARVEST = {
    "num_agents": 2,
    "map": "harvest_top",
    "profile": "ssd",
    "move_frame": "profile",
    "horizon": 100,
    "regrowth_1": 0.005,
    "regrowth_2": 0.02,
    "regrowth_3": 0.05,
}
_CLEANUP = {
    "num_agents": 2,
    "map": "cleanup_top",
    "profile": "ssd",
    "move_frame": "profile",
    "waste_mode": "scan",
    "horizon": 100,
    "threshold_depletion": 0.4,
    "threshold_restoration": 0.0,
    "apple_probability": 0.05,
    "waste_probability": 0.5,
    "beam_length": 5,
}
# How the measured figures of the grids came about; `ascore envs --anchors` plays the same again.
_UNIFORM = "uniform play, measured"
_GREEDY = "everybody to the nearest apple, measured"
_NOBODY_CLEANS = "exact: nobody cleans, and with 0.4 of the river dirty nothing grows"
_HALF = "apples beside fewer than two others are spared until half-time, measured"
_SPARING = "the apples that others grow from are eaten last, measured"
_CLEANERS = "all clean 12 steps, then one in two (ssd) or a single one (features), measured"


def _cleanup(
    random: tuple[float, float], cooperative: tuple[float, float], **given: Any
) -> tuple[Anchor, ...]:
    params = _CLEANUP | given
    return (
        Anchor("random", random[0], 0.0, params, _UNIFORM, random[1]),
        Anchor("selfish", 0.0, 0.0, params, _NOBODY_CLEANS),
        Anchor("cooperative", cooperative[0], 0.0, params, _CLEANERS, cooperative[1]),
    )


def _harvest(
    random: tuple[float, float],
    selfish: tuple[float, float],
    restraint: tuple[float, float] | None = None,
    cooperative: tuple[float, float] | None = None,
    **given: Any,
) -> tuple[Anchor, ...]:
    figures = {
        "random": (random, _UNIFORM),
        "selfish": (selfish, _GREEDY),
        "restraint": (restraint, _HALF),
        "cooperative": (cooperative, _SPARING),
    }
    return tuple(
        Anchor(label, figure[0], 0.0, _HARVEST | given, source, figure[1])
        for label, (figure, source) in figures.items()
        if figure is not None
    )


ENVIRONMENTS: dict[str, Environment] = {
    row.name: row
    for row in (
        Environment(
            "cleanup-v1",
            "apples grow only while somebody cleans the river, which earns nothing (11x18 grid)",
            _core.CleanupV1,
            (
                *_cleanup((0.061, 0.002), (55.10, 0.10)),
                *_cleanup((0.126, 0.003), (65.70, 0.08), waste_mode="once"),
                *_cleanup((0.265, 0.005), (69.62, 0.08), profile="features"),
                *_cleanup((0.345, 0.005), (103.74, 0.13), map="cleanup_mid", num_agents=4),
                *_cleanup(
                    (1.754, 0.015),
                    (129.75, 0.21),
                    map="cleanup_mid",
                    num_agents=4,
                    profile="features",
                ),
            ),
        ),
        Environment(
            "harvest-v1",
            "apples grow back only beside others, so taking the last ones costs all (7x38 grid)",
            _core.HarvestV1,
            (
                *_harvest((13.99, 0.07), (60.04, 0.05), (74.93, 0.12), (80.42, 0.13)),
                *_harvest((25.82, 0.09), (59.55, 0.04), (80.54, 0.11), (94.88, 0.13), num_agents=4),
                *_harvest((43.79, 0.09), (59.02, 0.04), (74.96, 0.10), (90.39, 0.13), num_agents=8),
                *_harvest((14.49, 0.09), (116.27, 0.18), map="harvest_full"),
            ),
        ),
        Environment(
            "exchange-v1",
            "agents open boxes for one another at their own cost (5x5 grid)",
            _core.ExchangeV1,
            (
                Anchor("random", 4.84, 0.0, _EXCHANGE, "exact for uniform play, rounded", 0.005),
                Anchor("selfish", -9.0, 0.0, _EXCHANGE, "nobody opens: 3 x 300 x -0.01"),
                Anchor("cooperative", 6.0, 0.0, _EXCHANGE, "all boxes open: 3 x (10 - 5) - 9"),
            ),
        ),
        Environment(
            "predation-v1",
            "predators on a line approach a prey together, or leave it to the others",
            _core.PredationV1,
            (
                Anchor("random", 0.0, -60.0, _PREDATION, "exact: -2 per agent and step"),
                Anchor(
                    "selfish", 0.0, -90.0, _PREDATION, "nobody approaches: -3 per agent and step"
                ),
                Anchor(
                    "cooperative", 0.0, -30.0, _PREDATION, "all approach: -1 per agent and step"
                ),
                # From five agents on, the rules pay the team most for a single volunteer.
                Anchor(
                    "one approaches",
                    -120.0,
                    0.0,
                    _PREDATION | {"num_agents": range(5, 65)},
                    "one approaches for all: -4 per step",
                ),
            ),
        ),
        Environment(
            "navigation-v1",
            "agents walk to landmarks of their own without running into one another (5x5 grid)",
            _core.NavigationV1,
            (
                Anchor(
                    "random", -788.07, 0.0, _NAVIGATION, "exact for uniform play, rounded", 0.005
                ),
                Anchor(
                    "selfish",
                    -12.59,
                    0.0,
                    _NAVIGATION,
                    "each walks straight to its landmark, whoever is in the way: exact, rounded",
                    0.005,
                ),
                Anchor(
                    "cooperative",
                    -11.88,
                    0.0,
                    _NAVIGATION,
                    "the best joint plan, making way included: exact, rounded",
                    0.005,
                ),
            ),
        ),
    )
}


def canonical_name(name: str) -> str:
    """The full name of an environment: "exchange" or "exchange-v1" -> "exchange-v1".

    Raises:
        ValueError: unknown; lists what there is and suggests the nearest.
    """
    if not isinstance(name, str):
        message = f"name = {name!r} is a {type(name).__name__}; it must be an environment's name"
        raise TypeError(message)
    if name in ENVIRONMENTS:
        return name
    newest = [known for known in ENVIRONMENTS if known.rsplit("-v", 1)[0] == name]
    if newest:
        return newest[-1]
    near = difflib.get_close_matches(
        name, [*ENVIRONMENTS, *(n.rsplit("-v", 1)[0] for n in ENVIRONMENTS)], n=1
    )
    hint = f"did you mean {near[0]!r}? " if near else ""
    message = f"unknown environment {name!r}; {hint}there is: {', '.join(ENVIRONMENTS)}"
    raise ValueError(message)


def anchor_values(name: str, params: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(label, team return) of the anchors that hold for these parameters."""
    env = make(name, **params)
    return [
        (anchor.label, anchor.team_return(env.spec.num_agents))
        for anchor in ENVIRONMENTS[env.spec.name].anchors
        if not anchor.unmet(env.params)
    ]


def describe(name: str) -> dict[str, Any]:
    """What an environment is at its defaults, as plain values: spec, anchors, parameters.

    Anchors that hold for other parameters only say so under `given`.
    """
    env = make(name)
    row = ENVIRONMENTS[env.spec.name]
    anchors = []
    for anchor in row.anchors:
        given = anchor.unmet(env.params)
        num_agents = given.get("num_agents", env.spec.num_agents)
        anchors.append(
            {
                "label": anchor.label,
                "team_return": anchor.team_return(num_agents),
                "error": anchor.error,
                "given": given,
                "source": anchor.source,
            }
        )
    return {
        "summary": row.summary,
        "spec": asdict(env.spec),
        "anchors": anchors,
        "parameters": [
            {"name": key, "default": default, "meaning": meaning, "source": source}
            for key, default, meaning, source in row.core.parameter_docs
        ],
    }


def make(
    name: str,
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
    **params: Any,
) -> VecEnv:
    """A batch of environments.

    Args:
        name: environment, with or without its version.
        num_envs: B, at least 1.
        seed: 0..2**64-1; with the number of an environment it keys all that environment draws.
        num_threads: 0 = as many as the work is worth; results do not depend on it.
        first_env: number of the first environment of the batch.
        params: the environment's own parameters; `ascore envs` lists them.

    Raises:
        ValueError: unknown name or parameter, or a value out of range; names the value and what is
            allowed.
        TypeError: a parameter of another type.
    """
    full = canonical_name(name)
    check_place(num_envs, seed, first_env, num_threads)
    return VecEnv(ENVIRONMENTS[full].core(num_envs, seed, first_env, num_threads, params), full)


class VecEnv:
    """B environments stepped together; every array is a read-only view the next step overwrites.

    An episode that ends is followed by a fresh one within the same step: `final_obs` keeps its last
    observation, `reward` and the flags are of the last step, `obs` is of the new episode.

    Make it after a fork, or use one thread: a child process does not inherit the others.

    Attributes:
        spec: sizes and names.
        params: every parameter with its value.
        obs: [B, V, O].
        final_obs: [B, V, O], last observation of the latest episode that ended.
        reward: f32 [B, N], private rewards of the last step.
        neighbours: u8 [B, N, N], entry [b, i, j] is 1 where i hears j in the current state.
        terminated: bool [B], the episode ended by its rules.
        truncated: bool [B], the episode ended by its time limit.
        episode: u64 [B], number of the running episode.
        time: i32 [B], steps taken in it.
    """

    def __init__(self, core: _core.CoreVecEnv, name: str) -> None:
        self._core = core
        self.num_envs: int = core.num_envs
        self.num_threads: int = core.num_threads
        self.params: dict[str, Any] = core.params
        self.obs: npt.NDArray[Any] = core.obs
        self.final_obs: npt.NDArray[Any] = core.final_obs
        self.reward: F32 = core.reward
        self.neighbours: U8 = core.neighbours
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
        )
        self._info: dict[str, Any] = {"final_obs": self.final_obs, "neighbours": self.neighbours}
        # One call per step: looking the method up and packing the result anew would cost more.
        self._advance = core.step
        self._outcome = (self.obs, self.reward, self.terminated, self.truncated, self._info)

    def reset(self, seed: int | None = None) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Starts the next episode everywhere; with a seed, episode 0 of that seed.

        Returns:
            obs [B, V, O] and info with `final_obs` and `neighbours`; views.
        """
        if seed is not None:
            _check_count("seed", seed, 0, LARGEST_SEED)
        self._core.reset(seed)
        return self.obs, self._info

    def step(
        self, action: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[Any], F32, Flags, Flags, dict[str, Any]]:
        """Advances every environment by one step.

        Args:
            action: i32 [B, N], C-contiguous, each 0..A-1.

        Returns:
            obs, reward, terminated, truncated, info; views.

        Raises:
            TypeError: another dtype.
            ValueError: another shape, or an action out of range; nothing has moved.
        """
        self._advance(action)
        return self._outcome

    @property
    def compiled(self) -> bool:
        """Whether `rollout` is there: not for environments in Python."""
        return hasattr(self._core, "rollout")

    def rollout(
        self,
        policy: _core.Policy,
        obs: npt.NDArray[Any],
        neighbours: U8,
        action: npt.NDArray[np.int32],
        reward: F32,
        terminated: U8,
        truncated: U8,
        running: npt.NDArray[np.float64],
    ) -> tuple[
        npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.float64]
    ]:
        """Takes T steps with a policy's actions without coming back in between.

        Args:
            policy: compiled networks, one per agent.
            obs: out, [T, B, V, O], the states that actions were chosen in.
            neighbours: out, u8 [T, B, N, N], in these states.
            action: out, i32 [T, B, N].
            reward: out, f32 [T, B, N].
            terminated: out, u8 [T, B].
            truncated: out, u8 [T, B].
            running: f64 [B, N], rewards of the unfinished episodes so far; continued.

        Returns:
            Of the episodes that ended, by step and environment: step i64 [k], environment i64 [k],
            last observation [k, V, O], returns f64 [k, N].

        Raises:
            ValueError: arrays or a policy that do not fit; before the first reset.
            TypeError: another dtype.
        """
        return self._core.rollout(
            policy, obs, neighbours, action, reward, terminated, truncated, running
        )

    def uniforms(self, out: F32) -> None:
        """Fills f32 [B, N] with numbers in [0, 1) for drawing actions in the current state.

        They depend on (seed, environment, episode, time, agent) alone.
        """
        self._core.uniforms(out)

    def inspect(
        self, index: int = 0, action: npt.NDArray[np.int32] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """What one environment holds in the current state, by name; copies.

        Cells are (row, column), row 0 at the top. `agents` is always there; the rest is
        exchange: `agents`, `boxes` i32 [N, 2], `food` i32 [N] (0 closed, 1 open, 2 eaten);
        navigation: `agents`, `landmarks` i32 [N, 2];
        predation: `agents` f64 [N], `prey` f64 [1], places on the line;
        harvest: `agents` i32 [N, 2], `orientation` i32 [N] (0 up, then clockwise), and u8 [H, W]
        `walls`, `apples`, `orchard` (where apples can grow);
        cleanup: that, and u8 [H, W] `waste`, `river`, `stream`.

        Args:
            index: which environment of the batch, 0..B-1.
            action: i32 [B, N]; with it, what the environment will hold after a step with it. That
                is how to see the end of an episode, which `step` follows up with a reset.

        Raises:
            IndexError: there is no such environment.
            TypeError, ValueError: as `step`, and before the first reset.
        """
        _check_whole("index", index)
        if not 0 <= index < self.num_envs:
            message = f"index = {index} is outside 0..{self.num_envs - 1}"
            raise IndexError(message)
        return self._core.inspect(index, action)

    def save_state(self, first: int = 0, count: int | None = None) -> U8:
        """Everything that changes, every buffer included, as u8 [K].

        Args:
            first: first environment to save.
            count: how many; None = the rest. What is saved is what a batch of these alone, with its
                `first_env` to match, would save.

        Raises:
            IndexError: there are no such environments.
            EnvError: a part of a batch of Python environments.
        """
        return self._core.save_state(first, count)

    def load_state(self, state: U8, first: int = 0, count: int | None = None) -> None:
        """Goes back to a saved state.

        Args:
            state: from `save_state`.
            first: first environment that it is of.
            count: how many it is of; None = the rest.

        Raises:
            ValueError: damaged, or of another environment, parameter set, batch size or number.
            IndexError: there are no such environments.
            EnvError: a part of a batch of Python environments.
        """
        self._core.load_state(state, first, count)


def check_place(num_envs: int, seed: int, first_env: int, num_threads: int) -> None:
    """Refuses sizes, seeds and numbers of a batch that are no whole numbers or out of range."""
    _check_count("num_envs", num_envs, 1, 2**31 - 1)
    _check_count("seed", seed, 0, LARGEST_SEED)
    _check_count("first_env", first_env, 0, LARGEST_SEED)
    _check_count("num_threads", num_threads, 0, 1024)


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        message = f"{name} = {value!r} is a {type(value).__name__}; it must be a whole number"
        raise TypeError(message)


def _check_count(name: str, value: int, low: int, high: int) -> None:
    _check_whole(name, value)
    if not low <= value <= high:
        message = f"{name} = {value} is outside {low}..{high}"
        raise ValueError(message)
