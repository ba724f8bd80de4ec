"""Speed of environment steps, against Python twins, the yardstick, one thread; cost of a call."""

from __future__ import annotations

from functools import partial

from ascore import _core
from ascore.benchmark.timing import (
    CPU,
    WALL,
    Effort,
    Measure,
    Missing,
    Result,
    Timing,
    Work,
    interleave,
)
from ascore.benchmark.workloads import (
    VARIANTS,
    WORKLOADS,
    YARDSTICK_NS,
    Variant,
    Workload,
    actions_for,
    player,
    require_equal,
)
from ascore.runtime.processors import usable_processors

NUM_ENVS = 1024
VARIANT_ENVS = 256
"""Environments of a variant: the views of a thousand would not fit the caches on either side."""
STEPS = 16
"""Number of different actions per environment before they repeat."""
FULL_CHECK, QUICK_CHECK = 32, 8
"""Steps compared before timing; the full check is longer than an episode of Predation."""

TWO_THREADS_BAR = 1.6
FEW_ENVS = (1, 16)
FEW_BAR = 0.95
"""Must not be slower, up to noise: with one thread chosen, both sides run the same code."""
CALL_NS = 1_500.0
"""Allowed overhead in ns of a call of `step` on one environment, beyond its dynamics."""


def require_two_cores() -> None:
    """Raises Missing if two threads would share one core."""
    if usable_processors() < 2:
        message = "two threads need two cores; this process may use only one"
        raise Missing(message)


def against_twin(workload: Workload, num_threads: int, effort: Effort) -> list[Result]:
    """Times the compiled environment against its Python twin, which has one thread."""
    workload.require()
    if num_threads > 1:
        require_two_cores()
    compiled = workload.compiled(effort.twin_envs, num_threads)
    twin = workload.twin(effort.twin_envs)
    check = QUICK_CHECK if effort.quick else FULL_CHECK
    require_equal(compiled, twin, actions_for(compiled, check), workload.name)
    actions = actions_for(compiled, STEPS)
    timing = interleave(
        Work(player(compiled, actions), compiled.num_envs),
        Work(player(twin, actions), twin.num_envs),
        effort,
        CPU if num_threads == 1 else WALL,
    )
    result = Result.of(
        timing,
        group="twin",
        name=f"{workload.name}, {compiled.num_envs:,} envs, {threads(num_threads)}",
        baseline="Python twin",
        unit="env-step",
        bar=workload.twin_bar if compiled.num_envs >= NUM_ENVS else None,
    )
    return [result]


def against_yardstick(workload: Workload, num_threads: int, effort: Effort) -> list[Result]:
    """Times the compiled environment against the yardstick, and derives ratios to other engines."""
    workload.require()
    if num_threads > 1:
        require_two_cores()
    env = workload.compiled(NUM_ENVS, num_threads)
    yardstick = _core.HarvestYardstick(NUM_ENVS, 0)
    timing = interleave(
        Work(player(env, actions_for(env, STEPS)), env.num_envs),
        Work(partial(yardstick.run, 1), yardstick.num_envs * yardstick.num_agents),
        effort,
        CPU if num_threads == 1 else WALL,
    )
    return yardstick_results(workload, num_threads, env.spec.num_agents, timing)


def yardstick_results(
    workload: Workload, num_threads: int, num_agents: int, timing: Timing
) -> list[Result]:
    """Results from a timing of env-steps against agent-steps of the yardstick."""
    name = f"{workload.name}, {NUM_ENVS:,} envs, {threads(num_threads)}"
    share = 1 / num_agents if workload.unit == "agent-step" else 1.0
    one = num_threads == 1
    bar = YARDSTICK_NS / workload.limit_ns if workload.limit_ns is not None and one else None
    note = "the yardstick's time is per agent-step of its 5 agents"
    if bar is not None:
        note += f"; bar: {workload.limit_ns:g} ns where the yardstick takes {YARDSTICK_NS:g}"
    results = [
        Result.of(
            timing, candidate_units=share, group="bound", name=name, unit=workload.unit, bar=bar,
            baseline="hand-written yardstick", note=note,
        )
    ]  # fmt: skip
    for peer in workload.peers if one else ():
        source = f"derived, not measured here: {peer.name} takes {peer.multiple:g} x the yardstick"
        results.append(
            Result.of(
                timing, scale=peer.multiple, candidate_units=1 / num_agents, group="bound",
                name=name, unit="agent-step", bar=peer.bar, baseline=f"{peer.name} (derived)",
                note=f"{source} (docs/performance.md, Other engines)",
            )
        )  # fmt: skip
    return results


def two_threads(workload: Workload, num_envs: int, effort: Effort) -> list[Result]:
    """Times two threads against one; the bar applies to batches with enough work for both."""
    workload.require()
    require_two_cores()
    two, one = (workload.compiled(num_envs, count) for count in (2, 1))
    require_equal(two, one, actions_for(one, 4), workload.name)
    actions = actions_for(one, STEPS)
    timing = interleave(
        Work(player(two, actions), num_envs), Work(player(one, actions), num_envs), effort, WALL
    )
    enough = num_envs >= workload.threaded_envs
    result = Result.of(
        timing,
        group="threads",
        name=f"{workload.name}, {num_envs:,} envs, 2 threads",
        baseline="1 thread",
        unit="env-step",
        bar=TWO_THREADS_BAR if enough else None,
        note="" if enough else "less than a millisecond of work per thread: for information",
    )
    return [result]


def few_environments(workload: Workload, num_envs: int, effort: Effort) -> list[Result]:
    """Times num_threads = 0 against one thread, on a small batch."""
    workload.require()
    chosen, one = (workload.compiled(num_envs, count) for count in (0, 1))
    require_equal(chosen, one, actions_for(one, 4), workload.name)
    actions = actions_for(one, STEPS)
    timing = interleave(
        Work(player(chosen, actions), num_envs),
        Work(player(one, actions), num_envs),
        effort,
        CPU if chosen.num_threads == 1 else WALL,
    )
    result = Result.of(
        timing,
        group="threads",
        name=f"{workload.name}, {envs(num_envs)}, num_threads=0",
        baseline="1 thread",
        unit="env-step",
        bar=FEW_BAR,
        note=f"chose {threads(chosen.num_threads)}; never slower, up to noise",
    )
    return [result]


def one_call(workload: Workload, effort: Effort) -> list[Result]:
    """Times the overhead of a step of one environment, against the allowed overhead."""
    workload.require()
    single, batch = workload.compiled(1), workload.compiled(NUM_ENVS)
    timing = interleave(
        Work(player(single, actions_for(single, STEPS))),
        Work(player(batch, actions_for(batch, STEPS)), batch.num_envs),
        effort,
    )
    return [call_result(workload, timing)]


def call_result(workload: Workload, timing: Timing) -> Result:
    """Result from the times of a single step and of a step within a large batch."""
    return Result.of(
        timing.beyond(CALL_NS),
        group="call",
        name=f"{workload.name}, 1 env",
        baseline=f"{CALL_NS / 1000:g} µs allowed",
        unit="call beyond the dynamics",
        bar=1.0,
        note=f"env.step of 1 env minus an env-step of {NUM_ENVS:,}",
    )


def against_plain(variant: Variant, effort: Effort) -> list[Result]:
    """Times a variant of an environment against what it is compared with."""
    dearer = Workload(variant.env, {**variant.params, **variant.dearer})
    plain = Workload(variant.env, {**variant.params, **variant.plain})

    def work(workload: Workload) -> Work:
        env = workload.compiled(VARIANT_ENVS)
        return Work(player(env, actions_for(env, STEPS)), env.num_envs)

    result = Result.of(
        interleave(work(dearer), work(plain), effort, CPU),
        group="variants",
        name=f"{dearer.name}, {VARIANT_ENVS} envs, {threads(1)}",
        baseline=" ".join(f"{key}={value}" for key, value in variant.plain.items()),
        unit="env-step",
        bar=1 / variant.largest_cost,
        note=f"may take {variant.largest_cost:g} times as long",
    )
    return [result]


def threads(count: int) -> str:
    """Formats a count with its noun."""
    return "1 thread" if count == 1 else f"{count} threads"


def envs(count: int) -> str:
    """Formats a count with its noun."""
    return "1 env" if count == 1 else f"{count:,} envs"


def twin_cases() -> list[tuple[str, Measure]]:
    """Every environment with one and two threads."""
    return [(w.name, partial(against_twin, w, count)) for w in WORKLOADS for count in (1, 2)]


def yardstick_cases() -> list[tuple[str, Measure]]:
    """Every environment with one and two threads."""
    return [(w.name, partial(against_yardstick, w, count)) for w in WORKLOADS for count in (1, 2)]


def variant_cases() -> list[tuple[str, Measure]]:
    """Every variant."""
    return [(f"{v.env} {next(iter(v.dearer))}", partial(against_plain, v)) for v in VARIANTS]


def thread_cases() -> list[tuple[str, Measure]]:
    """Batches from one environment to enough for two threads."""
    cases: list[tuple[str, Measure]] = []
    for w in WORKLOADS:
        cases += [(w.name, partial(two_threads, w, size)) for size in (NUM_ENVS, w.threaded_envs)]
        cases += [(w.name, partial(few_environments, w, size)) for size in FEW_ENVS]
    return cases


def call_cases() -> list[tuple[str, Measure]]:
    """A batch of one for every environment."""
    return [(w.name, partial(one_call, w)) for w in WORKLOADS]
