"""`ascore envs` and `ascore check-env`."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Any

from ascore.commands.exits import FAILED
from ascore.commands.help import listing, width
from ascore.commands.options import CheckEnvOptions, EnvsOptions
from ascore.commands.parser import parse
from ascore.commands.shared import parameters, print_json
from ascore.envs.factory import describe
from ascore.envs.table import ENVIRONMENTS, canonical_name

if TYPE_CHECKING:
    from ascore.experiments.anchors import Measured


def envs(argv: list[str]) -> int:
    """Lists the environments, shows one, or plays anchors and compares the returns."""
    options = parse(EnvsOptions, argv)
    names = [canonical_name(options.env)] if options.env else list(ENVIRONMENTS)
    if options.anchors:
        return _anchors(names, options.episodes, options.json)
    table = {name: describe(name) for name in names}
    if options.json:
        print_json(table)
    elif options.env:
        _show(names[0], table[names[0]])
    else:
        _list(table)
    return 0


def _list(table: dict[str, Any]) -> None:
    """Prints a line of sizes and anchors per environment, and below it what it is."""
    print(f"{'':<13} agents actions steps  random selfish cooperative")
    for name, entry in table.items():
        spec = entry["spec"]
        anchors = {a["label"]: f"{a['team_return']:g}" for a in entry["anchors"] if not a["given"]}
        print(
            f"{name:<13} {spec['num_agents']:>6} {spec['num_actions']:>7} {spec['horizon']:>5} "
            f"{anchors['random']:>7} {anchors['selfish']:>7} {anchors['cooperative']:>11}"
        )
        print(textwrap.indent(textwrap.fill(entry["summary"], width() - 2), "  "))
    print()
    print(
        _filled("Anchors are team returns of scripted play. `ascore envs harvest` shows one whole.")
    )


def _show(name: str, entry: dict[str, Any]) -> None:
    """Prints everything about an environment."""
    spec = entry["spec"]
    print(_filled(f"{name}: {entry['summary']}"))
    print()
    print(
        _filled(
            f"{spec['num_agents']} agents, {spec['num_actions']} actions "
            f"({', '.join(spec['action_names'])}), observation "
            f"{spec['obs_dtype']}{spec['obs_shape']}, horizon {spec['horizon']}"
        )
    )
    rows: dict[str, dict[str, str]] = {
        "Shows": dict(entry["shows"]),
        "Counts per agent and step": dict(entry["deeds"]),
        "Anchors: team returns of scripted play": {
            f"{a['label']} {a['team_return']:g}{_given(a['given'])}": a["source"]
            for a in entry["anchors"]
        },
        "Parameters: --env-param NAME=VALUE": {
            f"{p['name']} = {p['default']!r}": p["meaning"] for p in entry["parameters"]
        },
    }
    print("\n".join(listing({title: row for title, row in rows.items() if row}, 30)))


def _filled(text: str) -> str:
    """A paragraph as wide as the terminal."""
    return textwrap.fill(text, width())


def _given(given: dict[str, Any]) -> str:
    """Formats parameters that differ from the defaults as NAME = VALUE."""
    return "".join(f", {key} = {value}" for key, value in given.items())


def _anchors(names: list[str], episodes: int, as_json: bool) -> int:
    from ascore.experiments.anchors import recompute
    from ascore.runtime.progress import waiting

    work = recompute(names, episodes)
    results = []
    for done, measure in enumerate(work, start=1):
        with waiting(f"playing anchor {done} of {len(work)}"):
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
    from ascore.interop.check import Finding, examine
    from ascore.runtime.processors import usable_processors
    from ascore.runtime.progress import Patience

    options = parse(CheckEnvOptions, argv)

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
        action_bins=options.action_bins,
        env_workers=usable_processors() if options.env_workers < 0 else options.env_workers,
        on_finding=tell,
        progress=Patience("random steps").update,
    )
    if options.json:
        print_json(result.to_dict())
    else:
        print(result.conclusion)
    return 0 if result.trainable else FAILED
