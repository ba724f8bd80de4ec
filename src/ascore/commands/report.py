"""`ascore report` and `ascore watch`."""

from __future__ import annotations

import shlex
from typing import Any

from ascore.commands.exits import DONE
from ascore.commands.options import ReportOptions, WatchOptions
from ascore.commands.parser import parse
from ascore.commands.shared import print_json


def report(argv: list[str]) -> int:
    """Writes one page about runs and sweeps."""
    from ascore.report.build import report
    from ascore.report.html import size
    from ascore.runtime.progress import Patience

    options = parse(ReportOptions, argv)
    written = report(
        options.runs,
        options.out,
        command=shlex.join(["ascore", "report", *argv]),
        machine=_machine(),
        episodes=options.evaluate,
        with_replays=options.replays,
        trust=options.trust,
        progress=Patience("evaluation episodes").update,
        drawing=Patience("frames drawn").update,
    )
    if options.json:
        listed = [vars(concern) for concern in written.concerns]
        about = {"path": str(written.path), "bytes": written.size, "runs": written.runs}
        print_json({**about, "concerns": listed})
        return DONE
    for concern in written.concerns:
        print(f"{concern.run}: {concern.sentence}")
    runs = "1 run" if written.runs == 1 else f"{written.runs} runs"
    print(f"page about {runs} written to {written.path} ({size(written.size)})")
    return DONE


def watch(argv: list[str]) -> int:
    """Serves a page about runs and sweeps on this machine until it is interrupted."""
    from ascore.report.server import Server, Watched

    options = parse(WatchOptions, argv)
    made = {"command": shlex.join(["ascore", "watch", *argv]), "machine": _machine()}
    with Server(Watched(options.runs, made), options.port) as server:
        try:
            print(f"open {server.url}; Ctrl-C ends", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, and no failure
            print()
    return DONE


def _machine() -> dict[str, Any]:
    from ascore.benchmark.machine import describe_machine

    return describe_machine()
