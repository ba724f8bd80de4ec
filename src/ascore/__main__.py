"""`python -m ascore` is the command line."""

import os
import sys

from ascore.cli import main

if __name__ == "__main__":
    status = main()
    if os.environ.get("WORLD_SIZE", "").strip() not in ("", "1"):
        # Everything is written and the ranks have disconnected. Threads that gloo and its store
        # leave behind can crash the interpreter during normal shutdown.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
