"""Types of the compiled core."""

from typing import Any, ClassVar, type_check_only

import numpy as np
import numpy.typing as npt

__version__: str
interface: int
environments: dict[str, type[CoreVecEnv]]  # by name; "exchange-v1" is also the class ExchangeV1

@type_check_only
class CoreVecEnv:
    """What every compiled batch offers; the real classes share it by shape, not by inheritance."""

    name: ClassVar[str]
    interface: ClassVar[int]
    parameter_docs: ClassVar[list[tuple[str, Any, str, str]]]

    def __init__(
        self,
        num_envs: int,
        seed: int,
        first_env: int = 0,
        num_threads: int = 0,
        params: dict[str, Any] = ...,
    ) -> None: ...
    def reset(self, seed: int | None = None) -> None: ...
    def step(self, action: npt.NDArray[np.int32]) -> None: ...
    def uniforms(self, out: npt.NDArray[np.float32]) -> None: ...
    def inspect(
        self, index: int, action: npt.NDArray[np.int32] | None = None
    ) -> dict[str, npt.NDArray[Any]]: ...
    def rollout(
        self,
        policy: ActingNetworks,
        obs: npt.NDArray[Any],
        neighbours: npt.NDArray[np.uint8] | None,
        action: npt.NDArray[np.int32],
        reward: npt.NDArray[np.float32],
        terminated: npt.NDArray[np.uint8],
        truncated: npt.NDArray[np.uint8],
        running: npt.NDArray[np.float64],
        log_probs: npt.NDArray[np.float32] | None = None,
    ) -> tuple[
        npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.float64]
    ]: ...
    def choose(
        self,
        policy: ActingNetworks,
        first: int,
        obs: npt.NDArray[Any],
        action: npt.NDArray[np.int32],
    ) -> None: ...
    def save_state(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.uint8]: ...
    def load_state(
        self, state: npt.NDArray[np.uint8], first: int = 0, count: int | None = None
    ) -> None: ...
    @property
    def obs(self) -> npt.NDArray[Any]: ...
    @property
    def final_obs(self) -> npt.NDArray[Any]: ...
    @property
    def reward(self) -> npt.NDArray[np.float32]: ...
    @property
    def neighbours(self) -> npt.NDArray[np.uint8] | None: ...
    def keep_neighbours(self) -> None: ...
    @property
    def terminated(self) -> npt.NDArray[np.uint8]: ...
    @property
    def truncated(self) -> npt.NDArray[np.uint8]: ...
    @property
    def episode(self) -> npt.NDArray[np.uint64]: ...
    @property
    def time(self) -> npt.NDArray[np.int32]: ...
    @property
    def num_envs(self) -> int: ...
    @property
    def num_agents(self) -> int: ...
    @property
    def num_actions(self) -> int: ...
    @property
    def obs_size(self) -> int: ...
    obs_scale: float
    @property
    def views(self) -> int: ...
    @property
    def horizon(self) -> int: ...
    @property
    def num_threads(self) -> int: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def action_names(self) -> tuple[str, ...]: ...

@type_check_only
class TellingVecEnv(CoreVecEnv):
    """The batches of environments whose record has `deeds`."""

    def deeds(
        self, index: int, action: npt.NDArray[np.int32]
    ) -> dict[str, npt.NDArray[np.int32]]: ...

class HarvestYardstick:
    """A measuring stick, not an environment."""

    num_agents: ClassVar[int]

    def __init__(self, num_envs: int, seed: int) -> None: ...
    def run(self, steps: int) -> int: ...
    @property
    def num_envs(self) -> int: ...
    @property
    def eaten(self) -> int: ...

def gae(
    reward: npt.NDArray[np.float32],
    value: npt.NDArray[np.float32],
    terminated: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    truncated: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    final_value: npt.NDArray[np.float32] | None,
    gamma: float,
    gae_lambda: float,
    advantage: npt.NDArray[np.float32],
    returns: npt.NDArray[np.float32],
) -> None: ...

class ActingNetworks:
    """Networks that act inside the compiled environments."""

    def __init__(self, sizes: list[int], agents: int, instruction_set: str = "") -> None: ...
    def load(self, flat: npt.NDArray[np.float32]) -> None: ...

class Objective:
    def __init__(
        self,
        kind: int,
        clip_epsilon: float,
        peer_low: float,
        peer_high: float,
        entropy_bonus: float,
        penalty_weight: float,
        printed: bool,
        kl: bool,
        gated: bool,
        corrects: bool,
    ) -> None: ...

class Engine:
    """Updates of stacked networks without an interpreter between the steps."""

    num_sums: ClassVar[int]
    statistics: ClassVar[tuple[str, ...]]
    quantities: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        agents: int,
        trunks: int,
        heads: int,
        actions: int,
        actor_sizes: list[int],
        critic_sizes: list[int],
        actor: dict[str, Any],
        critic: dict[str, Any],
        threads: int,
        instruction_set: str = "",
        subjects: npt.NDArray[np.int32] | None = None,
    ) -> None: ...
    def set_batch(
        self,
        obs: npt.NDArray[Any],
        scale: float,
        action: npt.NDArray[np.int32],
        advantage: npt.NDArray[np.float32],
        advantage_scale: npt.NDArray[np.float32],
        target: npt.NDArray[np.float32],
        legal: npt.NDArray[np.uint8] | None = None,
        present: npt.NDArray[np.uint8] | None = None,
    ) -> None: ...
    def set_messages(
        self,
        old: npt.NDArray[np.float32],
        sent: npt.NDArray[np.float32] | None,
        heard: npt.NDArray[np.uint8] | None,
        announced: npt.NDArray[np.float32] | None = None,
    ) -> None: ...
    def log_probs(
        self,
        obs: npt.NDArray[Any],
        scale: float,
        first: int,
        last: int,
        out: npt.NDArray[np.float32],
        keep: bool = False,
        legal: npt.NDArray[np.uint8] | None = None,
    ) -> None: ...
    def values(
        self,
        obs: npt.NDArray[Any],
        scale: float,
        first: int,
        last: int,
        out: npt.NDArray[np.float32],
    ) -> None: ...
    def anticipated(
        self,
        first: int,
        last: int,
        meant: npt.NDArray[np.int32],
        out: npt.NDArray[np.float64],
    ) -> None: ...
    def minibatch(
        self,
        objective: Objective,
        first: int,
        last: int,
        index: npt.NDArray[np.int64] | None,
        statistics: npt.NDArray[np.float64],
    ) -> tuple[int, int, float] | None: ...
    def gradient(
        self,
        objective: Objective,
        first: int,
        last: int,
        index: npt.NDArray[np.int64] | None,
        totals: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float64],
    ) -> None: ...
    def episode_gradients(
        self,
        objective: Objective,
        first: int,
        last: int,
        episodes: int,
        clip: tuple[float, float],
        actor: npt.NDArray[np.float64],
        critic: npt.NDArray[np.float64],
        clipped: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
    ) -> None: ...
    def finish(
        self,
        objective: Objective,
        first: int,
        last: int,
        totals: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float64],
        statistics: npt.NDArray[np.float64],
    ) -> tuple[int, int, float] | None: ...
    def set_rates(self, actor: float, critic: float) -> None: ...
    @property
    def instruction_set(self) -> str: ...
    @property
    def num_threads(self) -> int: ...

def fma_peak(rounds: int, instruction_set: str = "") -> tuple[float, float]: ...
