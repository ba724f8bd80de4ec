"""Python without a global lock: what importing the extension does to it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"),
    reason="this Python always has its global lock; 3.13t and 3.14t do not",
)
@pytest.mark.xfail(
    strict=True,
    reason="the extension does not say that it needs no lock; docs/decisions.md says why",
)
def test_importing_does_not_turn_the_lock_on() -> None:
    program = "import sys, ascore._core; print(sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
