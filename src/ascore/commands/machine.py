"""`ascore bench` and `ascore doctor`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ascore.commands.exits import FAILED
from ascore.commands.shared import print_json


def bench(argv: list[str]) -> int:
    """Times the parts with promised speeds, each alternating with its baseline."""
    from ascore.benchmark import FULL, GROUPS, QUICK, Case, cases, run
    from ascore.benchmark.report import as_markdown, as_text

    parser = argparse.ArgumentParser(
        prog="ascore bench",
        description="Time every part with a promised speed, alternating with its baseline. "
        "Fails if a result differs from its baseline's, not if a bar is missed.",
    )
    parser.add_argument(
        "--group",
        nargs="+",
        action="extend",
        choices=list(GROUPS),
        metavar="NAME",
        help=f"only these groups of {', '.join(GROUPS)}",
    )
    parser.add_argument(
        "--scaling",
        action="store_true",
        help="measure threads, processes and ranks instead, and recommend how to split the machine",
    )
    parser.add_argument(
        "--picture", type=Path, default=Path("scaling.png"), help="picture that --scaling writes"
    )
    parser.add_argument("--quick", action="store_true", help="small batches and few repeats")
    parser.add_argument("--strict", action="store_true", help="fail if a bar is missed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args(argv)

    if options.scaling:
        return _scaling(options)

    def report(done: int, total: int, case: Case) -> None:
        print(f"{done}/{total} {case.group}: {case.name}", file=sys.stderr, flush=True)

    bench = run(cases(options.group or list(GROUPS)), QUICK if options.quick else FULL, report)
    if options.json:
        print_json(bench.to_dict())
    else:
        print(as_markdown(bench) if options.markdown else as_text(bench))
    failed = bench.differing or (options.strict and bench.missed)
    return FAILED if failed else 0


def _scaling(options: argparse.Namespace) -> int:
    from ascore.benchmark import FULL, QUICK
    from ascore.benchmark.report import as_markdown, as_text
    from ascore.benchmark.scaling import draw, measure

    scaling = measure(
        QUICK if options.quick else FULL, lambda what: print(what, file=sys.stderr, flush=True)
    )
    if options.json:
        print_json(scaling.to_dict())
    else:
        table = as_markdown(scaling.bench) if options.markdown else as_text(scaling.bench)
        print(table, "", *scaling.advice, sep="\n")
    draw(scaling, options.picture)
    print(f"picture written to {options.picture}", file=sys.stderr)
    return FAILED if options.strict and scaling.bench.missed else 0


def doctor(argv: list[str]) -> int:
    """Reports what this machine offers and any problems."""
    from ascore.runtime.doctor import examine, report

    findings = examine()
    if "--json" in argv:
        print_json(findings)
    else:
        print(report(findings))
    return 0
