"""What was made of an environment so that it can be trained on: one line for each adaptation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gymnasium import spaces

from ascore.envs.adapters.choices import Combinations, Numbered
from ascore.envs.adapters.foreign import shown
from ascore.envs.adapters.loading import Layout
from ascore.envs.adapters.several import Several
from ascore.envs.adapters.spaces import Space
from ascore.envs.adapters.turns import Turns
from ascore.envs.adapters.wrapper import Wrapper
from ascore.interop.findings import Report

AT_ONCE = "aec_to_parallel_wrapper"
"""PettingZoo's class for agents that take turns within a step."""


def interface(result: Report, env: Any) -> None:
    """How agents of another kind of environment act."""
    for layer in _layers(env):
        if isinstance(layer, Turns):
            result.add(
                "turns",
                "good",
                "every step is the turn of one agent; the others wait, with one legal action that "
                "is not read",
            )
        elif isinstance(layer, Several):
            result.add(
                "API",
                "good",
                "gymnasium's interface with a space per agent; actions, observations and rewards "
                "are taken apart by agent",
            )
        elif type(layer).__name__ == AT_ONCE:
            result.add(
                "turns",
                "good",
                "agents take turns within a step, all of them in each, by PettingZoo's "
                "aec_to_parallel",
            )


def actions(result: Report, env: Any, agents: Sequence[Any], counts: Sequence[int]) -> None:
    """Numbers of actions, and what the numbers stand for."""
    most = max(counts)
    if min(counts) == most:
        result.add("actions", "good", f"Discrete({most}) for every agent")
    else:
        text = ", ".join(
            f"{agent!r} has {count}" for agent, count in zip(agents, counts, strict=True)
        )
        result.add(
            "actions",
            "good",
            f"different numbers of actions: {text}; networks have {most} outputs for every agent, "
            "and what an agent lacks has probability 0 and is sent to nobody",
        )
    for layer in _layers(env):
        if isinstance(layer, Numbered):
            _numbers(result, layer)
    if result.action_bins and not any(isinstance(x, Numbered) and x.divided for x in _layers(env)):
        result.add(
            "actions",
            "advice",
            f"--action-bins {result.action_bins} changes nothing: no action is continuous (Box)",
            "leave it out",
        )
        result.action_bins = 0


def _numbers(result: Report, env: Numbered) -> None:
    """One line for every space whose combinations are numbered."""
    by_space: dict[tuple[str, Combinations], list[Any]] = {}
    for agent, each in env.combinations.items():
        space = env.env.action_space(agent)
        key = (" ".join(str(space).split()), each)
        by_space.setdefault(key, []).append(agent)
    for (text, each), agents in by_space.items():
        what = f"{text:.160} is a choice among {each.count} numbered combinations"
        if isinstance(env.env.action_space(agents[0]), spaces.Box):
            sizes = (
                f"{min(each.sizes)} to {max(each.sizes)}"
                if len(set(each.sizes)) > 1
                else each.sizes[0]
            )
            what += f": {sizes} values of each entry, equally spaced from low to high"
        result.add("actions", "good", f"{what}; the last entry changes fastest ({_listed(agents)})")


def observations(result: Report, shape: Layout) -> None:
    """Sizes of the rows that networks see, and how they come about."""
    sizes, longest = shape.obs_sizes, max(shape.obs_sizes)
    kind = "bytes" if shape.obs_dtype == "uint8" else "numbers"
    if min(sizes) == longest:
        how = _how(shape.obs_spaces)
        if shape.obs_scale != 1.0:
            how += f"; networks see them times 1/{round(1 / shape.obs_scale)}"
        result.add("observations", "good", f"{longest:,} {kind} per agent once flattened{how}")
        return
    text = ", ".join(f"{a!r} {s}" for a, s in zip(shape.agents, sizes, strict=True))
    result.add(
        "observations",
        "advice",
        f"different sizes once flattened: {text}; shorter ones are padded to {longest}",
        "none needed, unless one is much longer than the others",
    )


def _how(obs_spaces: Sequence[Space]) -> str:
    """What gymnasium's flattening does to spaces that are more than a Box."""
    kinds = {type(space).__name__ for space in obs_spaces} - {"Box"}
    return f" as gymnasium flattens {' and '.join(sorted(kinds))}" if kinds else ""


def _layers(env: Any) -> Iterator[Any]:
    """Our wrappers from the outside in, and what the innermost holds."""
    while isinstance(env, Wrapper):
        yield env
        env = env.env
    yield env


def _listed(names: Sequence[Any]) -> str:
    text = ", ".join(map(shown, names[:6]))
    return text if len(names) <= 6 else f"{text}, ..."
