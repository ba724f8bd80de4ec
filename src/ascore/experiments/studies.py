"""The figures as data: which environments, algorithms and overrides each one compares.

A cell's name contains the training but not the figure, so figures share runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ascore.config import Config
from ascore.experiments.cells import Cell, one_thread

Budget = Literal["small", "full", "paper"]


@dataclass(frozen=True)
class Panel:
    """An environment in the figures.

    Attributes:
        env: name of the preset.
        title: title of the panel.
        params: overrides of the environment's parameters.
        small: training episodes with the budget `small`, at most those of the preset.
        zero: anchor with normalised return 0; "cooperative" has 1.
        tuned: name of the preset used for "tuned".
        seeds: upper limit of the number of seeds.
    """

    env: str
    title: str
    small: int
    params: Mapping[str, Any] = field(default_factory=dict)
    zero: str = "selfish"
    tuned: str = "tuned"
    seeds: int = sys.maxsize


@dataclass(frozen=True)
class Series:
    """One curve of a panel.

    Attributes:
        key: name of its folder, such as "as" or "as-rho0".
        label: text in the legend.
        algorithm: name of the algorithm.
        overrides: overrides of the preset's keys.
        at_most: upper limits on values of the preset.
        rho: penalty weight as a multiple of the preset's.
    """

    key: str
    label: str
    algorithm: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    rho: float = 1.0


@dataclass(frozen=True)
class Study:
    """A figure: one of the paper's, or one that continues it.

    Attributes:
        name: name of the figure, such as "fig2".
        title: title of the figure.
        panels: the series of each panel, by the panel's key.
        kind: curves, returns (curves and normalised returns), anticipations, or sizes (returns and
            costs against the number of agents).
        in_paper: whether it is the paper's; others have no runs with the preset `paper`.
    """

    name: str
    title: str
    panels: Mapping[str, tuple[Series, ...]]
    kind: Literal["curves", "returns", "anticipations", "sizes"]
    in_paper: bool = True


# C. Navigation is normalised from random play: selfish and cooperative play differ by 0.71 points
# there, far less than two learners do.
PANELS = {
    "cleanup": Panel("cleanup", "Cleanup", 20_000),
    "harvest": Panel("harvest", "Harvest", 8_000),
    "predation-n8": Panel("predation", "C. Predation, 8 agents", 6_000, {"num_agents": 8}),
    "navigation": Panel("navigation", "C. Navigation", 5_000, zero="random"),
    "exchange": Panel("exchange", "Exchange", 6_000),
    "predation-n20": Panel(
        "predation", "C. Predation, 20 agents", 2_048, {"num_agents": 20}, tuned="crowd"
    ),
    "predation-n30": Panel(
        "predation", "C. Predation, 30 agents", 2_048, {"num_agents": 30}, tuned="crowd"
    ),
    "predation-n2": Panel("predation", "C. Predation, 2 agents", 6_000, {"num_agents": 2}),
}
CROWDS = (20, 30, 100, 300, 1000)
PANELS |= {
    f"crowd-n{n}": Panel(
        "predation",
        f"C. Predation, {n:,} agents",
        640,
        {"num_agents": n, "obs_mode": "nearest"},
        tuned="crowd",
        seeds=3 if n == max(CROWDS) else sys.maxsize,
    )
    for n in CROWDS
}
MAIN = ("cleanup", "harvest", "predation-n8", "navigation", "exchange")

AS, VPS, VS, PS, IPPO, CPPO = (
    Series(name, label, name)
    for name, label in (
        ("as", "AS"),
        ("vps", "VPS"),
        ("vs", "VS"),
        ("ps", "PS"),
        ("ippo", "Independent PPO"),
        ("cppo", "Centralised PPO"),
    )
)
SHARING = (AS, VPS, VS, PS)
SPARSE = {"graph": "random_one", "communicate_every": 2}
NEAREST = {"graph": "nearest", "graph_degree": 2, "communicate_every": 2}
NO_PENALTY = Series("as-rho0", "AS, ρ = 0", "as", rho=0.0)


# PS multiplies the ratios of all agents' actions. Its gradients become non-finite within 70 updates
# with 30 agents at a learning rate of 5e-4, and within ten with 20 agents at 3e-3.
STEADY = {"ps": {"actor_lr": 2e-4}}


def _sparse(series: Series) -> Series:
    limits = STEADY.get(series.key, {})
    return Series(f"{series.key}-sparse", series.label, series.algorithm, SPARSE, limits)


def _nearest(series: Series) -> Series:
    label = f"{series.label}, 2 nearest"
    return Series(f"{series.key}-nearest", label, series.algorithm, NEAREST)


def _crowd(num_agents: int) -> tuple[Series, ...]:
    """Agents hear one drawn at random, or the two of nearest number; PS ends where Fig. 3 does."""
    drawn = [replace(_sparse(AS), label="AS, 1 at random")]
    if num_agents <= 30:
        drawn.append(replace(_sparse(PS), label="PS, 1 at random"))
    return (_nearest(AS), *drawn, _nearest(VPS), _nearest(VS), IPPO)


def _weights(*factors: float) -> tuple[Series, ...]:
    """AS with multiples of the preset's penalty weight; 1 is the run of the other figures."""
    return tuple(
        Series("as" if factor == 1.0 else f"as-rho{factor:g}x", "AS", "as", rho=factor)
        for factor in factors
    )


STUDIES = {
    study.name: study
    for study in (
        Study(
            "fig2",
            "Anticipation Sharing beside algorithms that share values or parameters",
            dict.fromkeys(MAIN, (*SHARING, IPPO)),
            "returns",
        ),
        Study(
            "fig3",
            "Many agents: each hears one other, in every second update",
            dict.fromkeys(("predation-n20", "predation-n30"), (*map(_sparse, SHARING), IPPO)),
            "returns",
        ),
        Study(
            "fig4",
            "Penalty weights",
            {
                "cleanup": _weights(0.9, 1.0, 1.1),
                "harvest": _weights(0.1, 1.0, 10.0),
                "predation-n8": _weights(0.3, 1.0, 3.0),
            },
            "curves",
        ),
        Study("fig5", "Without the penalties", dict.fromkeys(MAIN, (AS, NO_PENALTY)), "curves"),
        Study(
            "fig6",
            "Two agents, between independent and centralised learning",
            dict.fromkeys(("cleanup", "harvest", "predation-n2"), (IPPO, AS, CPPO)),
            "curves",
        ),
        Study(
            "fig7", "What agents anticipate of each other", {"predation-n2": (AS,)}, "anticipations"
        ),
        Study(
            "crowd",
            "From 20 to 1,000 agents, which communicate in every second update",
            {f"crowd-n{n}": _crowd(n) for n in CROWDS},
            "sizes",
            in_paper=False,
        ),
    )
}

# Seeds and presets of each budget. The paper uses five seeds and does not state the number of
# episodes; with its settings an update is one episode.
SEEDS: dict[Budget, int] = {"small": 3, "full": 5, "paper": 5}
PRESETS: dict[Budget, tuple[str, ...]] = {
    "small": ("tuned",),
    "full": ("tuned",),
    "paper": ("tuned", "paper"),
}
PAPER_EPISODES = 30_000


def config_of(panel: Panel, series: Series, preset: str, budget: Budget, seed: int) -> Config:
    """Configuration of one cell's training."""
    shipped = panel.tuned if preset == "tuned" else preset
    base = Config.preset(
        panel.env, series.algorithm, shipped, seed=seed, env_params=dict(panel.params)
    )
    limited = {key: min(getattr(base, key), most) for key, most in series.at_most.items()}
    episodes = PAPER_EPISODES if preset == "paper" else base.episodes
    if budget == "small":
        episodes = min(episodes, panel.small)
    return one_thread(
        base.replace(
            episodes=episodes,
            penalty_weight=base.penalty_weight * series.rho,
            **series.overrides,
            **limited,
        )
    )


def cell_name(preset: str, panel: str, series: Series, seed: int) -> str:
    """Path of a cell's folder."""
    return f"{preset}/{panel}/{series.key}/s{seed}"


def cells(
    studies: list[str], preset: str, budget: Budget, episodes: int, seeds: int | None = None
) -> list[Cell]:
    """The cells of several figures with one preset, without duplicates, ordered by seed.

    With this order, a study that is stopped early has complete figures with fewer seeds.

    Args:
        studies: names in STUDIES.
        preset: tuned or paper.
        budget: small, full or paper.
        episodes: episodes of each evaluation.
        seeds: number of seeds; None = that of the budget.
    """
    by_name = {}
    for seed in range(SEEDS[budget] if seeds is None else seeds):
        for study in (STUDIES[name] for name in studies):
            if preset == "paper" and not study.in_paper:
                continue
            for panel, lines in study.panels.items():
                if seed >= PANELS[panel].seeds:
                    continue
                for series in lines:
                    config = config_of(PANELS[panel], series, preset, budget, seed)
                    cell = Cell(cell_name(preset, panel, series, seed), config, episodes)
                    by_name[cell.name] = cell
    return list(by_name.values())
