"""Escape Room: every state and every joint action of small rooms, and uniform play, exactly."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import ascore
from ascore.envs.factory import anchor_values
from ascore.reference import VecEnv
from ascore.reference.escape import Escape, EscapeParams

STAY, LEVER, DOOR = range(3)
Joint = tuple[int, ...]
ROOMS = [(2, 1), (3, 1), (3, 2)]


def outcome(before: Joint, action: Joint, needed: int, rule: str) -> tuple[list[float], bool]:
    """Rewards of a step and whether it is the last, from the two published rules."""
    door_is_open = sum(choice == LEVER for choice in action) >= needed
    left = [door_is_open and choice == DOOR for choice in action]
    if rule == "lever":
        pays = [choice == LEVER for choice in action]
    else:
        pays = [a != b and not out for a, b, out in zip(before, action, left, strict=True)]
    return [10.0 * out - cost for out, cost in zip(left, pays, strict=True)], any(left)


@pytest.mark.parametrize("rule", ["lever", "move"])
@pytest.mark.parametrize(("agents", "needed"), ROOMS)
def test_every_pair_of_steps(agents: int, needed: int, rule: str) -> None:
    """All joint actions after all joint actions: all states that a step can begin in."""
    joint = list(itertools.product(range(3), repeat=agents))
    pairs = list(itertools.product(joint, joint))
    params: dict[str, Any] = {"num_agents": agents, "needed": needed, "cost_rule": rule}
    core = ascore.make("escape-v1", num_envs=len(pairs), **params)
    twin = VecEnv([Escape(EscapeParams(**params)) for _ in pairs], 0)
    core.reset()
    twin.reset()
    now: list[Joint] = [(STAY,) * agents] * len(pairs)
    for step in range(2):
        action = np.array([pair[step] for pair in pairs], np.int32)
        core.step(action)
        twin.step(action)
        for name in ("obs", "final_obs", "reward", "neighbours", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(core, name), getattr(twin, name), err_msg=name)
        for b, pair in enumerate(pairs):
            rewards, ends = outcome(now[b], pair[step], needed, rule)
            assert core.reward[b].tolist() == rewards, (now[b], pair[step])
            assert bool(core.terminated[b]) == ends
            seen = core.final_obs[b] if ends else core.obs[b]
            places = seen.reshape(agents, agents, 3)
            assert (places.sum(axis=2) == 1).all()
            for i, view in enumerate(places.argmax(axis=2).tolist()):
                others = [pair[step][j] for j in range(agents) if j != i]
                assert view == [pair[step][i], *others]
            now[b] = (STAY,) * agents if ends else pair[step]


def uniform_return(agents: int, needed: int, rule: str, horizon: int) -> float:
    """Team return to be expected of uniform play, over all ways an episode can go."""
    joint = list(itertools.product(range(3), repeat=agents))
    chances: dict[Joint, float] = {(STAY,) * agents: 1.0}
    total = 0.0
    for _ in range(horizon):
        after: dict[Joint, float] = defaultdict(float)
        for before, chance in chances.items():
            for action in joint:
                rewards, ends = outcome(before, action, needed, rule)
                total += chance / len(joint) * sum(rewards)
                if not ends:
                    after[action] += chance / len(joint)
        chances = after
    return total


@pytest.mark.parametrize("rule", ["lever", "move"])
def test_uniform_play(rule: str) -> None:
    stated = dict(anchor_values("escape-v1", {"cost_rule": rule}))["random"]
    assert stated == pytest.approx(uniform_return(5, 3, rule, 5), abs=0.0005)


@pytest.mark.parametrize("rule", ["lever", "move"])
@pytest.mark.parametrize(("agents", "needed"), ROOMS)
def test_the_optimum_is_that_few_pull_and_all_others_leave_at_once(
    agents: int, needed: int, rule: str
) -> None:
    """No plan of two steps earns the team more."""
    joint = list(itertools.product(range(3), repeat=agents))

    def best(before: Joint, steps: int) -> float:
        if steps == 0:
            return 0.0
        returns = []
        for action in joint:
            rewards, ends = outcome(before, action, needed, rule)
            returns.append(sum(rewards) + (0.0 if ends else best(action, steps - 1)))
        return max(returns)

    assert best((STAY,) * agents, 2) == 10 * (agents - needed) - needed
