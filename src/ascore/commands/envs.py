"""`ascore envs` and `ascore check-env`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ascore.commands.exits import FAILED
from ascore.commands.shared import parameters, print_json
from ascore.envs.factory import describe
from ascore.envs.table import ENVIRONMENTS, canonical_name

if TYPE_CHECKING:
    from ascore.experiments.anchors import Measured


def envs(argv: list[str]) -> int:
    """Lists the environments, or plays their anchors and compares the returns."""
    from ascore.experiments.anchors import EPISODES

    parser = argparse.ArgumentParser(
        prog="ascore envs", description="The environments, their sizes, parameters and anchors."
    )
    parser.add_argument(
        "--anchors",
        nargs="?",
        const="",
        metavar="ENV",
        help="play the scripted policy of every anchor (of ENV) and compare it with the table",
    )
    parser.add_argument(
        "--episodes",
        type=int,
        default=EPISODES,
        help="with --anchors: episodes per anchor (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    if options.anchors is not None:
        names = [canonical_name(options.anchors)] if options.anchors else list(ENVIRONMENTS)
        return _anchors(names, options.episodes, options.json)
    table = {name: describe(name) for name in ENVIRONMENTS}
    if options.json:
        print_json(table)
        return 0
    for name, entry in table.items():
        spec = entry["spec"]
        print(f"{name}: {entry['summary']}")
        print(
            f"  {spec['num_agents']} agents, "
            f"{spec['num_actions']} actions ({', '.join(spec['action_names'])}), "
            f"observation {spec['obs_dtype']}{spec['obs_shape']}, horizon {spec['horizon']}"
        )
        for shown, meaning in entry["shows"].items():
            print(f"  shows {shown}: {meaning}")
        for anchor in entry["anchors"]:
            print(
                f"  anchor {anchor['label']:<14} {anchor['team_return']:>8g}  "
                f"({anchor['source']}){_given(anchor['given'])}"
            )
        for parameter in entry["parameters"]:
            print(f"  {parameter['name']} = {parameter['default']!r}: {parameter['meaning']}")
        print()
    return 0


def _given(given: dict[str, Any]) -> str:
    """Formats parameters that differ from the defaults as NAME = VALUE."""
    return "".join(f", {key} = {value}" for key, value in given.items())


def _anchors(names: list[str], episodes: int, as_json: bool) -> int:
    from ascore.experiments.anchors import recompute

    work = recompute(names, episodes)
    results = []
    for done, measure in enumerate(work, start=1):
        measured = measure()
        results.append(measured)
        print(f"{done}/{len(work)} {measured.env} {measured.label}", file=sys.stderr)
    if as_json:
        print_json({"anchors": [measured.to_dict() for measured in results]})
    else:
        print(f"team return over {episodes:,} episodes  [95% interval]  and the table's value")
        for name in names:
            print(name)
            for measured in results:
                if measured.env == name:
                    print(_anchor_line(measured))
    off = sum(not measured.agrees for measured in results)
    if off:
        print(
            f"ascore: {off} of {len(results)} anchors differ from the table by more than chance "
            "allows (99.9%)",
            file=sys.stderr,
        )
    return FAILED if off else 0


def _anchor_line(anchor: Measured) -> str:
    low, high = anchor.team_return.ci95
    figures = f"{anchor.team_return.mean:10.3f}  [{low:.3f}, {high:.3f}]"
    error = f" ± {anchor.error:g}" if anchor.error else ""
    return (
        f"  {anchor.label:<14}{figures:<36}{anchor.stated:>8g}{error:<8} "
        f"{'' if anchor.agrees else 'DIFFERS  '}({anchor.source}){_given(anchor.given)}"
    )


def check_env(argv: list[str]) -> int:
    """Checks whether a Python environment can be trained on."""
    import tyro

    from ascore.commands.options import CheckEnvOptions
    from ascore.interop.check import Finding, examine
    from ascore.runtime.progress import Patience

    options = tyro.cli(CheckEnvOptions, args=argv, prog="ascore check-env")

    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        if not options.json:
            print(*([] if findings else [options.env]), finding, sep="\n", flush=True)
        findings.append(finding)

    result = examine(
        options.env,
        parameters(options.env_param),
        options.steps,
        options.seed,
        horizon=options.horizon,
        on_finding=tell,
        progress=Patience("random steps").update,
    )
    if options.json:
        print_json(result.to_dict())
    else:
        print(result.conclusion)
    return 0 if result.trainable else FAILED
