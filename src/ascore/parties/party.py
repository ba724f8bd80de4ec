"""One agent of a run: its policy, anticipations, critic and optimisers, and its own rewards.

T steps, B environments, N agents, V views, O observation entries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ascore.config import Config
from ascore.envs.adapters.foreign import asking
from ascore.envs.vec_env import Spec
from ascore.errors import PartyError
from ascore.learning.learner import Learner
from ascore.learning.modes import own_modes
from ascore.learning.rollout import Rollout
from ascore.parties import wire
from ascore.parties.acting import Actions
from ascore.parties.agreed import require_separable
from ascore.parties.archive import Archive, Held
from ascore.parties.courier import Courier
from ascore.parties.letters import Letters
from ascore.parties.reward import OwnReward, RewardFn, Transition
from ascore.parties.states import Shared, read_sizes, read_state
from ascore.parties.wire import Refused
from ascore.runs.session import spec_dict

AGAIN = 2.0
"""Seconds after which an agent says again that it is ready."""
SLICE = 0.2
"""Seconds after which an agent that waits looks whether it is told to stop."""
PATIENCE = 3.0
"""Deadlines for which an agent waits for a state in the middle of an update."""

Metrics = dict[str, Any]


class Party:
    """Trains one agent with whoever is there.

    Args:
        config: of the run.
        letters: of this party.
        agents: names, in the order of the environment's agents.
        host: name of the environment's process.
        seconds: deadline of a round of messages.
        archive: checkpoints and metrics.
        reward: computes this agent's reward; None = the host tells it.
        own_seed: keys initial weights and the drawing of actions; None = the seed of the run, which
            the others know.
        patience: seconds to wait for a state in the middle of an update; None = three deadlines:
            the host may be waiting for others.
        stop: tells whether to end early.
    """

    def __init__(
        self,
        config: Config,
        letters: Letters,
        agents: Sequence[str],
        host: str,
        seconds: float,
        archive: Archive,
        *,
        reward: RewardFn | None = None,
        own_seed: int | None = None,
        patience: float | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        require_separable(config)
        self.config, self.letters, self.agents, self.host = config, letters, tuple(agents), host
        self.agent = self.agents.index(letters.transport.name)
        self.seconds, self.archive, self.reward = seconds, archive, reward
        self.own_seed, self.stop = own_seed, stop
        self.patience = PATIENCE * seconds if patience is None else patience
        self.near = config.graph in ("environment", "contacts")
        self.learner: Learner | None = None
        self.done = 0
        self._rollout: Rollout
        self._followed = -1  # the update whose first state continues what this agent has seen

    def run(self) -> int:
        """Trains to the end of the run, or until told to stop; returns the updates done."""
        torch.set_num_threads(self.config.torch_threads)
        self.done = self.archive.done
        if self.archive.finished:
            return self.done
        with own_modes():
            letter = self._next_start()
            while letter is not None:
                letter = self._update(letter)
        learner = self.learner
        if learner is not None:
            self.archive.finish(self.done, lambda: self._held(learner))
        return self.done

    def _update(self, letter: Any) -> Any:
        """Plays and learns one update from its first state on; gives the first state of the next.

        None where there is no next.
        """
        try:
            learner = self.learner or self._begin(read_sizes(letter))
            shared = self._shared(letter)
        except Refused as reason:
            self.letters.refuse(self.host, str(reason))
            return self._next_start()
        if not shared.members[self.agent]:
            return self._next_start()
        rollout, later = self._collect(shared)
        if rollout is None:
            return later if later is not None else self._next_start()
        self.courier.begin(np.flatnonzero(shared.members).tolist())
        learner.anneal(shared.update / self.total)
        metrics = learner.update(rollout, shared.update)
        self.done = shared.update + 1
        self.archive.write(
            self.done,
            self.total,
            self._own(metrics),
            members=[self.agents[j] for j in np.flatnonzero(shared.members)],
            late=self.courier.late,
            bytes_sent=self.letters.bytes_sent,
            held=lambda: self._held(learner),
        )
        return self._next_start() if self.done < self.total else None

    # ------------------------------------------------------------------ with the host

    def _next_start(self) -> Any:
        """Says that it is ready until the first state of an update comes; None = told to stop."""
        while not self.stop():
            self.letters.send(self.host, wire.READY, self.done, update=self.done)
            again = time.monotonic() + AGAIN
            while (letter := self._from_host(again)) is not None:
                if letter.HasField(wire.STATE) and letter.state.step == 0:
                    return letter
        return None

    def _from_host(self, deadline: float) -> Any:
        """The next letter of the host; None if none comes by the deadline, or when told to stop."""
        while not self.stop():
            now = time.monotonic()
            letter = self.letters.receive(self.host, min(deadline, now + SLICE))
            if letter is not None or now >= deadline:
                return letter
        return None

    def _shared(self, letter: Any) -> Shared:
        return read_state(letter, self.spec, self.config.num_envs, self.steps, near=self.near)

    def _await(self, update: int, step: int) -> tuple[Shared | None, Any]:
        """The state of a step; or, where the update was given up, the first state of another."""
        deadline = time.monotonic() + self.patience
        while (letter := self._from_host(deadline)) is not None:
            try:
                if letter.HasField(wire.STATE) and letter.state.step == 0:
                    return None, letter
                shared = self._shared(letter)
            except Refused as reason:
                self.letters.refuse(self.host, str(reason))
                continue
            if (shared.update, shared.step) == (update, step):
                return shared, None
            self.letters.refuse(self.host, f"a state of step {shared.step} in place of {step}")
        return None, None

    def _collect(self, shared: Shared) -> tuple[Rollout | None, Any]:
        """Acts for T steps.

        Returns:
            The rollout; None where the host went on without this agent, and then perhaps the first
            state of another update.
        """
        rollout, update = self._rollout, shared.update
        rollout.final.clear()
        rollout.episode_returns.clear()
        rollout.legal = None
        if shared.update != self._followed:
            self.returns = np.where(shared.time == 0, 0.0, np.nan)  # of what it did not see
        for step in range(self.steps):
            view = self._view
            rollout.obs[step][:, view] = shared.obs
            if shared.neighbours is not None and rollout.neighbours is not None:
                rollout.neighbours[step] = shared.neighbours
            if shared.legal is not None:
                if rollout.legal is None:
                    rollout.legal = np.ones((self.steps, *shared.legal.shape), dtype=np.uint8)
                rollout.legal[step] = shared.legal
            action = self.actions.choose(shared)
            self.letters.send(
                self.host, wire.ACTION, update, step=step, action=action.astype("<i4").tobytes()
            )
            after, later = self._await(update, step + 1)
            if after is None:
                self._followed = -1
                return None, later
            self._record_step(step, shared, after)
            shared = after
        rollout.last_obs[:, self._view] = shared.obs
        if shared.neighbours is not None and rollout.last_neighbours is not None:
            rollout.last_neighbours[...] = shared.neighbours
        self._followed = update + 1
        return rollout, None

    def _record_step(self, step: int, shared: Shared, after: Shared) -> None:
        rollout, mine = self._rollout, self.agent
        rollout.action[step] = after.action
        rollout.terminated[step], rollout.truncated[step] = after.terminated, after.truncated
        over = np.flatnonzero(after.ended)
        last = np.zeros((len(over), *rollout.obs.shape[2:]), dtype=rollout.obs.dtype)
        last[:, self._view] = after.final_obs
        self._own_reward(shared, after).learn_from(rollout.reward[step, :, mine])
        self.returns += rollout.reward[step, :, mine]
        if over.size:
            rollout.final.append((step, over, last))
            returns = np.zeros((len(over), len(self.agents)))
            returns[:, mine] = self.returns[over]
            rollout.episode_returns.append(returns)
            self.returns[over] = 0.0

    def _own_reward(self, shared: Shared, after: Shared) -> OwnReward:
        if self.reward is None:
            if after.reward is None:
                message = (
                    f"{self.host} tells no rewards, and {self.agents[self.agent]} computes none; "
                    "set `reward` in its file"
                )
                raise PartyError(message)
            return after.reward
        seen = after.obs.copy()
        seen[after.ended] = after.final_obs
        step = Transition(shared.obs, after.action, seen, after.ended)
        with asking("the reward function", "rewards"):
            earned = self.reward(step)
        return OwnReward(earned, self.config.num_envs)

    # ------------------------------------------------------------------ what learns

    def _begin(self, spec: Spec) -> Learner:
        """Makes networks and buffers, once the sizes of the environment are known."""
        config, n, b = self.config, spec.num_agents, self.config.num_envs
        if n != len(self.agents):
            reason = f"the environment has {n} agents, and [agents] names {len(self.agents)}"
            raise Refused(reason)
        self.spec = spec
        self.steps = config.rollout_steps or spec.horizon
        self.total = config.updates(spec.horizon)
        self._view = slice(self.agent, self.agent + 1) if spec.views > 1 else slice(0, 1)
        counts = spec.action_counts
        self.courier = Courier(
            self.letters, self.agents, self.agent, counts, config.iterations, self.seconds
        )
        self.learner = learner = Learner(config, spec, delivery=self.courier)
        if self.own_seed is not None:
            other = Learner(config.replace(seed=self.own_seed), spec, delivery=self.courier)
            self._take(learner, self._state(other))
        saved = self.archive.restored(self._state(learner))
        if saved is not None:
            self._take(learner, saved)
        self.actions = Actions(learner, self.agent, config.seed, self.own_seed)
        self.returns = np.zeros(b)
        shape = (b, spec.views, *spec.obs_shape)
        steps = self.steps
        self._rollout = Rollout(
            obs=np.zeros((steps, *shape), dtype=spec.obs_dtype),
            last_obs=np.zeros(shape, dtype=spec.obs_dtype),
            action=np.zeros((steps, b, n), dtype=np.int32),
            reward=np.zeros((steps, b, n), dtype=np.float32),
            neighbours=np.zeros((steps, b, n, n), dtype=np.uint8),
            last_neighbours=np.zeros((b, n, n), dtype=np.uint8),
            terminated=np.zeros((steps, b), dtype=np.uint8),
            truncated=np.zeros((steps, b), dtype=np.uint8),
        )
        return learner

    def _state(self, learner: Learner) -> dict[str, npt.NDArray[Any]]:
        """What this agent has learned, and nothing of the others."""
        n = len(self.agents)
        whole = learner.state()
        return {key: part_of(key, x, n, self.agent).numpy().copy() for key, x in whole.items()}

    def _held(self, learner: Learner) -> Held:
        actor = learner.actor
        sizes = {
            "sizes": list(actor.net.sizes),
            "layout": actor.layout,
            "heads": actor.heads,
            "agents": 1,
        }
        return Held(spec_dict(self.spec), sizes, self._state(learner))

    def _take(self, learner: Learner, rows: dict[str, npt.NDArray[Any]]) -> None:
        """Puts `_state` into a learner."""
        state = {key: value.clone() for key, value in learner.state().items()}
        for key, value in rows.items():
            part = part_of(key, state[key], len(self.agents), self.agent)
            part.copy_(torch.from_numpy(value))
        learner.load_state(state)

    def _own(self, metrics: Metrics) -> Metrics:
        """This agent's metrics."""
        n = len(self.agents)
        return {
            key: value[self.agent]
            for key, value in metrics.items()
            if isinstance(value, list) and len(value) == n
        }


def part_of(name: str, whole: torch.Tensor, num_agents: int, agent: int) -> torch.Tensor:
    """One agent's part of a tensor of `Learner.state`, as a view."""
    if name == "normalizer.weight":  # f64 [1]: how much its own batches weigh together
        return whole
    if name == "normalizer.sums":  # f64 [2, N]
        return whole[:, agent]
    return whole.view(num_agents, -1)[agent]
