"""Slow, obvious versions of what the compiled core does, in plain Python.

They exist to be read and to be compared with: tests, benches and `ascore.benchmark` import them,
nothing else does.
Each draws the same random numbers as its compiled twin, so results agree bit for bit.
"""

from ascore.reference.cleanup import Cleanup, CleanupParams
from ascore.reference.exchange import Exchange, ExchangeParams
from ascore.reference.gae import gae_float32, gae_float64
from ascore.reference.harvest import Harvest, HarvestParams
from ascore.reference.navigation import Navigation, NavigationParams
from ascore.reference.philox import Stream, action_uniforms
from ascore.reference.predation import Predation, PredationParams
from ascore.reference.vec_env import Environment, VecEnv

__all__ = [
    "TWINS",
    "Cleanup",
    "CleanupParams",
    "Environment",
    "Exchange",
    "ExchangeParams",
    "Harvest",
    "HarvestParams",
    "Navigation",
    "NavigationParams",
    "Predation",
    "PredationParams",
    "Stream",
    "VecEnv",
    "action_uniforms",
    "gae_float32",
    "gae_float64",
]

TWINS: dict[
    str, type[Cleanup] | type[Exchange] | type[Harvest] | type[Navigation] | type[Predation]
] = {
    Cleanup.name: Cleanup,
    Exchange.name: Exchange,
    Harvest.name: Harvest,
    Navigation.name: Navigation,
    Predation.name: Predation,
}
"""The reference class of every environment, by the environment's public name."""
