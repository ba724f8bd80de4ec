"""The options of every command, as dataclasses; the text under a field is its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from ascore.commands.parser import Hidden, Line, Mark, Positional, Repeated
from ascore.config import Config, ParamValue

Pairs: TypeAlias = Annotated[tuple[str, ...], Mark(repeated=True, shown="NAME=VALUE")]
Settings: TypeAlias = Annotated[tuple[str, ...], Mark(repeated=True, shown="KEY=VALUE")]
Group: TypeAlias = Literal[
    "twin",
    "bound",
    "threads",
    "call",
    "variants",
    "gae",
    "update",
    "loss",
    "networks",
    "training",
    "others",
]
"""Those of `ascore.benchmark.suite`, which needs what it measures."""
RunFolder: TypeAlias = Annotated[Path, Mark(positional=True, shown="RUN")]
RunFolders: TypeAlias = Annotated[tuple[Path, ...], Mark(positional=True, shown="RUN")]


@dataclass(frozen=True)
class TrainOptions(Config, Line):
    """Train on an environment, then evaluate the result.

    Every key of the configuration is an option. Values on the line replace those of --config, and
    those replace the preset's.
    """

    usage: ClassVar[str] = "train ENV"
    needs: ClassVar[str] = "an environment"
    example: ClassVar[str] = "train exchange"

    # Environment and algorithm
    env: Positional[str] = "predation-v1"
    """Environment; `ascore envs` lists them. MODULE:CALLABLE for a Python environment."""
    env_params: Hidden[dict[str, ParamValue]] = field(default_factory=dict)
    num_agents: int | None = None
    """Number of agents; default: the environment's."""
    env_param: Pairs = ()
    """A parameter of the environment, or a keyword argument of a Python environment; may be
    repeated."""
    preset_name: Annotated[str, Mark(name="preset")] = "tuned"
    """tuned learns reliably; paper is Tables 1-2 and Eq. 13 as printed; C. Predation also has
    pairwise, crowd (20 agents) and private (2 agents, with dp), and Cleanup has lio (LIO's 7 x 7
    map). Python environments have tuned alone."""
    config: Annotated[Path | None, Mark(shown="FILE")] = None
    """TOML file with keys of the configuration, such as config.toml of a run."""
    algorithm_params: Hidden[dict[str, ParamValue]] = field(default_factory=dict)
    algorithm_param: Pairs = ()
    """A key of the algorithm itself, such as alpha=5 of ia; may be repeated."""
    compare: Annotated[tuple[str, ...], Mark(repeated=True, shown="ALGORITHM")] = ()
    """Another algorithm to train with the same configuration, such as ippo; may be repeated."""

    # Output
    out: Path | None = None
    """Run folder; default: runs/ENV-ALGORITHM-sSEED."""
    evaluate: int = 200
    """Evaluation episodes at the end; 0 = none."""
    trust: bool = False
    """Import the Python environment or algorithm that --config names, which runs their code; those
    of the command line need no leave."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __post_init__(self) -> None:
        """Skips the checks; the configuration made from these options has them."""


@dataclass(frozen=True)
class ResumeOptions(Line):
    """Continue a run from a checkpoint, bit for bit."""

    usage: ClassVar[str] = "resume RUN"
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "resume runs/exchange-as-s0"

    run: RunFolder
    """Run folder."""
    episodes: int | None = None
    """New training length in episodes, as `ascore train` counts them."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest. Later ones are set aside."""
    device: str | None = None
    """Where to train on, such as cpu, if that has changed."""
    set: Settings = ()
    """A key of the configuration to change: actor_lr, critic_lr, episodes, device, backend,
    num_threads, env_workers, env_timeout, torch_threads, rank_split, checkpoint_every,
    keep_checkpoints or tensorboard; may be repeated."""
    evaluate: int = 200
    """Evaluation episodes at the end; 0 = none."""
    new_log: bool = False
    """Begin new metrics files where those of the run are missing or damaged; old ones are kept."""
    trust: bool = False
    """Import the Python environment or algorithm that the run names, which runs their code."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class EvaluateOptions(Line):
    """Play new episodes with a trained policy and print its returns."""

    usage: ClassVar[str] = "evaluate RUN"
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "evaluate runs/exchange-as-s0"

    run: RunFolder
    """Run folder, or file written by `ascore export`."""
    episodes: int = 200
    """Number of episodes."""
    seed: int | None = None
    """Seed of the environments; default: the training seed. Episodes differ from training."""
    greedy: bool = False
    """Take the most probable actions instead of sampling."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    trust: bool = False
    """Import the Python environment that the run names, which runs its code."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class CheckEnvOptions(Line):
    """Check whether a Python environment can be trained on, and if not, say what to fix.

    The exit status is 0 only if it can.
    """

    usage: ClassVar[str] = "check-env ENV"
    needs: ClassVar[str] = "a Python environment"
    example: ClassVar[str] = "check-env orchard:Orchard"

    env: Positional[str]
    """MODULE:CALLABLE of a function or class that returns a PettingZoo ParallelEnv."""
    env_param: Pairs = ()
    """A keyword argument; may be repeated."""
    horizon: int = 0
    """Steps after which episodes are truncated; 0 = as the environment says, or else as random play
    tells."""
    action_bins: int = 0
    """Values among which each entry of a continuous action (Box) is chosen; 0 = none."""
    env_workers: int = -1
    """Worker processes whose speed is measured beside that of one; -1 = one per core, 0 = none."""
    steps: int = 300
    """Random steps to take."""
    seed: int = 0
    """Seed of the random steps and of the environment."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class PlotOptions(Line):
    """Plot team return by setting: mean over seeds with a 95% band, number of runs, anchors.

    Runs that differ in nothing but their seed make one curve.
    """

    usage: ClassVar[str] = "plot RUN..."
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "plot runs/exchange-as-s0"

    runs: RunFolders
    """Run folders, or folders of runs, such as that of a sweep."""
    out: Path = Path("ascore.png")
    """Picture to write; the ending chooses the format: .png, .pdf or .svg."""
    against: Literal["auto", "both", "episodes", "bytes"] = "auto"
    """Quantity on the horizontal axis; auto = both, or episodes if nothing was sent."""
    measure: Literal["team_return", "lowest_return", "nash_welfare", "gini"] = "team_return"
    """Quantity on the vertical axis: what all agents earn, or how it is shared out."""


@dataclass(frozen=True)
class ReportOptions(Line):
    """Write one HTML page about runs and sweeps, which opens without a network.

    It shows curves, returns of the agents, bytes sent, configurations, and what looks wrong.
    """

    usage: ClassVar[str] = "report RUN..."
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "report runs/exchange-as-s0"

    runs: RunFolders
    """Run folders, sweep folders, or folders of runs."""
    out: Path = Path("report.html")
    """Page to write, ending in .html."""
    evaluate: int = 200
    """Evaluation episodes for each finished run that no sweep has evaluated; 0 = none."""
    replays: bool = False
    """Embed an episode of a run of each setting; needs the extra render."""
    trust: bool = False
    """Import Python environments that runs name, to evaluate them, which runs their code."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class WatchOptions(Line):
    """Serve the page of `ascore report` while runs go on, on this machine alone; Ctrl-C ends."""

    usage: ClassVar[str] = "watch RUN..."
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "watch runs/exchange-as-s0"

    runs: RunFolders
    """Run folders, sweep folders, or folders of runs."""
    port: int = 0
    """Port on 127.0.0.1; 0 = a free one."""


@dataclass(frozen=True)
class RenderOptions(Line):
    """Play one evaluation episode and write it as a GIF, its end as a PNG, or all steps as PNGs.

    Without a run, a scripted policy plays:
    `ascore render exchange --policy cooperative`.
    """

    usage: ClassVar[str] = "render RUN|ENV"
    needs: ClassVar[str] = "a run folder or an environment"
    example: ClassVar[str] = "render exchange"

    target: Annotated[str, Mark(positional=True, shown="RUN|ENV")]
    """Run folder, or environment; `ascore envs` lists them."""
    out: Path = Path("replay.gif")
    """Picture to write: a .gif or .png file, or a folder to create."""
    policy: str | None = None
    """Policy that plays: trained, or a scripted one such as random, selfish or cooperative.
    Default: trained for a run, random for an environment."""
    episode: int = 0
    """Number of the episode, from 0, in the order of `ascore evaluate`."""
    seed: int | None = None
    """Seed of the environment; default: the training seed, or 0."""
    greedy: bool = False
    """Take the most probable actions instead of sampling."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    steps: int | None = None
    """Maximum number of steps to play; default: the whole episode."""
    fps: float = 6.0
    """Steps per second of a GIF."""
    num_agents: int | None = None
    """Number of agents, for an environment; default: the environment's."""
    env_param: Pairs = ()
    """A parameter of the environment; may be repeated."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class SweepOptions(Line):
    """Train every combination of algorithms, settings and seeds, each in its own process.

    Finished cells are skipped and unfinished ones continued, so the same command finishes a sweep
    that was stopped or killed. Without an environment, the list of cells in --out is used.
    """

    usage: ClassVar[str] = "sweep ENV"
    needs: ClassVar[str] = "an environment"
    example: ClassVar[str] = "sweep exchange --set penalty_weight=1,3 --seeds 0..4"

    env: Positional[str] = ""
    """Environment; `ascore envs` lists them."""
    algorithm: tuple[str, ...] = ("as",)
    """One or more algorithms."""
    preset: str = "tuned"
    """Preset to start from. Python environments have tuned alone."""
    set: Annotated[tuple[str, ...], Mark(repeated=True, shown="KEY=VALUE,VALUE")] = ()
    """KEY=VALUE,VALUE for a key of the configuration, env.NAME=VALUE,VALUE for a parameter of the
    environment, or algorithm.NAME=VALUE,VALUE for an algorithm's own key; lists in brackets,
    as in actor_hidden=[64,64],[128,64]; may be repeated."""
    seeds: str = "0..4"
    """Seeds: 0..4, or 0,2,7."""
    workers: int = 0
    """Number of processes at a time; 0 = one per usable core, which is also the maximum."""
    evaluate: int = 200
    """Evaluation episodes after each training."""
    out: Path = Path("runs/sweep")
    """Folder for the list, the runs and the tables."""
    slurm: bool = False
    """Only write the list and a script for `sbatch`."""
    cell: int | None = None
    """Run one cell of the list in --out, by its number, as a task of a job array does."""
    pin: bool = False
    """Bind every worker to a core; for machines with no other load."""
    trust: bool = False
    """Import Python environments and algorithms that the list in --out names, which runs their
    code; those of the command line need no leave."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class ReproduceOptions(Line):
    """Repeat the paper's experiments: train, evaluate, and draw its figures.

    Finished cells are skipped and unfinished ones continued. Figures share runs.
    """

    usage: ClassVar[str] = "reproduce FIG..."
    needs: ClassVar[str] = "a figure"
    example: ClassVar[str] = "reproduce fig2"

    figures: Annotated[tuple[str, ...], Mark(positional=True, shown="FIG")] = ()
    """fig2, fig3, fig4, fig5, fig6, fig7, or all of these; or crowd."""
    budget: Literal["small", "full", "paper"] = "small"
    """small (three seeds, shortened) takes about an hour on two cores, full (five seeds of the
    tuned presets) an afternoon; paper (full, plus the preset paper) is for a cluster."""
    workers: int = 0
    """Number of processes at a time; 0 = one per usable core, which is also the maximum."""
    seeds: int | None = None
    """Seeds per series; default: three with the budget small, else five."""
    evaluate: int = 200
    """Evaluation episodes after each training."""
    out: Path = Path("runs/reproduce")
    """Folder for the runs and for one folder per figure."""
    redraw: Path | None = None
    """Only redraw pictures and tables from the data in this folder; train nothing."""
    slurm: bool = False
    """Only write the list of cells and a script for `sbatch`; the same command without --slurm
    draws the figures afterwards."""
    pin: bool = False
    """Bind every worker to a core; for machines with no other load."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class EnvsOptions(Line):
    """List the environments, or show all about one; with --anchors, play the scripted policies."""

    usage: ClassVar[str] = "envs [ENV]"
    example: ClassVar[str] = "envs exchange"

    env: Positional[str] = ""
    """Environment to show whole: sizes, anchors, parameters."""
    anchors: bool = False
    """Play the scripted policy of every anchor (of ENV) and compare it with the table."""
    episodes: int = 500
    """With --anchors: episodes per anchor."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class ExportOptions(Line):
    """Write the policy of a run to one file.

    A safetensors file is read by ascore.load_policy, ascore::Policy in C++ and ascore_policy_load
    in C; an ONNX graph by other runtimes.
    """

    usage: ClassVar[str] = "export RUN"
    needs: ClassVar[str] = "a run folder"
    example: ClassVar[str] = "export runs/exchange-as-s0 --out actor.safetensors"

    run: RunFolder
    """Run folder."""
    out: Annotated[Path, Mark(shown="FILE")]
    """File to write."""
    checkpoint: str | None = None
    """Name of a checkpoint; default: the newest."""
    format: Literal["safetensors", "onnx"] = "safetensors"
    """Format of the file."""
    agent: int | None = None
    """Only the policy of this agent, counted from 0 (onnx)."""
    masks: bool = False
    """Add an input for the legal actions (onnx)."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class BenchOptions(Line):
    """Time every part with a promised speed, alternating with its baseline.

    Fails if a result differs from its baseline's, not if a bar is missed.
    """

    usage: ClassVar[str] = "bench"
    example: ClassVar[str] = "bench --quick"

    group: Repeated[tuple[Group, ...]] = ()
    """Only these groups of cases; may be repeated."""
    quick: bool = False
    """Small batches, few repeats, and without the longest cases unless --group asks for them."""
    strict: bool = False
    """Fail if a bar is missed."""
    scaling: bool = False
    """Measure threads, processes and ranks instead, and recommend how to split the machine."""
    picture: Annotated[Path, Mark(shown="FILE")] = Path("scaling.png")
    """Picture that --scaling writes."""
    markdown: bool = False
    """Print Markdown tables."""
    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class DoctorOptions(Line):
    """Report what this machine offers, which extras are installed, and problems with remedies."""

    usage: ClassVar[str] = "doctor"
    example: ClassVar[str] = "doctor"

    json: bool = False
    """Print one JSON object instead of text."""


@dataclass(frozen=True)
class CompletionOptions(Line):
    """Print a script that lets a shell complete commands, options and their values.

    bash: put `source <(ascore completion bash)` into ~/.bashrc; zsh: `source <(ascore completion
    zsh)` into ~/.zshrc, after compinit; fish: `ascore completion fish | source` into
    ~/.config/fish/config.fish.
    """

    usage: ClassVar[str] = "completion SHELL"
    needs: ClassVar[str] = "a shell"
    example: ClassVar[str] = "completion bash"

    shell: Positional[Literal["bash", "zsh", "fish"]]
    """Shell that runs the script."""
