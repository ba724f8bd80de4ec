"""Random play through the adapter: rewards, masks, repeatability, saving.

T steps, N agents.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ascore.envs.adapters.loading import Layout
from ascore.envs.adapters.masks import MASK
from ascore.envs.legal import drawn, padding
from ascore.envs.vec_env import VecEnv
from ascore.interop.findings import Report

# Number of steps compared after a copy was pickled and unpickled.
STEPS_AFTER_PICKLING = 50
# Larger observations slow learning down, because initial weights suit numbers around one.
LARGE = 20.0


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
        present: bool [T, N], who was there before each step.
    """

    obs: list[bytes]
    reward: npt.NDArray[np.float32]
    ended: npt.NDArray[np.bool_]
    largest: float
    seconds: float
    illegal: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]

    @property
    def steps_per_second(self) -> float:
        """How fast one copy was."""
        return len(self.reward) / max(self.seconds, 1e-9)

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
    present = np.ones((steps, env.spec.num_agents), dtype=np.bool_)
    largest = seconds = 0.0
    own = (~padding(env.spec.action_counts, env.spec.num_actions)).view(np.uint8)
    illegal = np.zeros(env.spec.num_agents)
    for t in range(steps):
        seen = env.obs[0]
        largest = max(largest, float(seen.max()), -float(seen.min()))
        # Adding zero makes one zero of two.
        obs.append(hashlib.blake2b((seen + seen.dtype.type(0)).tobytes(), digest_size=8).digest())
        env.uniforms(uniform)
        start = time.perf_counter()
        legal = np.broadcast_to(own, (env.num_envs, *own.shape)) if env.legal is None else env.legal
        if env.present is not None:
            present[t] = env.present[0]
        illegal += present[t] * (1 - legal[0].sum(axis=-1) / own.sum(axis=-1))
        env.step(drawn(legal, uniform))
        seconds += time.perf_counter() - start
        reward.append(env.reward[0].copy())
        ended.append([env.terminated[0], env.truncated[0]])
        if progress is not None:
            progress(t + 1, steps)
    share = illegal / steps
    return Trace(obs, np.array(reward), np.array(ended), largest, seconds, share, present)


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
    if low == high:
        result.add(
            "rewards",
            "advice",
            f"{low:g} for every agent in all {steps} random steps",
            "if random play never finds another reward, nothing can be learned",
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
