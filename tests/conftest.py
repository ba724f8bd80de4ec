"""What holds for all tests: the same examples in every run, and how many workers share them."""

from typing import Any

import pytest
from hypothesis import settings

from ascore.runtime.processors import usable_processors

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")  # what passes once passes again


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: Any) -> int:
    """One more than processors: many tests wait for processes that they have started."""
    return usable_processors() + 1
