"""Makes one copy of a run's environment before anything is written."""

from __future__ import annotations

from ascore.config import Config
from ascore.envs.factory import batch


def settled(config: Config) -> Config:
    """The configuration, with the horizon in it if that had to be learned.

    Raises:
        EnvError: the environment cannot be trained on.
        ValueError: its name or a parameter is unknown or out of range.
    """
    bins, horizon = config.action_bins, config.horizon
    with batch(config.env, config.env_params, horizon=horizon, action_bins=bins) as env:
        learned = env.learned_horizon
    return config.replace(horizon=learned) if learned else config
