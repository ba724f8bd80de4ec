"""Scripted policies of Harvest: eat every apple, or spare those that others grow from."""

from __future__ import annotations

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.scripted.board import I32, STAY, Sight, look
from ascore.scripted.walking import F32, ahead, crowd, share

# Restraint spares apples with fewer than two others around them in the first half of an episode.
COMPANY = 2
# Cooperation: LOSS_ALLOWED is the growth in apples that may be lost with an apple until LAST_STEPS
# before the end; DETOUR is the number of extra steps worth one apple of growth. Chosen by trial.
LOSS_ALLOWED, LAST_STEPS, DETOUR = 0.6, 15, 2.0


def selfish(env: VecEnv) -> I32:
    """All agents walk to the nearest apple, around the other agents."""
    sight = look(env)
    actions = np.full(sight.agents.shape, STAY)
    for agent in range(env.spec.num_agents):
        ahead(sight, agent, sight.apples, crowd(sight, agent), actions)
    return actions.astype(np.int32)


def restraint(env: VecEnv) -> I32:
    """Agents eat only apples with at least two others around them, in the second half all apples.

    They also avoid walking over the spared apples, unless the detour is long.
    """
    sight = look(env)
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    late = env.time >= env.spec.horizon // 2
    ripe = sight.apples & ((company >= COMPANY) | late)
    actions = np.full(sight.agents.shape, STAY)
    share(sight, range(env.spec.num_agents), ripe, np.zeros(ripe.shape, np.float32), actions)
    return actions.astype(np.int32)


def cooperative(env: VecEnv) -> I32:
    """Agents spare an apple while eating it would lose more growth than LOSS_ALLOWED.

    The loss is the change in growth per step times the remaining steps, so the apples that help
    growth least are eaten first, and all are eaten towards the end.
    """
    sight = look(env)
    rates = np.array([0.0, *(env.params[f"regrowth_{k}"] for k in (1, 2, 3))], np.float32)
    steps_left = np.maximum(env.spec.horizon - LAST_STEPS - env.time, 0).astype(np.float32)
    loss = -growth_gained(sight, rates) * steps_left
    ripe = sight.apples & (loss <= LOSS_ALLOWED)
    actions = np.full(sight.agents.shape, STAY)
    share(sight, range(env.spec.num_agents), ripe, np.maximum(loss, -1) * DETOUR, actions)
    return actions.astype(np.int32)


def growth_gained(sight: Sight, rates: F32) -> F32:
    """Change of the expected number of apples grown per step if an apple is eaten, f32 [M, B].

    An eaten apple may regrow; empty orchard cells around it lose one neighbouring apple.

    Args:
        sight: the current states.
        rates: f32 [4], probability of growing beside 0, 1, 2, and 3 or more apples.
    """
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    chance, less = rates[np.minimum(company, 3)], rates[np.clip(company - 1, 0, 3)]
    bare = sight.board.orchard[:, None] & ~sight.apples
    gained: F32 = chance - sight.board.sum_around(np.where(bare, chance - less, np.float32(0)))
    return gained
