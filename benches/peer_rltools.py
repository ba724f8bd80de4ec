"""Environment steps per second, learning included, against the PPO of RLtools.

RLtools (https://github.com/rl-tools/rl-tools) is a C++ library of headers. This script compiles
`rltools/peer.cpp` with a checkout of it, which it neither downloads nor changes. Both sides play
C. Navigation with one agent, whose dynamics are the same compiled header, and have the same
environments, steps, hidden layers, iterations, minibatches, rates, discount, lambda and clipping.
RLtools' PPO knows only Gaussian policies: there, a drawn pair of numbers is the direction of the
walk. Here, one of five actions is drawn.

Both must first come close to the best possible return. Then they run in turns, one thread each,
and are timed by the CPU time of their processes.

    git clone https://github.com/rl-tools/rl-tools
    apt install libopenblas-dev
    python benches/peer_rltools.py --rltools rl-tools
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
from peer_torchrl import Ours, learning_curve

from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.report import as_text
from ascore.benchmark.suite import Case, run
from ascore.benchmark.timing import NS, Differs, Effort, Missing, Result, Work, interleave
from ascore.config import Config

BAR = 1.5
"""Promised speed of whole updates relative to the peer's."""
LEAST_REPEATS = 7
LAST = 20
"""Number of last updates over which returns are averaged."""
SHORTFALL = 1.0
"""By how many points of return either side may miss the best play."""
DEVIATION = 0.5
"""Of the peer's actions at first: its own default, and the walk is none below 0.5."""
EXIT_MISSING = 2

HERE = Path(__file__).parent
FLAGS = ["-std=c++20", "-O3", "-march=native", "-ffast-math", "-DNDEBUG"]
"""The peer's own flags for its fastest build."""


def configuration(num_envs: int, minibatches: int) -> Config:
    """What both sides train with."""
    return Config(
        env="navigation-v1",
        env_params={"num_agents": 1},
        algorithm="ippo",
        num_envs=num_envs,
        iterations=2,
        minibatches=minibatches,
        actor_hidden=(64, 64),
        critic_hidden=(64, 64),
        actor_lr=1e-3,
        critic_lr=1e-3,
        gae_lambda=0.95,
        value_normalization=False,
        advantage_normalization=True,
        num_threads=1,
    )


@cache
def best_from(across: int, along: int) -> float:
    """Largest return of a walk to a landmark so many cells away."""
    walks = [(across - 1, along)] * (across > 0) + [(across, along - 1)] * (along > 0)
    return max((best_from(*walk) - hypot(*walk) for walk in walks), default=0.0)


def best_return(size: int = 5) -> float:
    """Mean return of the best play, over all places of agent and landmark."""
    gaps = [abs(a - b) for a in range(size) for b in range(size)]
    return float(np.mean([best_from(across, along) for across in gaps for along in gaps]))


def defines(config: Config) -> list[str]:
    """The peer's settings, as flags of the compiler."""
    if len({*config.actor_hidden, *config.critic_hidden}) != 1 or len(config.actor_hidden) != 2:
        message = "the peer has two hidden layers of equal width in either network"
        raise ValueError(message)
    values = {
        "ENVIRONMENTS": config.num_envs,
        "MINIBATCHES": config.minibatches,
        "ITERATIONS": config.iterations,
        "UNITS": config.actor_hidden[0],
        "LEARNING_RATE": config.actor_lr,
        "GAMMA": config.gamma,
        "LAMBDA": config.gae_lambda,
        "CLIP": config.clip_epsilon,
        "DEVIATION": DEVIATION,
        "SEED": config.seed,
    }
    return [f"-DPEER_{key}={value}" for key, value in values.items()]


def build(rltools: Path, blas: str, config: Config, folder: Path) -> Path:
    """Compiles the peer and gives its program.

    Args:
        rltools: a checkout of RLtools.
        blas: the library that computes its matrix products, as the linker calls it; "" = none.
        config: see `configuration`.
        folder: where the program goes.

    Raises:
        Missing: there is no such checkout, no compiler, or it does not compile.
    """
    headers = rltools / "include"
    if not (headers / "rl_tools" / "rl_tools.h").is_file():
        message = f"no RLtools in {rltools}: there is no include/rl_tools/rl_tools.h"
        raise Missing(message)
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        message = f"no compiler {compiler}; set CXX"
        raise Missing(message)
    program = folder / "peer"
    own = ["-I", str(HERE.parent / "cpp" / "include"), "-I", str(headers)]
    library = ["-DRL_TOOLS_BACKEND_ENABLE_OPENBLAS", f"-l{blas}"] if blas else []
    source = [str(HERE / "rltools" / "peer.cpp"), "-o", str(program)]
    command = [compiler, *FLAGS, *own, *defines(config), *source, *library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"RLtools does not compile: {' '.join(command)}\n{done.stderr[:2000]}"
        raise Missing(message)
    return program


class Peer:
    """Training by RLtools in a process of its own.

    Attributes:
        seconds: CPU seconds of all updates so far, by the clock of that process.
    """

    def __init__(self, program: Path) -> None:
        # Another thread would make the products of these sizes slower.
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | threads,
        )
        self.seconds = 0.0

    def update(self, updates: int = 1) -> float:
        """Collects and learns so many times; gives the mean return of the last batch."""
        send, receive = self._process.stdin, self._process.stdout
        assert send is not None
        assert receive is not None
        print(updates, file=send, flush=True)
        line = receive.readline().split()
        if len(line) != 2:
            message = f"RLtools ended with code {self._process.wait()}"
            raise Differs(message)
        seconds, reached = map(float, line)
        self.seconds += seconds
        return reached

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def require_learning(name: str, curve: list[float]) -> None:
    """Raises Differs unless the last returns are close to the best."""
    reached, best = float(np.mean(curve[-LAST:])), best_return()
    if not reached > best - SHORTFALL:
        message = (
            f"{name} does not learn: return {reached:.2f} after {len(curve)} updates is more than "
            f"{SHORTFALL:g} below the best, {best:.2f}; try more --updates"
        )
        raise Differs(message)


def measure(
    options: argparse.Namespace, config: Config, curves: dict[str, list[float]], effort: Effort
) -> list[Result]:
    """Trains both, then times whole updates in turns; also fills `curves`."""
    require_package("torch")
    with tempfile.TemporaryDirectory() as folder, one_torch_thread():
        peer = Peer(build(options.rltools, options.blas, config, Path(folder)))
        try:
            ours = Ours(config)
            curves["ascore"] = learning_curve(ours, options.updates)
            curves["RLtools"] = [peer.update() for _ in range(options.updates)]
            for name, curve in curves.items():
                require_learning(name, curve)
            steps = float(ours.steps * config.num_envs)
            timing = interleave(
                Work(lambda: ours.learn(ours.collect()), steps),
                Work(peer.update, steps),
                effort,
                lambda: time.process_time() + peer.seconds,
            )
        finally:
            peer.close()
    about = f"{config.num_envs} envs, {config.minibatches} minibatches, (64, 64), 1 thread"
    return [
        Result.of(
            timing,
            group="peer",
            name=f"whole update, navigation-v1, one agent x {about}",
            baseline=f"RLtools, {options.blas or 'no BLAS'}",
            unit="environment step",
            bar=BAR,
        )
    ]


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rltools", type=Path, required=True, help="a checkout of RLtools")
    parser.add_argument(
        "--blas",
        default="openblas",
        help="library of the peer's matrix products, as in -lNAME; '' = its own loops",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--num-envs", type=int, default=64, help="environments of a batch")
    parser.add_argument("--minibatches", type=int, default=4, help="minibatches of an iteration")
    parser.add_argument("--updates", type=int, default=300, help="updates to learn before timing")
    parser.add_argument("--repeats", type=int, default=9, help=f"turns, {LEAST_REPEATS} or more")
    options = parser.parse_args(argv)
    if options.repeats < LEAST_REPEATS:
        parser.error(
            f"--repeats {options.repeats} is too few for a median; use at least {LEAST_REPEATS}"
        )
    return options


def as_points(curve: list[float]) -> str:
    """About six points of a curve, and its end."""
    points = ", ".join(f"{value:.1f}" for value in curve[:: max(1, len(curve) // 6)])
    return f"{points}; last {LAST}: {np.mean(curve[-LAST:]):.2f}"


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; returns 1 if a side does not learn, 2 if the peer cannot be built."""
    options = parsed(argv)
    config = configuration(options.num_envs, options.minibatches)
    curves: dict[str, list[float]] = {}
    effort = Effort(repeats=options.repeats, seconds=0.2, twin_envs=0)
    cases = [Case("peer", "RLtools", partial(measure, options, config, curves))]
    outcome = run(cases, effort)
    for case in outcome.skipped:
        print(case.reason, file=sys.stderr)
        return EXIT_MISSING
    if options.json:
        extra: dict[str, Any] = {"config": config.to_dict(), "return": curves}
        print(json.dumps(outcome.to_dict() | extra | {"best_return": best_return()}))
    else:
        print(as_text(outcome))
        for result in outcome.results:
            ours, peer = NS / result.candidate_ns, NS / result.baseline_ns
            print(f"steps per second, learning included: ascore {ours:,.0f}, RLtools {peer:,.0f}")
        for name, curve in curves.items():
            print(f"return of {name}, {len(curve)} updates: {as_points(curve)}")
        print(f"best possible: {best_return():.2f}")
    return 1 if outcome.differing else 0


if __name__ == "__main__":
    sys.exit(main())
