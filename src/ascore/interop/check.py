"""Tries an environment out and explains what fits, what does not, and what to do about it."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.loading import Layout, build, layout
from ascore.envs.adapters.locate import build_compiled, crash, is_compiled, load
from ascore.envs.vec_env import VecEnv
from ascore.errors import EnvError

Verdict = Literal["good", "advice", "problem"]

# Steps compared after a copy was pickled and brought back.
STEPS_AFTER_PICKLING = 50
# Observations above this in size slow learning down: weights start for numbers around one.
LARGE = 20.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        topic: loading, API, agents, actions, observations, rewards, horizon, determinism, pickling.
        verdict: problem = cannot be trained on; advice = can, with what `found` says.
        found: what was seen.
        remedy: what to do; empty when good.
    """

    topic: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass
class Report:
    """Everything found about one environment, made with these keyword arguments."""

    env: str
    env_params: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def trainable(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.verdict != "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "trainable": self.trainable}

    def add(self, topic: str, verdict: Verdict, found: str, remedy: str = "") -> None:
        """Notes a finding."""
        self.findings.append(Finding(topic, verdict, found, remedy))

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Turns what cannot be trained on into a finding."""
        try:
            yield
        except EnvError as error:
            self.add(error.topic, "problem", error.found, error.remedy)


def report(found: Report) -> str:
    """The findings as text."""
    lines = [found.env]
    for finding in found.findings:
        lines.append(f"  {finding.verdict:<8} {finding.topic:<13} {finding.found}")
        if finding.remedy:
            lines.append(f"  {'':<8} {'':<13} -> {finding.remedy}")
    arguments = "".join(f" --env-param {key}={value}" for key, value in found.env_params.items())
    lines.append(
        f"can be trained on: ascore train {found.env}{arguments}"
        if found.trainable
        else "cannot be trained on before the problems are solved"
    )
    return "\n".join(lines)


def examine(
    target: str, params: Mapping[str, Any] | None = None, steps: int = 300, seed: int = 0
) -> Report:
    """Looks at everything that training relies on.

    Args:
        target: MODULE:CALLABLE.
        params: its keyword arguments.
        steps: random steps to take, at least 1.
        seed: of the steps and of the environment.

    Raises:
        ValueError: steps below 1.
    """
    if steps < 1:
        message = f"steps = {steps} is not allowed; it must be at least 1"
        raise ValueError(message)
    params = dict(params or {})
    found = Report(target, params)
    shape: Layout | None = None
    with found.asking():
        create = load(target)
        if is_compiled(create):
            _compiled(found, create, steps, seed)
            return found
        shape = _sizes(found, build(load(target), target, params))
    if shape is None:
        return found
    with found.asking():
        trace = _trace(PythonCore(target, 1, seed, 0, params), steps)
        _rewards(found, shape, trace)
        _raw_episodes(found, build(load(target), target, params), shape, steps, seed)
        _determinism(found, target, params, seed, trace)
        _pickling(found, PythonCore(target, 1, seed, 0, params), steps)
        _own_check(found, lambda: build(load(target), target, params), steps)
    return found


def _compiled(found: Report, create: Callable[..., Any], steps: int, seed: int) -> None:
    """The compiler has checked the shape of a C++ environment; what is left is its behaviour."""
    batches = [
        VecEnv(build_compiled(create, found.env, found.env_params, 2, seed, threads), found.env)
        for threads in (1, 2)
    ]
    spec = batches[0].spec
    found.add(
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
                found.add(topic, "problem", f"step {step} writes {values}", "write finite numbers")
                return
        if not all(np.array_equal(x, y) for x, y in zip((obs, reward), other[:2], strict=True)):
            found.add(
                "determinism",
                "problem",
                f"two batches of seed {seed} differ after step {step}",
                "draw from the Rng that reset and step are given, and keep what changes in State",
            )
            return
    found.add("observations", "good", f"finite in {steps} steps")
    found.add("rewards", "good", f"finite in {steps} steps")
    found.add("determinism", "good", f"the same seed gave the same {steps} steps")


# ---------------------------------------------------------------------- before the first step


def _sizes(found: Report, env: Any) -> Layout | None:
    """Every part of the layout on its own, so that all that is wrong is told at once."""
    from ascore.envs.adapters import loading

    found.add("loading", "good", f"{type(env).__name__} made; reset, step and spaces are there")
    with found.asking():
        agents = loading.agent_names(env)
        found.add("agents", "good", f"{len(agents)}: {_listed(agents)}")
        with found.asking():
            count, _ = loading.action_range(env, agents)
            found.add("actions", "good", f"Discrete({count}) for every agent")
        with found.asking():
            loading.observation_spaces(env, agents)
    with found.asking():
        steps = loading.horizon(env)
        found.add("horizon", "good", f"{steps} steps")
    if not found.trainable:
        return None
    shape = layout(env)
    sizes, longest = shape.obs_sizes, max(shape.obs_sizes)
    if min(sizes) == longest:
        found.add("observations", "good", f"{longest} numbers per agent once flattened")
    else:
        told = ", ".join(f"{a!r} {s}" for a, s in zip(shape.agents, sizes, strict=True))
        found.add(
            "observations",
            "advice",
            f"different sizes once flattened: {told}; zeros fill them up to {longest}",
            "nothing, unless one of them is much longer than the others",
        )
    if len(shape.agents) == 1:
        found.add(
            "agents", "advice", "one agent has nobody to hear", "train it with --algorithm ippo"
        )
    return shape


def _listed(names: tuple[Any, ...]) -> str:
    shown = ", ".join(map(str, names[:6]))
    return shown if len(names) <= 6 else f"{shown}, ..."


# ---------------------------------------------------------------------- through the adapter


@dataclass(frozen=True)
class _Trace:
    """What a batch told of its first environment, [steps, ...] each."""

    obs: npt.NDArray[np.float32]
    reward: npt.NDArray[np.float32]
    ended: npt.NDArray[np.bool_]

    def first_difference(self, other: _Trace) -> str | None:
        """Where two traces part."""
        for t in range(len(self.reward)):
            for name in ("obs", "reward", "ended"):
                if (getattr(self, name)[t] != getattr(other, name)[t]).any():
                    what = {"obs": "observations", "reward": "rewards", "ended": "ends"}[name]
                    return f"{what} differ from step {t} on"
        return None


def _trace(core: PythonCore, steps: int, fresh: bool = True) -> _Trace:
    """Random play; the numbers it draws with depend on the state of the batch alone."""
    env = VecEnv(core, "checked")
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


def _rewards(found: Report, shape: Layout, trace: _Trace) -> None:
    low, high = float(trace.reward.min()), float(trace.reward.max())
    steps = len(trace.reward)
    if low == high:
        found.add(
            "rewards",
            "advice",
            f"{low:g} for every agent in all of {steps} random steps",
            "if random play never meets another reward, nothing can be learned from it",
        )
    else:
        found.add("rewards", "good", f"finite, {low:g} to {high:g} in {steps} random steps")
    largest = float(np.abs(trace.obs).max())
    if largest > LARGE:
        found.add(
            "observations", "advice", f"entries as large as {largest:g}", "scale them to about 1"
        )


def _determinism(
    found: Report, target: str, params: dict[str, Any], seed: int, trace: _Trace
) -> None:
    """Once more beside a second copy: what both draw from in common would show."""
    other = _trace(PythonCore(target, 2, seed, 0, params), len(trace.reward))
    parted = trace.first_difference(other)
    if parted is None:
        found.add("determinism", "good", "the same seed gives the same episodes")
    else:
        found.add(
            "determinism",
            "advice",
            f"{parted} though the seed is the same; a run cannot be repeated",
            "draw every random number from a generator made in reset(seed=...), none from "
            "random or np.random, and share nothing between copies",
        )


def _pickling(found: Report, core: PythonCore, steps: int) -> None:
    _trace(core, steps // 2 + 1)
    state = core.save_state()
    before = _trace(core, STEPS_AFTER_PICKLING, fresh=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        core.load_state(state)
    remedy = "keep the state in plain attributes; as it is, a resumed run"
    if told:
        found.add("pickling", "advice", str(told[0].message), f"{remedy} begins fresh episodes")
        return
    parted = before.first_difference(_trace(core, STEPS_AFTER_PICKLING, fresh=False))
    if parted is not None:
        lost = f"a copy forgets something when it is pickled: {parted}"
        found.add("pickling", "advice", lost, f"{remedy} goes on differently")
        return
    found.add("pickling", "good", "a copy goes on where the original stood; resume is exact")


# ---------------------------------------------------------------------- as the environment tells it


def _raw_episodes(found: Report, env: Any, shape: Layout, steps: int, seed: int) -> None:
    """What the adapter forgives: spaces that do not hold, agents that stay, missing ends."""
    choices = np.random.default_rng(seed)
    outside: str | None = None
    lengths: list[int] = []
    left_early: set[Any] = set()
    stayed: set[Any] = set()
    overran, taken = False, 0
    spaces_of = dict(zip(shape.agents, shape.obs_spaces, strict=True))
    while taken < steps:
        obs, _ = env.reset(seed=seed + len(lengths))
        length = 0
        while taken < steps:
            acting = list(env.agents)
            outside = outside or _outside(obs, acting, spaces_of)
            action = {
                agent: int(choices.integers(shape.num_actions)) + first
                for agent, first in zip(shape.agents, shape.first_action, strict=True)
                if agent in acting
            }
            obs, _, terminations, truncations, _ = env.step(action)
            taken, length = taken + 1, length + 1
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
        found.add("observations", "good", "every one lies in its space")
    else:
        found.add("observations", "advice", outside, "return what observation_space promises")
    if stayed:
        found.add(
            "agents",
            "advice",
            f"{_listed(tuple(stayed))} stayed in `agents` after terminating or being truncated",
            "remove an agent from `agents` in the step that ends it; training takes it as gone",
        )
    if left_early:
        found.add(
            "agents",
            "advice",
            f"{_listed(tuple(left_early))} left before the others; until the episode ends for all, "
            "one that left sees zeros and earns 0",
            "nothing, if that is meant",
        )
    _ends(found, lengths, shape.horizon, taken, overran)


def _ends(found: Report, lengths: list[int], horizon: int, steps: int, overran: bool) -> None:
    if overran:
        found.add(
            "horizon",
            "advice",
            f"an episode went on after {horizon} steps; training truncates it there",
            "truncate all agents at the horizon, or state a longer one",
        )
    elif lengths:
        told = f"{len(lengths)} episodes of {min(lengths)} to {max(lengths)} steps ended"
        found.add("horizon", "good", told)
    else:
        found.add(
            "horizon",
            "advice",
            f"no episode ended within {steps} random steps (horizon {horizon})",
            f"try more of them: --steps {2 * horizon}",
        )


def _outside(
    obs: Mapping[Any, Any], agents: list[Any], spaces_of: Mapping[Any, spaces.Space[Any]]
) -> str | None:
    """How an observation leaves its space."""
    for agent in agents:
        space, value = spaces_of[agent], obs[agent]
        if space.contains(value):
            continue
        why = ""
        if isinstance(space, spaces.Box):
            seen = np.asarray(value)
            if not np.can_cast(seen.dtype, space.dtype):
                why = f": it is {seen.dtype}"
            elif seen.shape == space.shape:
                why = f": it holds {seen.min():g} to {seen.max():g}"
        return f"an observation of agent {agent!r} is not in {space}{why}"
    return None


def _own_check(found: Report, create: Callable[[], Any], steps: int) -> None:
    """PettingZoo's own check; only its Python API, so nothing it says stops training."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            from pettingzoo.test.parallel_test import parallel_api_test

            parallel_api_test(create(), num_cycles=steps)
    except ModuleNotFoundError as error:
        found.add(
            "API",
            "advice",
            f"PettingZoo's own check did not run: {error.name} is missing",
            "nothing, or pip install pygame-ce, which that check imports",
        )
    except Exception as error:  # whatever the environment raises, and failed assertions
        found.add(
            "API",
            "advice",
            f"PettingZoo's parallel_api_test fails: {crash(error)}",
            "mend it if other libraries shall use the environment",
        )
    else:
        found.add("API", "good", "PettingZoo's parallel_api_test passes")
