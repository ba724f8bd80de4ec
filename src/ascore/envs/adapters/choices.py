"""Actions made of several choices, as numbered ones: every combination has a number.

A combinations of an agent whose action has D entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ascore.envs.adapters.foreign import FAILURES
from ascore.envs.adapters.masks import MASK, read_mask
from ascore.envs.adapters.spaces import Space, of_gymnasium
from ascore.envs.adapters.wrapper import Wrapper

MOST = 256
"""Largest A of combinations. Networks have an output for each of them, and what agents send in
every step grows with it; a choice among more is seldom learned by trying each."""

FEWEST_BINS = 2


@dataclass(frozen=True)
class Combinations:
    """The elements of a space, numbered from 0; the last entry changes fastest.

    Attributes:
        values: those that each entry can have, [D], in the order of its memory.
        shape: of an element.
        dtype: of an element.
        divided: whether they are some values of what is continuous.
    """

    values: tuple[Sequence[float], ...]
    shape: tuple[int, ...]
    dtype: str
    divided: bool = False

    @property
    def count(self) -> int:
        """A."""
        return math.prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each entry can have, [D]."""
        return tuple(len(each) for each in self.values)

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        """A new array, as an environment may write into it."""
        number, entries = int(number), []
        for each in reversed(self.values):
            number, place = divmod(number, len(each))
            entries.append(each[place])
        return np.array(entries[::-1], dtype=self.dtype).reshape(self.shape)

    def mask(self, value: Any) -> Any:
        """One entry per combination, from a tuple or list with a mask per entry of the action.

        The latter is the form of gymnasium's `MultiDiscrete.sample`. Anything else comes back as it
        is: it has one entry per combination already, or is wrong.
        """
        if not isinstance(value, (tuple, list)) or len(value) != len(self.values):
            return value
        try:
            if not all(np.ndim(each) for each in value):  # of numbers: one per combination
                return value
            parts = [read_mask(each, n) for each, n in zip(value, self.sizes, strict=True)]
        except ValueError:
            return value
        legal = np.ones(1, dtype=np.bool_)
        for part in parts:
            legal = np.outer(legal, part).reshape(-1)
        return legal


def combinations(space: Space, bins: int) -> Combinations | None:
    """The combinations of a space; None where it has none, or where refused.

    Args:
        space: that of an agent's actions.
        bins: K, how many values an entry of a Box gets, equally spaced from its low to its high; 0
            = a Box is refused.
    """
    values: tuple[Sequence[float], ...]
    if isinstance(space, spaces.MultiDiscrete):
        start = np.broadcast_to(getattr(space, "start", 0), space.nvec.shape)
        pairs = zip(start.reshape(-1).tolist(), space.nvec.reshape(-1).tolist(), strict=True)
        values = tuple(range(first, first + n) for first, n in pairs)
    elif isinstance(space, spaces.MultiBinary):
        values = (range(2),) * math.prod(space.shape)
    elif isinstance(space, spaces.Box) and bins and _unbounded(space) is None:
        bounds = zip(space.low.reshape(-1), space.high.reshape(-1), strict=True)
        values = tuple(_spaced(low, high, bins) for low, high in bounds)
    else:
        return None
    divided = isinstance(space, spaces.Box)
    return Combinations(values, tuple(space.shape), str(space.dtype), divided)


def _spaced(low: Any, high: Any, bins: int) -> tuple[float, ...]:
    """K values from low to high in their own type; fewer where it has no more."""
    even = np.linspace(float(low), float(high), bins)
    if low.dtype.kind != "f":  # whole numbers: those nearest
        even = np.rint(even)
    with np.errstate(invalid="ignore"):  # the largest whole number may not be one as a float
        typed = even.astype(low.dtype)
    typed[0], typed[-1] = low, high
    return tuple(dict.fromkeys(typed.tolist()))


def _unbounded(space: spaces.Box) -> int | None:
    """The first entry without a finite range."""
    with np.errstate(over="ignore", invalid="ignore"):
        span = space.high.astype(np.float64) - space.low.astype(np.float64)
    infinite = np.flatnonzero(~np.isfinite(span.reshape(-1)))
    return int(infinite[0]) if len(infinite) else None


def _most_bins(space: spaces.Box) -> int:
    """The largest K with which the combinations are no more than `MOST`; 1 if there is none."""
    bounds = [(a, b) for a, b in zip(space.low.flat, space.high.flat, strict=True) if a < b]
    if FEWEST_BINS ** len(bounds) > MOST:
        return 1
    for bins in range(MOST, 1, -1):
        if math.prod(len(_spaced(low, high, bins)) for low, high in bounds) <= MOST:
            return bins
    return 1


def refusal(space: Any, bins: int) -> tuple[str, str] | None:
    """Why an agent cannot act in a space, to follow "has the action space ...", and the remedy.

    None if it can.
    """
    if isinstance(space, spaces.Discrete):
        return None
    if isinstance(space, spaces.Box):
        return _refused_box(space, bins)
    numbered = combinations(space, bins)
    if numbered is None or numbered.count < 1:
        return (
            "",
            "make it Discrete(n), a choice among n actions, or a MultiDiscrete, MultiBinary or Box "
            "of gymnasium.spaces",
        )
    if numbered.count <= MOST:
        return None
    return (
        f", {_in_words(numbered.count)} combinations where at most {MOST} are possible",
        f"make it Discrete(n), n up to {MOST}, over the combinations that matter",
    )


def _refused_box(space: spaces.Box, bins: int) -> tuple[str, str] | None:
    unbounded = _unbounded(space)
    if unbounded is not None:
        return (
            f", whose entry {unbounded} has no finite bounds",
            "give it a finite low and high, between which --action-bins K chooses",
        )
    most = _most_bins(space)
    if most < FEWEST_BINS:
        return (
            f", whose {space.low.size} entries have more than {MOST} combinations even with "
            f"{FEWEST_BINS} values each",
            f"give it fewer entries, or make it Discrete(n), n up to {MOST}",
        )
    if bins == 0:
        return (
            ", which is continuous",
            f"choose among K values of each entry, K = {FEWEST_BINS}..{most}, with --action-bins K "
            "(action_bins=K in Config and ascore.make)",
        )
    if bins > most:
        return (
            f", more than {MOST} combinations of {bins} values of each entry",
            f"lower --action-bins to {most} or less",
        )
    return None


def _in_words(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"2^{count.bit_length() - 1} or more"


class Numbered(Wrapper):
    """An environment whose agents choose among numbered combinations; it gets their elements.

    Attributes:
        combinations: of each agent whose actions are not numbered as they are.
        divided: whether an agent's actions are some values of what is continuous.
    """

    def __init__(self, env: Any, of_agents: Mapping[Any, Combinations]) -> None:
        super().__init__(env, env.possible_agents)
        self.combinations = dict(of_agents)
        self.divided = any(each.divided for each in of_agents.values())
        self._spaces = {agent: spaces.Discrete(each.count) for agent, each in of_agents.items()}

    def observation_space(self, agent: Any) -> Any:
        """That of the agent."""
        return self.env.observation_space(agent)

    def action_space(self, agent: Any) -> Any:
        """The numbers of the agent's combinations, or its own space."""
        return self._spaces[agent] if agent in self._spaces else self.env.action_space(agent)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        """As the environment."""
        more = {} if options is None else {"options": options}
        results: tuple[Any, Any] = self._passed_on(self.env.reset(seed=seed, **more))
        return results

    def step(self, actions: Mapping[Any, Any]) -> tuple[Any, ...]:
        """As the environment, which gets elements of its own spaces."""
        own = self.combinations
        chosen = {a: own[a][action] if a in own else action for a, action in actions.items()}
        results: tuple[Any, ...] = self._passed_on(self.env.step(chosen))
        return results

    def _passed_on(self, results: Any) -> Any:
        """The results with masks of combinations; whatever is wrong is left for others to say."""
        agents: Any = getattr(self.env, "agents", None)
        self.agents = agents
        if not isinstance(results, tuple) or len(results) < 2:
            return results
        seen, infos = results[0], results[-1]
        for agent, each in self.combinations.items():
            seen = self._translated(seen, agent, each)
            infos = self._translated(infos, agent, each)
        return (seen, *results[1:-1], infos)

    def _translated(self, by_agent: Any, agent: Any, each: Combinations) -> Any:
        entry = by_agent.get(agent) if isinstance(by_agent, Mapping) else None
        if not isinstance(entry, Mapping) or MASK not in entry:
            return by_agent
        return {**by_agent, agent: {**entry, MASK: each.mask(entry[MASK])}}


def numbered(env: Any, bins: int) -> Any:
    """The environment with numbered actions for all agents.

    It is returned as it is where all actions are numbered already, and where some agent's cannot be
    or cannot be asked for: `refusal` says why.
    """
    own: dict[Any, Combinations] = {}
    try:
        for agent in env.possible_agents:
            space = of_gymnasium(env.action_space(agent))
            if space is None or refusal(space, bins) is not None:
                return env
            each = combinations(space, bins)
            if each is not None:
                own[agent] = each
    except FAILURES:
        return env
    return Numbered(env, own) if own else env
