"""What scripted policies ask of an environment before they read its observations."""

from __future__ import annotations

from ascore.envs.vec_env import VecEnv


def require(env: VecEnv, **values: object) -> None:
    """Raises ValueError unless these parameters of the environment have these values."""
    for key, value in values.items():
        if env.params[key] != value:
            message = (
                f"{key} = {env.params[key]!r}: scripted policies of {env.spec.name} "
                f"are written for {key} = {value!r}"
            )
            raise ValueError(message)
