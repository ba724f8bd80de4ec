"""Finds the scene of an environment by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ascore.envs.table import ENVIRONMENTS
from ascore.render.scenes.parts import Scene, State


def scene_of(name: str, params: Mapping[str, Any], state: State) -> Scene:
    """The scene of an environment.

    Args:
        name: name of the environment with its version.
        params: parameters as in `VecEnv.params`.
        state: state from `VecEnv.inspect`; only its shapes and constant parts are used.

    Raises:
        ValueError: the environment has no scene.
    """
    if name not in ENVIRONMENTS:
        message = (
            f"{name} has no scene; the environments that have one are {', '.join(ENVIRONMENTS)}"
        )
        raise ValueError(message)
    scene: Scene = ENVIRONMENTS[name].load_scene()(params, state)
    return scene
