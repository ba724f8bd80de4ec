"""What training would cost: memory of an update, steps per second, time of the default run."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np

from ascore.config import Config
from ascore.envs.factory import batch
from ascore.envs.legal import drawn, padding
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import EnvError
from ascore.interop.findings import Report

# The default run should not take longer without a word.
LONG_RUN_SECONDS = 3600.0
# Rows of an update below which it is better to have fewer links.
FEWEST_ROWS = 64
# What is played to see how fast all cores are: so many copies each, for about so long.
COPIES_PER_CORE = 4
SECONDS = 1.0
FEWEST_STEPS, MOST_STEPS = 5, 500


def memory(result: Report, spec: Spec) -> None:
    """Bytes of an update with the defaults, before anything is played."""
    from ascore.algorithms.anticipation import AS
    from ascore.learning.memory import bytes_needed, free_bytes, in_words

    config = Config.preset(result.env)
    needed = sum(bytes_needed(spec, config, AS, config.num_envs).values())
    result.costs["bytes_per_update"] = needed
    free = free_bytes()
    observation = (
        f"about {in_words(needed)} for an update with the defaults "
        f"({config.num_envs} copies, {spec.horizon} steps)"
    )
    if free is None or needed < free:
        result.add("memory", "good", observation)
        return
    remedy = _smaller(spec, config, free)
    result.add("memory", "advice", f"{observation}, and {in_words(free)} are free", remedy)


def _smaller(spec: Spec, config: Config, free: int) -> str:
    """What to give so that an update fits in half of the free memory, or the next best advice.

    Copies and steps are halved, but not below `FEWEST_ROWS`; only then are there fewer links, and
    then smaller networks.
    """
    from ascore.algorithms.anticipation import AS
    from ascore.learning.memory import bytes_needed, in_words

    links: list[dict[str, Any]] = [{}, {"graph": "nearest"}]
    widths: list[dict[str, Any]] = [{}, {"actor_hidden": (16,), "critic_hidden": (16,)}]
    for width, graph in itertools.product(widths, links[: 1 + (spec.num_agents > 3)]):
        copies, steps = config.num_envs, spec.horizon
        while copies * steps >= min(FEWEST_ROWS, config.num_envs * spec.horizon):
            keys = {"num_envs": copies, "rollout_steps": steps, **graph, **width}
            needed = sum(bytes_needed(spec, config.replace(**keys), AS, copies).values())
            if needed <= free / 2:
                options = " ".join(_option(key, value) for key, value in keys.items())
                return f"give {options}, which take about {in_words(needed)}"
            if steps > copies or copies == 1:
                steps //= 2
            else:
                copies //= 2
    return "use fewer agents or smaller observations, or a machine with more memory"


def _option(key: str, value: Any) -> str:
    """A key as it is typed."""
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(["--" + key.replace("_", "-"), *map(str, values)])


def speed(result: Report, spec: Spec, rate: float, workers: int = 0) -> None:
    """How long the default run would play, not counting the time for learning.

    Args:
        result: where it is reported.
        spec: of the environment.
        rate: steps per second of one copy in this process.
        workers: number of processes to try together; below 2 none are.
    """
    config = Config.preset(result.env)
    result.costs["steps_per_second"] = rate
    on_cores = f"{rate:,.0f} steps per second on one core"
    best = rate
    if workers > 1:
        together = _together(result, rate, workers)
        if together is not None:
            result.costs["steps_per_second_of_workers"] = together
            on_cores += f", {together:,.0f} on {workers} (--env-workers {workers})"
            best = max(rate, together)
    update = config.num_envs * spec.horizon / best
    whole = config.episodes * spec.horizon / best
    result.costs |= {"seconds_per_update": update, "seconds_per_run": whole}
    observation = (
        f"{on_cores}: an update with the defaults plays for {_duration(update)}, "
        f"a run of {config.episodes:,} episodes for {_duration(whole)}, learning not counted"
    )
    if whole <= LONG_RUN_SECONDS:
        result.add("speed", "good", observation)
    else:
        remedy = "give fewer --episodes, or a shorter --horizon"
        result.add("speed", "advice", observation, remedy)


def _together(result: Report, rate: float, workers: int) -> float | None:
    """Steps per second of copies in worker processes; None, and advice, where they fail."""
    copies = COPIES_PER_CORE * workers
    try:
        with batch(
            result.env,
            result.env_params,
            copies,
            horizon=result.horizon,
            env_workers=workers,
            action_bins=result.action_bins,
        ) as env:
            steps = min(MOST_STEPS, max(FEWEST_STEPS, int(SECONDS * rate / COPIES_PER_CORE)))
            return _rate(env, steps)
    except EnvError as error:
        result.add(
            "speed",
            "advice",
            f"{copies} copies in {workers} worker processes fail: {error.found}",
            f"{error.remedy}; or train with --env-workers 0, and fewer --num-envs",
        )
        return None


def _rate(env: VecEnv, steps: int) -> float:
    """Steps of all copies per second of random play."""
    env.reset()
    uniform = np.empty((env.num_envs, env.spec.num_agents), dtype=np.float32)
    own = ~padding(env.spec.action_counts, env.spec.num_actions)
    everything = np.broadcast_to(own, (env.num_envs, *own.shape)).astype(np.uint8)
    start = time.perf_counter()
    for _ in range(steps):
        env.uniforms(uniform)
        env.step(drawn(everything if env.legal is None else env.legal, uniform))
    return steps * env.num_envs / max(time.perf_counter() - start, 1e-9)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"
