"""Slow, obvious Python versions of the compiled core.

They serve as readable definitions and for comparison: only tests, benches and `ascore.benchmark`
import them. Each environment has its own module here, which its record names. Each draws the same
random numbers as its compiled twin, so results agree bit for bit.
"""

from ascore.reference.gae import gae_float32, gae_float64
from ascore.reference.philox import Stream, action_uniforms
from ascore.reference.vec_env import TwinEnvironment, VecEnv

__all__ = [
    "Stream",
    "TwinEnvironment",
    "VecEnv",
    "action_uniforms",
    "gae_float32",
    "gae_float64",
]
