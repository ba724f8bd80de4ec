"""What all parties of a run must have the same: its hash goes with every letter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ascore.algorithms.contract import LOCAL, own_rewards, own_values
from ascore.algorithms.table import get_algorithm
from ascore.config import Config
from ascore.errors import ConfigError

OWN = (
    "backend",
    "checkpoint_every",
    "device",
    "env_timeout",
    "env_workers",
    "keep_checkpoints",
    "num_threads",
    "rank_split",
    "tensorboard",
    "torch_threads",
)
"""Keys that every party sets for its own machine."""


def agreed(config: Config, agents: Sequence[str]) -> bytes:
    """Hash of what is agreed on, 32 bytes.

    Args:
        config: of the run.
        agents: names, in the order of the environment's agents.
    """
    values = {key: value for key, value in config.to_dict().items() if key not in OWN}
    text = json.dumps([values, list(agents)], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def require_separable(config: Config) -> None:
    """Refuses what cannot be trained by parties that send nothing but distributions.

    Raises:
        ConfigError: names the key or the algorithm.
    """
    algorithm = get_algorithm(config.algorithm)
    reason, remedy = "", "use as or ippo"
    if algorithm.view is not LOCAL:
        reason = f"{algorithm.name} has one centre that acts for all"
    elif algorithm.rewards is not own_rewards:
        reason = f"{algorithm.name} learns from the rewards of others"
    elif algorithm.advantages is not own_values or algorithm.critic_view is not None:
        reason = f"critics of {algorithm.name} know what others see or expect"
    elif algorithm.infers is not None:
        reason = f"agents of {algorithm.name} know what others see"
    elif algorithm.mixes != "nothing":
        reason = f"{algorithm.name} averages parameters"
    elif config.anticipation == "correction":
        reason, remedy = "anticipation = correction needs two messages per round", "set it to free"
    elif config.message_refresh == "minibatch":
        reason, remedy = "message_refresh = minibatch sends within a round", "set it to iteration"
    elif config.message_form != "full":
        reason = f"letters hold whole distributions, and message_form = {config.message_form}"
        remedy = "set it to full"
    elif config.update_order == "sequential":
        reason, remedy = (
            "update_order = sequential has one learn after the other",
            ("set it to simultaneous"),
        )
    if reason:
        message = f"parties cannot train this: {reason}; {remedy}"
        raise ConfigError(message)
