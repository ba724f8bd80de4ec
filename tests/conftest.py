"""What holds for all tests: the same examples in every run, and how many workers share them."""

import gc
import os
from typing import Any

# gRPC reads this when it is loaded, which TensorBoard does too; parties speak TLS 1.3 alone.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"
os.environ["GRPC_VERBOSITY"] = "NONE"

import pytest
from hypothesis import settings

from ascore.runtime.processors import usable_processors

# Read by OpenMP when PyTorch is loaded, here and in processes that tests start: threads that have
# nothing to do sleep, rather than take the processors from the tests beside.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")  # what passes once passes again


def pytest_collection() -> None:
    """What is imported and collected stays: to look for garbage in it takes seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor is there any later, where `gc.collect()` of a test would take most of a second."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: Any) -> int:
    """One more than processors: many tests wait for processes that they have started."""
    return usable_processors() + 1
