"""Offers the built-in environments as PettingZoo environments.

They play one episode at a time with dictionaries, for agents and tools from other packages.
Training in this package uses the batches of `ascore.make` instead.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.env import AECEnv

from ascore.envs.factory import make
from ascore.interop.bounds import observation_bounds
from ascore.interop.built_in import built_in

if TYPE_CHECKING:
    from ascore.render.frames import Moment

Obs = npt.NDArray[Any]
Picture = npt.NDArray[np.uint8]


def parallel_env(
    name: str,
    render_mode: str | None = None,
    *,
    seed: int | None = None,
    max_cycles: int | None = None,
    floats: bool = False,
    **params: Any,
) -> ParallelView:
    """Creates an environment as PettingZoo's `ParallelEnv`.

    Args:
        name: name of the environment, with or without its version.
        render_mode: None, "rgb_array" (`render` returns u8 [H, W, 3]) or "human" (every step is
            drawn in the terminal, which must support 24-bit colours).
        seed: seed of episodes that are reset without one, 0..2**64-1; None = a new one each time,
            as Gymnasium has it.
        max_cycles: PettingZoo's name for the parameter `horizon`.
        floats: observations f32, scaled as this package's networks see them, for networks that
            take no bytes; without it they have the environment's own type.
        params: parameters of the environment; `ascore envs` lists them.

    Raises:
        ValueError: a name, parameter or render mode is unknown, or a value is out of range.
        TypeError: a parameter has another type.
    """
    if max_cycles is not None:
        if "horizon" in params:
            message = (
                f"max_cycles = {max_cycles} and horizon = {params['horizon']} are the same "
                "parameter; give only one of them"
            )
            raise ValueError(message)
        params["horizon"] = max_cycles
    return ParallelView(name, render_mode, seed, params, floats)


def env(name: str, render_mode: str | None = None, **params: Any) -> AECEnv[str, Obs, int | None]:
    """As `parallel_env`, but an `AECEnv`, in which agents act one after the other."""
    return parallel_to_aec(parallel_env(name, render_mode, **params))


class ParallelView(ParallelEnv[str, Obs, Any]):
    """A built-in environment with agents "agent_0" to "agent_{N-1}".

    No agent leaves early: an episode ends for all agents together, truncated at the horizon. The
    info of an agent holds `neighbours`, u8 [N]: 1 where it hears that agent in the current state,
    all 0 after the last step. Once an episode has ended, `step({})` returns empty dictionaries, as
    PettingZoo's wrappers do. `reset(seed=s)` starts episode 0 of that seed, `reset()` the next.
    Copies and pickles continue exactly like the original.

    Attributes:
        horizon: steps per episode.
        state_space: space of `state()`; None if each agent has its own view.
    """

    metadata: dict[str, Any]
    render_modes: ClassVar[list[str]] = ["human", "rgb_array"]

    def __init__(
        self,
        name: str,
        render_mode: str | None,
        seed: int | None,
        params: dict[str, Any],
        floats: bool = False,
    ) -> None:
        if render_mode is not None and render_mode not in self.render_modes:
            message = (
                f"render_mode = {render_mode!r} is not one of None, {', '.join(self.render_modes)}"
            )
            raise ValueError(message)
        self.render_mode = render_mode
        other = "is a PettingZoo environment already; call it without ascore"
        self._env = built_in(name, 1, seed, 1, params, other)
        self._env.keep_neighbours()
        self._scale = np.float32(self._env.spec.obs_scale) if floats else None
        spec = self._env.spec
        self.horizon = spec.horizon
        self.metadata = {
            "name": spec.name,
            "render_modes": list(self.render_modes),
            "render_fps": 10,
            "is_parallelizable": True,
        }
        self.possible_agents = [f"agent_{i}" for i in range(spec.num_agents)]
        self.agents = []
        low, high = (self._scaled(bound) for bound in observation_bounds(self._env))
        box = (low, high, spec.obs_shape, low.dtype.type)
        # One space per agent, because PettingZoo seeds them separately.
        self.observation_spaces = {a: gymnasium.spaces.Box(*box) for a in self.possible_agents}
        self.action_spaces = {
            a: gymnasium.spaces.Discrete(spec.num_actions) for a in self.possible_agents
        }
        self.state_space = gymnasium.spaces.Box(*box) if spec.views == 1 else None
        self._began = False  # a reset has returned the start of the running episode
        self._seen = self._scaled(self._env.obs[0].copy())
        self._moment: Moment | None = None  # what `render` shows; kept if there is a render mode

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Obs]:
        """Box with the environment's dtype; all observations are within its bounds."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Discrete(A), for A actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Obs], dict[str, dict[str, Any]]]:
        """Starts episode 0 of a seed, or the next episode without one; `options` are ignored."""
        # A batch starts the next episode in the step that ends one, so it may have started already.
        waiting = self._began and not self.agents
        if seed is not None or not waiting:
            self._env.reset(seed)
        self._began = True
        self.agents = list(self.possible_agents)
        self._seen = self._scaled(self._env.obs[0].copy())
        if self.render_mode is not None:
            self._moment = self._now()
        self._show()
        return self._observations(), self._infos()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Obs],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Takes one step of all agents.

        Raises:
            RuntimeError: no episode is running.
            ValueError: an action is missing or out of range; the state is unchanged.
        """
        if not self.agents and self._began and not actions:
            return {}, {}, {}, {}, {}  # PettingZoo's own wrappers go on stepping after the end
        if not self.agents:
            message = "no episode is running; call reset() first"
            raise RuntimeError(message)
        missing = [agent for agent in self.agents if actions.get(agent) is None]
        if missing:
            message = f"no action for {', '.join(missing)}; every agent acts in every step"
            raise ValueError(message)
        action = np.array([[_whole(agent, actions[agent]) for agent in self.agents]])
        ahead: Moment | None = None
        if self.render_mode is not None:
            # Inspected before the step, because the last step also starts the next episode.
            now, state = self._now(), self._env.inspect(0, action)
            ahead = replace(now, state=state, time=now.time + 1, action=action[0])
        self._env.step(action)
        terminated, truncated = bool(self._env.terminated[0]), bool(self._env.truncated[0])
        ended = terminated or truncated
        acted = self.agents
        self._seen = self._scaled((self._env.final_obs if ended else self._env.obs)[0].copy())
        self.agents = [] if ended else list(self.possible_agents)
        if ahead is not None:
            self._moment = replace(ahead, reward=self._env.reward[0].copy())
        self._show()
        return (
            self._observations(),
            {agent: float(self._env.reward[0, i]) for i, agent in enumerate(acted)},
            dict.fromkeys(acted, terminated),
            dict.fromkeys(acted, truncated),
            self._infos(),
        )

    def state(self) -> Obs:
        """The view that all agents share.

        Raises:
            NotImplementedError: each agent has its own view.
        """
        if self.state_space is None:
            message = (
                f"{self.metadata['name']} with these parameters has no view of the whole state, "
                "only one per agent"
            )
            raise NotImplementedError(message)
        view: Obs = self._seen[0].copy()
        return view

    def render(self) -> Picture | None:
        """The current state as u8 [H, W, 3], or in the terminal ("human")."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode does nothing")
            return None
        from ascore.render.frames import picture as draw  # needs packages that stepping does not

        picture = np.asarray(draw(self._moment or self._now()))
        if self.render_mode == "rgb_array":
            return picture
        width = shutil.get_terminal_size().columns
        sys.stdout.write(half_blocks(picture, width))
        sys.stdout.flush()
        time.sleep(1 / self.metadata["render_fps"])
        return None

    def _now(self) -> Moment:
        from ascore.render.frames import moment

        return moment(self._env)

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()

    def _observations(self) -> dict[str, Obs]:
        shared = self._env.spec.views == 1
        return {
            agent: self._seen[0 if shared else i].copy()
            for i, agent in enumerate(self.possible_agents)
        }

    def _infos(self) -> dict[str, dict[str, Any]]:
        heard = self._env.neighbours[0]
        # After the last step the batch is in the next episode already.
        rows = heard.copy() if self.agents else np.zeros_like(heard)
        return {agent: {"neighbours": rows[i]} for i, agent in enumerate(self.possible_agents)}

    def _scaled(self, obs: Obs) -> Obs:
        """Observations or their bounds as they are handed out."""
        return obs if self._scale is None else obs.astype(np.float32) * self._scale

    def __getstate__(self) -> dict[str, Any]:
        values = self.__dict__.copy()
        values["_env"] = (self.metadata["name"], self._env.params, self._env.save_state())
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        name, params, state = values["_env"]
        batch = make(name, 1, num_threads=1, **params)
        batch.keep_neighbours()
        batch.load_state(state)
        self.__dict__.update(values, _env=batch)


def _whole(agent: str, action: Any) -> int:
    """An action as a number; networks of others give arrays of one entry, and floats.

    Raises:
        ValueError: it is not one whole number.
    """
    value = np.asarray(action)
    if value.size != 1 or value.dtype.kind not in "biuf" or not float(value.item()).is_integer():
        message = f"the action of {agent} is {action!r}; it must be one whole number"
        raise ValueError(message)
    return int(value.item())


# ---------------------------------------------------------------------- the terminal


def half_blocks(picture: Picture, columns: int) -> str:
    """Formats a picture as coloured half blocks, two pixels per character, up to `columns` wide."""
    width = picture.shape[1]
    factor = max(1, -(-width // max(columns, 1)))
    small = picture[factor // 2 :: factor, factor // 2 :: factor]
    if len(small) % 2:
        small = np.concatenate([small, np.zeros_like(small[:1])])
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = (
            "\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m\u2580".format(*above, *below)
            for above, below in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m\n")
    return "\x1b[H\x1b[2J" + "".join(lines)
