"""What commands print beside their results and errors."""

from __future__ import annotations

import re

WAITING = re.compile(
    r"ascore: (waiting for|loading|drawing|rank \d+ of \d+ waits for)\b|[^ ]+: starting$"
)
"""What is waited for, which is told where it takes long: on a busy machine, everything does."""


def without_waiting(text: str) -> list[str]:
    """Its lines without those."""
    return [line for line in text.splitlines() if not WAITING.match(line)]
