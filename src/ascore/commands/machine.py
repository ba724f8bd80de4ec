"""`ascore bench` and `ascore doctor`."""

from __future__ import annotations

import sys

from ascore.commands.exits import FAILED
from ascore.commands.help import width
from ascore.commands.options import BenchOptions, DoctorOptions
from ascore.commands.parser import parse
from ascore.commands.shared import print_json
from ascore.errors import UsageError


def bench(argv: list[str]) -> int:
    """Times the parts with promised speeds, each alternating with its baseline."""
    from ascore.benchmark import FULL, GROUPS, LONGEST, QUICK, Case, cases, run
    from ascore.benchmark.report import as_markdown, as_text

    options = parse(BenchOptions, argv)
    if options.json and options.markdown:
        message = "--json and --markdown exclude each other; choose one"
        raise UsageError(message)
    if options.scaling:
        return _scaling(options)

    def report(done: int, total: int, case: Case) -> None:
        print(f"{done}/{total} {case.group}: {case.name}", file=sys.stderr, flush=True)

    chosen = cases(options.group or list(GROUPS))
    if options.quick and not options.group:
        chosen = [case for case in chosen if case.name not in LONGEST]
    bench = run(chosen, QUICK if options.quick else FULL, report)
    if options.json:
        print_json(bench.to_dict())
    else:
        print(as_markdown(bench) if options.markdown else as_text(bench, width()))
    failed = bench.differing or (options.strict and bench.missed)
    return FAILED if failed else 0


def _scaling(options: BenchOptions) -> int:
    from ascore.benchmark import FULL, QUICK
    from ascore.benchmark.report import as_markdown, as_text
    from ascore.benchmark.scaling import measure, picture
    from ascore.render import charts

    charts.require_place(options.picture)
    scaling = measure(
        QUICK if options.quick else FULL, lambda what: print(what, file=sys.stderr, flush=True)
    )
    if options.json:
        print_json(scaling.to_dict())
    else:
        table = as_markdown(scaling.bench) if options.markdown else as_text(scaling.bench, width())
        print(table, "", *scaling.advice, sep="\n")
    charts.save(picture(scaling), options.picture)
    print(f"picture written to {options.picture}", file=sys.stderr)
    return FAILED if options.strict and scaling.bench.missed else 0


def doctor(argv: list[str]) -> int:
    """Reports what this machine offers and any problems."""
    from ascore.runtime.doctor import examine, report

    options = parse(DoctorOptions, argv)
    findings = examine()
    if options.json:
        print_json(findings)
    else:
        print(report(findings))
    return 0
