"""States and actions on the wire: what the environment tells an agent, and what that replies.

B environments, N agents, V views, O observation entries, A actions.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore.envs.vec_env import Spec, VecEnv
from ascore.parties import wire
from ascore.parties.letters import Letters
from ascore.parties.reward import OwnReward
from ascore.parties.wire import Refused
from ascore.reading import strict_json
from ascore.runs.policy import MOST_AGENTS

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shared:
    """The state of all environments, as one agent sees it, after a joint action.

    Attributes:
        update, step: when; step 0 is before the first action of an update, step T after the last.
        obs: [B, 1, O], what this agent observes.
        action: i32 [B, N], the joint action that led here; zeros at step 0.
        terminated, truncated: u8 [B], whether an episode ended with it.
        final_obs: [E, 1, O], last observations of the E episodes that ended.
        episode: u64 [B], number of the running episode.
        time: i32 [B], steps taken in it.
        members: u8 [N], whose actions are their own; the environment draws those of the others.
        neighbours: u8 [B, N, N], who is near whom; None = the graph does not ask.
        legal: u8 [B, N, A], legal actions; None = all.
        reward: this agent's; None at step 0, or where parties compute their own.
    """

    update: int
    step: int
    obs: npt.NDArray[Any]
    action: npt.NDArray[np.int32]
    terminated: U8
    truncated: U8
    final_obs: npt.NDArray[Any]
    episode: npt.NDArray[np.uint64]
    time: npt.NDArray[np.int32]
    members: U8
    neighbours: U8 | None
    legal: U8 | None
    reward: OwnReward | None

    @property
    def ended(self) -> npt.NDArray[np.bool_]:
        """Whether an episode ended, bool [B]."""
        ended: npt.NDArray[np.bool_] = (self.terminated | self.truncated) != 0
        return ended


def send_state(
    letters: Letters,
    peer: str,
    agent: int,
    env: VecEnv,
    update: int,
    step: int,
    action: npt.NDArray[np.int32],
    members: U8,
    *,
    near: bool,
    rewards: bool,
) -> None:
    """Tells an agent the state of the environments.

    Args:
        letters: of the environment.
        peer: name of the agent.
        agent: its number.
        env: after the step.
        update: number of the update.
        step: of it.
        action: i32 [B, N], the joint action.
        members: u8 [N].
        near: whether the graph asks who is near whom.
        rewards: whether the agent gets its reward from here.
    """
    view = slice(agent, agent + 1) if env.spec.views > 1 else slice(0, 1)
    ended = np.stack([env.terminated, env.truncated]).astype(np.uint8)
    if step == 0:
        ended[:] = 0
    over = np.flatnonzero(ended.any(axis=0))
    # The only place where a reward becomes bytes: its owner's alone, told to its owner alone.
    own = env.reward[:, agent].astype("<f4").tobytes() if rewards and step > 0 else None
    legal = env.legal
    letters.send(
        peer,
        wire.STATE,
        update,
        step=step,
        obs=env.obs[:, view].tobytes(),
        action=action.astype("<i4").tobytes(),
        ended=ended.tobytes(),
        final_obs=env.final_obs[over][:, view].tobytes(),
        clock=env.episode.astype("<u8").tobytes() + env.time.astype("<i4").tobytes(),
        members=members.tobytes(),
        neighbours=env.neighbours.tobytes() if near else None,
        legal=legal.tobytes() if legal is not None else None,
        sizes=sizes_text(env.spec) if step == 0 else None,
        own_reward=own,
    )


def read_state(letter: Any, spec: Spec, num_envs: int, steps: int, *, near: bool) -> Shared:
    """A state as it came.

    Args:
        letter: from the environment.
        spec: sizes of the environment.
        num_envs: B.
        steps: T.
        near: whether the graph asks who is near whom.

    Raises:
        Refused: it does not fit these sizes, or a number in it is impossible.
    """
    if not letter.HasField(wire.STATE):
        reason = f"a {wire.kind_of(letter)} does not come from the environment"
        raise Refused(reason)
    body, b, n = letter.state, num_envs, spec.num_agents
    if body.step > steps:
        reason = f"step {body.step} is beyond the {steps} of an update"
        raise Refused(reason)
    obs_shape = (1, *spec.obs_shape)
    ended = _array(body.ended, np.uint8, (2, b))
    over = int(np.count_nonzero(ended.any(axis=0)))
    action = _array(body.action, "<i4", (b, n)).astype(np.int32)
    members = _array(body.members, np.uint8, (n,))
    clock = body.clock
    episode = _array(clock[: 8 * b], "<u8", (b,)).astype(np.uint64)
    shared = Shared(
        update=letter.round,
        step=body.step,
        obs=_array(body.obs, spec.obs_dtype, (b, *obs_shape)),
        action=action,
        terminated=ended[0],
        truncated=ended[1],
        final_obs=_array(body.final_obs, spec.obs_dtype, (over, *obs_shape)),
        episode=episode,
        time=_array(clock[8 * b :], "<i4", (b,)).astype(np.int32),
        members=members,
        neighbours=_array(body.neighbours, np.uint8, (b, n, n)) if near else None,
        legal=_array(body.legal, np.uint8, (b, n, spec.num_actions))
        if body.HasField("legal")
        else None,
        reward=_own_reward(body, b),
    )
    possible = (action >= 0) & (action < np.array(spec.action_counts))
    finite = all(np.isfinite(x).all() for x in (shared.obs, shared.final_obs))
    if not possible.all() or not finite or ended.max(initial=0) > 1 or members.max() > 1:
        reason = "a number in it is impossible"
        raise Refused(reason)
    return shared


def _own_reward(body: Any, num_envs: int) -> OwnReward | None:
    if not body.HasField("own_reward"):
        return None
    values = _array(body.own_reward, "<f4", (num_envs,))
    if not np.isfinite(values).all():
        reason = "a reward is not finite"
        raise Refused(reason)
    return OwnReward(values, num_envs)


def read_actions(letter: Any, step: int, num_envs: int, count: int) -> npt.NDArray[np.int32]:
    """An agent's actions of a step, i32 [B].

    Raises:
        Refused: they are of another step, or not among its `count` actions.
    """
    if not letter.HasField(wire.ACTION):
        reason = f"a {wire.kind_of(letter)} in the middle of an update"
        raise Refused(reason)
    if letter.action.step != step:
        reason = f"an action of step {letter.action.step} at step {step}"
        raise Refused(reason)
    action = _array(letter.action.action, "<i4", (num_envs,)).astype(np.int32)
    if ((action < 0) | (action >= count)).any():
        reason = f"an action is outside 0..{count - 1}"
        raise Refused(reason)
    return action


def sizes_text(spec: Spec) -> bytes:
    """The sizes of an environment, as JSON."""
    return json.dumps(dataclasses.asdict(spec)).encode()


def read_sizes(letter: Any) -> Spec:
    """Sizes of the environment from the first state of an update.

    Raises:
        Refused: it is no such state, or the sizes are impossible.
    """
    try:
        values = strict_json(letter.state.sizes)
        if values["num_agents"] not in range(1, MOST_AGENTS + 1):
            raise ValueError  # before as many entries are allocated
        lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        spec = Spec(**{**values, **lists})
        if not _possible(spec):
            raise ValueError
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = "the sizes of the environment in it are impossible"
        raise Refused(reason) from error
    return spec


def _possible(spec: Spec) -> bool:
    """Whether sizes are of the right kinds; the learner asks for the memory."""
    whole = spec.num_agents, spec.num_actions, spec.horizon, spec.views, *spec.obs_shape
    names = spec.name, spec.obs_dtype, *spec.action_names
    return (
        all(type(number) is int and 0 < number < 2**31 for number in (*whole, *spec.action_counts))
        and all(type(name) is str for name in names)
        and len(spec.obs_shape) == 1
        and spec.views in (1, spec.num_agents)
        and spec.obs_dtype in ("uint8", "float32")
        and type(spec.obs_scale) in (int, float)
        and math.isfinite(spec.obs_scale)
    )


def _array(content: bytes, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    if len(content) != int(np.prod(shape)) * kind.itemsize:
        reason = "it has another shape"
        raise Refused(reason)
    return np.frombuffer(content, dtype=kind).reshape(shape)
