"""Traces a person can follow, kept in `tests/envs/golden`, replayed by both implementations.

They are written by the Python twins alone. After a change of the rules that is meant, run

    python tests/envs/test_golden.py

and review the difference line by line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from ascore.envs.table import ENVIRONMENTS
from ascore.reference import TWINS, ExchangeParams, NavigationParams, VecEnv

FACING = ("up", "right", "down", "left")

HEADING = "{name}: random play, one environment. Written by `python tests/envs/test_golden.py`."
GOLDEN = Path(__file__).parent / "golden"


class Trace(NamedTuple):
    title: str
    params: dict[str, Any]
    seed: int
    steps: int


# Seeds under which the random actions soon open boxes, arrive, collide, eat or clean, so that the
# rules show.
TRACES = {
    "cleanup-v1": [
        Trace(
            "a short river beside its orchard, cut short",
            {
                "num_agents": 3,
                "map": "@@@@@@@@@\n@HR PBBB@\n@RH PBBB@\n@RRPSBBB@\n@@@@@@@@@",
                "horizon": 14,
                "apple_probability": 0.3,
            },
            seed=226,
            steps=15,
        ),
        Trace(
            "the older profile: beams through everything, waste from the top, shared cells",
            {
                "num_agents": 2,
                "map": "@@@@@@@@@\n@HR PBBB@\n@HH PBBB@\n@@@@@@@@@",
                "profile": "features",
                "obs_mode": "features",
                "waste_mode": "once",
                "horizon": 14,
                "apple_probability": 0.3,
            },
            seed=119,
            steps=15,
        ),
    ],
    "harvest-v1": [
        Trace(
            "a small orchard, cut short",
            {
                "num_agents": 3,
                "map": "@@@@@@@@\n@PAAA P@\n@ AAA P@\n@@@@@@@@",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
                "graph": "radius",
            },
            seed=0,
            steps=15,
        ),
        Trace(
            "the older profile: moves on the map, apples grow one after the other",
            {
                "num_agents": 2,
                "map": "PAAA \n AAAP",
                "profile": "features",
                "obs_mode": "features",
                "horizon": 14,
                "regrowth_1": 0.1,
                "regrowth_2": 0.3,
                "regrowth_3": 0.5,
            },
            seed=0,
            steps=15,
        ),
    ],
    "exchange-v1": [
        Trace("the published rules, cut short", {"horizon": 14}, seed=126, steps=15),
        Trace(
            "owners pick up their food, agents block each other, the meal ends the episode",
            {
                "num_agents": 2,
                "size": 3,
                "food": "pickup",
                "eaten": "flag",
                "early_end": True,
                "collisions": "block",
                "neigh_metric": "manhattan",
            },
            seed=1154,
            steps=19,
        ),
    ],
    "navigation-v1": [
        Trace("the published rules, cut short", {"horizon": 9}, seed=306, steps=10),
        Trace(
            "landmarks stay over the episodes, agents block each other, each has a view of its own",
            {
                "size": 3,
                "metric": "l1",
                "dist_scale": 0.5,
                "block": True,
                "landmarks": "fixed",
                "obs_order": "self_first",
                "neigh_metric": "manhattan",
                "horizon": 5,
            },
            seed=5,
            steps=11,
        ),
    ],
    "predation-v1": [
        Trace("three predators", {"num_agents": 3, "horizon": 10}, seed=0, steps=11),
        Trace(
            "rewards from pairs, approach by distance",
            {
                "num_agents": 4,
                "length": 4.0,
                "mixed": "pairwise",
                "approach": "distance",
                "obs_scale": 1.0,
                "horizon": 8,
            },
            seed=1,
            steps=9,
        ),
    ],
}


def floats(array: NDArray[np.float32]) -> str:
    return " ".join(f"{x:.6f}" for x in array.tolist())


def numbers_of(obs: NDArray[Any]) -> str:
    if obs.dtype == np.float32:
        return floats(obs)
    if obs.size > 40:  # bits
        assert obs.max() <= 1
        return "ones at " + " ".join(map(str, np.flatnonzero(obs)))
    return " ".join(map(str, obs))


def grid_state(trace: Trace, obs: NDArray[np.uint8]) -> Iterator[str]:
    """The map with agents by number, apples as `a` and waste as `w`; or what features say."""
    n = trace.params["num_agents"]
    if trace.params.get("obs_mode") == "features":  # agent 0's view
        places = [obs[:3], obs[3:6]]
        for i, (row, col, facing) in enumerate(np.array(places).tolist()):
            yield f"  agent {i}: row {row} column {col}, faces {FACING[facing]}"
        return
    rows = trace.params["map"].split("\n")
    layers = (obs.size - 4 * n) // (len(rows) * len(rows[0])) - n
    planes = obs[: -4 * n].reshape(layers + n, len(rows), len(rows[0]))
    facing = obs[-4 * n :].reshape(n, 4).argmax(axis=1)
    for r, tiles in enumerate(rows):
        line = ""
        for c, tile in enumerate(tiles):
            shown = tile.lower() if tile in "P" else tile
            for layer, letter in enumerate("wa"[-layers:]):
                shown = letter if planes[layer, r, c] else shown
            for i in range(n):
                shown = str(i) if planes[layers + i, r, c] else shown
            line += shown
        yield "  |" + line + "|"
    yield "  " + ", ".join(f"agent {i} faces {FACING[f]}" for i, f in enumerate(facing))


def exchange_state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    params = ExchangeParams(**trace.params)
    size, n = params.size, params.num_agents
    flags = obs[4 * n :].tolist()
    names = [f"agent {i}" for i in range(n)] + [f"food {i}" for i in range(n)]
    for k, name in enumerate(names):
        x, y = obs[2 * k : 2 * k + 2].tolist()
        place = "eaten" if x < 0 else f"column {round(x * (size - 1))} row {round(y * (size - 1))}"
        if flags and k >= n:
            place += {0.0: ", closed", 0.5: ", open", 1.0: ", eaten"}[flags[k - n]]
        yield f"  {name}: {place}"


def navigation_state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    params = NavigationParams(**trace.params)
    cells = np.rint(obs * (params.size - 1)).astype(int).reshape(-1, 2)
    if params.obs_order == "self_first":  # agent 0's view: places and landmarks take turns
        cells = np.concatenate([cells[::2], cells[1::2]])
    agents, landmarks = np.split(cells, 2)
    for i, ((x, y), (to_x, to_y)) in enumerate(zip(agents, landmarks, strict=True)):
        yield f"  agent {i}: column {x} row {y}, wants column {to_x} row {to_y}"


def predation_state(trace: Trace, obs: NDArray[np.float32]) -> Iterator[str]:
    scale = trace.params.get("obs_scale", 1 / 30)
    for i, distance in enumerate(obs.tolist()):
        side = "right" if distance > 0 else "left"
        yield f"  predator {i}: {abs(distance) / scale:.6f} to the {side} of the prey"


STATE = {
    "cleanup-v1": grid_state,
    "harvest-v1": grid_state,
    "exchange-v1": exchange_state,
    "navigation-v1": navigation_state,
    "predation-v1": predation_state,
}


def replay(name: str, trace: Trace, env: Any, uniforms: Any) -> Iterator[str]:
    """Play random actions and tell what happens, from the public buffers of `env` alone."""
    names = TWINS[name].action_names
    params = " ".join(f"{key}={value}" for key, value in trace.params.items()).replace("\n", "/")
    yield f"== {trace.title}"
    yield f"seed {trace.seed}, parameters: {params}"
    env.reset()
    for step in range(trace.steps + 1):
        yield ""
        yield f"episode {env.episode[0]} time {env.time[0]}"
        yield from STATE[name](trace, env.obs[0, 0])
        for view in env.obs[0]:
            yield f"  obs {numbers_of(view)}"
        for i, row in enumerate(env.neighbours[0]):
            yield f"  agent {i} hears {', '.join(map(str, np.flatnonzero(row))) or 'nobody'}"
        if step == trace.steps:
            break
        numbers = uniforms()
        action = (numbers * len(names)).astype(np.int32)
        yield f"  numbers {floats(numbers[0])}"
        yield f"  actions {' '.join(names[a] for a in action[0])}"
        env.step(action)
        yield f"  rewards {floats(env.reward[0])}"
        if env.terminated[0] or env.truncated[0]:
            yield f"  end: terminated {env.terminated[0]} truncated {env.truncated[0]}"
            yield from ("  last" + line for line in STATE[name](trace, env.final_obs[0, 0]))
    yield ""


def told_by_twin(name: str) -> str:
    lines = [
        HEADING.format(name=name),
        "",
    ]
    for trace in TRACES[name]:
        twin_class: Any = TWINS[name]
        env = VecEnv([twin_class(twin_class.Params(**trace.params))], trace.seed)
        lines += replay(name, trace, env, env.uniforms)
    return "\n".join(lines)


def told_by_core(name: str) -> str:
    lines = [
        HEADING.format(name=name),
        "",
    ]
    for trace in TRACES[name]:
        env = ENVIRONMENTS[name].core(1, trace.seed, params=trace.params)
        numbers = np.empty((1, env.num_agents), np.float32)

        def uniforms(env: Any = env, numbers: NDArray[np.float32] = numbers) -> Any:
            env.uniforms(numbers)
            return numbers

        lines += replay(name, trace, env, uniforms)
    return "\n".join(lines)


@pytest.mark.parametrize("teller", [told_by_twin, told_by_core])
@pytest.mark.parametrize("name", sorted(TRACES))
def test_golden(name: str, teller: Any) -> None:
    kept = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for number, (told, line) in enumerate(
        zip(teller(name).splitlines(), kept, strict=True), start=1
    ):
        assert told == line, f"{name}.txt, line {number}"


def test_every_environment_has_a_golden_and_a_twin() -> None:
    names = set(ENVIRONMENTS)
    assert names
    assert names == set(TWINS)
    assert names == set(TRACES)
    assert {f"{name}.txt" for name in names} == {path.name for path in GOLDEN.iterdir()}


if __name__ == "__main__":
    for each in sorted(TRACES):
        (GOLDEN / f"{each}.txt").write_text(told_by_twin(each), encoding="utf-8")
