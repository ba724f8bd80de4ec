"""Environment steps per second, learning included, against TorchRL's independent PPO.

Both train independent PPO on `navigation-v1` with one configuration: environments, steps per
batch, layers, iterations, minibatches, learning rates, discount, GAE lambda, clipping. Neither
normalises advantages or values. Both run alternately in one thread of one process and are timed by
the CPU time of the process. Both must first have equally many parameters and learn.

TorchRL steps the environments through PettingZoo, one after the other, which is most of its time.
"whole update" is the speed that users of either get; "learning" excludes the environments.

    pip install -c constraints.txt '.[peer]'
    python benches/peer_torchrl.py --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

import numpy as np

from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.report import as_text
from ascore.benchmark.suite import Case, run
from ascore.benchmark.timing import Differs, Effort, Result, Work, interleave
from ascore.config import Config
from ascore.envs.factory import anchor_values

BAR = 10.0
"""Promised speed of whole updates relative to the peer's."""
LEAST_REPEATS = 5
PACKAGES = ("torchrl", "tensordict", "pettingzoo")
LAST = 5
"""Number of last updates over which returns are averaged."""
INSTALL = "pip install -c constraints.txt '.[peer]'"
EXIT_MISSING = 2

RANDOM, LOOP = "TorchRL, random actions", "PettingZoo loop, random actions"
NOTES = {
    RANDOM: "the baseline has no networks: its collector with its PettingZoo environments",
    LOOP: "the baseline has no networks and no TorchRL: the cost of its environments alone",
}

Call = Callable[[], object]


class Ours:
    """Training by this package, with the interface of `torchrl_ippo.Ippo`."""

    def __init__(self, config: Config) -> None:
        from ascore.benchmark.learning import learner_of

        self.learner, self.collector = learner_of(config.to_dict())
        self.steps = self.learner.spec.horizon
        self._numbers = count()

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(net.flat.numel() for net in (self.learner.actor.net, self.learner.critic.net))

    def collect(self) -> Any:
        """Collects one batch of whole episodes."""
        return self.collector.collect(self.learner.actor)

    def learn(self, batch: Any) -> None:
        """Computes advantages and does K iterations."""
        self.learner.update(batch, next(self._numbers))

    def stand_still(self) -> None:
        """Sets every learning rate to zero; the amount of work stays the same."""
        from ascore.benchmark.updates import stand_still

        stand_still(self.learner)

    def team_return(self, batch: Any) -> float:
        """Mean team return over the episodes of a batch."""
        return float(batch.reward.sum()) / batch.reward.shape[1]


def learning_curve(side: Any, updates: int) -> list[float]:
    """Trains and gives the mean team return of every batch."""
    curve = []
    for _ in range(updates):
        batch = side.collect()
        curve.append(side.team_return(batch))
        side.learn(batch)
    return curve


def require_learning(name: str, curve: list[float], config: Config) -> None:
    """Raises Differs unless the last returns are closer to straight walks than to random play."""
    anchors = dict(anchor_values(config.env, config.env_params))
    middle = (anchors["random"] + anchors["selfish"]) / 2
    reached = float(np.mean(curve[-LAST:]))
    if not reached > middle:
        message = (
            f"{name} does not learn: team return {reached:.0f} after {len(curve)} updates is not "
            f"above {middle:.0f}, half way from random to straight walks; try more --updates"
        )
        raise Differs(message)


def both_learn(ours: Any, peer: Any, updates: int, config: Config) -> dict[str, list[float]]:
    """Learning curves of both sides.

    Raises:
        Differs: the numbers of parameters differ, or one side does not learn.
    """
    if ours.parameters != peer.parameters:
        message = (
            f"{ours.parameters} parameters here, {peer.parameters} in the peer; they must be equal"
        )
        raise Differs(message)
    curves = {}
    for name, side in (("ascore", ours), ("TorchRL", peer)):
        curves[name] = learning_curve(side, updates)
        require_learning(name, curves[name], config)
    return curves


def random_play(config: Config, steps: int) -> Callable[[], None]:
    """T steps of B PettingZoo environments in a plain loop, the least cost of using them."""
    from torchrl_ippo import single

    envs = [single(config, seed) for seed in range(config.num_envs)]
    draw = np.random.default_rng(0)
    for env in envs:
        env.reset()
    agents = envs[0].possible_agents
    actions = draw.integers(0, envs[0].action_space(agents[0]).n, (steps, len(envs), len(agents)))

    def play() -> None:
        for step in actions.tolist():
            for env, action in zip(envs, step, strict=True):
                env.step(dict(zip(agents, action, strict=True)))
                if not env.agents:
                    env.reset()

    return play


def measure(
    config: Config, updates: int, curves: dict[str, list[float]], effort: Effort
) -> list[Result]:
    """Times whole updates and their parts, one thread each; also fills `curves`."""
    for name in PACKAGES:
        require_package(name, "peer")
    import torch
    from torchrl_ippo import Ippo, environments, rollouts

    with one_torch_thread():
        ours = Ours(config)
        peer = Ippo(config, ours.steps)
        curves |= both_learn(ours, peer, updates, config)
        steps = float(ours.steps * config.num_envs)

        def against(part: str, baseline: str, call: Call, baseline_call: Call) -> Result:
            timing = interleave(
                Work(call, steps), Work(baseline_call, steps), effort, time.process_time
            )
            return Result.of(
                timing,
                group="peer",
                name=f"{part}, {describe(config)}",
                baseline=baseline,
                unit="environment step",
                bar=BAR if part == "whole update" else None,
                note=NOTES.get(baseline, ""),
            )

        def update(side: Any) -> None:
            side.learn(side.collect())

        whole = against("whole update", "TorchRL", partial(update, ours), partial(update, peer))
        # Learning repeatedly from one batch would move weights far from the policy that sampled it.
        ours.stand_still()
        peer.stand_still()
        learn = [partial(side.learn, side.collect()) for side in (ours, peer)]
        uniform = rollouts(config, environments(config), ours.steps)
        results = [
            whole,
            against("learning", "TorchRL", *learn),
            against("collection", "TorchRL", ours.collect, peer.collect),
            against("collection", RANDOM, ours.collect, partial(next, uniform)),
            against("collection", LOOP, ours.collect, random_play(config, ours.steps)),
        ]
        if torch.get_num_threads() != 1:
            message = f"torch has {torch.get_num_threads()} threads after the timing, not one"
            raise Differs(message)
    return results


def describe(config: Config) -> str:
    """Short description of the workload."""
    hidden = ", ".join(map(str, config.actor_hidden))
    return f"{config.env} x {config.num_envs} envs, ({hidden}), 1 thread"


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; returns 1 if results are wrong, 2 if the peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--num-envs", type=int, default=16, help="environments of a batch")
    parser.add_argument("--updates", type=int, default=60, help="updates to learn before timing")
    parser.add_argument("--repeats", type=int, default=9, help=f"turns, {LEAST_REPEATS} or more")
    options = parser.parse_args(argv)
    if options.repeats < LEAST_REPEATS:
        parser.error(
            f"--repeats {options.repeats} is too few for a median; use at least {LEAST_REPEATS}"
        )
    # TorchRL's loss does not normalise values, so neither side does.
    config = Config.preset(
        "navigation", "ippo", num_envs=options.num_envs, value_normalization=False
    )
    curves: dict[str, list[float]] = {}
    effort = Effort(repeats=options.repeats, seconds=0.05, twin_envs=0)
    outcome = run(
        [Case("peer", "TorchRL", partial(measure, config, options.updates, curves))], effort
    )
    for case in outcome.skipped:
        print(f"{case.reason}; run in this folder: {INSTALL}", file=sys.stderr)
        return EXIT_MISSING
    outcome.machine["packages"] |= {name: version(name) for name in PACKAGES}
    if options.json:
        print(json.dumps(outcome.to_dict() | {"config": config.to_dict(), "team_return": curves}))
    else:
        print(as_text(outcome))
        for name, curve in curves.items():
            points = ", ".join(f"{value:.0f}" for value in curve[:: max(1, len(curve) // 6)])
            print(f"team return of {name}, {len(curve)} updates: {points}, {curve[-1]:.0f}")
    return 1 if outcome.differing else 0


if __name__ == "__main__":
    sys.exit(main())
