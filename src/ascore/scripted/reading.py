"""Checks the parameters on which scripted policies rely to read observations."""

from __future__ import annotations

from ascore.envs.vec_env import VecEnv


def require(env: VecEnv, **values: object) -> None:
    """Raises ValueError unless these parameters of the environment have these values."""
    for key, value in values.items():
        if env.params[key] != value:
            message = (
                f"{key} = {env.params[key]!r}: scripted policies of {env.spec.name} "
                f"need {key} = {value!r}"
            )
            raise ValueError(message)
