"""Optional packages of the benchmarks: those of training and of peers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from ascore.benchmark.timing import Missing


def require_package(name: str | None, extra: str = "train") -> None:
    """Raises Missing unless a package can be imported.

    Args:
        name: the package to import; None = no package is needed.
        extra: extra of this package that installs it.
    """
    try:
        if name is not None:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; pip install 'ascore[{extra}]'"
        raise Missing(message) from error


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limits torch to one thread, so that the CPU time of the thread is the whole time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
