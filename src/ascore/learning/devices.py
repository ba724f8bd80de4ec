"""Devices on which updates are computed."""

from __future__ import annotations

import torch

from ascore.config import Config
from ascore.errors import ConfigError
from ascore.runtime.ranks import Ranks


def usable_device(config: Config, ranks: Ranks) -> torch.device:
    """The device of a configuration.

    Raises:
        ConfigError: there is no such device, or another key requires the CPU.
    """
    try:
        device = torch.device(config.device)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        message = f"device = {config.device!r} is not known; it must be cpu, cuda or cuda:N"
        raise ConfigError(message)
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        message = (
            f"device = {config.device} does not exist: PyTorch {torch.__version__} sees {count} "
            "GPUs; use device = cpu (--device cpu), or a PyTorch built for this machine's GPU"
        )
        raise ConfigError(message)
    if config.backend in ("engine", "kernel"):
        message = f"backend = {config.backend} computes on the CPU; use auto with {config.device}"
        raise ConfigError(message)
    if ranks.size > 1:
        message = f"device = {config.device} trains in one process; use device = cpu with ranks"
        raise ConfigError(message)
    return device
