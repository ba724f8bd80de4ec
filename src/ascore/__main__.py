"""`python -m ascore` is the command line."""

import sys

from ascore.cli import main

if __name__ == "__main__":
    sys.exit(main())
