"""Which backend computes the updates of a run, and what its ranks divide."""

from __future__ import annotations

from ascore.algorithms.contract import Algorithm, own_rewards, own_values
from ascore.config import Config
from ascore.envs.factory import is_external
from ascore.envs.vec_env import Spec
from ascore.errors import ConfigError
from ascore.learning.agent_split import AgentSplit
from ascore.learning.backends.contract import Backend, Networks
from ascore.learning.backends.engine import EngineBackend, unsupported
from ascore.learning.backends.private import PrivateTorchBackend
from ascore.learning.backends.pytorch import PyTorchBackend
from ascore.learning.exchange import MessageExchange
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.networks import parameters
from ascore.learning.own_rows import OwnRows
from ascore.learning.private import Private
from ascore.learning.seats import layers
from ascore.runtime.ranks import Ranks

FEWEST = 16
"""Agents from which on rows are collected where the agents are. A message in every step costs more
than to gather the rows of fewer."""

MOST_ACTIONS = 256
"""Of an agent whose actions are exchanged as bytes."""


def choose(
    algorithm: Algorithm,
    config: Config,
    networks: Networks,
    exchange: MessageExchange,
    gradients: Gradients,
    guards: Guards,
    obs_scale: float,
    split: AgentSplit | None,
    private: Private | None = None,
) -> Backend:
    """The backend that `config.backend` names; with `auto` the first that fits.

    An algorithm without a compiled loss is trained by PyTorch: what its author wrote is what
    trains.

    Raises:
        ConfigError: the named backend cannot train this.
    """
    compiled, wanted = algorithm.compiled, config.backend
    if compiled is None and wanted in ("engine", "kernel"):
        message = (
            f"backend = {wanted} is not possible: {algorithm.name} has no compiled loss, only its "
            "objective in PyTorch; use auto or torch"
        )
        raise ConfigError(message)
    if compiled is not None and wanted in ("auto", "engine"):
        nets = networks.actor.net, networks.critic.net
        reason = unsupported(algorithm, config, max(net.flat.shape[1] for net in nets))
        if reason is None:
            shared = config, networks, gradients, guards, obs_scale, split
            return EngineBackend(compiled, *shared, private)
        if wanted == "engine":
            message = f"backend = engine is not possible: {reason}; use auto"
            raise ConfigError(message)
    parts = (algorithm, config, networks, exchange, gradients, guards, obs_scale)
    if private is not None:
        if wanted == "kernel":
            message = f"backend = kernel is not possible: it has no dp = {config.dp}; use auto"
            raise ConfigError(message)
        return PrivateTorchBackend(*parts, private=private)
    if compiled is not None and wanted in ("auto", "kernel") and config.device == "cpu":
        reason = _uncompiled()
        if reason is None:
            from ascore.learning.backends.kernel import KernelBackend

            return KernelBackend(*parts)
        if wanted == "kernel":
            message = f"backend = kernel is not possible: {reason}, or use auto"
            raise ConfigError(message)
    return PyTorchBackend(*parts)


def _uncompiled() -> str | None:
    """Why Numba, which this loads, compiles nothing here; None if it does."""
    try:
        from numba import config
    except ValueError as error:  # of its environment variables
        return f"Numba does not start ({error}); mend the environment variables NUMBA_..."
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return "NUMBA_DISABLE_JIT keeps Numba from compiling; unset it"
    return None


def choose_split(
    algorithm: Algorithm, config: Config, spec: Spec, ranks: Ranks
) -> AgentSplit | None:
    """Who trains whom; None if every rank trains all agents on its own rows.

    Raises:
        ConfigError: `rank_split = agents` where agents cannot be shared out.
    """
    if ranks.size == 1 or config.rank_split == "environments":
        return None
    reason = _unsplittable(algorithm, config, spec, ranks)
    if reason is None:
        kind = OwnRows if _rows_of_its_own(algorithm, config, spec, ranks) else AgentSplit
        return kind(ranks, spec.num_agents)
    if config.rank_split == "agents":
        message = f"rank_split = agents is not possible: {reason}; use auto"
        raise ConfigError(message)
    return None


def own_envs(split: AgentSplit | None, num_envs: int, ranks: Ranks) -> tuple[int, int]:
    """Which environments a rank steps: the first of them, and how many.

    Raises:
        ConfigError: they cannot be shared equally.
    """
    if isinstance(split, OwnRows):
        return 0, num_envs
    share = ranks.share(num_envs)
    return ranks.rank * share, share


def _unsplittable(algorithm: Algorithm, config: Config, spec: Spec, ranks: Ranks) -> str | None:
    """Why the agents cannot be divided among the ranks; None if they can."""
    n = spec.num_agents
    if n % ranks.size:
        return f"{n} agents cannot be shared equally by {ranks.size} ranks"
    if algorithm.mixes != "nothing":
        return f"{algorithm.name} averages parameters"
    if config.update_order == "sequential":
        return "agents learn one after the other"
    if config.backend not in ("auto", "engine"):
        return f"backend = {config.backend}"
    if algorithm.compiled is None:
        return f"{algorithm.name} has no compiled loss"
    largest = max(parameters(sizes) for sizes in layers(algorithm, config, spec))
    return unsupported(algorithm, config, largest)


def _rows_of_its_own(algorithm: Algorithm, config: Config, spec: Spec, ranks: Ranks) -> bool:
    """Whether a rank needs no rows but those of its own agents.

    It steps all environments, which must be compiled, as Python code cannot be relied on to do the
    same everywhere. Its agents learn from their own rewards and values, and each has an observation
    of its own. Whoever may meet everybody would have to know of everybody.
    """
    n = spec.num_agents
    apart = config.graph not in ("complete", "environment", "contacts") or not algorithm.has_links
    return (
        n >= FEWEST
        and n > ranks.size
        and spec.views == n
        and spec.num_actions <= MOST_ACTIONS
        and not is_external(spec.name)
        and algorithm.rewards is own_rewards
        and algorithm.advantages is own_values
        and algorithm.infers is None
        and (apart and (algorithm.by_link or not algorithm.head_per_agent))
    )


def require_mixable(algorithm: Algorithm, spec: Spec) -> None:
    """Refuses to average policies that choose among different actions.

    Raises:
        ConfigError: names the algorithm and the counts.
    """
    if algorithm.mixes == "actor" and not algorithm.head_per_agent and spec.padded:
        message = (
            f"{algorithm.name} averages policies, but the agents of {spec.name} have "
            f"{', '.join(map(str, spec.action_counts))} actions; let it have a head per agent, or "
            "use another algorithm"
        )
        raise ConfigError(message)
