"""From an environment's name to its scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ascore.envs.table import ENVIRONMENTS
from ascore.render.scenes.parts import Scene, State


def scene_of(name: str, params: Mapping[str, Any], state: State) -> Scene:
    """The scene of an environment.

    Args:
        name: of the environment, with its version.
        params: as `VecEnv.params`.
        state: as `VecEnv.inspect` gives it; only its shapes and fixed parts matter.

    Raises:
        ValueError: nobody has said what this environment looks like.
    """
    if name not in ENVIRONMENTS:
        message = (
            f"{name} has no scene; the environments that have one are {', '.join(ENVIRONMENTS)}"
        )
        raise ValueError(message)
    scene: Scene = ENVIRONMENTS[name].load_scene()(params, state)
    return scene
