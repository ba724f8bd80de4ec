"""`ascore evaluate`, `ascore plot` and `ascore render`."""

from __future__ import annotations

from ascore.commands.options import EvaluateOptions, PlotOptions, RenderOptions
from ascore.commands.parser import parse
from ascore.commands.shared import interval, parameters, print_json, with_trust


def evaluate(argv: list[str]) -> int:
    """Plays new episodes with the policy of a run and prints its returns."""
    from ascore.runs.evaluation import evaluate
    from ascore.runtime.progress import Patience

    options = parse(EvaluateOptions, argv)
    result = with_trust(
        lambda trust: evaluate(
            options.run,
            episodes=options.episodes,
            seed=options.seed,
            greedy=options.greedy,
            checkpoint=options.checkpoint,
            trust=trust,
            report=Patience("evaluation episodes").update,
        ),
        options.trust,
    )
    if options.json:
        print_json(result.to_dict())
        return 0
    print(f"team return {interval(result.team_return)}")
    print("per agent   " + "  ".join(f"{value:.2f}" for value in result.agent_return))
    print(
        f"lowest      {result.lowest_return:.2f}, Nash welfare {result.nash_welfare:.2f}, "
        f"Gini {'–' if result.gini != result.gini else format(result.gini, '.3f')}"
    )
    print(
        f"entropy     {result.entropy:.3f} nats per action (uniform {result.entropy_uniform:.3f})"
    )
    for name, deed in result.deeds.items():
        print(f"{name:<11} " + "  ".join(f"{value:.2f}" for value in deed.per_agent))
    for name, value in result.measures.items():
        print(f"{name:<11} {'–' if value is None else format(value, '.3f')}")
    for name, timing in result.milestones.items():
        steps = timing.steps.mean
        print(f"{name:<11} in {timing.reached:.0%} of the episodes, after {steps:.1f} steps")
    return 0


def plot(argv: list[str]) -> int:
    """Draws the learning curves of runs."""
    from ascore.runtime.progress import waiting

    options = parse(PlotOptions, argv)
    with waiting("loading matplotlib and the runs"):
        from ascore.render.plots import plot_runs

        plot_runs(options.runs, options.out, options.against, options.measure)
    print(f"picture written to {options.out}")
    return 0


def render(argv: list[str]) -> int:
    """Draws an episode of a run or of a scripted policy."""
    from ascore.render.replay import replay
    from ascore.runtime.progress import Patience

    options = parse(RenderOptions, argv)
    params = parameters(options.env_param)
    if options.num_agents is not None:
        params["num_agents"] = options.num_agents
    result = replay(
        options.target,
        options.out,
        policy=options.policy,
        episode=options.episode,
        seed=options.seed,
        greedy=options.greedy,
        checkpoint=options.checkpoint,
        steps=options.steps,
        fps=options.fps,
        env_params=params,
        report=Patience("frames drawn").update,
    )
    if options.json:
        print_json({**vars(result), "path": str(result.path)})
    else:
        print(f"{result.steps} steps, team return {result.team_return:.2f}")
        if result.shortened:
            print("the rest of the episode is waiting; --steps N draws it too")
        print(f"picture written to {result.path}")
    return 0
