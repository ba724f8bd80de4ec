"""`ascore export`, `ascore --cmake-dir` and `ascore --include-dir`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ascore.commands.shared import print_json


def export(argv: list[str]) -> int:
    """Writes the policy of a run to one file."""
    from ascore.runs.policy import export_policy, load_policy

    parser = argparse.ArgumentParser(
        prog="ascore export",
        description="Write the policy of a run to one file: safetensors, to be loaded by "
        "ascore.load_policy, ascore::Policy in C++ and ascore_policy_load in C, or an ONNX graph.",
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--checkpoint", help="name of a checkpoint; default: the newest")
    parser.add_argument("--format", choices=("safetensors", "onnx"), default="safetensors")
    parser.add_argument("--agent", type=int, help="only this agent's policy, from 0 (onnx)")
    parser.add_argument(
        "--masks", action="store_true", help="an input for the legal actions (onnx)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    if options.format != "onnx" and (options.agent is not None or options.masks):
        parser.error("--agent and --masks need --format onnx")
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


def cmake_dir(argv: list[str]) -> int:
    """Prints the folder for CMake's `ascore_DIR`."""
    from ascore.commands.installed import cmake_dir

    print(cmake_dir())
    return 0


def include_dir(argv: list[str]) -> int:
    """Prints the folder for a compiler's `-I`."""
    from ascore.commands.installed import include_dir

    print(include_dir())
    return 0
