"""Records of environments: one per environment, in `ascore.envs.catalogue`.

B environments, N agents, S states, V views, O observation entries.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ascore import _core
from ascore.envs.vec_env import VecEnv
from ascore.errors import ConfigError

Event: TypeAlias = Callable[[Mapping[str, npt.NDArray[Any]]], bool]
"""State from `VecEnv.inspect` -> whether the event has happened."""

Meaning: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]
"""Observations [S, V, O] of the environment -> the action with the meaning, [S, N]."""

Bounds: TypeAlias = Callable[[VecEnv], tuple[Any, Any]]
"""A batch -> lower and upper bound of each observation entry, broadcastable to [O]."""


@dataclass(frozen=True)
class Measure:
    """A measure of one kind of deed, as published under a name of its own.

    Attributes:
        deed: of which kind.
        what: mean_step, of the steps in which it was done, from 1; or steps_without, the share of
            the agents' steps without it.
    """

    deed: str
    what: Literal["mean_step", "steps_without"]


UNIFORM = "uniform play, measured"
"""Source of an anchor that `ascore envs --anchors` measures by playing it."""


@dataclass(frozen=True)
class Anchor:
    """A known team return per episode, for comparison.

    Its policy is in `ascore.scripted`, and `ascore envs --anchors` plays it.

    Attributes:
        label: random, selfish or cooperative play, or the name of another policy.
        base: part of the return that is independent of the number of agents.
        per_agent: part of the return per agent.
        given: parameters for which the return holds; a range stands for any of its values.
        source: origin of the return.
        error: half width of the 95% interval if measured, of the rounding if rounded; 0 = exact
            and, apart from random play, the same in every episode.
    """

    label: str
    base: float
    per_agent: float
    given: Mapping[str, Any]
    source: str
    error: float = 0.0

    def unmet(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What the anchor requires and these parameters lack; of a range, the first value."""
        return {
            key: value[0] if isinstance(value, range) else value
            for key, value in self.given.items()
            if not (params[key] in value if isinstance(value, range) else params[key] == value)
        }

    def team_return(self, num_agents: int) -> float:
        """Team return for N agents."""
        return self.base + self.per_agent * num_agents


@dataclass(frozen=True)
class Environment:
    """The record of an environment.

    Twins, policies and scenes are given by name and imported only when used.

    Attributes:
        name: name with version, such as "exchange-v1".
        summary: one line for `ascore envs`.
        shows: the entries of `VecEnv.inspect`: name -> type, shape and meaning; H x W cells.
        anchors: returns of random, selfish and cooperative play, those of the defaults first.
        twin: MODULE:CLASS of the reference in plain Python, for tests and benches.
        scripted: module with a function per anchor, named as its label with underscores.
        scene: MODULE:CLASS of the scene that draws it.
        bounds: bounds of float observations; None for uint8.
        milestones: events whose time is measured, since returns do not show speed.
        deeds: what agents do, or is done to them, that returns do not show: the entries of
            `VecEnv.deeds`, name -> meaning.
        measures: named measures of deeds; see `ascore.runs.deeds`.
        meanings: meanings of actions that depend on the state.
        welfare_shift: added to every agent's return before Nash welfare is taken, as in published
            figures; see `ascore.runs.fairness`.
        secret: MODULE:CLASS of how attackers read it, if something can be private there.
        over: when nothing is left to do but to wait for the end; a replay need not show that.
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
    deeds: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    welfare_shift: float = 0.0
    over: Event | None = None
    secret: str = ""

    @property
    def core(self) -> type[_core.CoreVecEnv]:
        """Class of the compiled batch.

        Raises:
            ConfigError: the compiled code was built before this environment was added to it.
        """
        if self.name not in _core.environments:
            message = (
                f"{self.name} has a record and is not compiled; add it to "
                "cpp/include/ascore/envs/all.hpp and build again, as CONTRIBUTING.md says"
            )
            raise ConfigError(message)
        return _core.environments[self.name]

    def load_twin(self) -> Any:
        """The class named by `twin`."""
        return _load(self.twin)

    def load_scene(self) -> Any:
        """The class named by `scene`."""
        return _load(self.scene)

    def load_secret(self) -> Any:
        """The class named by `secret`."""
        return _load(self.secret)

    def load_script(self, label: str) -> Any:
        """Loads the scripted policy of an anchor; "random" is common to all environments."""
        if label == "random":
            return importlib.import_module("ascore.scripted.uniform").uniformly_random
        return getattr(importlib.import_module(self.scripted), label.replace(" ", "_"))

    @property
    def labels(self) -> list[str]:
        """Labels of the anchors without duplicates, in order."""
        return list(dict.fromkeys(anchor.label for anchor in self.anchors))


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
