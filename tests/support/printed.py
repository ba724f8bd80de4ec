"""What a command prints, without a process of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from contextlib import ExitStack

from ascore.cli import main


def printed_by(*args: str) -> tuple[int, str, str]:
    """What a command ends with and prints here as in a process of its own, from C too."""
    with ExitStack() as undo:
        files = [undo.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2)]
        for number, file in enumerate(files, 1):
            kept = os.dup(number)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        for stream, number in ((contextlib.redirect_stdout, 1), (contextlib.redirect_stderr, 2)):
            undo.enter_context(stream(undo.enter_context(open(number, "w", 1, closefd=False))))
        status = main(list(args))
        for file in files:
            file.seek(0)
        out, err = (file.read() for file in files)
    return status, out, err
