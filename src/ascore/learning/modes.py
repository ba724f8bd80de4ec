"""PyTorch modes that training relies on, independent of the caller's settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def own_modes() -> Iterator[None]:
    """Sets float32, the CPU and gradients as defaults, without autocast; restores what was set."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    cpu = torch.device("cpu")
    # As a context, a device looks at every call of PyTorch, which takes as long as a small one.
    device = nullcontext() if torch.get_default_device() == cpu else cpu
    try:
        with (
            device,
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
