"""Options of the commands that need the training packages, as records that tyro reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, Suppress, UseAppendAction, arg

from ascore.config import Config, ParamValue


@dataclass(frozen=True)
class TrainOptions(Config):
    """Train on an environment, then evaluate the result.

    Every key of the configuration is an option; the preset gives the defaults.
    """

    env: Positional[str] = "predation-v1"
    """Environment; `ascore envs` lists them. MODULE:CALLABLE for a Python environment."""
    env_params: Suppress[dict[str, ParamValue]] = field(default_factory=dict)
    preset_name: Annotated[str, arg(name="preset")] = "tuned"
    """tuned learns and holds; paper is Tables 1-2 and Eq. 13 as printed; C. Predation also has
    pairwise and crowd (20 agents). Python environments have none."""
    num_agents: int | None = None
    """Number of agents; default: the environment's."""
    env_param: UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE of an environment parameter, or keyword argument of a Python environment; may be
    repeated."""
    compare: UseAppendAction[tuple[str, ...]] = ()
    """Algorithm to train beside it on the same configuration, such as ippo; may be repeated."""
    out: Path | None = None
    """Run folder; default: runs/ENV-ALGORITHM-sSEED."""
    evaluate: int = 200
    """Evaluation episodes at the end; 0 = none."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __post_init__(self) -> None:
        """Leaves the checks to the configuration made from these options."""


@dataclass(frozen=True)
class ResumeOptions:
    """Continue a run from a checkpoint, bit for bit."""

    run: Positional[Path]
    """Run folder."""
    episodes: int | None = None
    """New training length in episodes."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Return of a trained policy over fresh episodes."""

    run: Positional[Path]
    """Run folder."""
    episodes: int = 200
    """How many episodes."""
    seed: int | None = None
    """Of the environments; default: the training seed (other episodes in any case)."""
    greedy: bool = False
    """Most probable actions instead of sampled ones."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class CheckEnvOptions:
    """Try out a Python environment: can it be trained on, and if not, what is to be done?

    Exit status 0 only if it can.
    """

    env: Positional[str]
    """MODULE:CALLABLE of a function or class that returns a PettingZoo ParallelEnv."""
    env_param: UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE of a keyword argument; may be repeated."""
    steps: int = 300
    """Random steps to take."""
    seed: int = 0
    """Of the random steps and of the environment."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class PlotOptions:
    """Team return against training episodes and bytes sent, one curve per run, with the anchors."""

    runs: Positional[tuple[Path, ...]]
    """Run folders, or folders of runs."""
    out: Path = Path("ascore.png")
    """Picture to write; the ending chooses the format."""
    against: Literal["both", "episodes", "bytes"] = "both"
    """What the horizontal axis is."""


@dataclass(frozen=True)
class RenderOptions:
    """Play one evaluation episode and write it as a GIF, its end as a PNG, or all steps as PNGs.

    Without a run, a scripted policy shows what an environment is like:
    `ascore render exchange --policy cooperative`.
    """

    target: Positional[str]
    """Run folder, or environment; `ascore envs` lists them."""
    out: Path = Path("replay.gif")
    """Picture to write: a file ending in .gif or .png, or a folder to make."""
    policy: str | None = None
    """Who plays: trained, or a scripted policy such as random, selfish or cooperative; default:
    trained for a run, random for an environment."""
    episode: int = 0
    """Which episode: number 3 is the fourth that `ascore evaluate` plays."""
    seed: int | None = None
    """Of the environment; default: the training seed, or 0."""
    greedy: bool = False
    """Most probable actions instead of sampled ones."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    steps: int | None = None
    """Most steps to play; default: the whole episode."""
    fps: float = 6.0
    """Steps per second of a GIF."""
    num_agents: int | None = None
    """Number of agents, for an environment; default: the environment's."""
    env_param: UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE of an environment parameter; may be repeated."""
    json: bool = False
    """Print one JSON object instead of text."""
