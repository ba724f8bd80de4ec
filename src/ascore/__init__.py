"""Train agents that maximise the team's return while each sees only its own private reward.

Importing this package needs only NumPy, which suffices for the compiled environments and GAE.
Training imports PyTorch when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Threads that spin at a barrier take whole scheduler slices from other work on a shared machine
# (a 20 µs step became 11,600 µs on two spinning threads). OpenMP reads this when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ascore._core import __version__
from ascore.algorithms.targets import gae
from ascore.envs.factory import make
from ascore.envs.table import ENVIRONMENTS
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import EXTRAS as _EXTRAS
from ascore.errors import (
    AscoreError,
    AscoreWarning,
    CheckpointError,
    ConfigError,
    EnvError,
    NonFiniteError,
    PartyError,
    RankError,
    RunError,
    TrustError,
)

if TYPE_CHECKING:
    from ascore.algorithms.contract import Algorithm, Compiled
    from ascore.algorithms.table import register_algorithm
    from ascore.config import Config
    from ascore.interop.pettingzoo import parallel_env
    from ascore.interop.torchrl import torchrl_env
    from ascore.interop.trackers import mlflow_report, wandb_report
    from ascore.interop.vector import vector_env
    from ascore.render.plots import plot
    from ascore.runs.comparison import Comparison, compare
    from ascore.runs.evaluation import Evaluation, evaluate
    from ascore.runs.policy import Policy, export_policy, load_policy
    from ascore.runs.record import METRICS, Record, Report
    from ascore.runs.run import Run
    from ascore.runs.session import resume, train

_LAZY = {
    "Algorithm": "algorithms.contract",
    "Compiled": "algorithms.contract",
    "register_algorithm": "algorithms.table",
    "Comparison": "runs.comparison",
    "compare": "runs.comparison",
    "Config": "config",
    "Evaluation": "runs.evaluation",
    "evaluate": "runs.evaluation",
    "export_policy": "runs.policy",
    "METRICS": "runs.record",
    "Record": "runs.record",
    "Report": "runs.record",
    "mlflow_report": "interop.trackers",
    "wandb_report": "interop.trackers",
    "parallel_env": "interop.pettingzoo",
    "plot": "render.plots",
    "torchrl_env": "interop.torchrl",
    "vector_env": "interop.vector",
    "Policy": "runs.policy",
    "load_policy": "runs.policy",
    "Run": "runs.run",
    "resume": "runs.session",
    "train": "runs.session",
}

__all__ = [
    "ENVIRONMENTS",
    "METRICS",
    "Algorithm",
    "AscoreError",
    "AscoreWarning",
    "CheckpointError",
    "Comparison",
    "Compiled",
    "Config",
    "ConfigError",
    "EnvError",
    "Evaluation",
    "NonFiniteError",
    "PartyError",
    "Policy",
    "RankError",
    "Record",
    "Report",
    "Run",
    "RunError",
    "Spec",
    "TrustError",
    "VecEnv",
    "__version__",
    "compare",
    "evaluate",
    "export_policy",
    "gae",
    "load_policy",
    "make",
    "mlflow_report",
    "parallel_env",
    "plot",
    "register_algorithm",
    "resume",
    "torchrl_env",
    "train",
    "vector_env",
    "wandb_report",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        message = f"module 'ascore' has no attribute {name!r}"
        raise AttributeError(message)
    try:
        value = getattr(importlib.import_module(f"ascore.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        message = f"ascore.{name} needs {package}; pip install 'ascore[{_EXTRAS[package]}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
