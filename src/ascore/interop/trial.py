"""Random play through the adapter: rewards, cost, repeatability, saving.

T steps, N agents.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.config import Config
from ascore.envs.adapters.loading import Layout
from ascore.envs.adapters.masks import MASK
from ascore.envs.legal import padding
from ascore.envs.vec_env import Spec, VecEnv
from ascore.interop.findings import Report

# Number of steps compared after a copy was pickled and unpickled.
STEPS_AFTER_PICKLING = 50
# Larger observations slow learning down, because initial weights suit numbers around one.
LARGE = 20.0
# Agents whose rewards are correlated this much, or more, compete.
OPPOSED = -0.7
# A correlation over fewer steps says little.
FEWEST_STEPS = 30
# The default run should not take longer without a word.
LONG_RUN_SECONDS = 3600.0


@dataclass(frozen=True)
class Trace:
    """What a batch's first environment did in T steps.

    Observations are kept as hashes: those of pictures would fill the memory.

    Attributes:
        obs: a hash of all observations before each step, [T].
        reward: f32 [T, N].
        ended: bool [T, 2], terminated and truncated.
        largest: of all observation entries, the absolute value.
        seconds: spent in the steps.
        illegal: of each agent's own actions, the share that was not legal, [N].
    """

    obs: list[bytes]
    reward: npt.NDArray[np.float32]
    ended: npt.NDArray[np.bool_]
    largest: float
    seconds: float
    illegal: npt.NDArray[np.float64]

    def first_difference(self, other: Trace) -> str | None:
        """The first difference of two traces as text, or None."""
        for t in range(len(self.reward)):
            for name, what in (("obs", "observations"), ("reward", "rewards"), ("ended", "ends")):
                if np.any(getattr(self, name)[t] != getattr(other, name)[t]):
                    return f"{what} differ from step {t} on"
        return None


def play(
    env: VecEnv, steps: int, fresh: bool = True, progress: Callable[[int, int], None] | None = None
) -> Trace:
    """Plays at random; the random numbers depend only on the state of the batch.

    Args:
        env: the batch.
        steps: number of steps T.
        fresh: whether to reset it first.
        progress: called with the steps taken and T after every step.
    """
    if fresh:
        env.reset()
    uniform = np.empty((env.num_envs, env.spec.num_agents), dtype=np.float32)
    obs: list[bytes] = []
    reward, ended = [], []
    largest = seconds = 0.0
    own = ~padding(env.spec.action_counts, env.spec.num_actions)
    illegal = np.zeros(env.spec.num_agents)
    for t in range(steps):
        seen = env.obs[0]
        largest = max(largest, float(seen.max()), -float(seen.min()))
        # Adding zero makes one zero of two.
        obs.append(hashlib.blake2b((seen + seen.dtype.type(0)).tobytes(), digest_size=8).digest())
        env.uniforms(uniform)
        start = time.perf_counter()
        legal = np.broadcast_to(own, (env.num_envs, *own.shape)) if env.legal is None else env.legal
        illegal += 1 - legal[0].sum(axis=-1) / own.sum(axis=-1)
        env.step(_drawn(legal, uniform))
        seconds += time.perf_counter() - start
        reward.append(env.reward[0].copy())
        ended.append([env.terminated[0], env.truncated[0]])
        if progress is not None:
            progress(t + 1, steps)
    return Trace(obs, np.array(reward), np.array(ended), largest, seconds, illegal / steps)


def _drawn(legal: npt.NDArray[Any], uniform: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """One of the legal actions [B, N, A] each, i32 [B, N]."""
    place = (uniform * legal.sum(axis=-1)).astype(np.int64)  # among the legal ones
    chosen: npt.NDArray[np.int32] = (legal.cumsum(axis=-1) <= place[..., None]).sum(
        axis=-1, dtype=np.int32
    )
    return chosen


def masks(result: Report, layout: Layout, trace: Trace) -> None:
    """Says that masks are used, and how much they forbid."""
    if not any(layout.masks) and not trace.illegal.any():
        return
    share = ", ".join(
        f"{agent!r} {part:.0%}" for agent, part in zip(layout.agents, trace.illegal, strict=True)
    )
    result.add(
        "actions",
        "good",
        f"{MASK} is used: illegal actions have probability 0 in acting, learning and messages; "
        f"share of actions that were illegal in {len(trace.reward)} random steps: {share}",
    )


def rewards(result: Report, layout: Layout, trace: Trace) -> None:
    """Whether there is something to learn, for whom, and numbers that networks can take."""
    low, high = float(trace.reward.min()), float(trace.reward.max())
    steps = len(trace.reward)
    competition = _competition(layout.agents, trace.reward)
    if low == high:
        result.add(
            "rewards",
            "advice",
            f"{low:g} for every agent in all {steps} random steps",
            "if random play never finds another reward, nothing can be learned",
        )
    elif competition is not None:
        result.add(
            "rewards",
            "advice",
            f"finite, {low:g} to {high:g}; {competition}",
            "train with --algorithm ippo where agents compete: AS maximises the sum of all rewards",
        )
    else:
        result.add("rewards", "good", f"finite, {low:g} to {high:g} in {steps} random steps")
    scale = layout.obs_scale
    if trace.largest * scale > LARGE:
        observation = f"entries as large as {trace.largest:g}"
        result.add("observations", "advice", observation, "scale them to about 1")
    if scale < 1.0 and 0 < trace.largest <= 1:
        result.add(
            "observations",
            "advice",
            f"bytes of 0 and 1 in a space up to 255: networks would see at most {scale:.3f}",
            "make the high of the space 1",
        )


def _competition(agents: tuple[Any, ...], reward: npt.NDArray[np.float32]) -> str | None:
    """Who gains what others lose, f32 [T, N]; None if nobody does."""
    wide = reward.astype(np.float64)
    spread = wide.std(axis=0)
    moving = np.flatnonzero(spread > 0)
    if len(moving) < 2 or len(wide) < FEWEST_STEPS:
        return None
    if wide.sum(axis=1).std() < 1e-6 * spread.max():
        return "in every step the agents' rewards have the same sum: one gains what others lose"
    between = np.atleast_2d(np.corrcoef(wide[:, moving].T))
    i, j = np.unravel_index(int(between.argmin()), between.shape)
    if between[i, j] > OPPOSED:
        return None
    first, second = agents[moving[i]], agents[moving[j]]
    return f"{first} mostly gains when {second} loses (correlation {between[i, j]:.2f})"


# ---------------------------------------------------------------------- what training would cost


def memory(result: Report, spec: Spec) -> None:
    """Bytes of an update with the defaults, before anything is played."""
    from ascore.algorithms.anticipation import AS
    from ascore.learning.memory import bytes_needed, free_bytes, in_words

    config = Config(env=result.env)
    needed = sum(bytes_needed(spec, config, AS, config.num_envs).values())
    result.costs["bytes_per_update"] = needed
    free = free_bytes()
    observation = (
        f"at least {in_words(needed)} for an update with the defaults "
        f"({config.num_envs} copies, {spec.horizon} steps)"
    )
    if free is None or needed < free:
        result.add("memory", "good", observation)
        return
    remedy = "give --num-envs and --rollout-steps smaller values"
    result.add("memory", "advice", f"{observation}, and {in_words(free)} are free", remedy)


def speed(result: Report, spec: Spec, trace: Trace) -> None:
    """How long the default run would take, not counting the time for learning."""
    config = Config(env=result.env)
    rate = len(trace.reward) / max(trace.seconds, 1e-9)
    update = config.num_envs * spec.horizon / rate
    whole = config.episodes * spec.horizon / rate
    result.costs |= {
        "steps_per_second": rate,
        "seconds_per_update": update,
        "seconds_per_run": whole,
    }
    observation = (
        f"{rate:,.0f} steps per second: an update with the defaults plays for {_duration(update)}, "
        f"a run of {config.episodes:,} episodes for {_duration(whole)}"
    )
    if whole <= LONG_RUN_SECONDS:
        result.add("speed", "good", observation)
    else:
        remedy = "give fewer --episodes, or a shorter --horizon"
        result.add("speed", "advice", observation, remedy)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


# ---------------------------------------------------------------------- repeating and saving


def determinism(result: Report, env: VecEnv, trace: Trace) -> None:
    """Plays again beside a second copy, which reveals random numbers shared by copies."""
    other = play(env, len(trace.reward))
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


def pickling(result: Report, env: VecEnv, steps: int) -> None:
    """Saves and restores a copy, as a run that is resumed does."""
    play(env, steps // 2 + 1)
    state = env.save_state()
    before = play(env, STEPS_AFTER_PICKLING, fresh=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.load_state(state)
    remedy = "keep the state in plain attributes; as it is, a resumed run"
    lost = [str(w.message) for w in caught if "cannot be restored" in str(w.message)]
    if lost:
        result.add("pickling", "advice", lost[0], f"{remedy} starts new episodes")
        return
    difference = before.first_difference(play(env, STEPS_AFTER_PICKLING, fresh=False))
    if difference is not None:
        observation = f"a copy loses state when it is pickled: {difference}"
        result.add("pickling", "advice", observation, f"{remedy} continues differently")
        return
    result.add("pickling", "good", "a copy continues exactly like the original; resuming is exact")
