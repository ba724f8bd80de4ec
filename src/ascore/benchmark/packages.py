"""Packages of training and of peers, which a machine that measures need not have."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from ascore.benchmark.timing import Missing


def require_package(name: str | None, extra: str = "train") -> None:
    """Raises Missing unless it can be imported; None needs nothing.

    Args:
        name: what to import.
        extra: of this package, which brings it.
    """
    try:
        if name is not None:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; pip install 'ascore[{extra}]'"
        raise Missing(message) from error


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread meanwhile: only then is CPU time the time it takes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
