"""Writes a list of cells as a Slurm job array: a plain script for `sbatch`."""

from __future__ import annotations

import shlex
from pathlib import Path

from ascore.errors import RunError
from ascore.runs.files import unwritable, write_atomic

SCRIPT = "array.sbatch"

# Ten minutes before the time limit, Slurm sends TERM to the batch process, which is the training
# itself. It saves, and submitting the same script again continues from there. Finished cells return
# immediately.
TEMPLATE = """\
#!/bin/bash
#SBATCH --job-name=ascore
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@600
#SBATCH --requeue
#SBATCH --output={logs}/%a.out
# Adapt the limits above to your cluster, then: sbatch {script}
# Some clusters allow no more than about 1,000 tasks per array: cut the range into parts there.
export {environment}
exec {python} -m ascore sweep --out {out} --cell "$SLURM_ARRAY_TASK_ID"{trust}
"""


def write_script(
    out: Path, count: int, python: str, environment: dict[str, str], *, trust: bool
) -> Path:
    """Writes `out/array.sbatch`, which runs cell K of `out/cells.json` as array task K.

    Args:
        out: folder of the list of cells; all nodes must be able to access it.
        count: number of cells.
        python: interpreter with this package installed, on all nodes.
        environment: environment variables to set.
        trust: whether tasks may import the environments and algorithms that the list names.

    Raises:
        RunError: the script cannot be written, or the folder has a name that no script can hold.
    """
    folder = out.resolve()
    if not str(folder).isprintable():  # a line break would end a comment
        message = f"a script cannot hold the name {str(folder)!r}; choose another --out"
        raise RunError(message)
    logs, script = folder / "slurm", folder / SCRIPT
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(logs, error) from error
    text = TEMPLATE.format(
        last=count - 1,
        logs=logs,
        script=shlex.quote(str(script)),
        environment=" ".join(f"{key}={value}" for key, value in environment.items()),
        python=shlex.quote(python),
        out=shlex.quote(str(folder)),
        trust=" --trust" if trust else "",
    )
    write_atomic(script, text.encode())
    return script
