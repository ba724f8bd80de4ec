"""The constants that Cleanup and Harvest share."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["GridParams"]


class GridParams(Protocol):
    """The constants of both grid environments, documented in their own parameter classes."""

    @property
    def num_agents(self) -> int:
        """Number of agents."""

    @property
    def profile(self) -> Literal["ssd", "features"]:
        """Rules."""

    @property
    def move_frame(self) -> Literal["profile", "ego", "abs"]:
        """Meaning of "up"."""

    @property
    def horizon(self) -> int:
        """Number of steps of an episode."""

    @property
    def turns(self) -> bool:
        """Whether agents can turn."""

    @property
    def start(self) -> Literal["random", "fixed"]:
        """Where agents start."""

    @property
    def obs_mode(
        self,
    ) -> Literal["planes", "rgb", "local", "features", "centred", "centred_turned"]:
        """Kind of observation."""

    @property
    def fire(self) -> bool:
        """Whether agents can fire."""

    @property
    def fire_cost(self) -> float:
        """Paid by who fires."""

    @property
    def hit_cost(self) -> float:
        """Paid by whom a beam hits."""

    @property
    def beam_length(self) -> int:
        """Cells that beams reach ahead."""

    @property
    def append_orientation(self) -> bool:
        """Whether orientations follow the colours."""

    @property
    def graph(self) -> Literal["complete", "radius"]:
        """Communication graph."""

    @property
    def neigh_radius(self) -> int:
        """Radius of the graph in cells."""

    @property
    def neigh_metric(self) -> Literal["cheb", "manhattan"]:
        """Metric of the radius."""
