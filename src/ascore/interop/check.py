"""Checks whether an environment can be trained on; explains problems and their remedies."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from ascore.envs.adapters import loading
from ascore.envs.adapters.external import PythonCore
from ascore.envs.adapters.foreign import FAILURES, class_name, crash, shown
from ascore.envs.adapters.horizon import UNSTATED, find_horizon
from ascore.envs.adapters.loading import Layout, build, close, layout
from ascore.envs.adapters.locate import build_compiled, is_compiled, load
from ascore.envs.adapters.masks import MASK, given_mask, read_mask
from ascore.envs.adapters.probe import learn_horizon
from ascore.envs.vec_env import Spec, VecEnv, check_bins
from ascore.errors import EnvError
from ascore.interop import adapted, costs, trial
from ascore.interop.attendance import attendance
from ascore.interop.findings import Finding, Report, report
from ascore.interop.interests import interests

__all__ = ["Finding", "Report", "examine", "report"]


def examine(
    target: str,
    params: Mapping[str, Any] | None = None,
    steps: int = 300,
    seed: int = 0,
    *,
    horizon: int = 0,
    action_bins: int = 0,
    env_workers: int = 0,
    on_finding: Callable[[Finding], None] = lambda finding: None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Checks everything that training relies on.

    Args:
        target: MODULE:CALLABLE.
        params: keyword arguments of the callable.
        steps: number of random steps to take, at least 1.
        seed: seed of the steps and of the environment.
        horizon: steps after which episodes are truncated; 0 = as the environment says, or else as
            random play tells.
        action_bins: values that each entry of a continuous action can have; 0 = none.
        env_workers: number of worker processes whose speed together is measured too; 0 = none.
        on_finding: called with each finding, the sizes first.
        progress: called with the steps taken and their number while it is played.

    Raises:
        ValueError: steps is below 1, or horizon below 0.
    """
    for name, value, least in (("steps", steps, 1), ("horizon", horizon, 0)):
        if value < least:
            message = f"{name} = {value} is not allowed; it must be at least {least}"
            raise ValueError(message)
    check_bins(action_bins)
    params = dict(params or {})
    result = Report(target, params, horizon, action_bins, on_finding=on_finding)
    shape: Layout | None = None
    with result.asking():
        create = load(target)
        if is_compiled(create):
            _compiled(result, create, steps, seed)
            return result
        with _made(result, create) as env:
            shape = _sizes(result, env)
    if shape is None:
        return result

    def batch(num_envs: int) -> VecEnv:
        place = (target, num_envs, seed, 0, params, result.horizon)
        return VecEnv(PythonCore(*place, action_bins=action_bins), target)

    with result.asking():
        with batch(1) as env:
            spec = env.spec
            trace = trial.play(env, steps, progress=progress)
        costs.speed(result, spec, trace.steps_per_second, env_workers)
        trial.rewards(result, shape, trace)
        interests(result, shape.agents, trace.reward)
        trial.masks(result, shape, trace)
        attendance(result, shape, trace)
        with _made(result, create) as raw:
            _raw_episodes(result, raw, shape, steps, seed)
        with batch(2) as env:
            trial.determinism(result, env, trace)
        with batch(1) as env:
            trial.pickling(result, env, steps)
        with _made(result, create) as raw:
            _own_check(result, raw, steps)
    return result


@contextlib.contextmanager
def _made(result: Report, create: Callable[..., Any]) -> Iterator[Any]:
    """One environment, closed at the end."""
    env = build(create, result.env, result.env_params, result.action_bins)
    try:
        yield env
    finally:
        close(env)


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
    result.add("loading", "good", f"{class_name(env)} created; it has reset, step and spaces")
    adapted.interface(result, env)
    with result.asking():
        agents = loading.agent_names(env)
        result.add("agents", "good", f"{len(agents)}: {_listed(agents)}")
        with result.asking():
            counts, _ = loading.action_range(env, agents, result.action_bins)
            adapted.actions(result, env, agents, counts)
        with result.asking():
            loading.observation_spaces(env, agents)
    with result.asking():
        _horizon(result, env)
    if not result.trainable:
        return None
    shape = layout(env, result.horizon, result.action_bins)
    if loading.of_old_gym(env, shape.agents):
        result.add(
            "API",
            "advice",
            "its spaces are of the old package gym; they are read as gymnasium's",
            "make them gymnasium.spaces, which other libraries insist on",
        )
    adapted.observations(result, shape)
    if len(shape.agents) == 1:
        result.add(
            "agents",
            "advice",
            "a single agent has no one to hear",
            "train it with --algorithm ippo",
        )
    n, size = len(shape.agents), max(shape.obs_sizes)
    costs.memory(
        result,
        Spec(result.env, n, shape.num_actions, (size,), shape.obs_dtype, shape.horizon, n, ()),
    )
    return shape


def _horizon(result: Report, env: Any) -> None:
    """Where the horizon comes from; one that has to be learned is taken from here on."""
    if result.horizon:
        result.add("horizon", "good", f"{result.horizon} steps, as given")
        return
    try:
        steps, place = find_horizon(env)
    except EnvError as error:
        if error.found != UNSTATED or not result.trainable:  # what cannot be played teaches nothing
            raise
    else:
        result.add("horizon", "good", f"{steps} steps ({place})")
        return
    learned = learn_horizon(result.env, result.env_params, result.action_bins)
    result.horizon = learned.horizon
    result.add(
        "horizon",
        "advice",
        f"{learned.horizon} steps, learned: nothing says how long an episode is, and {learned}",
        "none needed, or give it an attribute `horizon`, or --horizon N",
    )


def _listed(names: tuple[Any, ...]) -> str:
    shown = ", ".join(map(str, names[:6]))
    return shown if len(names) <= 6 else f"{shown}, ..."


# ---------------------------------------------------------------------- without the adapter


def _raw_episodes(result: Report, env: Any, shape: Layout, steps: int, seed: int) -> None:
    """Checks what the adapter tolerates: wrong spaces, agents that stay, missing ends."""
    choices = np.random.default_rng(seed)
    outside: str | None = None
    lengths: list[int] = []
    stayed: set[Any] = set()
    overran, steps_done = False, 0
    spaces_of = dict(zip(shape.agents, shape.obs_spaces, strict=True))
    while steps_done < steps:
        obs, infos = env.reset(seed=seed + len(lengths))
        length = 0
        while steps_done < steps:
            acting = list(env.agents)
            outside = outside or _outside(obs, acting, spaces_of)
            action = {
                agent: _choice(choices, shape, i, obs.get(agent), infos.get(agent))
                for i, agent in enumerate(shape.agents)
                if agent in acting
            }
            obs, _, terminations, truncations, infos = env.step(action)
            steps_done, length = steps_done + 1, length + 1
            gone = {a for a in acting if terminations[a] or truncations[a]}
            stayed |= gone & set(env.agents)
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
    _ends(result, lengths, shape.horizon, steps_done, overran)


def _choice(choices: np.random.Generator, shape: Layout, i: int, obs: Any, info: Any) -> int:
    """A random legal action of agent i, in its own numbers."""
    value, count = given_mask(obs, info, shape.masks[i]), shape.action_counts[i]
    legal = np.arange(count) if value is None else np.flatnonzero(read_mask(value, count))
    return int(legal[choices.integers(len(legal))]) + shape.first_action[i]


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
        if isinstance(value, Mapping) and isinstance(space, spaces.Dict):  # without its mask
            value = {key: part for key, part in value.items() if key != MASK or key in space.spaces}
        if space.contains(value):
            continue
        why = ""
        if isinstance(space, spaces.Box):
            array = np.asarray(value)
            if not np.can_cast(array.dtype, space.dtype):
                why = f": it is {array.dtype}"
            elif array.shape == space.shape:
                why = f": it ranges from {array.min():g} to {array.max():g}"
        return f"an observation of agent {agent!r} is not in {shown(space)}{why}"
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
    except FAILURES as error:  # whatever the environment raises, and failed assertions
        result.add(
            "API",
            "advice",
            f"PettingZoo's parallel_api_test fails: {crash(error)}",
            "fix it if the environment will be used with other libraries",
        )
    else:
        result.add("API", "good", "PettingZoo's parallel_api_test passes")
