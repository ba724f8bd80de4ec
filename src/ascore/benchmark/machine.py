"""Which machine the figures are of: processor, cores, load and versions; no names."""

from __future__ import annotations

import os
import platform
from typing import Any

from ascore.runtime.doctor import examine

PACKAGES = ("numpy", "torch", "numba")


def describe_machine() -> dict[str, Any]:
    """Processor, usable cores, load of the last minute, versions."""
    found = examine()
    return {
        "cpu": cpu_model(),
        "cores": found["cores"],
        "cpu_flags": [flag for flag, present in found["cpu_flags"].items() if present],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": found["python"],
        "ascore": found["ascore"],
        "packages": {name: found["packages"][name] for name in PACKAGES},
    }


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            line = next((x for x in file if x.startswith("model name")), "")
    except OSError:
        line = ""
    return line.partition(":")[2].strip() or platform.processor() or platform.machine()
