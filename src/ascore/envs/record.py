"""What the library knows of one environment: one record each, in `ascore.envs.catalogue`.

B environments, N agents, S states, V views, O observation entries.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ascore import _core
from ascore.envs.vec_env import VecEnv

Event: TypeAlias = Callable[[Mapping[str, npt.NDArray[Any]]], bool]
"""What `VecEnv.inspect` shows of one environment -> whether the event has happened."""

Meaning: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]
"""Observations [S, V, O] as the environment gave them -> the action of that meaning, [S, N]."""

Bounds: TypeAlias = Callable[[VecEnv], tuple[Any, Any]]
"""A batch -> lowest and highest value of each observation entry, broadcastable to [O]."""

UNIFORM = "uniform play, measured"
"""Source of an anchor that `ascore envs --anchors` measures by playing it."""


@dataclass(frozen=True)
class Anchor:
    """A team return per episode that tells what a policy is worth.

    `ascore.scripted` has the policy, `ascore envs --anchors` plays it.

    Attributes:
        label: random, selfish or cooperative play, or the name of another policy.
        base: part of the return that does not grow with the agents.
        per_agent: part of the return per agent.
        given: parameters the figure holds for; a range stands for any value in it.
        source: how it is known.
        error: half width of the 95% interval if it was measured, of rounding if it was rounded;
            0 = exact as it stands.
    """

    label: str
    base: float
    per_agent: float
    given: Mapping[str, Any]
    source: str
    error: float = 0.0

    def unmet(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What these parameters would have to be for the figure to hold and are not."""
        return {
            key: value
            for key, value in self.given.items()
            if not (params[key] in value if isinstance(value, range) else params[key] == value)
        }

    def team_return(self, num_agents: int) -> float:
        """The figure for N agents."""
        return self.base + self.per_agent * num_agents


@dataclass(frozen=True)
class Environment:
    """One environment.

    Twins, policies and scenes are named, not imported: only who compares, plays or draws loads
    them.

    Attributes:
        name: with its version, such as "exchange-v1".
        summary: one line for `ascore envs`.
        shows: what `VecEnv.inspect` shows of it: name -> type, shape and meaning; H x W cells.
        anchors: what random, selfish and cooperative play earn, the defaults first.
        twin: MODULE:CLASS of the same rules in plain Python, which tests and benches compare with.
        scripted: module with a function per anchor, named as its label with underscores.
        scene: MODULE:CLASS of what it looks like.
        bounds: of float observations; None where they are bytes.
        milestones: events that an episode can be timed by; returns do not show haste.
        meanings: actions with a meaning that their number does not tell.
    """

    name: str
    summary: str
    shows: Mapping[str, str]
    anchors: tuple[Anchor, ...]
    twin: str
    scripted: str
    scene: str
    bounds: Bounds | None = None
    milestones: Mapping[str, Event] = field(default_factory=dict)
    meanings: Mapping[str, Meaning] = field(default_factory=dict)

    @property
    def core(self) -> type[_core.CoreVecEnv]:
        """The compiled batch."""
        return _core.environments[self.name]

    def load_twin(self) -> Any:
        """The class named by `twin`."""
        return _load(self.twin)

    def load_scene(self) -> Any:
        """The class named by `scene`."""
        return _load(self.scene)

    def load_script(self, label: str) -> Any:
        """The policy of an anchor's label; "random" is the same for all."""
        if label == "random":
            return importlib.import_module("ascore.scripted.uniform").uniformly_random
        return getattr(importlib.import_module(self.scripted), label.replace(" ", "_"))

    @property
    def labels(self) -> list[str]:
        """Labels of the anchors, each once, in their order."""
        return list(dict.fromkeys(anchor.label for anchor in self.anchors))


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
