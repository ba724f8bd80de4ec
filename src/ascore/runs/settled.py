"""Makes one copy of a run's environment before anything is written."""

from __future__ import annotations

from ascore.config import Config
from ascore.envs.factory import batch


def settled(config: Config) -> Config:
    """The configuration as the environment needs it.

    It has the horizon if that had to be learned, and no `action_bins` if no action is continuous.

    Raises:
        EnvError: the environment cannot be trained on.
        ValueError: its name or a parameter is unknown or out of range.
    """
    bins, horizon = config.action_bins, config.horizon
    with batch(config.env, config.env_params, horizon=horizon, action_bins=bins) as env:
        return config.replace(
            horizon=env.learned_horizon or config.horizon, action_bins=env.action_bins
        )
