"""PyTorch modes that training relies on, independent of the caller's settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

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
        with ExitStack() as modes:
            modes.enter_context(device)
            for kind in ("cpu", "cuda"):
                modes.enter_context(torch.autocast(kind, enabled=False))
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.enable_grad())
            yield
    finally:
        torch.set_default_dtype(dtype)
