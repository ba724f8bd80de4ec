"""What environments of other kinds have in common once they are wrapped as a ParallelEnv."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pettingzoo import ParallelEnv


class Wrapper(ParallelEnv[Any, Any, Any]):
    """An environment of another kind, which says how it is drawn and what it is.

    Attributes:
        env: the environment itself.
    """

    def __init__(self, env: Any, agents: Iterable[Any]) -> None:
        self.env = env
        self.possible_agents = list(agents)
        self.agents = []
        self.metadata = dict(getattr(env, "metadata", None) or {})
        self.render_mode = getattr(env, "render_mode", None)

    def render(self) -> Any:
        """As the environment."""
        return self.env.render()

    def close(self) -> None:
        """As the environment."""
        self.env.close()

    @property
    def unwrapped(self) -> Any:
        """The environment without its wrappers."""
        return getattr(self.env, "unwrapped", self.env)
