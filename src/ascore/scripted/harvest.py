"""Harvest: strip the map, or leave the apples that others grow from."""

from __future__ import annotations

import numpy as np

from ascore.envs.vec_env import VecEnv
from ascore.scripted.board import I32, STAY, Sight, look
from ascore.scripted.walking import F32, ahead, crowd, share

# Restraint: apples next to fewer than two others are spared in the first half of an episode.
COMPANY = 2
# Cooperation: what the growth lost with an apple may add up to (in apples) until LAST_STEPS before
# the end, and how many steps of detour an apple's worth of growth is worth. Found by trying.
LOSS_ALLOWED, LAST_STEPS, DETOUR = 0.6, 15, 2.0


def selfish(env: VecEnv) -> I32:
    """Everybody walks to the nearest apple, round the others."""
    sight = look(env)
    actions = np.full(sight.agents.shape, STAY)
    for agent in range(env.spec.num_agents):
        ahead(sight, agent, sight.apples, crowd(sight, agent), actions)
    return actions.astype(np.int32)


def restraint(env: VecEnv) -> I32:
    """Until half-time only apples with at least two others around them are eaten, then all.

    Those with fewer are not walked over either, unless the way round is long.
    """
    sight = look(env)
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    late = env.time >= env.spec.horizon // 2
    ripe = sight.apples & ((company >= COMPANY) | late)
    actions = np.full(sight.agents.shape, STAY)
    share(sight, range(env.spec.num_agents), ripe, np.zeros(ripe.shape, np.float32), actions)
    return actions.astype(np.int32)


def cooperative(env: VecEnv) -> I32:
    """An apple is spared while more would be lost beside it than it is worth.

    What is lost is the growth per step that goes with it, times the steps that it would go on for;
    so the apples that help the least are eaten first, and towards the end all.
    """
    sight = look(env)
    rates = np.array([0.0, *(env.params[f"regrowth_{k}"] for k in (1, 2, 3))], np.float32)
    left = np.maximum(env.spec.horizon - LAST_STEPS - env.time, 0).astype(np.float32)
    loss = -growth_gained(sight, rates) * left
    ripe = sight.apples & (loss <= LOSS_ALLOWED)
    actions = np.full(sight.agents.shape, STAY)
    share(sight, range(env.spec.num_agents), ripe, np.maximum(loss, -1) * DETOUR, actions)
    return actions.astype(np.int32)


def growth_gained(sight: Sight, rates: F32) -> F32:
    """By how much the apples expected to grow per step change if one is eaten, f32 [M, B].

    An eaten apple may grow back itself; the empty places around it lose one neighbour.

    Args:
        sight: what there is.
        rates: f32 [4], chance of growing beside 0, 1, 2, and 3 or more apples.
    """
    company = sight.board.sum_around(sight.apples.astype(np.int8))
    chance, less = rates[np.minimum(company, 3)], rates[np.clip(company - 1, 0, 3)]
    bare = sight.board.orchard[:, None] & ~sight.apples
    gained: F32 = chance - sight.board.sum_around(np.where(bare, chance - less, np.float32(0)))
    return gained
