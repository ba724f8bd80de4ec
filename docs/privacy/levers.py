"""Levers of privacy, one at a time: what agents earn, and what messages show of private weights.

    python docs/privacy/measure.py --levers     # plays what levers.csv lacks, prints it, draws it

For every setting, five blocks of eight games of two agents in Exchange, and three in C. Predation,
the same seeds and weights for all. In each block the weights are guessed by what was learned from
the others. The lift is over independent PPO with
the settings of the game, whose listeners see states and actions alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ascore.config import Config
from ascore.presets import read_preset
from ascore.privacy.attacks import Judgement, Spread, judge_all
from ascore.privacy.leakage import Plan, attacks_on
from ascore.privacy.recorder import Recording, record

HERE = Path(__file__).resolve().parent
TABLE, PICTURE = HERE / "levers.csv", HERE / "levers.png"
COLUMNS = ("game", "setting", "block", "team_return", "auc", "lift", "attack", "bytes")
BLOCKS, GAMES = {"exchange": 5, "predation": 3}, 8
FLOOR, FULL = "actions alone (IPPO)", "all, no guarantee"
MARKERS = "osD^"
UNIFORM = {"exchange": 2.4, "predation": -120.0}
"""Team returns of agents that have not learned yet."""

UPDATES = 100
PREDATION = {
    **read_preset("predation", "private"),
    "env": "predation-v1",
    "episodes": 512 * UPDATES,
    "dp": "none",
    "epsilon": 0.0,
}
"""The preset, a quarter as long and without its guarantee."""
PRINTED = {"peer_ratio_reference": "anticipated"}
"""The peer ratio reads what an agent has anticipated itself, instead of what others announced."""
GUARANTEE = {"dp": "episode", "epsilon": 2.0}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "exchange": {
        FULL: {},
        **{
            form: {"message_form": form}
            for form in (
                "top-1", "top-2", "bits-1", "bits-4", "sampled-1", "sampled-8", "noise-0.5",
                "noise-2",
            )
        },
        "all, ξ to anticipations": PRINTED,
        "sampled-1, ξ to anticipations": {"message_form": "sampled-1", **PRINTED},
        "bits-1, ξ to anticipations": {"message_form": "bits-1", **PRINTED},
        "noise-2, ξ to anticipations": {"message_form": "noise-2", **PRINTED},
    },
    "predation": {
        FULL: {},
        "ε = 8": {**GUARANTEE, "epsilon": 8.0},
        "ε = 2": GUARANTEE,
        "ε = 0.5": {**GUARANTEE, "epsilon": 0.5},
        "ε = 2, 128 episodes": {**GUARANTEE, "num_envs": 128, "episodes": 128 * UPDATES},
        "ε = 2, 1,024 episodes": {**GUARANTEE, "num_envs": 1024, "episodes": 1024 * UPDATES},
        "ε = 2, half the steps": {**GUARANTEE, "episodes": 512 * UPDATES // 2},
        "ε = 2, 4 steps per update": {
            **GUARANTEE, "iterations": 4, "episodes": 512 * UPDATES // 4,
        },
        "ε = 2, C = 0.1": {**GUARANTEE, "clip_norm": 0.1},
        "ε = 2, C = 2": {**GUARANTEE, "clip_norm": 2.0},
        **{
            form: {"message_form": form}
            for form in ("bits-1", "bits-4", "sampled-1", "sampled-8", "noise-0.5", "noise-2")
        },
    },
}  # fmt: skip


def plan_of(game: str, keys: dict[str, Any]) -> Plan:
    """The games of a setting."""
    base = Config(**PREDATION) if game == "predation" else Config.load(HERE / f"{game}.toml")
    return Plan(game, base.replace(**keys), blocks=BLOCKS[game], games=GAMES)


def played(plan: Plan, algorithm: str) -> tuple[list[Recording], list[Judgement]]:
    """All games of a plan, and how well their weights were guessed, by block."""
    seeds = range(plan.blocks * plan.games)
    games = [record(plan.config(algorithm, seed)) for seed in seeds]
    weight = np.array([plan.prior.draw(seed, plan.agents) for seed in seeds])
    attacks = attacks_on(games, "neighbour", weight)
    del attacks["rewards"]  # nobody sends them
    block = np.repeat(np.arange(plan.blocks), plan.games * plan.agents)
    return games, judge_all(attacks, weight.ravel(), block, plan.prior)


def read() -> list[dict[str, str]]:
    """Rows of the table."""
    if not TABLE.exists():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure() -> None:
    """Plays what the table does not have."""
    if not TABLE.exists():
        TABLE.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    for game, settings in SETTINGS.items():
        for setting, keys in {FLOOR: {}, **settings}.items():
            rows = [row for row in read() if row["game"] == game]
            if any(row["setting"] == setting for row in rows):
                continue
            games, judged = played(plan_of(game, keys), "ippo" if setting == FLOOR else "as")
            floor = [float(row["auc"]) for row in rows if row["setting"] == FLOOR]
            with TABLE.open("a", newline="", encoding="utf-8") as file:
                for block, guess in enumerate(judged):
                    mine = games[block * GAMES : (block + 1) * GAMES]
                    earned = np.mean([each.team_return for each in mine])
                    lift = guess.auc - floor[block] if floor else 0.0
                    values = f"{earned:.3f}", f"{guess.auc:.4f}", f"{lift:.4f}", guess.attack
                    row = (game, setting, block, *values, f"{mine[0].bytes_sent:.0f}")
                    csv.writer(file, lineterminator="\n").writerow(row)
            print(game, setting, flush=True)


def means() -> Iterator[tuple[str, str, Spread, Spread, Spread, Spread, float]]:
    """Game, setting, return, what it lacks to that of full messages, AUC, lift and bytes."""
    rows = read()
    for game, settings in SETTINGS.items():

        def blocks(setting: str, key: str, game: str = game) -> np.ndarray[Any, Any]:
            mine = [r for r in rows if r["game"] == game and r["setting"] == setting]
            return np.array([float(row[key]) for row in mine])

        for setting in (FLOOR, *settings):
            earned, full = (blocks(each, "team_return") for each in (setting, FULL))
            if len(earned):
                guessed = (Spread.of(blocks(setting, key)) for key in ("auc", "lift"))
                spreads = Spread.of(earned), Spread.of(earned - full), *guessed
                yield game, setting, *spreads, float(blocks(setting, "bytes")[0])


def summary() -> None:
    """Prints the table of the page."""

    def shown(x: Spread, digits: int) -> str:
        return f"{x.mean:.{digits}f} ± {x.high - x.mean:.{digits}f}".replace("-", "−")

    for game, setting, earned, change, auc, lift, sent in means():
        cells = shown(earned, 1), shown(change, 1), shown(auc, 2), shown(lift, 2), f"{sent:,.0f}"
        print("|", " | ".join((game, setting, *cells)), "|")


def draw() -> None:
    """Return against epsilon, and against lift; a colour and a marker for every setting."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 5.6), layout="constrained")
    panels = (("predation", True), ("predation", False), ("exchange", False))
    for axis, (game, by_epsilon) in zip(axes, panels, strict=True):
        for number, (setting, keys) in enumerate(SETTINGS[game].items()):
            spent = keys.get("epsilon", 0.0)
            row = next((m for m in means() if m[:2] == (game, setting)), None)
            if row is None or (by_epsilon and number and not spent):
                continue
            _, _, earned, _, _, lift, _ = row
            style = {"color": f"C{number % 10}", "marker": MARKERS[number // 5], "label": setting}
            half = earned.high - earned.mean
            if by_epsilon and not spent:
                axis.axhline(earned.mean, color="C0", ls="--", label=setting)
            elif by_epsilon:  # side by side, where epsilon is the same
                x = spent * 1.09 ** (number - 5 if spent == 2 else 0)
                axis.errorbar(x, earned.mean, yerr=half, ls="", lw=1, **style)
            else:
                spread = lift.high - lift.mean
                bars = axis.errorbar(
                    lift.mean, earned.mean, yerr=half, xerr=spread, ls="", lw=0.7, ms=7, **style
                )
                for bar in bars[2]:
                    bar.set_alpha(0.35)
        axis.axhline(UNIFORM[game], color="0.4", ls="-.", lw=1, label="uniform play")
        if by_epsilon:
            axis.set_xscale("log", base=2)
            axis.set_xticks([0.5, 2, 8], ["0.5", "2", "8"])
            axis.set_xlabel("ε of one episode, at δ = 1e-5")
        else:
            axis.axvline(0, color="0.7", lw=1)
            axis.set_xlabel("lift of the attacks: AUC above that of actions alone")
        axis.set_title({"predation": "C. Predation", "exchange": "Exchange, small board"}[game])
        axis.set_ylabel("team return while learning")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=2, fontsize=7)
    figure.savefig(PICTURE, dpi=120)


def all_steps() -> None:
    """Measures, prints and draws."""
    measure()
    summary()
    draw()
