"""Sizes of a batch of Python environments, and of its arrays.

B copies, N agents, A actions of the agent that has most, O entries of the longest observation.
"""

from __future__ import annotations

from dataclasses import dataclass

Fields = dict[str, tuple[tuple[int, ...], str]]
"""Array by name -> its shape, copies first, and its dtype."""


@dataclass(frozen=True)
class Sizes:
    """What a batch must know about its copies; the same for all.

    Attributes:
        num_agents: N.
        action_counts: number of actions of each agent, [N].
        obs_size: O.
        obs_dtype: uint8 or float32.
        obs_scale: what networks multiply observations by.
        horizon: maximum number of steps of an episode.
        divided: whether an action is a choice among values of what is continuous.
    """

    num_agents: int
    action_counts: tuple[int, ...]
    obs_size: int
    obs_dtype: str
    obs_scale: float
    horizon: int
    divided: bool = False

    @property
    def num_actions(self) -> int:
        """A, the largest number of actions."""
        return max(self.action_counts)

    def fields(self, num_envs: int) -> Fields:
        """The arrays of B copies; all of them are saved."""
        b, n, o = num_envs, self.num_agents, self.obs_size
        return {
            "obs": ((b, n, o), self.obs_dtype),
            "final_obs": ((b, n, o), self.obs_dtype),
            "reward": ((b, n), "float32"),
            "neighbours": ((b, n, n), "uint8"),
            "terminated": ((b,), "uint8"),
            "truncated": ((b,), "uint8"),
            "episode": ((b,), "uint64"),
            "time": ((b,), "int32"),
            "_legal": ((b, n, self.num_actions), "uint8"),
            "_alive": ((b, n), "bool"),
            "left": ((b, n), "uint8"),
            "_next_episode": ((b,), "uint64"),
        }
