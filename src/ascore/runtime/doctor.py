"""Examines this machine and reports problems; works without the training packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from ascore._core import __version__
from ascore.runtime.processors import usable_processors

TRAINING_PACKAGES = ("torch", "numba", "rich", "safetensors", "tomli_w")

# What each of the other extras installs, and what for.
EXTRAS = {
    "plot": (("matplotlib",), "pictures of runs and sweeps"),
    "render": (("pillow",), "replays"),
    "tensorboard": (("tensorboard",), "event files"),
    "pettingzoo": (("pettingzoo", "gymnasium"), "Python environments"),
    "onnx": (("onnx",), "export of ONNX graphs"),
    "torchrl": (("torchrl", "tensordict"), "TorchRL environments"),
    "parties": (("grpcio", "protobuf", "cryptography"), "agents in processes of their own"),
}
GPUS = Path("/proc/driver/nvidia/gpus")
FLAGS = ("avx2", "fma", "avx512f")


def examine() -> dict[str, Any]:
    """Collects versions, processor features and problems, each with its remedy."""
    packages = {name: _version(name) for name in ("numpy", *TRAINING_PACKAGES)}
    usable = usable_processors()
    flags = _cpu_flags()
    problems = []
    missing = [name for name, version in packages.items() if version is None]
    if missing:
        problems.append(
            f"not installed: {', '.join(missing)}; training needs pip install 'ascore[train]'"
        )
    if flags and not flags.get("avx2"):
        problems.append("the processor has no AVX2; training will be several times slower")
    torch_version = packages["torch"]
    if (
        torch_version is not None
        and "+cu" in torch_version
        and not os.path.exists("/dev/nvidiactl")
    ):
        problems.append(
            f"torch {torch_version} is a CUDA build, but there is no NVIDIA device; "
            "the CPU build is gigabytes smaller"
        )
    gpus = _gpus()
    if gpus and torch_version is not None and "+cpu" in torch_version:
        problems.append(
            f"torch {torch_version} is a CPU build and cannot use {gpus[0]}; --device cuda needs a "
            "CUDA build"
        )
    policy = os.environ.get("OMP_WAIT_POLICY", "").lower()
    if policy != "passive":
        problems.append(f"OMP_WAIT_POLICY is {policy!r}; unset it, waiting threads should not spin")
    spins = os.environ.get("GOMP_SPINCOUNT", "0")
    if spins != "0":
        problems.append(f"GOMP_SPINCOUNT is {spins!r}; unset it, waiting threads should not spin")
    problems += _oversubscribed(usable)
    return {
        "ascore": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": usable,
        "cpu_flags": flags,
        "gpus": gpus,
        "packages": packages,
        "extras": {
            extra: {name: _version(name) for name in names} for extra, (names, _) in EXTRAS.items()
        },
        "problems": problems,
    }


# Launchers of several processes per machine, and the variable that holds their number.
PROCESSES = {"torchrun": "LOCAL_WORLD_SIZE", "Slurm": "SLURM_NTASKS_PER_NODE"}


def _oversubscribed(usable: int) -> list[str]:
    """Reports more threads than cores, counted over all processes that a launcher started here."""
    threads, processes, starter = _count("OMP_NUM_THREADS"), 1, ""
    for name, variable in PROCESSES.items():
        if _count(variable) > processes:
            processes, starter = _count(variable), name
    if threads * processes <= usable:
        return []
    problem = f"OMP_NUM_THREADS is {threads}" if "OMP_NUM_THREADS" in os.environ else "one thread"
    if starter:
        problem += f" in each of the {processes} processes that {starter} starts here"
    return [f"{problem}, on {usable} usable cores; use no more threads times processes than cores"]


def _count(variable: str) -> int:
    """Value of an environment variable as a whole number; 1 if it is none."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdigit() else 1


def _gpus() -> list[str]:
    """Models of the NVIDIA GPUs that the driver shows."""
    models = []
    for path in sorted(GPUS.glob("*/information")):
        try:
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        models += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return models


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_flags() -> dict[str, bool]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            line = next((x for x in file if x.startswith("flags")), "")
    except OSError:
        return {}
    words = set(line.split())
    return {flag: flag in words for flag in FLAGS}


def report(findings: dict[str, Any]) -> str:
    """Formats the findings of `examine` as text."""
    lines = [
        f"ascore {findings['ascore']}, Python {findings['python']}, {findings['platform']}",
        f"cores usable: {findings['cores']}  "
        + "  ".join(f"{k}: {'yes' if v else 'no'}" for k, v in findings["cpu_flags"].items()),
        "GPU: " + (", ".join(findings["gpus"]) or "none that the NVIDIA driver shows"),
        "packages: " + ", ".join(f"{k} {v or 'missing'}" for k, v in findings["packages"].items()),
        "extras:",
    ]
    for extra, packages in findings["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        state = ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
        remedy = f": pip install 'ascore[{extra}]'" if missing else ""
        lines.append(f"  {extra:<12} {EXTRAS[extra][1]}: {state}{remedy}")
    lines += [f"problem: {p}" for p in findings["problems"]] or ["no problems found"]
    return "\n".join(lines)
