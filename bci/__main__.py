"""`python -m bci` is `bci`."""

import sys

from bci.cli import main

if __name__ == "__main__":
    sys.exit(main())
