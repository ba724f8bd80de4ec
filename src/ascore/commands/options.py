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
    algorithm_params: Suppress[dict[str, ParamValue]] = field(default_factory=dict)
    algorithm_param: UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE of a key that the algorithm alone has; may be repeated."""
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


@dataclass(frozen=True)
class SweepOptions:
    """Train every combination of algorithms, settings and seeds, each in a process of its own.

    What is done is skipped and what was begun is continued, so the same command again finishes a
    sweep that was stopped or killed. Without an environment, the list of cells in --out is used.
    """

    env: Positional[str] = ""
    """Environment; `ascore envs` lists them."""
    algorithm: tuple[str, ...] = ("as",)
    """One or more algorithms."""
    preset: str = "tuned"
    """What settings start from. Python environments have none."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """KEY=VALUE,VALUE of a key of the configuration, of env.NAME for a parameter of the
    environment, or of algorithm.NAME for a key that the algorithms alone have; lists in brackets,
    as in actor_hidden=[64,64],[128,64]; may be repeated."""
    seeds: str = "0..4"
    """Seeds: 0..4, or 0,2,7."""
    workers: int = 0
    """Processes at a time; 0 = one per usable core, and never more."""
    evaluate: int = 200
    """Evaluation episodes after each training."""
    out: Path = Path("runs/sweep")
    """Folder of the list, the runs and the tables."""
    slurm: bool = False
    """Only write the list and a script for `sbatch`."""
    cell: int | None = None
    """Run one cell of the list in --out, by its number; what a task of the array does."""
    pin: bool = False
    """Bind every worker to a core; for machines that nobody else uses."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class ReproduceOptions:
    """Repeat the paper's experiments: train, evaluate, and draw its figures.

    What is done is skipped and what was begun is continued. Figures share runs.
    """

    figures: Positional[tuple[str, ...]] = ()
    """fig2, fig3, fig4, fig5, fig6, fig7, or all."""
    budget: Literal["small", "full", "paper"] = "small"
    """small (three seeds, shortened) is made for two cores and an hour, full (five seeds of the
    tuned presets) for an afternoon, paper (full, and the preset paper) for a cluster."""
    workers: int = 0
    """Processes at a time; 0 = one per usable core, and never more."""
    seeds: int | None = None
    """Runs of each kind; default: three with the budget small, else five."""
    evaluate: int = 200
    """Evaluation episodes after each training."""
    out: Path = Path("runs/reproduce")
    """Folder of the runs and of a folder per figure."""
    redraw: Path | None = None
    """Only draw pictures and tables anew from the data in this folder; trains nothing."""
    slurm: bool = False
    """Only write the list of cells and a script for `sbatch`; the same command without --slurm
    draws the figures afterwards."""
    pin: bool = False
    """Bind every worker to a core; for machines that nobody else uses."""
    json: bool = False
    """Print one JSON object instead of text."""
