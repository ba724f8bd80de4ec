"""Which backend computes the updates of a run, and what its ranks divide."""

from __future__ import annotations

from ascore.algorithms.contract import Algorithm
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.learning.agent_split import AgentSplit
from ascore.learning.backends.contract import Backend, Networks
from ascore.learning.backends.engine import EngineBackend, unsupported
from ascore.learning.backends.pytorch import PyTorchBackend
from ascore.learning.exchange import MessageExchange
from ascore.learning.gradients import Gradients
from ascore.learning.guards import Guards
from ascore.learning.networks import Actor, Critic
from ascore.runtime.ranks import Ranks


def choose(
    algorithm: Algorithm,
    config: Config,
    networks: Networks,
    exchange: MessageExchange,
    gradients: Gradients,
    guards: Guards,
    obs_scale: float,
    split: AgentSplit | None,
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
        reason = unsupported(algorithm, config, networks.actor, networks.critic)
        if reason is None:
            return EngineBackend(compiled, config, networks, gradients, guards, obs_scale, split)
        if wanted == "engine":
            message = f"backend = engine is not possible: {reason}; use auto"
            raise ConfigError(message)
    parts = (algorithm, config, networks, exchange, gradients, guards, obs_scale)
    if compiled is not None and wanted in ("auto", "kernel") and config.device == "cpu":
        from ascore.learning.backends.kernel import KernelBackend  # loads Numba

        return KernelBackend(*parts)
    return PyTorchBackend(*parts)


def choose_split(
    algorithm: Algorithm, config: Config, actor: Actor, critic: Critic, ranks: Ranks
) -> AgentSplit | None:
    """Who trains whom; None if every rank trains all agents on its own rows.

    Raises:
        ConfigError: `rank_split = agents` where agents cannot be shared out.
    """
    if ranks.size == 1 or config.rank_split == "environments":
        return None
    reason = _unsplittable(algorithm, config, actor, critic, ranks)
    if reason is None:
        return AgentSplit(ranks, actor.num_agents)
    if config.rank_split == "agents":
        message = f"rank_split = agents is not possible: {reason}; use auto"
        raise ConfigError(message)
    return None


def _unsplittable(
    algorithm: Algorithm, config: Config, actor: Actor, critic: Critic, ranks: Ranks
) -> str | None:
    """Why the agents cannot be divided among the ranks; None if they can."""
    n = actor.num_agents
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
    return unsupported(algorithm, config, actor, critic)
