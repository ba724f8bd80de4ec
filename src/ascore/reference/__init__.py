"""Slow, obvious versions of what the compiled core does, in plain Python.

They exist to be read and to be compared with: tests, benches and `ascore.benchmark` import them,
nothing else does. Each environment has its module here, which its record names.
Each draws the same random numbers as its compiled twin, so results agree bit for bit.
"""

from ascore.reference.gae import gae_float32, gae_float64
from ascore.reference.philox import Stream, action_uniforms
from ascore.reference.vec_env import Environment, VecEnv

__all__ = [
    "Environment",
    "Stream",
    "VecEnv",
    "action_uniforms",
    "gae_float32",
    "gae_float64",
]
