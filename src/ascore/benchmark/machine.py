"""Describes the machine of a measurement: processor, cores, load and versions, no names."""

from __future__ import annotations

import os
import platform
from typing import Any

from ascore.runtime.doctor import examine

PACKAGES = ("numpy", "torch", "numba")


def describe_machine() -> dict[str, Any]:
    """Processor, usable cores, load over the last minute, and versions."""
    findings = examine()
    return {
        "cpu": cpu_model(),
        "cores": findings["cores"],
        "cpu_flags": [flag for flag, present in findings["cpu_flags"].items() if present],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": findings["python"],
        "ascore": findings["ascore"],
        "packages": {name: findings["packages"][name] for name in PACKAGES},
    }


def cpu_model() -> str:
    """Model name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            line = next((x for x in file if x.startswith("model name")), "")
    except OSError:
        line = ""
    return line.partition(":")[2].strip() or platform.processor() or platform.machine()
