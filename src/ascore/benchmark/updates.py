"""Speed of an Anticipation Sharing update: stacked networks against one module per network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ascore.benchmark.packages import one_torch_thread, require_package
from ascore.benchmark.timing import CPU, Differs, Effort, Measure, Result, Work, interleave
from ascore.envs.factory import make

if TYPE_CHECKING:
    from torch import Tensor

    from ascore.learning.batch import Rows
    from ascore.learning.learner import Learner
    from ascore.reference.update import Agents

UPDATES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "exchange, 3 agents x 1 env": ("exchange", 1, {}),
    "predation, 8 agents x 16 envs": ("predation", 16, {"num_agents": 8}),
}
"""Environment, batch and parameters of one batch of whole episodes."""

GUARANTEED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "predation, 2 agents x 1,024 envs": ("predation", 1024, {"num_agents": 2}),
    "exchange, 3 agents x 64 envs": ("exchange", 64, {}),
}
"""Where a guarantee of privacy is timed."""
PRIVATE = {
    "minibatches": 1,
    "advantage_scale": "unit",
    "penalty_gate": "always",
    "value_normalization": False,
}
"""Keys that a guarantee asks for."""

MEAN_GAP, LARGEST_GAP = 5e-7, 6e-3
"""Allowed mean and maximum difference of weights after the same iterations; the maximum is six
steps of 1e-3. Adam divides by the root of the squared gradient, so a gradient near rounding error
can move its weight by a visible part of a step. A unit whose input is 0 up to rounding may be on or
off, depending on the order of summation."""


def prepared(
    env: str,
    actor: str,
    num_envs: int,
    backend: str = "torch",
    more: Mapping[str, Any] = MappingProxyType({}),
    **params: Any,
) -> tuple[Learner, Rows]:
    """Creates a learner, with `more` keys, and the rows of one batch of whole episodes."""
    from ascore.config import Config
    from ascore.learning.learner import Learner
    from ascore.learning.rollout import Collector

    keys: dict[str, Any] = {
        "env": f"{env}-v1",
        "env_params": params,
        "num_envs": num_envs,
        "minibatches": 2,
        "actor": actor,
        "backend": backend,
        "actor_lr": 1e-3,
        "critic_lr": 1e-3,
        "penalty_weight": 3.0,
        **more,
    }
    config = Config.from_dict(keys)
    vec = make(config.env, config.num_envs, config.seed, **params)
    vec.reset()
    learner = Learner(config, vec.spec)
    rollout = Collector(vec, vec.spec.horizon).collect(learner.actor)
    return learner, learner.prepare(rollout, 0)[2]


def reference(learner: Learner, rows: Rows) -> tuple[Agents, Callable[[], None]]:
    """Reference agents with the weights of a separate learner, and K iterations as a call."""
    from ascore.reference.update import Agents, update

    config, count = learner.config, rows.action.shape[0]
    agents = Agents(
        learner.spec.num_agents,
        learner.actor.net.sizes,
        learner.critic.net.sizes,
        config.actor_lr,
        config.critic_lr,
    )
    agents.load(learner.actor.net.flat.detach(), learner.critic.net.flat.detach())
    parts = [
        [part for part, _ in learner.minibatches(count, 0, k) if part is not None]
        for k in range(config.iterations)
    ]

    def run() -> None:
        update(
            agents, rows.obs, rows.action, rows.advantage, rows.normalized_return, parts,
            penalty_weight=config.penalty_weight, clip_epsilon=config.clip_epsilon,
        )  # fmt: skip

    return agents, run


def iterations(learner: Learner, rows: Rows) -> Callable[[], object]:
    """The learner's K iterations as a call."""
    return lambda: learner.iterate(rows, 0)


def stand_still(learner: Learner, agents: Agents | None = None) -> None:
    """Sets every learning rate to zero; the amount of work stays the same.

    Timing repeats one update on one batch. With learning, the weights would move far from the
    policy that sampled the batch, and ratios would overflow.
    """
    learner.set_rates(0.0, 0.0)
    optimizers: list[Any] = []
    for pair in agents.optimizers if agents is not None else []:
        optimizers += pair
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 0.0


def require_equal_weights(name: str, ours: Tensor, theirs: Tensor) -> None:
    """Raises Differs unless the weights agree up to rounding."""
    difference = (ours.detach() - theirs.detach()).abs()
    mean, largest = float(difference.mean()), float(difference.max())
    if not (mean < MEAN_GAP and largest < LARGEST_GAP):
        message = f"update of {name}: weights differ by {mean:g} on average, {largest:g} at most"
        raise Differs(message)


def separate_against_modules(name: str, effort: Effort) -> list[Result]:
    """Times the same N*N networks, stacked against modules; they must be equal after an update."""
    require_package("torch")
    env, num_envs, params = UPDATES[name]
    with one_torch_thread():
        learner, rows = prepared(env, "separate", num_envs, **params)
        agents, slow = reference(learner, rows)
        fast = iterations(learner, rows)
        fast()
        slow()
        require_equal_weights(name, learner.actor.net.flat, agents.rows()[0])
        stand_still(learner, agents)
        timing = interleave(Work(fast), Work(slow), effort, CPU)
    return [result(name, "separate", "module per network", timing, "")]


def multihead_against_separate(name: str, effort: Effort) -> list[Result]:
    """Times N trunks with N heads against N*N networks; results differ and are not compared."""
    require_package("torch")
    env, num_envs, params = UPDATES[name]
    with one_torch_thread():
        works = []
        for layout in ("multihead", "separate"):
            learner, rows = prepared(env, layout, num_envs, **params)
            stand_still(learner)
            works.append(Work(iterations(learner, rows)))
        timing = interleave(works[0], works[1], effort, CPU)
    note = "fewer parameters and another function, so results are not compared"
    return [result(name, "multihead", "separate", timing, note)]


def guaranteed_against_usual(name: str, effort: Effort) -> list[Result]:
    """Times an update with gradients clipped by episode and noised against the same without."""
    require_package("torch")
    env, num_envs, params = GUARANTEED[name]
    with one_torch_thread():
        works = []
        for more in ({"dp": "episode", "epsilon": 2.0}, {}):
            keys = {**PRIVATE, **more}
            learner, rows = prepared(env, "multihead", num_envs, "engine", keys, **params)
            stand_still(learner)
            works.append(Work(iterations(learner, rows)))
        timing = interleave(works[0], works[1], effort, CPU)
    note = "clipped and noised, so results are not compared; tests compare them without"
    shown = f"{name}, compiled"
    return [result(shown, "dp = episode", "the same without", timing, note, 0.5)]


def result(
    name: str, layout: str, baseline: str, timing: Any, note: str, bar: float | None = None
) -> Result:
    """A line of this group."""
    return Result.of(
        timing,
        group="update",
        name=f"{layout}, {name}, 1 thread",
        baseline=baseline,
        unit="update",
        bar=bar,
        note=note,
    )


def cases() -> list[tuple[str, Measure]]:
    """Both comparisons on every workload, and what a guarantee costs."""
    both: list[tuple[str, Measure]] = [
        (f"{measure.__name__.replace('_', ' ')}, {name}", partial(measure, name))
        for name in UPDATES
        for measure in (multihead_against_separate, separate_against_modules)
    ]
    guaranteed: list[tuple[str, Measure]] = [
        (f"guaranteed against usual, {name}", partial(guaranteed_against_usual, name))
        for name in GUARANTEED
    ]
    return both + guaranteed
