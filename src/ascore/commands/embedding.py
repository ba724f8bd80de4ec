"""`ascore export`, `ascore --cmake-dir` and `ascore --include-dir`."""

from __future__ import annotations

from ascore.commands.options import ExportOptions
from ascore.commands.parser import parse
from ascore.commands.shared import print_json
from ascore.errors import UsageError


def export(argv: list[str]) -> int:
    """Writes the policy of a run to one file."""
    from ascore.runs.policy import export_policy, load_policy

    options = parse(ExportOptions, argv)
    if options.format != "onnx" and (options.agent is not None or options.masks):
        message = "--agent and --masks need --format onnx"
        raise UsageError(message)
    policy = load_policy(options.run, options.checkpoint)
    if options.format == "onnx":
        from ascore.interop.onnx import export_onnx

        path = export_onnx(policy, options.out, options.agent, options.masks)
    else:
        path = export_policy(policy, options.out)
    if options.json:
        result = {"path": str(path), "env": policy.env, "bytes": path.stat().st_size}
        print_json(result)
    else:
        print(f"policy for {policy.env} written to {path}")
    return 0


def cmake_dir() -> int:
    """Prints the folder for CMake's `ascore_DIR`."""
    from ascore.commands.installed import cmake_dir

    print(cmake_dir())
    return 0


def include_dir() -> int:
    """Prints the folder for a compiler's `-I`."""
    from ascore.commands.installed import include_dir

    print(include_dir())
    return 0
