"""Environment steps per second, learning included, against TorchRL's independent PPO.

Both train independent PPO on `navigation-v1` from one configuration: environments, steps per batch,
layers, iterations, minibatches, rates, discount, lambda, clipping; neither normalises advantages or
values. All runs in one thread of one process, in turns, and what counts is the CPU time of the
process. First both must have as many parameters and must learn, then they are timed.

TorchRL steps the environments through PettingZoo, one after the other, which is most of its time:
"whole update" is what a user of both would get, "learning" leaves the environments out.

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
"""Whole updates, times faster than the peer's."""
LEAST_REPEATS = 5
PACKAGES = ("torchrl", "tensordict", "pettingzoo")
LAST = 5
"""Updates whose returns are averaged."""
INSTALL = "pip install -c constraints.txt '.[peer]'"
EXIT_MISSING = 2

RANDOM, LOOP = "TorchRL, random actions", "PettingZoo loop, random actions"
NOTES = {
    RANDOM: "no networks on that side: its collector over its PettingZoo environments",
    LOOP: "no networks and no TorchRL on that side: what its environments cost by themselves",
}

Call = Callable[[], object]


class Ours:
    """This package's own training path, with the interface of `torchrl_ippo.Ippo`."""

    def __init__(self, config: Config) -> None:
        from ascore.benchmark.learning import learner_of

        self.learner, self.collector = learner_of(config.to_dict())
        self.steps = self.learner.spec.horizon
        self._numbers = count()

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(net.flat.numel() for net in (self.learner.actor.net, self.learner.critic.net))

    def collect(self) -> Any:
        """One batch of whole episodes."""
        return self.collector.collect(self.learner.actor)

    def learn(self, batch: Any) -> None:
        """Advantages and K iterations."""
        self.learner.update(batch, next(self._numbers))

    def stand_still(self) -> None:
        """Sets every learning rate to zero, which saves no work."""
        from ascore.benchmark.updates import stand_still

        stand_still(self.learner)

    def team_return(self, batch: Any) -> float:
        """Mean over the episodes of a batch."""
        return float(batch.reward.sum()) / batch.reward.shape[1]


def learning_curve(side: Any, updates: int) -> list[float]:
    """Mean team return of every batch on the way."""
    curve = []
    for _ in range(updates):
        batch = side.collect()
        curve.append(side.team_return(batch))
        side.learn(batch)
    return curve


def require_learning(name: str, curve: list[float], config: Config) -> None:
    """Raises Differs unless the last returns are nearer to straight walks than to random ones."""
    anchors = dict(anchor_values(config.env, config.env_params))
    middle = (anchors["random"] + anchors["selfish"]) / 2
    reached = float(np.mean(curve[-LAST:]))
    if not reached > middle:
        message = (
            f"{name} does not learn: team return {reached:.0f} after {len(curve)} updates is not "
            f"above {middle:.0f}, half way from random play; give it more --updates"
        )
        raise Differs(message)


def both_learn(ours: Any, peer: Any, updates: int, config: Config) -> dict[str, list[float]]:
    """Curves of both, which have the same sizes.

    Raises:
        Differs: they have not, or one of them does not learn.
    """
    if ours.parameters != peer.parameters:
        message = f"{ours.parameters} parameters are not the {peer.parameters} of the peer"
        raise Differs(message)
    curves = {}
    for name, side in (("ascore", ours), ("TorchRL", peer)):
        curves[name] = learning_curve(side, updates)
        require_learning(name, curves[name], config)
    return curves


def random_play(config: Config, steps: int) -> Callable[[], None]:
    """T steps of B PettingZoo environments in a plain loop: what nobody can save who uses them."""
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
    """Whole updates and their parts, one thread each; fills `curves` on the way."""
    for name in PACKAGES:
        require_package(name, "peer")
    import torch
    from torchrl_ippo import Ippo, environments, rollouts

    with one_torch_thread():
        ours = Ours(config)
        peer = Ippo(config, ours.steps)
        curves |= both_learn(ours, peer, updates, config)
        steps = float(ours.steps * config.num_envs)

        def against(part: str, baseline: str, mine: Call, theirs: Call) -> Result:
            timing = interleave(Work(mine, steps), Work(theirs, steps), effort, time.process_time)
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
        # A batch that is learned from again and again would lead weights away from it.
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
            message = f"torch was set to {torch.get_num_threads()} threads meanwhile, not to one"
            raise Differs(message)
    return results


def describe(config: Config) -> str:
    """The workload in a few words."""
    hidden = ", ".join(map(str, config.actor_hidden))
    return f"{config.env} x {config.num_envs} envs, ({hidden}), 1 thread"


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 if a result is not what it should be, 2 if the peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--num-envs", type=int, default=16, help="environments of a batch")
    parser.add_argument("--updates", type=int, default=60, help="to learn before timing")
    parser.add_argument("--repeats", type=int, default=9, help=f"turns, {LEAST_REPEATS} or more")
    options = parser.parse_args(argv)
    if options.repeats < LEAST_REPEATS:
        parser.error(f"--repeats {options.repeats} is too few for a median; give {LEAST_REPEATS}")
    # TorchRL's loss knows no moments of values, so neither side has them.
    config = Config.preset(
        "navigation", "ippo", num_envs=options.num_envs, value_normalization=False
    )
    curves: dict[str, list[float]] = {}
    effort = Effort(repeats=options.repeats, seconds=0.05, twin_envs=0)
    outcome = run(
        [Case("peer", "TorchRL", partial(measure, config, options.updates, curves))], effort
    )
    for case in outcome.skipped:
        print(f"{case.reason}; in this folder: {INSTALL}", file=sys.stderr)
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
