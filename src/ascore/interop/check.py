"""Checks whether an environment can be trained on; explains problems and their remedies."""

from __future__ import annotations

import contextlib
import io
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.loading import Layout, build, close, layout
from ascore.envs.adapters.locate import build_compiled, crash, is_compiled, load
from ascore.envs.parameters import as_options
from ascore.envs.vec_env import VecEnv
from ascore.errors import EnvError

Verdict = Literal["good", "advice", "problem"]

# Number of steps compared after a copy was pickled and unpickled.
STEPS_AFTER_PICKLING = 50
# Larger observations slow learning down, because initial weights suit numbers around one.
LARGE = 20.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        topic: loading, API, agents, actions, observations, rewards, horizon, determinism, pickling.
        verdict: problem = prevents training; advice = training works, with a reservation.
        found: what was observed.
        remedy: what to do; empty when good.
    """

    topic: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass
class Report:
    """All findings about one environment, created with the keyword arguments `env_params`."""

    env: str
    env_params: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def trainable(self) -> bool:
        """Whether no problem prevents training."""
        return all(finding.verdict != "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "trainable": self.trainable}

    def add(self, topic: str, verdict: Verdict, text: str, remedy: str = "") -> None:
        """Adds a finding."""
        self.findings.append(Finding(topic, verdict, text, remedy))

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Turns an EnvError into a finding with verdict problem."""
        try:
            yield
        except EnvError as error:
            self.add(error.topic, "problem", error.found, error.remedy)


def report(result: Report) -> str:
    """Formats the findings as text."""
    lines = [result.env]
    for finding in result.findings:
        lines.append(f"  {finding.verdict:<8} {finding.topic:<13} {finding.found}")
        if finding.remedy:
            lines.append(f"  {'':<8} {'':<13} -> {finding.remedy}")
    lines.append(
        f"can be trained on: ascore train {shlex.quote(result.env)}{as_options(result.env_params)}"
        if result.trainable
        else "cannot be trained on until the problems are fixed"
    )
    return "\n".join(lines)


def examine(
    target: str, params: Mapping[str, Any] | None = None, steps: int = 300, seed: int = 0
) -> Report:
    """Checks everything that training relies on.

    Args:
        target: MODULE:CALLABLE.
        params: keyword arguments of the callable.
        steps: number of random steps to take, at least 1.
        seed: seed of the steps and of the environment.

    Raises:
        ValueError: steps is below 1.
    """
    if steps < 1:
        message = f"steps = {steps} is not allowed; it must be at least 1"
        raise ValueError(message)
    params = dict(params or {})
    result = Report(target, params)
    shape: Layout | None = None
    with result.asking():
        create = load(target)
        if is_compiled(create):
            _compiled(result, create, steps, seed)
            return result
        with _made(create, target, params) as env:
            shape = _sizes(result, env)
    if shape is None:
        return result
    with result.asking():
        with _batch(target, 1, seed, params) as env:
            trace = _trace(env, steps)
        _rewards(result, shape, trace)
        with _made(create, target, params) as raw:
            _raw_episodes(result, raw, shape, steps, seed)
        with _batch(target, 2, seed, params) as env:
            _determinism(result, env, trace)
        with _batch(target, 1, seed, params) as env:
            _pickling(result, env, steps)
        with _made(create, target, params) as raw:
            _own_check(result, raw, steps)
    return result


@contextlib.contextmanager
def _made(create: Callable[..., Any], target: str, params: Mapping[str, Any]) -> Iterator[Any]:
    """One environment as it is, closed at the end."""
    env = build(create, target, params)
    try:
        yield env
    finally:
        close(env)


def _batch(target: str, num_envs: int, seed: int, params: Mapping[str, Any]) -> VecEnv:
    """The environments as training sees them."""
    return VecEnv(PythonCore(target, num_envs, seed, 0, params), target)


def _compiled(result: Report, create: Callable[..., Any], steps: int, seed: int) -> None:
    """Checks the behaviour of a C++ environment; the compiler has checked its interface."""
    batches = [
        VecEnv(build_compiled(create, result.env, result.env_params, 2, seed, threads), result.env)
        for threads in (1, 2)
    ]
    spec = batches[0].spec
    result.add(
        "loading",
        "good",
        f"compiled for this ascore; {spec.num_agents} agents, {spec.num_actions} actions, "
        f"{spec.obs_shape[0]} entries of {spec.obs_dtype}, horizon {spec.horizon}",
    )
    rng = np.random.default_rng(seed)
    for env in batches:
        env.reset()
    for step in range(steps):
        action = rng.integers(spec.num_actions, size=(2, spec.num_agents), dtype=np.int32)
        (obs, reward, *_), other = (env.step(action) for env in batches)
        for topic, values in (("observations", obs), ("rewards", reward)):
            if not np.isfinite(values).all():
                result.add(topic, "problem", f"step {step} writes {values}", "write finite numbers")
                return
        if not all(np.array_equal(x, y) for x, y in zip((obs, reward), other[:2], strict=True)):
            result.add(
                "determinism",
                "problem",
                f"two batches of seed {seed} differ after step {step}",
                "draw from the Rng passed to reset and step, and keep all changing values in State",
            )
            return
    result.add("observations", "good", f"finite in {steps} steps")
    result.add("rewards", "good", f"finite in {steps} steps")
    result.add("determinism", "good", f"the same seed gave the same {steps} steps")


# ---------------------------------------------------------------------- before the first step


def _sizes(result: Report, env: Any) -> Layout | None:
    """Checks every part of the layout separately, so that all problems are reported at once."""
    from ascore.envs.adapters import loading

    result.add("loading", "good", f"{type(env).__name__} created; it has reset, step and spaces")
    with result.asking():
        agents = loading.agent_names(env)
        result.add("agents", "good", f"{len(agents)}: {_listed(agents)}")
        with result.asking():
            count, _ = loading.action_range(env, agents)
            result.add("actions", "good", f"Discrete({count}) for every agent")
        with result.asking():
            loading.observation_spaces(env, agents)
    with result.asking():
        steps = loading.horizon(env)
        result.add("horizon", "good", f"{steps} steps")
    if not result.trainable:
        return None
    shape = layout(env)
    sizes, longest = shape.obs_sizes, max(shape.obs_sizes)
    if min(sizes) == longest:
        result.add("observations", "good", f"{longest} numbers per agent once flattened")
    else:
        text = ", ".join(f"{a!r} {s}" for a, s in zip(shape.agents, sizes, strict=True))
        result.add(
            "observations",
            "advice",
            f"different sizes once flattened: {text}; shorter ones are padded to {longest}",
            "none needed, unless one is much longer than the others",
        )
    if len(shape.agents) == 1:
        result.add(
            "agents",
            "advice",
            "a single agent has no one to hear",
            "train it with --algorithm ippo",
        )
    return shape


def _listed(names: tuple[Any, ...]) -> str:
    shown = ", ".join(map(str, names[:6]))
    return shown if len(names) <= 6 else f"{shown}, ..."


# ---------------------------------------------------------------------- through the adapter


@dataclass(frozen=True)
class _Trace:
    """Results of a batch's first environment, arrays [steps, ...]."""

    obs: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float32]
    ended: npt.NDArray[np.bool_]

    def first_difference(self, other: _Trace) -> str | None:
        """The first difference of two traces as text, or None."""
        for t in range(len(self.reward)):
            for name in ("obs", "reward", "ended"):
                if (getattr(self, name)[t] != getattr(other, name)[t]).any():
                    what = {"obs": "observations", "reward": "rewards", "ended": "ends"}[name]
                    return f"{what} differ from step {t} on"
        return None


def _trace(env: VecEnv, steps: int, fresh: bool = True) -> _Trace:
    """Plays at random; the random numbers depend only on the state of the batch."""
    if fresh:
        env.reset()
    uniform = np.empty((env.num_envs, env.spec.num_agents), dtype=np.float32)
    obs, reward, ended = [], [], []
    for _ in range(steps):
        obs.append(env.obs[0].copy())
        env.uniforms(uniform)
        env.step((uniform * env.spec.num_actions).astype(np.int32))
        reward.append(env.reward[0].copy())
        ended.append([env.terminated[0], env.truncated[0]])
    return _Trace(np.array(obs), np.array(reward), np.array(ended))


def _rewards(result: Report, shape: Layout, trace: _Trace) -> None:
    low, high = float(trace.reward.min()), float(trace.reward.max())
    steps = len(trace.reward)
    if low == high:
        result.add(
            "rewards",
            "advice",
            f"{low:g} for every agent in all {steps} random steps",
            "if random play never finds another reward, nothing can be learned",
        )
    else:
        result.add("rewards", "good", f"finite, {low:g} to {high:g} in {steps} random steps")
    largest = float(np.abs(trace.obs).max())
    if largest > LARGE:
        result.add(
            "observations", "advice", f"entries as large as {largest:g}", "scale them to about 1"
        )


def _determinism(result: Report, env: VecEnv, trace: _Trace) -> None:
    """Plays again beside a second copy, which reveals random numbers shared by copies."""
    other = _trace(env, len(trace.reward))
    difference = trace.first_difference(other)
    if difference is None:
        result.add("determinism", "good", "the same seed gives the same episodes")
    else:
        result.add(
            "determinism",
            "advice",
            f"{difference} although the seed is the same; a run cannot be repeated",
            "draw every random number from a generator created in reset(seed=...), none from "
            "random or np.random, and share nothing between copies",
        )


def _pickling(result: Report, env: VecEnv, steps: int) -> None:
    _trace(env, steps // 2 + 1)
    state = env.save_state()
    before = _trace(env, STEPS_AFTER_PICKLING, fresh=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.load_state(state)
    remedy = "keep the state in plain attributes; as it is, a resumed run"
    lost = [str(w.message) for w in caught if "cannot be restored" in str(w.message)]
    if lost:
        result.add("pickling", "advice", lost[0], f"{remedy} starts new episodes")
        return
    difference = before.first_difference(_trace(env, STEPS_AFTER_PICKLING, fresh=False))
    if difference is not None:
        found = f"a copy loses state when it is pickled: {difference}"
        result.add("pickling", "advice", found, f"{remedy} continues differently")
        return
    result.add("pickling", "good", "a copy continues exactly like the original; resuming is exact")


# ---------------------------------------------------------------------- without the adapter


def _raw_episodes(result: Report, env: Any, shape: Layout, steps: int, seed: int) -> None:
    """Checks what the adapter tolerates: wrong spaces, agents that stay, missing ends."""
    choices = np.random.default_rng(seed)
    outside: str | None = None
    lengths: list[int] = []
    left_early: set[Any] = set()
    stayed: set[Any] = set()
    overran, steps_done = False, 0
    spaces_of = dict(zip(shape.agents, shape.obs_spaces, strict=True))
    while steps_done < steps:
        obs, _ = env.reset(seed=seed + len(lengths))
        length = 0
        while steps_done < steps:
            acting = list(env.agents)
            outside = outside or _outside(obs, acting, spaces_of)
            action = {
                agent: int(choices.integers(shape.num_actions)) + first
                for agent, first in zip(shape.agents, shape.first_action, strict=True)
                if agent in acting
            }
            obs, _, terminations, truncations, _ = env.step(action)
            steps_done, length = steps_done + 1, length + 1
            gone = {a for a in acting if terminations[a] or truncations[a]}
            stayed |= gone & set(env.agents)
            if gone and gone < set(acting):
                left_early |= gone
            if not set(env.agents) - gone:
                lengths.append(length)
                break
            if length > shape.horizon:
                overran = True
                lengths.append(length)
                break
    if outside is None:
        result.add("observations", "good", "all are in their spaces")
    else:
        result.add("observations", "advice", outside, "return an element of observation_space")
    if stayed:
        result.add(
            "agents",
            "advice",
            f"{_listed(tuple(stayed))} stayed in `agents` after terminating or being truncated",
            "remove an agent from `agents` in the step that ends it; training treats it as gone",
        )
    if left_early:
        result.add(
            "agents",
            "advice",
            f"{_listed(tuple(left_early))} left before the others; until the episode ends for all, "
            "an agent that left observes zeros and gets reward 0",
            "none needed, if this is intended",
        )
    _ends(result, lengths, shape.horizon, steps_done, overran)


def _ends(result: Report, lengths: list[int], horizon: int, steps: int, overran: bool) -> None:
    if overran:
        result.add(
            "horizon",
            "advice",
            f"an episode continued after {horizon} steps; training truncates it there",
            "truncate all agents at the horizon, or set a longer horizon",
        )
    elif lengths:
        text = f"{len(lengths)} episodes of {min(lengths)} to {max(lengths)} steps ended"
        result.add("horizon", "good", text)
    else:
        result.add(
            "horizon",
            "advice",
            f"no episode ended within {steps} random steps (horizon {horizon})",
            f"try more steps: --steps {2 * horizon}",
        )


def _outside(
    obs: Mapping[Any, Any], agents: list[Any], spaces_of: Mapping[Any, spaces.Space[Any]]
) -> str | None:
    """Describes the first observation that is not in its space, or gives None."""
    for agent in agents:
        space, value = spaces_of[agent], obs[agent]
        if space.contains(value):
            continue
        why = ""
        if isinstance(space, spaces.Box):
            array = np.asarray(value)
            if not np.can_cast(array.dtype, space.dtype):
                why = f": it is {array.dtype}"
            elif array.shape == space.shape:
                why = f": it ranges from {array.min():g} to {array.max():g}"
        return f"an observation of agent {agent!r} is not in {space}{why}"
    return None


def _own_check(result: Report, env: Any, steps: int) -> None:
    """Runs PettingZoo's own API check; failures are only advice, as training does not need it."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            from pettingzoo.test.parallel_test import parallel_api_test

            parallel_api_test(env, num_cycles=steps)
    except ModuleNotFoundError as error:
        result.add(
            "API",
            "advice",
            f"PettingZoo's own check did not run: {error.name} is missing",
            "none needed, or pip install pygame-ce, which that check imports",
        )
    except Exception as error:  # whatever the environment raises, and failed assertions
        result.add(
            "API",
            "advice",
            f"PettingZoo's parallel_api_test fails: {crash(error)}",
            "fix it if the environment will be used with other libraries",
        )
    else:
        result.add("API", "good", "PettingZoo's parallel_api_test passes")
