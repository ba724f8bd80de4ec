"""Traces a person can follow, kept in `tests/envs/golden`, replayed by both implementations.

They are written by the Python twins alone. After a change of the rules that is meant, run

    python tests/envs/test_golden.py

and review the difference line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Trace, case
from numpy.typing import NDArray

from ascore.envs.table import ENVIRONMENTS
from ascore.reference import VecEnv

HEADING = "{name}: random play, one environment. Written by `python tests/envs/test_golden.py`."
GOLDEN = Path(__file__).parent / "golden"


def floats(array: NDArray[np.float32]) -> str:
    return " ".join(f"{x:.6f}" for x in array.tolist())


def numbers_of(obs: NDArray[Any]) -> str:
    if obs.dtype == np.float32:
        return floats(obs)
    if obs.size > 40:  # bits
        assert obs.max() <= 1
        return "ones at " + " ".join(map(str, np.flatnonzero(obs)))
    return " ".join(map(str, obs))


def replay(name: str, trace: Trace, env: Any, uniforms: Any) -> Iterator[str]:
    """Play random actions and tell what happens, from the public buffers of `env` alone."""
    twin_class, state = ENVIRONMENTS[name].load_twin(), case(name).state
    names = twin_class(twin_class.Params(**trace.params)).action_names
    params = " ".join(f"{key}={value}" for key, value in trace.params.items()).replace("\n", "/")
    yield f"== {trace.title}"
    yield f"seed {trace.seed}, parameters: {params}"
    env.reset()
    for step in range(trace.steps + 1):
        yield ""
        yield f"episode {env.episode[0]} time {env.time[0]}"
        yield from state(trace, env.obs[0, 0])
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
            yield from ("  last" + line for line in state(trace, env.final_obs[0, 0]))
    yield ""


def told_by_twin(name: str) -> str:
    lines = [
        HEADING.format(name=name),
        "",
    ]
    for trace in case(name).traces:
        twin_class = ENVIRONMENTS[name].load_twin()
        env = VecEnv([twin_class(twin_class.Params(**trace.params))], trace.seed)
        lines += replay(name, trace, env, env.uniforms)
    return "\n".join(lines)


def told_by_core(name: str) -> str:
    lines = [
        HEADING.format(name=name),
        "",
    ]
    for trace in case(name).traces:
        env = ENVIRONMENTS[name].core(1, trace.seed, params=trace.params)
        numbers = np.empty((1, env.num_agents), np.float32)

        def uniforms(env: Any = env, numbers: NDArray[np.float32] = numbers) -> Any:
            env.uniforms(numbers)
            return numbers

        lines += replay(name, trace, env, uniforms)
    return "\n".join(lines)


@pytest.mark.parametrize("teller", [told_by_twin, told_by_core])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_golden(name: str, teller: Any) -> None:
    file = GOLDEN / f"{name}.txt"
    assert file.is_file(), f"write it by `python tests/envs/test_golden.py` and read it: {file}"
    kept = file.read_text(encoding="utf-8").splitlines()
    for number, (fresh, line) in enumerate(
        zip(teller(name).splitlines(), kept, strict=True), start=1
    ):
        assert fresh == line, f"{name}.txt, line {number}"


def test_no_golden_trace_is_of_nothing() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} <= set(ENVIRONMENTS)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1] / "support"))  # as pytest does, for the cases
    for each in ENVIRONMENTS:
        (GOLDEN / f"{each}.txt").write_text(told_by_twin(each), encoding="utf-8")
