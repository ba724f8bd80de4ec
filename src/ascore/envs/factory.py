"""Creates environments: built-in ones by name, external ones by MODULE:CALLABLE.

Both give a `VecEnv`, so other code need not distinguish them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ascore.envs.parameters import STORABLE, storable, texts
from ascore.envs.table import ENVIRONMENTS, canonical_name
from ascore.envs.vec_env import VecEnv, check_bins, check_place, check_workers
from ascore.errors import AscoreWarning, EnvError
from ascore.runtime.processors import usable_processors

if TYPE_CHECKING:
    from ascore.envs.adapters.buffers import Buffers


def is_external(name: str) -> bool:
    """Whether a name is MODULE:CALLABLE of an external environment, not a built-in one."""
    return isinstance(name, str) and ":" in name


def in_python(name: str) -> bool:
    """Whether an environment is Python code, so that a batch holds copies of it.

    Raises:
        EnvError: MODULE:CALLABLE cannot be imported.
    """
    if not is_external(name):
        return False
    from ascore.envs.adapters.locate import is_compiled, load

    return not is_compiled(load(name))


def make(
    name: str,
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
    *,
    env_workers: int = 1,
    env_timeout: float = 0.0,
    action_bins: int = 0,
    **params: Any,
) -> VecEnv:
    """Creates a batch of environments.

    Args:
        name: name of an environment, with or without its version; or MODULE:CALLABLE of a class
            compiled from a C++ environment, or of a function or class that returns a PettingZoo
            `ParallelEnv` (needs the extra `pettingzoo`).
        num_envs: B, at least 1.
        seed: 0..2**64-1; an environment's random numbers depend on the seed and its number.
        num_threads: 0 = chosen by the amount of work; results do not depend on it. Python
            environments run in one thread, so more are refused.
        first_env: number of the first environment of the batch.
        env_workers: processes that step the copies of a Python environment; results do not depend
            on it. 0 and 1 = this one, -1 = one per usable processor, -2 = one per two, and so on.
            Compiled environments have threads instead and refuse more than 1.
        env_timeout: seconds that one copy of a Python environment may take for a step, for which a
            worker process steps it in any case; 0 = any time.
        action_bins: values among which each entry of a continuous action (`Box`) of a Python
            environment is chosen, equally spaced; actions are numbered, the last entry changing
            fastest. 0 = continuous actions are refused.
        params: parameters of the environment, as listed by `ascore envs`; for a Python environment
            the keyword arguments of the callable.

    Raises:
        ValueError: the name or a parameter is unknown, or a value is out of range; the message
            names the value and what is allowed.
        TypeError: a parameter has another type.
        EnvError: an external environment cannot be loaded or trained on; `ascore check-env`
            explains why.
    """
    return batch(
        name,
        params,
        num_envs,
        seed,
        num_threads,
        first_env,
        env_workers=env_workers,
        env_timeout=env_timeout,
        action_bins=action_bins,
    )


def _require_storable(params: Mapping[str, Any]) -> None:
    """Refuses names and texts that neither files nor C++ can hold."""
    for name, value in params.items():
        for what, text in [("the name of a parameter", name), *((name, t) for t in texts(value))]:
            if isinstance(text, str) and not storable(text):
                message = f"{what} = {text!r:.200} is not allowed; it must be {STORABLE}"
                raise ValueError(message)


def batch(
    name: str,
    params: Mapping[str, Any],
    num_envs: int = 1,
    seed: int = 0,
    num_threads: int = 0,
    first_env: int = 0,
    horizon: int = 0,
    env_workers: int = 1,
    env_timeout: float = 0.0,
    action_bins: int = 0,
) -> VecEnv:
    """As `make`, with the parameters in a mapping, so that one may be called `name` or `seed`.

    Args:
        name: as in `make`.
        params: the parameters.
        num_envs: as in `make`.
        seed: as in `make`.
        num_threads: as in `make`.
        first_env: as in `make`.
        horizon: steps after which an episode is truncated; 0 = as the environment says, and where
            a Python environment does not, as random play tells.
        env_workers: as in `make`.
        env_timeout: as in `make`.
        action_bins: as in `make`.
    """
    full = name if is_external(name) else canonical_name(name)
    limited = {"horizon": horizon} if horizon > 0 else {}
    check_place(num_envs, seed, first_env, num_threads)
    check_workers(env_workers, env_timeout)
    check_bins(action_bins)
    _require_storable(params)
    if not is_external(name):
        _refuse_workers(full, env_workers, env_timeout)
        _refuse_bins(full, action_bins)
        params = {**params, **limited}
        core = ENVIRONMENTS[full].core(num_envs, seed, first_env, num_threads, params)
        return VecEnv(core, full)
    from ascore.envs.adapters.locate import build_compiled, is_compiled, load

    create = load(name)
    if is_compiled(create):
        _refuse_workers(name, env_workers, env_timeout)
        _refuse_bins(name, action_bins)
        params = {**params, **limited}
        core = build_compiled(create, name, params, num_envs, seed, num_threads, first_env)
        return VecEnv(core, name)
    if num_threads > 1:
        raise EnvError(
            topic="threads",
            found=f"num_threads = {num_threads}, but {name} is Python code, and a batch steps its "
            "copies one after the other in one thread",
            remedy="leave it at 0, and set env_workers instead",
        )
    from ascore.envs.adapters.external import PythonCore
    from ascore.envs.adapters.horizon import UNSTATED
    from ascore.envs.adapters.workers import WorkersCore

    workers = _num_workers(name, num_envs, env_workers, env_timeout)
    place = (name, num_envs, seed, first_env, params)

    def made(steps: int) -> VecEnv:
        core: Buffers
        if workers == 0:
            core = PythonCore(*place, steps, action_bins=action_bins)
        else:
            core = WorkersCore(*place, steps, workers, env_timeout, action_bins)
        env = VecEnv(core, name)
        env.action_bins = action_bins if core.divided else 0
        if env.action_bins != action_bins:
            message = f"action_bins = {action_bins} changes nothing: no action of {name} is "
            message += "continuous (Box)"
            warnings.warn(message, AscoreWarning, stacklevel=4)
        return env

    try:
        return made(horizon)
    except EnvError as error:
        if error.found != UNSTATED:
            raise
    from ascore.envs.adapters.probe import learn_horizon

    learned = learn_horizon(name, params, action_bins)
    message = (
        f"{name} does not say how long its episodes are: {learned}, so horizon = "
        f"{learned.horizon}; set another with --horizon N, or give it an attribute `horizon`"
    )
    warnings.warn(message, AscoreWarning, stacklevel=3)
    env = made(learned.horizon)
    env.learned_horizon = learned.horizon
    return env


def _refuse_bins(name: str, action_bins: int) -> None:
    """Raises EnvError if continuous actions are to be divided that are none."""
    if action_bins:
        raise EnvError(
            topic="actions",
            found=f"action_bins = {action_bins}, but {name} is compiled, and its actions are "
            "numbered",
            remedy="leave action_bins out",
        )


def _refuse_workers(name: str, env_workers: int, env_timeout: float) -> None:
    """Raises EnvError if processes, or what only they can do, are asked of compiled code."""
    key, value = ("env_workers", env_workers) if env_workers > 1 else ("env_timeout", env_timeout)
    if env_workers > 1 or env_timeout > 0:
        raise EnvError(
            topic="workers",
            found=f"{key} = {value:g}, but {name} is compiled, and a batch steps it in threads of "
            "this process",
            remedy=f"leave {key} out; num_threads is the number of threads",
        )


def _num_workers(name: str, num_envs: int, wanted: int, timeout: float) -> int:
    """Number of worker processes for a Python environment; 0 = this process steps it.

    Raises:
        EnvError: workers are asked for, and they could not import it.
    """
    from ascore.envs.adapters.workers import why_not

    count = min(num_envs, wanted if wanted >= 0 else usable_processors() // -wanted)
    if count <= 1 and timeout == 0:
        return 0
    reason = why_not(name)
    if reason is None:
        return max(1, count)
    if wanted > 1 or timeout > 0:
        key, value = ("env_workers", wanted) if wanted > 1 else ("env_timeout", timeout)
        raise EnvError(
            topic="workers",
            found=f"{key} = {value:g} needs {name} in worker processes, but {reason}",
            remedy=f"put it into a module of its own, or leave {key} out",
        )
    message = (
        f"{name} is stepped in this process alone: {reason}; put it into a module of its own to "
        "use all processors, or set env_workers = 0"
    )
    warnings.warn(message, AscoreWarning, stacklevel=4)
    return 0


def anchor_values(name: str, params: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(label, team return) of the anchors for these parameters.

    External environments have none.
    """
    if is_external(name):
        return []
    env = batch(name, params)
    return [
        (anchor.label, anchor.team_return(env.spec.num_agents))
        for anchor in ENVIRONMENTS[env.spec.name].anchors
        if not anchor.unmet(env.params)
    ]


def describe(name: str) -> dict[str, Any]:
    """Describes an environment with default parameters: spec, shows, deeds, anchors, parameters.

    Anchors for other parameters list these under `given`.
    """
    env = make(name)
    record = ENVIRONMENTS[env.spec.name]
    anchors = []
    for anchor in record.anchors:
        unmet = anchor.unmet(env.params)
        num_agents = unmet.get("num_agents", env.spec.num_agents)
        anchors.append(
            {
                "label": anchor.label,
                "team_return": anchor.team_return(num_agents),
                "error": anchor.error,
                "given": unmet,
                "source": anchor.source,
            }
        )
    return {
        "summary": record.summary,
        "spec": asdict(env.spec),
        "shows": dict(record.shows),
        "deeds": dict(record.deeds),
        "anchors": anchors,
        "parameters": [
            {"name": key, "default": default, "meaning": meaning, "source": source}
            for key, default, meaning, source in record.core.parameter_docs
        ],
    }
